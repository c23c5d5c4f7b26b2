import Access
import Testing

/// Random facts against what analysis said of the policies: it may say "nobody knows", but never anything wrong.
@Suite("What analysis says of all cases holds in every random one")
struct AnalysisOracleTests {
    static let seedsPerPart: UInt64 = {
        #if DEBUG
            150
        #else
            4_000
        #endif
    }()
    /// Random cases per policy set.
    static let casesPerSeed = 60

    private func policies(_ random: inout RandomPolicies) -> PolicySnapshot {
        let app = random.application()
        return snapshot(
            random.devicePolicies(nil), [app], noMatch: random.generator.pick([.partial, .denied]),
            unsupported: random.generator.pick([.partial, .denied]))
    }

    private func randomCase(_ random: inout RandomPolicies) -> AnalyzedCase {
        let (request, path) = random.request()
        let isService = random.generator.chance(20)
        return AnalyzedCase(
            session: !isService && random.generator.chance(85) ? random.session() : nil,
            device: random.generator.chance(85) ? random.device() : nil,
            service: isService ? random.service() : nil, request: request,
            path: random.generator.chance(20) ? path + ";x" : path,
            nowSeconds: now + random.generator.pick([0, 0, 60, 3_600, 86_400 * 3]))
    }

    @Test("a policy that is called unreachable decides no random case", arguments: UInt64(0)..<4)
    func unreachable(part: UInt64) {
        var (found, bounded, dead) = (0, 0, 0)
        for seed in part * Self.seedsPerPart..<(part + 1) * Self.seedsPerPart {
            var random = RandomPolicies(seed: seed)
            let policy = policies(&random)
            let app = policy.applications[0]
            var analysis = PolicyAnalysis(policy, fromSeconds: now)
            let findings = analysis.unreachable(in: app)
            if !findings.bounds.isEmpty {
                bounded += 1
                Issue.record("seed \(seed): \(findings.bounds)")
                return
            }
            let gone = Set(findings.dead.compactMap { $0.cause.isIdle ? nil : app.policies[$0.policy].name })
            dead += gone.count
            for _ in 0..<Self.casesPerSeed {
                let example = randomCase(&random)
                let (residual, decision) = example.decision(by: policy, for: app)
                guard case .forward(let index) = decision else { continue }
                found += 1
                if gone.contains(residual.policies[index].name) {
                    Issue.record("seed \(seed): \(residual.policies[index].name) is reached by \(example)")
                    return
                }
            }
        }
        #expect(found > 300 && dead > 50, "cases \(found), dead \(dead), bounded \(bounded)")
    }

    @Test(
        "equal policies decide every random case alike, different ones their example",
        arguments: UInt64(0)..<4)
    func equality(part: UInt64) {
        var kinds: [String: Int] = [:]
        for seed in part * Self.seedsPerPart..<(part + 1) * Self.seedsPerPart {
            var random = RandomPolicies(seed: seed &+ 0x5000_0000)
            let first = policies(&random)
            var second = first
            random.changeSomething(of: &second)
            let analysis = PolicyAnalysis(first, fromSeconds: now)
            let (a, b) = (first.applications[0], second.applications[0])
            switch analysis.comparison(with: second)[0].1 {
            case .equal:
                kinds["equal", default: 0] += 1
                for _ in 0..<Self.casesPerSeed {
                    let example = randomCase(&random)
                    let left = Kind(example.decision(by: first, for: a))
                    let right = Kind(example.decision(by: second, for: b))
                    if left != right {
                        Issue.record("seed \(seed): \(left) and \(right) of \(example)")
                        return
                    }
                }
            case .different(let difference):
                kinds["different", default: 0] += 1
                let left = Kind(difference.example.decision(by: first, for: a))
                let right = Kind(difference.example.decision(by: second, for: b))
                if left == right && left != .forward {
                    Issue.record("seed \(seed): both \(left) of \(difference.example)")
                    return
                }
            case .undecided(let bounds):
                Issue.record("seed \(seed): \(bounds)")
                return
            case .onlyInFirst, .onlyInSecond: Issue.record("seed \(seed)")
            }
        }
        #expect(kinds.count == 2 && kinds.values.allSatisfy { $0 > 10 }, "\(kinds)")
    }

    @Test("whoever is let in on such a device is let in by a policy that was named", arguments: UInt64(0)..<4)
    func reach(part: UInt64) {
        var (admitted, everybody) = (0, 0)
        for seed in part * Self.seedsPerPart..<(part + 1) * Self.seedsPerPart {
            var random = RandomPolicies(seed: seed &+ 0x9000_0000)
            let policy = policies(&random)
            let app = policy.applications[0]
            let deviceClass = random.generator.pick(DeviceClass.allCases)
            let query = DeviceQuery(isShown: true, platform: .macos, deviceClass: deviceClass)
            var analysis = PolicyAnalysis(policy, fromSeconds: now)
            let reach = analysis.reach(of: app, ReachQuery(device: query))
            let names = Set(reach.policies.map { app.policies[$0.policy].name })
            if !reach.bounds.isEmpty {
                Issue.record("seed \(seed): \(reach.bounds)")
                return
            }
            for _ in 0..<Self.casesPerSeed {
                var example = randomCase(&random)
                guard example.session != nil, let device = example.device, device.platform == .macos else {
                    continue
                }
                guard app.identityProviders.contains(example.session?.identityProvider ?? "") else {
                    continue
                }
                example.session?.expiresAtSeconds = example.nowSeconds + 100
                let result = policy.deviceResult(
                    of: device, for: example.session?.person, owner: app.deviceOwner, outage: app.outage,
                    atSeconds: example.nowSeconds)
                guard result.deviceClass == deviceClass else { continue }
                let (residual, decision) = example.decision(by: policy, for: app)
                if case .forward(let index) = decision {
                    admitted += 1
                    if !names.contains(residual.policies[index].name) {
                        Issue.record("seed \(seed): \(residual.policies[index].name) lets in \(example)")
                        return
                    }
                } else if reach.isForEverybody {
                    Issue.record("seed \(seed): not everybody: \(example)")
                    return
                }
            }
            if reach.isForEverybody { everybody += 1 }
        }
        #expect(admitted > 30 && everybody > 0, "let in \(admitted), for everybody \(everybody)")
    }

    private enum Kind: Equatable {
        case forward, signIn, refuse
        init(_ decided: (Residual, Decision)) {
            switch decided.1 {
            case .forward: self = .forward
            case .signIn: self = decided.0.isSignedIn ? .refuse : .signIn
            case .refuse: self = .refuse
            case .recompute: self = .refuse
            }
        }
    }
}

extension DeadPolicy.Cause {
    fileprivate var isIdle: Bool { if case .idle = self { true } else { false } }
}

extension RandomPolicies {
    /// One small change, which may or may not matter.
    fileprivate mutating func changeSomething(of snapshot: inout PolicySnapshot) {
        let other = application().policies
        var policies = snapshot.applications[0].policies
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: policies.shuffle(using: &generator)
        case 1: policies += other
        case 2: if !policies.isEmpty { policies.removeLast() }
        case 3: snapshot.devicePolicies.shuffle(using: &generator)
        case 4: snapshot.deviceDefaultNoMatch = .denied
        default: if !policies.isEmpty { policies[0].require += other.first?.require ?? [] }
        }
        for index in policies.indices { policies[index].name = "p\(index)" }
        snapshot.applications[0].policies = policies
    }
}
