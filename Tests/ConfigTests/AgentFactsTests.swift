import Access
import Testing

@testable import Config

@Suite("What the agents of an integration are asked for")
struct AgentFactsTests {
    let folder: ConfigFolder
    init() throws { folder = try ConfigFolder() }

    private static let agents = "max-last-seen: 3d,"

    private static func text(_ keys: String, rule: String = "managed: true") throws -> String {
        try Sample.replacing(agents, "\(agents) \(keys)").replacing("managed: true", with: rule)
    }

    private func agent(_ keys: String) throws -> EndpointAgentSettings {
        try folder.write("gatepost.yaml", try Self.text(keys))
        guard case .endpointAgent(let agent)? = try folder.load().integrations.first?.kind else {
            throw ConfigFailure(problems: [])
        }
        return agent
    }

    @Test("without keys agents are asked for all facts and no check") func standard() throws {
        let agent = try agent("")
        #expect(agent.wantedFacts == nil)
        #expect(agent.asks(for: "firewall"))
        #expect(!agent.asks(for: "check-auditd"))
    }

    @Test("named facts and checks, each check with what people read") func named() throws {
        let agent = try agent("facts: [firewall, tpm], checks: { auditd: { remedy: \"Start auditd.\" } },")
        #expect(agent.wantedFacts == ["firewall", "tpm"])
        #expect(agent.checkRemedies == ["auditd": "Start auditd."])
        #expect(agent.asks(for: "tpm") && agent.asks(for: "check-auditd"))
        #expect(!agent.asks(for: "hostname") && !agent.asks(for: "check-other") && !agent.asks(for: "auditd"))
        #expect(try folder.load().checkRemedies == ["agents": ["check-auditd": "Start auditd."]])
    }

    @Test(
        "a gateway names checks and nothing more: no command, no strange name, not too many",
        arguments: [
            "checks: { auditd: { command: [/bin/true], remedy: x } },", "checks: { auditd: {} },",
            "checks: {},",
            "checks: [auditd],", "checks: { Auditd: { remedy: x } },", "checks: { \"../x\": { remedy: x } },",
            "checks: { \(String(repeating: "a", count: 41)): { remedy: x } },",
            "checks: { a: { remedy: \"\(String(repeating: "x", count: 301))\" } },",
            "checks: { \((1...33).map { "c\($0): { remedy: x }" }.joined(separator: ", ")) },",
            "facts: [],", "facts: [Firewall],", "facts: [check-auditd],", "facts: [\"disk_encryption\"],",
            "facts: [\((1...33).map { "f\($0)" }.joined(separator: ", "))],",
        ])
    func refused(_ keys: String) throws {
        #expect(try !folder.problems(try Self.text(keys)).isEmpty)
    }

    @Test("32 checks, 32 facts, names of 40 and remedies of 300 characters are accepted") func bounds() throws
    {
        let name = String(repeating: "a", count: 40)
        let checks =
            (1...31).map { "c\($0): { remedy: x }" } + [
                "\(name): { remedy: \"\(String(repeating: "x", count: 300))\" }"
            ]
        let facts = (1...32).map { "f\($0)" }.joined(separator: ", ")
        let keys = "checks: { \(checks.joined(separator: ", ")) }, facts: [\(facts)],"
        #expect(try folder.problems(try Self.text(keys)).isEmpty)
    }

    @Test("000.1 facts that are numbers or versions are compared, others must have a value")
    func comparisons()
        throws
    {
        let rule =
            "facts: { kernel-version: \">= 6.1\", patch-age-days: \"<= 14\", tpm: \">=2\", "
            + "pending-security-updates: \"= 0\", firewall: true, av-edr: [crowdstrike, defender] }"
        try folder.write("gatepost.yaml", try Self.text("", rule: rule))
        let rules = try folder.load().policy.devicePolicies.first?.rules
        func compares(_ name: String, _ comparison: Comparison, _ value: String) -> DeviceRule {
            .agentFactIs(integration: "agents", name: name, comparison: comparison, value: value)
        }
        #expect(
            rules == [
                compares("kernel-version", .greaterOrEqual, "6.1"),
                compares("patch-age-days", .lessOrEqual, "14"),
                compares("tpm", .greaterOrEqual, "2"), compares("pending-security-updates", .equal, "0"),
                .agentFact(integration: "agents", name: "firewall", values: [.flag(true)]),
                .agentFact(
                    integration: "agents", name: "av-edr", values: [.text("crowdstrike"), .text("defender")]),
            ])
    }

    @Test(
        "a comparison with something else than a number or a version is refused",
        arguments: [
            ">= new", "<", "> ", ">= 1.2.3.4.5", "<= -1", "= 1e3", ">= 1.", ">= 6.1-rc1", "=> 1",
            ">= 1234567890",
        ])
    func badComparison(_ text: String) throws {
        let problems = try folder.problems(try Self.text("", rule: "facts: { kernel-version: \"\(text)\" }"))
        #expect(problems.contains { $0.contains("facts.kernel-version") })
    }

    @Test("a rule about a fact that agents are not asked for is pointed out") func unasked() throws {
        func warnings(_ keys: String, _ rule: String) throws -> [String] {
            try folder.write("gatepost.yaml", try Self.text(keys, rule: rule))
            return try folder.load().warnings.map(\.description).filter { $0.contains("not asked for") }
        }
        #expect(try warnings("", "facts: { firewall: true }").isEmpty)
        #expect(try warnings("facts: [tpm],", "facts: { firewall: true }").count == 1)
        #expect(try warnings("facts: [tpm],", "facts: { tpm: \">= 2\" }").isEmpty)
        #expect(try warnings("", "facts: { check-auditd: true }").count == 1)
        #expect(try warnings("checks: { auditd: { remedy: x } },", "facts: { check-auditd: true }").isEmpty)
    }

    @Test("004.11 managed is yes or no: an agent can only prove yes") func managed() throws {
        try folder.write("gatepost.yaml", try Self.text(""))
        #expect(
            try folder.load().policy.devicePolicies.first?.rules
                == [.agentManaged(integration: "agents", lastSeenSecondsMax: 3 * 86_400)])
        for word in ["managed: false", "managed: perhaps", "managed: 1"] {
            #expect(try !folder.problems(try Self.text("", rule: word)).isEmpty, "\(word)")
        }
    }
}
