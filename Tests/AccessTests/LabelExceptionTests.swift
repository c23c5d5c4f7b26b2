import Access
import Testing

@Suite("An exception for devices that a provider's label names, until a day")
struct LabelExceptionTests {
    /// Old machines of the plant: their category at Intune makes them `partial` whatever their compliance, and one
    /// application takes that class until its day.
    private func answer(_ device: DeviceFacts?, at seconds: Int64) -> (DeviceResult?, Decision) {
        let plant = devicePolicy(
            "plant", 5, [.tags(integration: "intune", matchesAll: false, values: ["category:OT"])], .partial)
        let policy = snapshot([plant, healthy], noMatch: .denied)
        let app = application([
            .init(name: "staff", action: .allow, include: [.everyone], require: [deviceIs(.compliant)]),
            .init(
                name: "plant", action: .allow, include: [.everyone],
                require: [deviceIs(.partial), .until(.init(seconds: now + 100))],
                restriction: Restriction(methods: [.get])),
        ])
        let result = device.map {
            policy.deviceResult(of: $0, for: person(), owner: .samePerson, atSeconds: seconds)
        }
        return (result, decide(session(), device, app, policy, at: seconds))
    }

    private func machine(_ labels: [String], _ state: Verdict.State = .noncompliant) -> DeviceFacts {
        device([verdict(state, labels: labels)])
    }

    @Test("002.17 an exception by a device's label ends by itself, in the very second of its day")
    func label() {
        let old = machine(["category:OT", "registered"])
        #expect(answer(old, at: now + 99).0?.policyName == "plant")
        #expect(answer(old, at: now + 99).1.isForward)
        #expect(!answer(old, at: now + 100).1.isForward)
    }

    @Test("002.17 without the label, with another, or with one that is not known, there is no exception")
    func others() {
        #expect(!answer(machine(["registered"]), at: now).1.isForward)
        #expect(!answer(machine(["category:ot"]), at: now).1.isForward)
        #expect(!answer(machine(["category:OT"], .unknown), at: now).1.isForward)
        #expect(!answer(nil, at: now).1.isForward)
        // A label is no help when it is as old as a verdict may not be.
        let stale = device([verdict(.noncompliant, labels: ["category:OT"], expires: now)])
        #expect(!answer(stale, at: now).1.isForward)
        // And whoever is compliant needs none.
        #expect(answer(machine(["registered"], .compliant), at: now + 100).1.isForward)
    }
}
