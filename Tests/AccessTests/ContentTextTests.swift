import Access
import Testing

@Suite("The canonical text of a policy")
struct ContentTextTests {
    private static let full = snapshot(
        [healthy, devicePolicy("edr", 5, [.sensorRunning(integration: "falcon", true)], .denied)],
        [
            application([
                allow(
                    "staff", require: [deviceIs(.compliant)], restriction: Restriction(methods: [.get]),
                    session: 9)
            ])
        ])

    @Test("is this, byte for byte: a change here gives every installation a new policy identity")
    func golden() {
        #expect(
            Self.full.contentText == """
                gatepost-policy "1"
                device-defaults "partial" "partial"
                device-policy "edr" "macos" "5" "denied" "cap" "weak"
                rule "sensor-running" "falcon" "true"
                device-policy "healthy" "macos" "10" "compliant" "cap" "weak"
                rule "tags" "intune" "matches-any" "compliant"
                application "wiki" "same-person"
                identity-providers "entra"
                policy "staff" "allow"
                session "9"
                restrict-methods "GET"
                include "email-domain" "corp.example"
                require "device" "compliant"

                """)
    }

    @Test("does not depend on the identity, nor on an order that means nothing")
    func stable() {
        var other = Self.full
        other.identity = "another"
        other.devicePolicies.reverse()
        #expect(other.contentText == Self.full.contentText)
    }

    @Test("changes with every setting")
    func everySetting() {
        let changes: [(inout PolicySnapshot) -> Void] = [
            { $0.deviceDefaultNoMatch = .denied }, { $0.deviceDefaultUnsupported = .denied },
            { $0.devicePolicies[0].name = "x" }, { $0.devicePolicies[0].platform = .ios },
            { $0.devicePolicies[0].priority = 11 }, { $0.devicePolicies[0].rules = [] },
            { $0.devicePolicies[0].result = .partial }, { $0.devicePolicies[0].onUnknown = .deny },
            { $0.devicePolicies[0].message = "" }, { $0.devicePolicies[0].matchStrengthMin = .strong },
            { $0.devicePolicies.removeLast() }, { $0.applications[0].name = "x" },
            { $0.applications[0].identityProviders.append("y") }, { $0.applications[0].deviceOwner = .any },
            { $0.applications[0].deviceProofs = [.certificate] },
            { $0.applications[0].deviceProofs = [.agent, .certificate] },
            { $0.applications[0].policies = [] }, { $0.applications[0].policies[0].name = "x" },
            { $0.applications[0].policies[0].action = .block },
            { $0.applications[0].policies[0].include = [] },
            { $0.applications[0].policies[0].require = [] },
            { $0.applications[0].policies[0].exclude = [.everyone] },
            { $0.applications[0].policies[0].restriction = nil },
            { $0.applications[0].policies[0].restriction = Restriction(methods: []) },
            { $0.applications[0].policies[0].restriction?.pathPrefixes = ["/"] },
            { $0.applications[0].policies[0].sessionSecondsMax = nil },
            { $0.applications[0].policies[0].restriction?.limits = [.blocksDownloads] },
            { $0.applications[0].policies[0].restriction?.limits = [.blocksUploads] },
            { $0.applications[0].policies[0].restriction?.limits = [.banner("b")] },
            { $0.applications[0].policies[0].restriction?.limits = [.responseField(name: "a", value: "b")] },
            { $0.applications[0].policies[0].restriction?.limits = [.upstreamField(name: "a", value: "b")] },
            { $0.applications[0].outage = .partial },
            { $0.applications[0].outage = .unsafeLastVerdict(seconds: 1) },
            { $0.applications[0].tags = ["a"] },
            { $0.devicePolicies[0].strategies = [CheckStrategy(.report)] },
            { $0.devicePolicies[0].strategies = [CheckStrategy(.deny)] },
            { $0.devicePolicies[0].strategies = [CheckStrategy(.deny, warnsUntilSeconds: 5)] },
        ]
        var seen: Set<String> = [Self.full.contentText]
        for (index, change) in changes.enumerated() {
            var changed = Self.full
            change(&changed)
            #expect(seen.insert(changed.contentText).inserted, "change \(index)")
        }
    }

    private static let further: [Condition] = [
        .authenticationContext(.init(values: ["a"])), .authenticationMethod(.init(methods: ["a"])),
        .tag(.init(tags: ["a"])), .service(.init(names: ["a"])), .authenticatedWithin(.init(secondsMax: 1)),
        .until(.init(seconds: 1)), .keyBound(.init()),
        .time(.init(days: [.mon], fromMinute: 1, untilMinute: 2, offsetMinutes: 0)),
        .time(.init(days: [.tue], fromMinute: 1, untilMinute: 2, offsetMinutes: 0)),
        .check(.init(integration: "a", name: "b", isAgent: false)),
        .check(.init(integration: "a", name: "b", isAgent: true)),
        .setting(.init(integration: "a", name: "b", states: [.pass])),
        .score(.init(integration: "a", comparison: .less, value: 1)),
        .risk(.init(integration: "a", comparison: .less, level: .low)),
        .verdictAge(.init(integration: "a", reportedSecondsMax: 1)),
        .verdictAge(.init(integration: "a", fetchedSecondsMax: 1)),
        .matchStrength(.init(integration: "a", minimum: .weak)),
        .deviceProof(.init(proofs: [.agent])), .deviceProof(.init(proofs: [.certificate])),
        .deviceProof(.init(proofs: [.certificate], minimum: .strong)),
        .certificate(.init(subjects: ["a"])), .certificate(.init(names: ["a"])),
        .certificate(.init(subjects: ["a", "b"])), .certificate(.init(subjects: ["a"], names: ["b"])),
        .token(.init(issuer: "a")), .token(.init(issuer: "a", subjects: ["b"])),
        .token(.init(issuer: "a", subjects: ["b", "c"])),
        .token(.init(issuer: "a", claims: [.init(name: "b", values: [.text("c")])])),
        .token(.init(issuer: "a", claims: [.init(name: "b", values: [.text("c"), .text("d")])])),
        .token(
            .init(
                issuer: "a",
                claims: [.init(name: "b", values: [.text("c")]), .init(name: "d", values: [.text("e")])])),
        .meets(.init(name: "a", include: [.everyone])),
        .meets(.init(name: "a", include: [], require: [.everyone])),
        .meets(.init(name: "a", include: [], exclude: [.everyone])),
        .meets(.init(name: "a", include: [.email(.init(addresses: ["x", "y"]))])),
        .meets(
            .init(name: "a", include: [.email(.init(addresses: ["x"])), .email(.init(addresses: ["y"]))])),
    ]

    @Test("keeps apart what only looks alike: types, lists, families, quotes and line ends")
    func lookalikes() {
        let conditions: [Condition] =
            [
                .claim(.init(name: "a", values: [.text("1")])),
                .claim(.init(name: "a", values: [.integer(1)])),
                .claim(.init(name: "a", values: [.list(["1"])])),
                .claim(.init(name: "a", values: [.text("true")])),
                .claim(.init(name: "a", values: [.flag(true)])),
                .claim(.init(name: "a", values: [.text("1\" \"text")])),
                .claim(.init(name: "a", values: [.list(["x", "y"])])),
                .claim(.init(name: "a", values: [.list(["x"]), .text("y")])),
                .path(.init(prefixes: ["/a"], exact: ["/b"])),
                .path(.init(prefixes: ["/a", "/b"], exact: [])),
                .path(.init(prefixes: [], exact: ["/a", "/b"])), .email(.init(addresses: ["a b"])),
                .email(.init(addresses: ["a", "b"])), .email(.init(addresses: ["a\" \"b"])),
                .email(.init(addresses: ["a\nexclude \"everyone\""])),
                .email(.init(addresses: ["a\\nexclude \"everyone\""])),
                .network(.init(ranges: [NetworkRange(base: NetworkAddress(v4: 0), prefixLength: 96)])),
                .network(
                    .init(ranges: [NetworkRange(base: NetworkAddress(high: 0, low: 0), prefixLength: 0)])),
            ] + Self.further
        let texts = Set(conditions.map { snapshot([], [application([allow("a", [$0])])]).contentText })
        #expect(texts.count == conditions.count)
    }

    @Test("differs for different random policies and is the same each time it is made")
    func random() {
        var seen: [String: PolicySnapshot] = [:]
        for seed in 0..<3_000 as Range<UInt64> {
            var random = RandomPolicies(seed: seed)
            let policy = snapshot(random.devicePolicies(nil), [random.application()])
            let text = policy.contentText
            #expect(text == policy.contentText)
            if let other = seen[text] {
                #expect(other.contentText == policy.contentText && other == policy, "seed \(seed)")
            }
            seen[text] = policy
        }
        #expect(seen.count > 2_500)
    }
}
