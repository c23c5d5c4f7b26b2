import Access

/// Seeded policies and facts over small domains, so that conditions meet often enough to matter.
struct RandomPolicies {
    var generator: SeededGenerator
    /// Shapes for the laws about missing facts: allow wants good devices, block and exclude stop bad ones.
    var isMonotone = false

    init(seed: UInt64, isMonotone: Bool = false) {
        generator = SeededGenerator(seed: seed)
        self.isMonotone = isMonotone
    }

    mutating func rule() -> DeviceRule {
        let integration = generator.pick(["intune", "falcon"])
        switch Int.random(in: 0..<9, using: &generator) {
        case 0, 1:
            return .tags(
                integration: integration, matchesAll: generator.chance(50),
                values: generator.chance(80)
                    ? [generator.pick(["compliant", "registered", "noncompliant"])]
                    : ["compliant", generator.pick(["registered", "x"])])
        case 2: return .score(integration: integration, comparison: comparison(), value: 50)
        case 3: return .risk(integration: integration, comparison: comparison(), value: .medium)
        case 4: return .sensorRunning(integration: integration, generator.chance(50))
        case 5: return .managed(integration: integration, generator.chance(50))
        case 6: return .agentManaged(integration: "agents", lastSeenSecondsMax: 3_600)
        case 7:
            return .agentFact(
                integration: "agents", name: "firewall", values: [.flag(generator.chance(50))])
        default: return .agentKey(integration: "agents", minimum: .claimed)
        }
    }

    private mutating func comparison() -> Comparison { generator.pick(Comparison.allCases) }

    mutating func devicePolicies(_ onUnknown: OnUnknown?) -> [DevicePolicy] {
        (0..<Int.random(in: 0...4, using: &generator)).map { index in
            let result = generator.pick(DeviceClass.allCases)
            let rules = (0..<Int.random(in: 0...2, using: &generator)).map { _ in rule() }
            let held = onUnknown ?? generator.pick(OnUnknown.allCases)
            return devicePolicy(
                "d\(index)", Int.random(in: 0...3, using: &generator), rules, result, onUnknown: held,
                platform: generator.chance(85) ? .macos : .windows)
        }
    }

    mutating func verdicts() -> [Verdict] {
        (0..<Int.random(in: 0...3, using: &generator)).map { index in
            verdict(
                generator.chance(60)
                    ? generator.pick([.compliant, .noncompliant]) : generator.pick(Verdict.State.allCases),
                integration: generator.pick(["intune", "falcon"]), native: "d-\(index)",
                managed: generator.pick([true, false, nil]), score: generator.pick([nil, 49, 50, 51, 101]),
                risk: generator.pick([nil, .low, .medium, .high]),
                sensor: generator.pick([true, false, nil]),
                labels: generator.chance(50) ? ["registered"] : [],
                observed: now - Int64.random(in: -400...1_000, using: &generator),
                expires: now + Int64.random(in: -300...900, using: &generator))
        }
    }

    mutating func device() -> DeviceFacts {
        let signed = AccessTests.statement(
            managed: generator.chance(70), lastSeen: now - Int64.random(in: 3_000...4_000, using: &generator),
            expires: now + Int64.random(in: -100...500, using: &generator),
            key: generator.pick(AgentStatement.KeyLevel.allCases),
            facts: generator.chance(60) ? ["firewall": .flag(generator.chance(50))] : [:])
        return AccessTests.device(
            verdicts(), statement: generator.chance(70) ? signed : nil,
            platform: generator.pick([.macos, .macos, .macos, .windows, nil]),
            owner: generator.pick(["ada", "ada", "ada", "bob", nil]))
    }

    mutating func session() -> SessionFacts {
        AccessTests.session(
            person(
                email: generator.pick(["ada@corp.example", "eve@other.example", nil]),
                groups: generator.pick([["staff"], ["guests"], []]),
                claims: generator.chance(50) ? ["role": .text(generator.pick(["admin", "user"]))] : [:]),
            by: generator.pick(["entra", "entra", "entra", "other"]),
            created: now - Int64.random(in: 0...4_000, using: &generator),
            expires: now + (generator.chance(90) ? 5_000 : 0))
    }

    private mutating func condition(harming: Bool) -> Condition {
        switch Int.random(in: 0..<11, using: &generator) {
        case 0: return .everyone
        case 1: return .email(.init(addresses: ["ada@corp.example"]))
        case 2: return everyDomain
        case 3: return inGroup(generator.pick(["staff", "guests"]))
        case 4: return .claim(.init(name: "role", values: [.text("admin")]))
        case 5: return .identityProvider(.init(names: [generator.pick(["entra", "other"])]))
        case 6: return pathIs(generator.pick(["/a", "/b"]))
        case 7: return methodIs(generator.pick([.get, .post]))
        case 8:
            let base = NetworkAddress(v4: generator.chance(50) ? 0x0a00_0000 : 0xc0a8_0000)
            return .network(.init(ranges: [NetworkRange(base: base, prefixLength: 112)]))
        default: return deviceCondition(harming: harming)
        }
    }

    private mutating func deviceCondition(harming: Bool) -> Condition {
        guard isMonotone else {
            let classes = DeviceClass.allCases.filter { _ in generator.chance(50) }
            return .device(.init(classes: classes.isEmpty ? [.compliant] : classes))
        }
        if harming { return generator.chance(50) ? deviceIs(.denied) : deviceIs(.denied, .partial) }
        return generator.chance(50) ? deviceIs(.compliant) : deviceIs(.compliant, .partial)
    }

    private mutating func conditions(_ counts: ClosedRange<Int>, harming: Bool) -> [Condition] {
        (0..<Int.random(in: counts, using: &generator)).map { _ in condition(harming: harming) }
    }

    private func asksForDevice(_ policy: ApplicationPolicy) -> Bool {
        (policy.include + policy.require + policy.exclude).contains {
            if case .device = $0 { true } else { false }
        }
    }

    mutating func application() -> Application {
        let policies = (0..<Int.random(in: 0...4, using: &generator)).map { index in
            let action = generator.pick([.allow, .allow, .allow, .block, .bypass, PolicyAction.service])
            let blocks = action == .block
            var policy = ApplicationPolicy(
                name: "p\(index)", action: action, include: conditions(0...2, harming: blocks),
                require: conditions(0...1, harming: blocks), exclude: conditions(0...1, harming: !blocks),
                sessionSecondsMax: generator.chance(15) ? 2_000 : nil)
            // Reading less to a better device than to a worse one is no monotone shape.
            if generator.chance(20), !(isMonotone && asksForDevice(policy)) {
                let prefixes = generator.chance(50) ? ["/a"] : nil
                policy.restriction = Restriction(methods: [.get], pathPrefixes: prefixes)
            }
            return policy
        }
        return AccessTests.application(policies, owner: generator.chance(80) ? .samePerson : .any)
    }

    mutating func request() -> (RequestFacts, path: String) {
        let client = NetworkAddress(v4: generator.pick([0x0a00_0001, 0xc0a8_0001, 0x0102_0304]))
        return (
            RequestFacts(method: generator.pick([.get, .post, .other]), client: client),
            generator.pick(["/a", "/a/x", "/b", "/", "/ab"])
        )
    }
}
