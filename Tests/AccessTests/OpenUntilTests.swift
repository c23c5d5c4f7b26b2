import Access
import Testing

@Suite("What is open is decided by the same evaluation for as long as the proof counts for new requests")
struct OpenUntilTests {
    /// A device whose statement says how it was proven, with a grace for what is open.
    private static func device(_ random: inout RandomPolicies) -> DeviceFacts {
        var device = random.device()
        let expires = device.statement?.expiresAtSeconds ?? now
        device.statement?.mode = .x5c
        device.statement?.transport = .fetch
        device.statement?.openUntilSeconds = random.generator.pick([nil, expires - 50, expires, expires + 60])
        return device
    }

    @Test("its end alone is another: evaluated by itself it comes to the same (20,000 seeds)")
    func same() {
        var counted = (same: 0, later: 0, apart: 0)
        for seed in UInt64(0)..<20_000 {
            var random = RandomPolicies(seed: seed)
            let policy = snapshot(random.devicePolicies(nil))
            var app = random.application()
            app.posture = random.generator.pick([nil, nil, PostureDemand(ageSecondsMax: 300)])
            app.outage = random.generator.pick([.failClosed, .partial])
            let session = random.session()
            let device = Self.device(&random)
            let assessed = policy.assess(session, device, for: app, atSeconds: now)
            let open = policy.residual(of: session, device.forWhatIsOpen, for: app, atSeconds: now)
            guard let until = assessed.openUntilSeconds else {
                counted.apart += 1
                continue
            }
            var expected = assessed.residual
            expected.validUntilSeconds = until
            #expect(open == expected, "seed \(seed)")
            #expect(until >= assessed.residual.validUntilSeconds, "seed \(seed)")
            if until > assessed.residual.validUntilSeconds { counted.later += 1 } else { counted.same += 1 }
        }
        #expect(counted.same > 1_000 && counted.later > 50 && counted.apart > 500, "\(counted)")
    }

    @Test(
        "once the proof has run out for new requests, what is open is a question of its own",
        arguments: [(-1, false), (0, false), (1, true)] as [(Int64, Bool)])
    func end(_ secondsLeft: Int64, _ isShared: Bool) {
        var shown = AccessTests.device([], statement: statement(expires: now + secondsLeft))
        shown.statement?.openUntilSeconds = now + 60
        let policy = snapshot([
            devicePolicy("signed", 1, [.agentVersion(integration: "agents", minimum: "1")], .compliant)
        ])
        let app = application([
            ApplicationPolicy(
                name: "good", action: .allow, include: [.everyone],
                require: [.device(DeviceCondition(classes: [.compliant]))])
        ])
        let assessed = policy.assess(session(), shown, for: app, atSeconds: now)
        #expect(assessed.openUntilSeconds == (isShared ? now + 60 : nil))
        let open = policy.residual(of: session(), shown.forWhatIsOpen, for: app, atSeconds: now)
        #expect(open.policies.count == 1)
        #expect(assessed.residual.policies.isEmpty == !isShared)
    }
}
