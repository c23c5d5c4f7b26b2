import Access
import Config
import Testing

@Suite("Requirements that the configuration fulfils by itself")
struct RequirementTests {
    let folder: ConfigFolder

    init() throws { folder = try ConfigFolder() }

    private static let policy =
        "  - { name: linux, platform: linux, priority: 10, result: compliant, "
        + "rules: [ { agent: agents, managed: true } ] }"

    private func problems(policy text: String) throws -> String {
        try folder.problems(try Sample.replacing(Self.policy, text)).joined(separator: "\n")
    }

    @Test("000.12 names are unique, and priorities are unique per platform")
    func namesAndPriorities() throws {
        let second = Self.policy.replacing("name: linux", with: "name: other")
        #expect(try problems(policy: Self.policy + "\n" + second).contains("10 is the priority of linux too"))
        let onMac = second.replacing("platform: linux", with: "platform: macos")
        #expect(try problems(policy: Self.policy + "\n" + onMac) == "")
        let sameName = Self.policy.replacing("priority: 10", with: "priority: 11")
        #expect(try problems(policy: Self.policy + "\n" + sameName).contains("\"linux\" is the name of"))
    }

    @Test("004.8 an integration has any name of plain letters, and no two have the same")
    func integrationNames() throws {
        #expect(
            try folder.problems(
                Sample.text.replacing("agents:", with: "laptops-2:")
                    .replacing("agent: agents", with: "agent: laptops-2")
            ).isEmpty)
        for name in ["\"\"", "\"two words\"", "\"a/b\""] {
            let text = Sample.text.replacing("  agents:", with: "  \(name):")
                .replacing("agent: agents", with: "agent: \(name)")
            #expect(!(try folder.problems(text)).isEmpty, "\(name)")
        }
        let line =
            "  agents: { provider: endpoint-agent, max-last-seen: 3d, enrollment-ca: { certificate: chain.pem } }"
        let problems = try folder.problems(try Sample.replacing(line, line + "\n" + line))
        #expect(problems.contains { $0.contains("agents") && $0.contains("twice") }, "\(problems)")
    }

    @Test("000.13 a device policy is for exactly one platform")
    func onePlatform() throws {
        let none = Self.policy.replacing("platform: linux, ", with: "")
        #expect(try problems(policy: none).contains("device-policies[0].platform: is missing"))
        let two = Self.policy.replacing("platform: linux", with: "platform: [linux, macos]")
        #expect(try problems(policy: two).contains("must be a single value, not a list"))
    }

    @Test("000.15 matches-any and matches-all take at least one tag")
    func emptyTags() throws {
        for key in ["matches-any", "matches-all"] {
            let rule = Self.policy.replacing(
                "agent: agents, managed: true", with: "intune: i, tags: { \(key): [] }")
            #expect(try problems(policy: rule).contains("\(key): list is empty"))
        }
    }

    @Test("000.16 rules of several sources stand together in one policy")
    func severalSources() throws {
        let rules =
            "{ agent: agents, managed: true, facts: { firewall: true } }, "
            + "{ agent: agents, minimum-version: \"1.2\" }"
        try folder.write("gatepost.yaml", try Sample.replacing("{ agent: agents, managed: true }", rules))
        #expect(
            try folder.load().policy.devicePolicies[0].rules == [
                .agentManaged(integration: "agents", lastSeenSecondsMax: 259_200),
                .agentFact(integration: "agents", name: "firewall", values: [.flag(true)]),
                .agentVersion(integration: "agents", minimum: "1.2"),
            ])
    }

    @Test("000.17 the result is compliant, partial or denied", arguments: ["compliant", "partial", "denied"])
    func results(_ word: String) throws {
        #expect(
            try problems(policy: Self.policy.replacing("result: compliant", with: "result: \(word)")) == "")
        #expect(try problems(policy: Self.policy.replacing("result: compliant", with: "result: ok")) != "")
    }

    @Test(
        "000.18 a score is compared with 1 to 100",
        arguments: ["0": false, "1": true, "100": true, "101": false])
    func scores(_ number: String, isFine: Bool) throws {
        let rule = Self.policy.replacing(
            "agent: agents, managed: true", with: "crowdstrike: c, score: \">= \(number)\""
        )
        .replacing("platform: linux", with: "platform: macos")
        #expect(
            try problems(policy: rule).contains("out of range; use a whole number from 1 to 100") != isFine)
    }

    @Test("000.20 score rules are for Windows and macOS", arguments: ["windows", "macos", "linux", "ios"])
    func scorePlatforms(_ platform: String) throws {
        let rule = Self.policy.replacing(
            "agent: agents, managed: true", with: "crowdstrike: c, score: \"> 50\""
        )
        .replacing("platform: linux", with: "platform: \(platform)")
        let isRefused = try problems(policy: rule).contains("knows nothing of platform")
        #expect(isRefused == !["windows", "macos"].contains(platform))
    }

    @Test(
        "004.9 the agent's port is 17472 and can be changed, 1 to 65535",
        arguments: ["0": false, "1": true, "65535": true, "65536": false])
    func ports(_ port: String, isFine: Bool) throws {
        let text = try Sample.replacing("max-last-seen: 3d", "port: \(port)")
        #expect(try folder.problems(text).isEmpty == isFine)
    }

    @Test("004.13 a device that was not seen for more than 7 days is not managed, unless that is changed")
    func lastSeen() throws {
        try folder.write("gatepost.yaml", try Sample.replacing("max-last-seen: 3d, ", ""))
        #expect(
            try folder.load().policy.devicePolicies[0].rules
                == [.agentManaged(integration: "agents", lastSeenSecondsMax: 604_800)])
    }

    @Test("004.16 two providers of one tenant have distinct names")
    func displayNames() throws {
        let line =
            "  corp: { issuer: \"https://login.corp.example\", client-id: gatepost, "
            + "client-secret: { file: secret } }"
        let second = line.replacing("corp: {", with: "managed: {")
        #expect(try folder.problems(try Sample.replacing(line, line + "\n" + second)) == [])
        let same = second.replacing("managed: {", with: "managed: { display-name: corp,")
        #expect(
            try folder.problems(try Sample.replacing(line, line + "\n" + same)).joined()
                .contains("\"corp\" is also what corp is called"))
    }
}
