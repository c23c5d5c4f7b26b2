import Access

/// Seeded conditions, groups and applications.
extension RandomPolicies {
    private mutating func condition(harming: Bool, depth: Int = 0) -> Condition {
        switch Int.random(in: 0..<20, using: &generator) {
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
        case 9: return .authenticationContext(.init(values: ["c1"]))
        case 10: return .authenticationMethod(.init(methods: ["mfa"]))
        case 11:
            return generator.chance(60) ? .authenticatedWithin(.init(secondsMax: 600)) : .keyBound(.init())
        case 12:
            if generator.chance(40) { return token() }
            return generator.chance(50)
                ? .tag(.init(tags: ["red", "blue"])) : .service(.init(names: ["backup"]))
        case 13:
            return generator.chance(60)
                ? time() : .until(.init(seconds: generator.pick([now, now + 1, now + 50])))
        case 14: return certificate()
        case 15 where depth < 2: return group(harming: harming, depth: depth)
        case 16, 17: return verdictCondition()
        default: return deviceCondition(harming: harming)
        }
    }

    private mutating func token() -> Condition {
        let claims: [ClaimCondition] = [
            .init(name: "ref", values: [.text("main"), .text("next")]),
            .init(name: "run", values: [.integer(1)]),
        ]
        return .token(
            .init(
                issuer: generator.pick(["ci", "cluster"]),
                subjects: generator.pick([nil, ["s1"], ["s1", "s2"]]),
                claims: claims.filter { _ in generator.chance(40) }))
    }

    private mutating func time() -> Condition {
        // Around the moment of the tables, 2027-01-15 08:00:00 UTC, a Friday.
        .time(
            .init(
                days: generator.pick([[.fri], [.mon, .fri], [.sat]]),
                fromMinute: generator.pick([0, 480, 481]), untilMinute: generator.pick([482, 490, 1_440]),
                offsetMinutes: generator.pick([0, 0, 1, 60, -60, 960])))
    }

    private mutating func certificate() -> Condition {
        .certificate(
            .init(
                subjects: generator.pick([nil, ["scanner"]]),
                names: generator.pick([nil, ["dns:a", "dns:b"]]),
                issuerDigests: generator.pick([nil, ["i1"]])))
    }

    private mutating func group(harming: Bool, depth: Int) -> Condition {
        func some(_ counts: ClosedRange<Int>, _ harming: Bool) -> [Condition] {
            (0..<Int.random(in: counts, using: &generator)).map { _ in
                condition(harming: harming, depth: depth + 1)
            }
        }
        return .meets(
            .init(
                name: "g\(depth)", include: some(0...2, harming), require: some(0...1, harming),
                exclude: some(0...1, !harming)))
    }

    private mutating func verdictCondition() -> Condition {
        let integration = generator.pick(Self.integrations)
        switch Int.random(in: 0..<6, using: &generator) {
        case 0:
            return generator.chance(50)
                ? .check(.init(integration: "agents", name: "firewall", isAgent: true))
                : .check(.init(integration: integration, name: "passcode", isAgent: false))
        case 1:
            return .setting(
                .init(integration: integration, name: "Firewall", states: [.pass, .notApplicable]))
        case 2:
            let comparison = generator.pick(Comparison.allCases)
            return .score(.init(integration: integration, comparison: comparison, value: 50))
        case 3:
            let comparison = generator.pick(Comparison.allCases)
            return .risk(.init(integration: integration, comparison: comparison, level: .medium))
        case 4:
            return .verdictAge(
                .init(
                    integration: integration, reportedSecondsMax: generator.pick([nil, 500]),
                    fetchedSecondsMax: generator.pick([nil, 400])))
        default:
            let minimum = generator.pick(Verdict.Strength.allCases)
            return .matchStrength(.init(integration: integration, minimum: minimum))
        }
    }

    private mutating func deviceCondition(harming: Bool) -> Condition {
        guard isMonotone else {
            if generator.chance(30) {
                let proofs: [[DeviceProofKind]] = [[.agent], [.certificate], [.agent, .certificate]]
                return .deviceProof(
                    .init(proofs: generator.pick(proofs), minimum: generator.pick(Verdict.Strength.allCases)))
            }
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
        (policy.include + policy.require + policy.exclude).contains { $0.subjects.contains(.device) }
    }

    private mutating func restriction() -> Restriction {
        var restriction = Restriction(methods: generator.chance(60) ? [.get] : nil)
        if generator.chance(50) { restriction.pathPrefixes = ["/a"] }
        let limits: [AccessLimit] = [
            .blocksDownloads, .blocksUploads, .responseField(name: "X", value: "1"), .banner("b"),
        ]
        if generator.chance(50) { restriction.limits = limits.filter { _ in generator.chance(50) } }
        return restriction
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
            if generator.chance(25), !(isMonotone && asksForDevice(policy)) {
                policy.restriction = restriction()
            }
            return policy
        }
        var application = AccessTests.application(policies, owner: generator.chance(80) ? .samePerson : .any)
        application.deviceProofs = [.agent, .certificate]
        application.tags = generator.pick([[], ["red"], ["green"]])
        // What an expired verdict still says hangs on what other providers said: no monotone shape either.
        if !isMonotone, generator.chance(40) {
            application.outage = generator.pick([
                .partial, .unsafeLastVerdict(seconds: 100), .unsafeLastVerdict(seconds: 9_999_999),
            ])
        }
        return application
    }
}
