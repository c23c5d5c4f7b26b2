import Access
import Testing

@testable import Config

@Suite("Strategies and further rules of device policies")
struct StrategyTests {
    let folder: ConfigFolder

    init() throws { folder = try ConfigFolder() }

    private static let rule = "rules: [ { agent: agents, managed: true } ]"

    private func loaded(_ rules: String) throws -> (policy: DevicePolicy, warnings: [String]) {
        try folder.write("gatepost.yaml", try Sample.replacing(Self.rule, rules))
        let snapshot = try folder.load()
        return (snapshot.policy.devicePolicies[0], snapshot.warnings.map(\.problem))
    }

    @Test("001.18 every qualifier of a rule has the rule's strategy") func strategies() throws {
        let read = try loaded(
            "rules: [ { agent: agents, managed: true }, { agent: agents, facts: { firewall: true, screen-lock: true }, "
                + "strategy: deny, warn-until: 2027-03-01 } ], on-unknown: deny")
        let late = CheckStrategy(.deny, warnsUntilSeconds: 1_803_859_200)
        #expect(read.policy.strategies == [.require, late, late] && read.policy.onUnknown == .deny)
        #expect(read.warnings == [])
    }

    @Test("a policy without strategies keeps its content") func none() throws {
        #expect(try loaded(Self.rule).policy.strategies == [])
    }

    @Test("a policy whose every rule only reports is pointed out") func allReport() throws {
        let read = try loaded("rules: [ { agent: agents, managed: true, strategy: report } ]")
        #expect(read.warnings == ["every rule only reports, so every device of the platform is compliant"])
    }

    @Test(
        "what has no effect or no meaning is refused",
        arguments: [
            ("strategy: report, warn-until: 2027-03-01", "warn-until: has no effect"),
            ("strategy: warn", "\"warn\" is not known"), ("warn-until: 2027-02-29", "is no day"),
            ("warn-until: 1.3.2027", "is no day"), ("warn-until: 2027-13-01", "is no day"),
        ])
    func refused(_ keys: String, _ problem: String) throws {
        let text = try Sample.replacing("managed: true", "managed: true, \(keys)")
        #expect(try folder.problems(text).contains { $0.contains(problem) })
        let denied = try Sample.replacing("managed: true", "managed: true, strategy: partial")
            .replacing("result: compliant", with: "result: denied")
        #expect(try folder.problems(denied).contains { $0.contains("strategy: has no effect") })
        let alone = try Sample.replacing("managed: true", "strategy: partial")
        #expect(try folder.problems(alone).contains { $0.contains("asks nothing") })
        let cap = try Sample.replacing("result: compliant", "result: compliant, on-unknown: deny")
        #expect(try folder.problems(cap).contains { $0.contains("no rule's strategy is deny") })
    }

    @Test(
        "days are those of the calendar",
        arguments: [
            ("1970-01-01", 0), ("2028-02-29", 1_835_395_200), ("2027-03-01", 1_803_859_200),
            ("2000-03-01", 951_868_800),
            ("2100-03-01", 4_107_542_400), ("2026-12-31", 1_798_675_200), ("2100-02-29", nil),
            ("1969-12-31", nil),
            ("2027-04-31", nil), ("2027-1-01", nil), ("2027-00-01", nil), ("2027-01-00", nil), ("", nil),
        ] as [(String, Int64?)])
    func days(_ text: String, _ seconds: Int64?) {
        #expect(CalendarDay.seconds(text) == seconds)
    }

    @Test("002.13 a rule asks for the state of a setting, and for both ages of a verdict") func verdictRules()
        throws
    {
        let intune =
            "integrations:\n  intune: { provider: intune, tenant: corp.example, client-id: x, "
            + "client-secret: { file: secret } }\n"
        let text = try Sample.replacing("integrations:\n", intune)
            .replacing("platform: linux", with: "platform: macos")
            .replacing(
                Self.rule,
                with:
                    "rules: [ { intune: intune, setting: { name: Passcode, states: pass }, reported-within: 4h, "
                    + "fetched-within: 1h } ]")
        try folder.write("gatepost.yaml", text)
        #expect(
            try folder.load().policy.devicePolicies[0].rules == [
                .setting(integration: "intune", name: "Passcode", states: [.pass]),
                .verdictAge(integration: "intune", reportedSecondsMax: 14_400, fetchedSecondsMax: 3_600),
            ])
    }
}
