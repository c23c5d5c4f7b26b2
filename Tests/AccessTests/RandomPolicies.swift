import Access

/// Seeded policies and facts over small domains, so that conditions meet often enough to matter.
struct RandomPolicies {
    var generator: SeededGenerator
    /// Shapes for the laws about missing facts: allow wants good devices, block and exclude stop bad ones.
    var isMonotone = false
    static let integrations = ["intune", "falcon"]

    init(seed: UInt64, isMonotone: Bool = false) {
        generator = SeededGenerator(seed: seed)
        self.isMonotone = isMonotone
    }

    // MARK: Device policies

    mutating func rule() -> DeviceRule {
        let integration = generator.pick(Self.integrations)
        switch Int.random(in: 0..<13, using: &generator) {
        case 0, 1: return tags(integration)
        case 2: return .score(integration: integration, comparison: comparison(), value: 50)
        case 3: return .risk(integration: integration, comparison: comparison(), value: .medium)
        case 4: return .sensorRunning(integration: integration, generator.chance(50))
        case 5: return .managed(integration: integration, generator.chance(50))
        case 6: return .agentManaged(integration: "agents", lastSeenSecondsMax: 3_600)
        case 7:
            if generator.chance(50) {
                return .agentFactIs(
                    integration: "agents", name: "patch-age-days", comparison: comparison(), value: "14")
            }
            return .agentFact(
                integration: "agents", name: "firewall", values: [.flag(generator.chance(50))])
        case 8:
            return .setting(
                integration: integration, name: generator.pick(["passcode", "Firewall"]), states: states())
        case 9:
            return .verdictAge(
                integration: integration, reportedSecondsMax: generator.pick([nil, 500, 900]),
                fetchedSecondsMax: generator.pick([nil, 400]))
        case 10:
            let minimum = generator.pick(Verdict.Strength.allCases)
            return .matchStrength(integration: integration, minimum: minimum)
        case 11:
            return .agentVersion(integration: "agents", minimum: generator.pick(["7.2.1", "7.2.2", "8"]))
        default: return .agentKey(integration: "agents", minimum: .claimed)
        }
    }

    private mutating func tags(_ integration: String) -> DeviceRule {
        let words = ["compliant", "registered", "noncompliant", "in-grace", "not-managed", "unknown", "x"]
        let first =
            generator.chance(60) ? generator.pick(["compliant", "registered"]) : generator.pick(words)
        let values = generator.chance(80) ? [first] : [first, generator.pick(words)]
        return .tags(integration: integration, matchesAll: generator.chance(50), values: values)
    }

    private mutating func comparison() -> Comparison { generator.pick(Comparison.allCases) }

    private mutating func states() -> [Verdict.Check.State] {
        generator.pick([[.pass], [.pass, .notApplicable], [.fail, .unknown], [.fail]])
    }

    private mutating func strategies(_ count: Int) -> [CheckStrategy] {
        guard generator.chance(35) else { return [] }
        return (0..<count).map { _ in
            CheckStrategy(
                generator.pick(CheckStrategy.Effect.allCases),
                warnsUntilSeconds: generator.pick([nil, nil, now, now + 1, now + 200]))
        }
    }

    mutating func devicePolicies(_ onUnknown: OnUnknown?) -> [DevicePolicy] {
        (0..<Int.random(in: 0...4, using: &generator)).map { index in
            let result = generator.pick(DeviceClass.allCases)
            let rules = (0..<Int.random(in: 0...2, using: &generator)).map { _ in rule() }
            let held = onUnknown ?? generator.pick(OnUnknown.allCases)
            var policy = devicePolicy(
                "d\(index)", Int.random(in: 0...3, using: &generator), rules, result, onUnknown: held,
                platform: generator.chance(85) ? .macos : .windows,
                strength: generator.pick([.weak, .weak, .medium, .strong]))
            // A strategy in a policy that finds bad devices makes it find more of them: not written, and no
            // monotone shape.
            if result == .compliant || !isMonotone { policy.strategies = strategies(rules.count) }
            return policy
        }
    }

    // MARK: Facts

    mutating func verdicts() -> [Verdict] {
        (0..<Int.random(in: 0...3, using: &generator)).map { index in
            let observed = now - Int64.random(in: -400...1_000, using: &generator)
            var verdict = AccessTests.verdict(
                generator.chance(60)
                    ? generator.pick([.compliant, .noncompliant]) : generator.pick(Verdict.State.allCases),
                integration: generator.pick(Self.integrations), native: "d-\(index)",
                managed: generator.pick([true, false, nil]),
                score: generator.pick([nil, 0, 49, 50, 51, 101]),
                risk: generator.pick([nil, .low, .medium, .high]),
                sensor: generator.pick([true, false, nil]),
                labels: generator.pick([["registered"], ["compliant", "registered"], []]), observed: observed,
                expires: now + Int64.random(in: -300...900, using: &generator),
                grace: generator.pick([nil, now - 5, now + 5]),
                strength: generator.pick([.strong, .strong, .medium, .weak]))
            verdict.fetchedAtSeconds = generator.chance(80) ? observed + 60 : now
            verdict.checks = checks()
            return verdict
        }
    }

    private mutating func checks() -> [Verdict.Check] {
        (0..<Int.random(in: 0...2, using: &generator)).map { _ in
            let id = generator.pick(["passcode", "firewall"])
            return .init(
                id: id, title: id == "firewall" ? "Firewall" : "Passcode",
                state: generator.pick(Verdict.Check.State.allCases))
        }
    }

    mutating func device() -> DeviceFacts {
        let signed = AccessTests.statement(
            managed: generator.chance(70), lastSeen: now - Int64.random(in: 3_000...4_000, using: &generator),
            expires: now + Int64.random(in: -100...500, using: &generator),
            key: generator.pick(AgentStatement.KeyLevel.allCases),
            facts: generator.chance(60)
                ? [
                    "firewall": .flag(generator.chance(50)),
                    "patch-age-days": .integer(generator.pick([13, 14, 15])),
                ]
                : [:])
        var device = AccessTests.device(
            verdicts(), statement: generator.chance(70) ? signed : nil,
            platform: generator.pick([.macos, .macos, .macos, .windows, nil]),
            owner: generator.pick(["ada", "ada", "ada", "bob", nil]))
        if generator.chance(30) {
            device.certificate = CertificateProof(
                issuerDigest: "i", serial: "1",
                notAfterSeconds: now + Int64.random(in: -50...500, using: &generator),
                key: "intune-device-id", strength: generator.pick([nil, .medium, .strong]), isAlone: false)
        }
        return device
    }

    mutating func session() -> SessionFacts {
        var claims: [String: ClaimValue] = [:]
        if generator.chance(50) { claims["role"] = .text(generator.pick(["admin", "user"])) }
        if generator.chance(50) { claims["acr"] = .text(generator.pick(["c1", "c2"])) }
        if generator.chance(30) { claims["acrs"] = .list(generator.pick([["c1"], []])) }
        if generator.chance(60) { claims["amr"] = .list(generator.pick([["pwd"], ["pwd", "mfa"], []])) }
        var person = person(
            email: generator.pick(["ada@corp.example", "eve@other.example", nil]),
            groups: generator.pick([["staff"], ["guests"], []]), claims: claims)
        person.authenticatedAtSeconds = generator.pick([0, now - 600, now - 601, now - 10, now + 301])
        return AccessTests.session(
            person, by: generator.pick(["entra", "entra", "entra", "other"]),
            created: now - Int64.random(in: 0...4_000, using: &generator),
            expires: now + (generator.chance(90) ? 5_000 : 0))
    }

    mutating func service() -> ServiceFacts {
        var service = ServiceFacts(
            id: "t1", name: generator.pick(["backup", "scanner"]),
            expiresAtSeconds: now + (generator.chance(90) ? 300 : 0))
        guard generator.chance(50) else { return service }
        var claims: [String: ClaimValue] = [:]
        claims["ref"] = generator.pick([nil, .text("main"), .list(["next", "x"]), .text("other")])
        claims["run"] = generator.pick([nil, .integer(1), .text("1")])
        service.name = "token:ci:s1"
        service.token = TokenFacts(
            issuer: generator.pick(["ci", "cluster", "else"]), subject: generator.pick(["s1", "s2", "s3"]),
            claims: claims)
        return service
    }

    mutating func request() -> (RequestFacts, path: String) {
        let client = NetworkAddress(v4: generator.pick([0x0a00_0001, 0xc0a8_0001, 0x0102_0304]))
        let certificate = CertificateFacts(
            subject: generator.pick(["scanner", nil]), names: generator.pick([["dns:a"], []]),
            issuerDigest: generator.pick(["i1", "i2"]))
        return (
            RequestFacts(
                method: generator.pick([.get, .post, .other]), client: client,
                certificate: generator.chance(40) ? certificate : nil),
            generator.pick(["/a", "/a/x", "/b", "/", "/ab"])
        )
    }
}
