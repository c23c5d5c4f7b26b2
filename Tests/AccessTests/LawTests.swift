import Access
import Testing

@Suite("Laws that hold for every policy and every set of facts (20,000 seeds each)")
struct LawTests {
    static let seeds: Range<UInt64> = 0..<20_000

    private static func policy(_ random: inout RandomPolicies, _ onUnknown: OnUnknown?) -> PolicySnapshot {
        snapshot(
            random.devicePolicies(onUnknown), noMatch: onUnknown == .deny ? .denied : .partial,
            unsupported: onUnknown == .deny ? .denied : .partial)
    }

    @Test("a residual gives the same answer as a new one until the second it names")
    func validUntil() {
        for seed in Self.seeds {
            var random = RandomPolicies(seed: seed)
            let policy = Self.policy(&random, nil)
            let app = random.application()
            let session = random.session()
            let device = random.device()
            let residual = policy.residual(of: session, device, for: app, atSeconds: now)
            #expect(
                residual.validUntilSeconds > now && residual.validUntilSeconds <= now + 900, "seed \(seed)")
            let at = Int64.random(in: now..<residual.validUntilSeconds, using: &random.generator)
            let (request, path) = random.request()
            let old = residual.decide(request, path: Array(path.utf8).span, atSeconds: at)
            let new = decide(session, device, app, policy, request, path: path, at: at)
            // Only what clears up by itself (a clock ahead of ours) may differ, and only towards less by
            // the old one.
            #expect(!old.isForward || new.isForward || device.hasFutureTime, "seed \(seed)")
            let late = residual.decide(
                request, path: Array(path.utf8).span, atSeconds: residual.validUntilSeconds)
            #expect(late == .recompute, "seed \(seed)")
        }
    }

    @Test("removing a fact never turns a refusal into a forward, when what is not known denies")
    func removal() {
        var removed = 0
        for seed in Self.seeds {
            var random = RandomPolicies(seed: seed, isMonotone: true)
            let policy = Self.policy(&random, .deny)
            let app = random.application()
            let session = random.session()
            let device = random.device()
            let (request, path) = random.request()
            if decide(session, device, app, policy, request, path: path).isForward { continue }
            for (less, rest) in removals(session, device) {
                removed += 1
                #expect(!decide(less, rest, app, policy, request, path: path).isForward, "seed \(seed)")
            }
        }
        #expect(removed > 50_000)
    }

    /// Every way to know one thing less.
    private func removals(_ session: SessionFacts, _ device: DeviceFacts) -> [(SessionFacts?, DeviceFacts?)] {
        var cases: [(SessionFacts?, DeviceFacts?)] = [(nil, device), (session, nil)]
        var less = session
        less.person.email = nil
        cases.append((less, device))
        less = session
        less.person.claims = [:]
        cases.append((less, device))
        cases += deviceRemovals(device).map { (session, $0) }
        return cases
    }

    private func deviceRemovals(_ device: DeviceFacts) -> [DeviceFacts] {
        var cases: [DeviceFacts] = []
        func without(_ change: (inout DeviceFacts) -> Void) {
            var copy = device
            change(&copy)
            cases.append(copy)
        }
        without { $0.platform = nil }
        without { $0.ownerSubject = nil }
        without { $0.statement = nil }
        without { $0.statement?.facts = [:] }
        // All of an integration: of several records the worst one counts, so one alone is not a fact of its
        // own.
        for name in ["intune", "falcon"] { without { $0.verdicts.removeAll { $0.integration == name } } }
        for index in device.verdicts.indices {
            without { $0.verdicts[index].score = nil }
            without { $0.verdicts[index].risk = nil }
            without { $0.verdicts[index].isSensorRunning = nil }
            without { $0.verdicts[index].isManaged = nil }
        }
        return cases
    }

    @Test(
        "removing a fact never makes a device compliant, when what is not known caps",
        arguments: [OnUnknown.cap, .deny])
    func removalAndCap(_ onUnknown: OnUnknown) {
        for seed in Self.seeds {
            var random = RandomPolicies(seed: seed)
            let policy = Self.policy(&random, onUnknown)
            let device = random.device()
            let before = policy.deviceResult(of: device, for: person(), owner: .any, atSeconds: now)
            for less in deviceRemovals(device) {
                let after = policy.deviceResult(of: less, for: person(), owner: .any, atSeconds: now)
                #expect(after.deviceClass <= max(before.deviceClass, .partial), "seed \(seed)")
                if onUnknown == .deny { #expect(after.deviceClass <= before.deviceClass, "seed \(seed)") }
            }
        }
    }

    @Test("an older verdict or statement never gets a better outcome")
    func ageing() {
        for seed in Self.seeds {
            var random = RandomPolicies(seed: seed, isMonotone: true)
            let policy = Self.policy(&random, .deny)
            let app = random.application()
            let session = random.session()
            let device = random.device()
            if device.hasFutureTime { continue }
            var older = device
            for index in older.verdicts.indices where random.generator.chance(60) {
                let by = Int64.random(in: 1...1_200, using: &random.generator)
                older.verdicts[index].observedAtSeconds -= by
                older.verdicts[index].expiresAtSeconds -= by
            }
            older.statement?.lastSeenSeconds -= 700
            let before = policy.deviceResult(of: device, for: person(), owner: .any, atSeconds: now)
            let after = policy.deviceResult(of: older, for: person(), owner: .any, atSeconds: now)
            #expect(after.deviceClass <= before.deviceClass, "seed \(seed)")
            let (request, path) = random.request()
            let was = decide(session, device, app, policy, request, path: path)
            let isNow = decide(session, older, app, policy, request, path: path)
            #expect(was.isForward || !isNow.isForward, "seed \(seed)")
        }
    }

    @Test("policies are asked in their order: whatever stands behind the one that decides changes nothing")
    func order() {
        for seed in Self.seeds {
            var random = RandomPolicies(seed: seed)
            let policy = Self.policy(&random, nil)
            let app = random.application()
            let session = random.session()
            let device = random.device()
            let (request, path) = random.request()
            let decision = decide(session, device, app, policy, request, path: path)
            guard case .forward(let index) = decision else { continue }
            let residual = policy.residual(of: session, device, for: app, atSeconds: now)
            var shorter = app
            if let last = app.policies.firstIndex(where: { $0.name == residual.policies[index].name }) {
                shorter.policies = Array(app.policies[...last])
            }
            #expect(decide(session, device, shorter, policy, request, path: path) == decision, "seed \(seed)")
            shorter.policies.insert(block([.everyone]), at: 0)
            #expect(!decide(session, device, shorter, policy, request, path: path).isForward, "seed \(seed)")
        }
    }

    @Test("an explain record carries the very residual that decides, and a remedy on each line that failed")
    func explainIsTheSameEvaluation() {
        for seed in Self.seeds {
            var random = RandomPolicies(seed: seed)
            let policy = Self.policy(&random, nil)
            let app = random.application()
            let session = random.generator.chance(85) ? random.session() : nil
            let device = random.generator.chance(85) ? random.device() : nil
            let record = policy.explain(session, device, for: app, atSeconds: now)
            #expect(
                record.residual == policy.residual(of: session, device, for: app, atSeconds: now),
                "seed \(seed)")
            for line in record.lines where line.rule.contains(".include[") || line.rule.contains(".rules[") {
                #expect(!line.observed.isEmpty && !line.source.isEmpty && !line.condition.isEmpty)
                #expect(line.remedy?.isEmpty != true, "seed \(seed)")
            }
        }
    }
}

extension DeviceFacts {
    /// A provider or agent whose clock is ahead of ours: what it says clears up by waiting.
    fileprivate var hasFutureTime: Bool {
        verdicts.contains { $0.observedAtSeconds > now } || (statement?.lastSeenSeconds ?? 0) > now
    }
}
