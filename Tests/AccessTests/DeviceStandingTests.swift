import Testing

@testable import Access

@Suite("A device's standing: yes, no, or not known")
struct DeviceStandingTests {

    private func verdict(
        _ state: Verdict.State, labels: [String] = [], fresh: Bool = true, integration: String = "mdm"
    ) -> Verdict {
        Verdict(
            id: "v", integration: integration, provider: "intune", nativeID: "n", state: state,
            labels: labels, observedAtSeconds: now - 60, fetchedAtSeconds: now - 60,
            expiresAtSeconds: fresh ? now + 60 : now, matchKey: "serial", matchStrength: .strong)
    }

    private func standing(_ policies: [DevicePolicy], _ verdicts: [Verdict], _ platform: Platform? = .linux)
        -> Bool?
    {
        PolicySnapshot(
            identity: "", devicePolicies: policies, deviceDefaultNoMatch: .partial,
            deviceDefaultUnsupported: .partial, applications: []
        ).standing(of: DeviceFacts(id: "d", platform: platform, verdicts: verdicts), atSeconds: now)
    }

    private func policy(
        _ name: String, _ priority: Int, _ result: DeviceClass, _ rules: [DeviceRule],
        strategies: [CheckStrategy] = []
    ) -> DevicePolicy {
        DevicePolicy(
            name: name, platform: .linux, priority: priority, rules: rules, result: result, onUnknown: .cap,
            strategies: strategies)
    }

    private let good = DeviceRule.tags(integration: "mdm", matchesAll: true, values: ["compliant"])
    private let bad = DeviceRule.tags(integration: "edr", matchesAll: false, values: ["contained"])

    @Test("what is known is said, and what is missing, stale or ambiguous is not a no") func single() {
        let policies = [policy("good", 10, .compliant, [good])]
        #expect(standing(policies, [verdict(.compliant, labels: ["compliant"])]) == true)
        #expect(standing(policies, [verdict(.noncompliant)]) == false)
        #expect(standing(policies, []) == nil)
        #expect(standing(policies, [verdict(.compliant, labels: ["compliant"], fresh: false)]) == nil)
        #expect(standing(policies, [verdict(.noncompliant, fresh: false)]) == nil)
        for state in [Verdict.State.ambiguous, .unknown, .error] {
            #expect(standing(policies, [verdict(state)]) == nil)
        }
        #expect(standing(policies, [verdict(.noncompliant)], .macos) == nil, "nothing is asked there")
        #expect(standing([], [verdict(.noncompliant)]) == nil)
    }

    @Test("an outage of one provider hides no explicit no of another, and makes none") func several() {
        let edr = policy("contained", 5, .denied, [bad])
        let both = [edr, policy("good", 10, .compliant, [good])]
        let contained = verdict(.noncompliant, labels: ["contained"], integration: "edr")
        let calm = verdict(.compliant, integration: "edr")
        let fine = verdict(.compliant, labels: ["compliant"])
        #expect(standing(both, [contained, fine]) == false)
        #expect(standing(both, [calm, fine]) == true)
        #expect(standing(both, [fine]) == nil, "the sensor's silence caps the class, and is no verdict")
        #expect(standing(both, [verdict(.noncompliant)]) == false)
        let two = [policy("a", 1, .compliant, [bad]), policy("b", 2, .partial, [good])]
        #expect(standing(two, [fine]) == nil, "the first might have made it compliant")
        #expect(standing(two, [fine, calm]) == false)
    }

    @Test("a strategy's limit is a no only when its rule is known not to hold") func strategies() {
        let rules = [good, DeviceRule.sensorRunning(integration: "edr", true)]
        let limited = [policy("good", 1, .compliant, rules, strategies: [.require, CheckStrategy(.partial)])]
        let fine = verdict(.compliant, labels: ["compliant"])
        var running = verdict(.compliant, integration: "edr")
        running.isSensorRunning = true
        var stopped = running
        stopped.isSensorRunning = false
        #expect(standing(limited, [fine, running]) == true)
        #expect(standing(limited, [fine, stopped]) == false)
        #expect(standing(limited, [fine]) == nil)
        let reported = [policy("good", 1, .compliant, rules, strategies: [.require, CheckStrategy(.report)])]
        #expect(standing(reported, [fine, stopped]) == true)
    }

    @Test("true is a compliant device, everything else is none, and silence is never false") func law() {
        var counts: [Bool?: Int] = [:]
        for seed in 0..<4_000 {
            var random = RandomPolicies(seed: UInt64(seed))
            let snapshot = PolicySnapshot(
                identity: "", devicePolicies: random.devicePolicies(nil), deviceDefaultNoMatch: .partial,
                deviceDefaultUnsupported: .partial, applications: [])
            var device = random.device()
            let result = snapshot.deviceResult(
                of: device, for: nil, owner: .any, atSeconds: now, recordingLines: false)
            let standing = snapshot.standing(of: device, atSeconds: now)
            counts[standing, default: 0] += 1
            #expect((standing == true) == (result.deviceClass == .compliant), "seed \(seed)")
            // A policy that requires nothing of a device decides about every device, known or not.
            let decidesAnyway = snapshot.devicePolicies.contains { policy in
                !policy.rules.indices.contains { policy.strategy(ofRule: $0) == .require }
            }
            guard !decidesAnyway else { continue }
            device.verdicts = []
            device.statement = nil
            #expect(snapshot.standing(of: device, atSeconds: now) != false, "seed \(seed)")
        }
        #expect([true, false, nil].allSatisfy { (counts[$0] ?? 0) > 100 }, "\(counts)")
    }
}
