import Access
import Testing

@testable import Config

@Suite("The policy language as it is written")
struct PolicyLanguageTests {
    let folder: ConfigFolder

    init() throws { folder = try ConfigFolder() }

    private static let require = "require: [ { device: compliant } ]"
    private static let integrations =
        "integrations:\n  intune: { provider: intune, tenant: corp.example, client-id: x, "
        + "client-secret: { file: secret } }\n"
        + "  falcon: { provider: crowdstrike, cloud: us-1, client-id: x, client-secret: { file: secret } }\n"
        + "  defender: { provider: defender, tenant: corp.example, client-id: x, client-secret: { file: secret } }\n"

    /// The sample with one more requirement, and with integrations of every kind that conditions ask.
    private func text(_ condition: String) throws -> String {
        try Sample.replacing(Self.require, "require: [ { device: compliant }, { \(condition) } ]")
            .replacing("integrations:\n", with: Self.integrations)
    }

    private func load(_ text: String) throws -> ConfigSnapshot {
        try folder.write("gatepost.yaml", text)
        let context = ReadContext(environment: [:], readsFiles: true)
        return try ConfigSnapshot.load(path: "\(folder.path)/gatepost.yaml", context, identify: { _ in "" })
    }

    struct Good: Sendable, CustomTestStringConvertible {
        var text: String
        var condition: Condition
        var testDescription: String { text }
        init(_ text: String, _ condition: Condition) { (self.text, self.condition) = (text, condition) }
    }

    static let good: [Good] = [
        .init("acr: [c1, c2]", .authenticationContext(.init(values: ["c1", "c2"]))),
        .init("amr: mfa", .authenticationMethod(.init(methods: ["mfa"]))),
        .init("key-bound: true", .keyBound(.init())),
        .init("authenticated-within: 1h", .authenticatedWithin(.init(secondsMax: 3_600))),
        .init(
            "time: { days: [mon, fri], from: \"08:00\", until: \"24:00\", offset: \"-03:30\" }",
            .time(.init(days: [.mon, .fri], fromMinute: 480, untilMinute: 1_440, offsetMinutes: -210))),
        .init(
            "time: { from: \"00:00\", until: \"00:01\", offset: \"+14:00\" }",
            .time(
                .init(
                    days: [.mon, .tue, .wed, .thu, .fri, .sat, .sun], fromMinute: 0, untilMinute: 1,
                    offsetMinutes: 840))),
        .init("until: 2027-06-30", .until(.init(seconds: 1_814_313_600))),
        .init(
            "check: { integration: agents, name: firewall }",
            .check(.init(integration: "agents", name: "firewall", isAgent: true))),
        .init(
            "check: { integration: intune, name: Passcode }",
            .check(.init(integration: "intune", name: "Passcode", isAgent: false))),
        .init(
            "setting: { integration: intune, name: Passcode, states: [pass, not-applicable] }",
            .setting(.init(integration: "intune", name: "Passcode", states: [.pass, .notApplicable]))),
        .init(
            "score: { integration: falcon, is: \">= 60\" }",
            .score(.init(integration: "falcon", comparison: .greaterOrEqual, value: 60))),
        .init(
            "risk: { integration: defender, is: \"<low\" }",
            .risk(.init(integration: "defender", comparison: .less, level: .low))),
        .init(
            "verdict-age: { integration: intune, reported-within: 4h, fetched-within: 30m }",
            .verdictAge(.init(integration: "intune", reportedSecondsMax: 14_400, fetchedSecondsMax: 1_800))),
        .init(
            "match: { integration: intune, minimum: medium }",
            .matchStrength(.init(integration: "intune", minimum: .medium))),
    ]

    @Test("each condition arrives as it was written, without a warning", arguments: good)
    func conditions(_ c: Good) throws {
        let snapshot = try load(text(c.text))
        #expect(snapshot.policy.applications[0].policies[0].require.last == c.condition)
        #expect(snapshot.warnings == [])
    }

    struct Bad: Sendable, CustomTestStringConvertible {
        var text: String
        var problem: String
        var testDescription: String { text }
        init(_ text: String, _ problem: String) { (self.text, self.problem) = (text, problem) }
    }

    static let bad: [Bad] = [
        .init("until: 2027-02-30", "\"2027-02-30\" is no day"), .init("acr: []", "acr: list is empty"),
        .init("authenticated-within: 59s", "out of range"),
        .init(
            "time: { from: \"24:00\", until: \"24:00\", offset: \"+00:00\" }", "\"24:00\" is no time of day"),
        .init("time: { from: \"08:00\", until: \"08:00\", offset: \"+00:00\" }", "until: is not after from"),
        .init("time: { from: \"8:00\", until: \"09:00\", offset: \"+00:00\" }", "\"8:00\" is no time of day"),
        .init(
            "time: { from: \"08:60\", until: \"09:00\", offset: \"+00:00\" }", "\"08:60\" is no time of day"),
        .init("time: { from: \"08:00\", until: \"09:00\", offset: \"+14:01\" }", "is no offset from UTC"),
        .init("time: { from: \"08:00\", until: \"09:00\", offset: Europe/Berlin }", "is no offset from UTC"),
        .init("time: { from: \"08:00\", until: \"09:00\" }", "offset: is missing"),
        .init(
            "time: { days: [monday], from: \"08:00\", until: \"09:00\", offset: \"+00:00\" }",
            "\"monday\" is not known"),
        .init(
            "check: { integration: agent, name: x }", "no integration is named agent; did you mean agents?"),
        .init("setting: { integration: agents, name: x, states: [pass] }", "agents gives no verdicts"),
        .init("setting: { integration: intune, name: x, states: [passed] }", "did you mean pass?"),
        .init("score: { integration: intune, is: \"> 5\" }", "gives no score"),
        .init("score: { integration: falcon, is: \"> 101\" }", "use a whole number from 1 to 100"),
        .init("score: { integration: falcon, is: \"60\" }", "does not begin with a comparison"),
        .init("risk: { integration: falcon, is: \"> low\" }", "gives no risk"),
        .init("risk: { integration: defender, is: \"> severe\" }", "\"severe\" is no risk"),
        .init("verdict-age: { integration: intune }", "asks nothing"),
        .init("match: { integration: intune, minimum: sure }", "\"sure\" is not known"),
        .init("tag: internal", "no application is tagged internal; add tags to applications"),
        .init("meets: staff", "no group is named staff; add it under groups"),
        .init("certificate: { subjects: [a] }", "but no listener does"),
    ]

    @Test("000.25 each mistake in a condition is refused, with the key and what to do", arguments: bad)
    func refused(_ c: Bad) throws {
        let problems = try folder.problems(text(c.text))
        #expect(problems.contains { $0.contains(c.problem) }, "\(problems)")
    }

    @Test("001.28 tags stand at applications and are named by conditions") func tags() throws {
        let tagged = try text("tag: [internal]")
            .replacing("    host: wiki", with: "    tags: [internal, help]\n    host: wiki")
        let snapshot = try load(tagged)
        #expect(snapshot.policy.applications[0].tags == ["internal", "help"])
        #expect(
            try folder.problems(tagged.replacing("tag: [internal]", with: "tag: [intern]"))
                .contains { $0.contains("did you mean internal?") })
        #expect(
            try folder.problems(tagged.replacing("[internal, help]", with: "[internal, Help]"))
                .contains { $0.contains("\"Help\" is not a tag") })
    }

    @Test("001.22 a group of conditions is read once and named anywhere") func groups() throws {
        let groups =
            "groups:\n  pilots: { include: [ { group: pilots }, { meets: admins } ], "
            + "exclude: [ { email: eve@corp.example } ] }\n"
            + "  admins: { include: [ { group: admins } ], require: [ { amr: mfa } ] }\napplications:\n"
        let snapshot = try load(text("meets: pilots").replacing("applications:\n", with: groups))
        let admins = ConditionGroup(
            name: "admins", include: [.group(.init(groups: ["admins"]))],
            require: [.authenticationMethod(.init(methods: ["mfa"]))])
        #expect(
            snapshot.policy.applications[0].policies[0].require.last
                == .meets(
                    .init(
                        name: "pilots", include: [.group(.init(groups: ["pilots"])), .meets(admins)],
                        exclude: [.email(.init(addresses: ["eve@corp.example"]))])))
    }

    @Test(
        "a group that leads back to itself, or that is wrong, is refused with the way",
        arguments: [
            ("a: { include: [ { meets: a } ] }", "leads back to itself: a → a"),
            (
                "a: { include: [ { meets: b } ] }\n  b: { include: [ { meets: a } ] }",
                "leads back to itself: a → b → a"
            ),
            ("a: { include: [ { meets: c } ] }", "no group is named c"),
            ("a: { include: [] }", "list is empty"),
            ("a: { require: [ { amr: mfa } ] }", "groups.a.include: is missing"),
            ("a: { include: [ { emial: x@y.example } ] }", "did you mean email?"),
            ("A: { include: [ { everyone: true } ] }", "is not a name"),
            ("a: { include: [ { everyone: true } ] }", "no application or group names it"),
        ])
    func badGroups(_ groups: String, _ problem: String) throws {
        let text = try Sample.replacing("applications:\n", "groups:\n  \(groups)\napplications:\n")
        var found = try folder.problems(text)
        if found.isEmpty { found = try load(text).warnings.map(\.description) }
        #expect(found.contains { $0.contains(problem) }, "\(found)")
    }

    @Test("groups that multiply without end are refused") func multiplied() throws {
        var groups =
            "groups:\n  g0: { include: [ \(Array(repeating: "{ amr: mfa }", count: 10).joined(separator: ", ")) ] }\n"
        for level in 1..<7 {
            let inner = Array(repeating: "{ meets: g\(level - 1) }", count: 10).joined(separator: ", ")
            groups += "  g\(level): { include: [ \(inner) ] }\n"
        }
        let problems = try folder.problems(Sample.replacing("applications:\n", groups + "applications:\n"))
        #expect(problems.contains { $0.contains("more than 2000 conditions") })
        var deep = "groups:\n  g0: { include: [ { amr: mfa } ] }\n"
        for level in 1..<12 {
            deep = deep.replacing(
                "groups:\n", with: "groups:\n  g\(level): { include: [ { meets: g\(level - 1) } ] }\n")
        }
        #expect(
            try folder.problems(Sample.replacing("applications:\n", deep + "applications:\n"))
                .contains { $0.contains("nested more than 8 deep") })
    }

    @Test(
        "an outage is a setting of each application",
        arguments: [
            ("fail-closed", OutageSetting.failClosed), ("partial", .partial),
            ("{ unsafe-last-verdict: 7d }", .unsafeLastVerdict(seconds: 604_800)),
        ])
    func outage(_ written: String, _ setting: OutageSetting) throws {
        let text = try Sample.replacing("    host: wiki", "    outage: \(written)\n    host: wiki")
        #expect(try load(text).policy.applications[0].outage == setting)
        let asksNothing = text.replacing(", \(Self.require)", with: "")
        #expect(try folder.problems(asksNothing).contains { $0.contains("outage: has no effect") })
    }

    @Test(
        "an outage setting beyond 7 days, or of another name, is refused",
        arguments: ["{ unsafe-last-verdict: 8d }", "open", "{}", "[partial]"])
    func badOutage(_ written: String) throws {
        #expect(
            try !folder.problems(Sample.replacing("    host: wiki", "    outage: \(written)\n    host: wiki"))
                .isEmpty)
    }
}
