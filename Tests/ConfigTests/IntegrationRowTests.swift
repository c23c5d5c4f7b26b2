import Access
import Testing

@testable import Config

@Suite("Integrations first, then policies that name them")
struct IntegrationRowTests {
    let folder: ConfigFolder
    init() throws { folder = try ConfigFolder() }

    static let tenant = "9b1f2d3c-0000-4000-8000-1234567890ab"
    static func integration(_ name: String, _ credentials: String = ", client-secret: { file: secret }")
        -> String
    {
        "  \(name): { provider: intune, tenant: \(tenant), client-id: a\(credentials) }\n"
    }

    static func policy(_ rule: String, platform: String = "windows") -> String {
        "  - { name: extra, platform: \(platform), priority: 77, result: compliant, rules: [ \(rule) ] }\n"
    }

    private func text(_ integrations: String, _ policies: String) throws -> String {
        try Sample.replacing("integrations:\n", "integrations:\n" + integrations)
            .replacing("device-policies:\n", with: "device-policies:\n" + policies)
    }

    private func problems(_ integrations: String, _ policies: String) throws -> [String] {
        try folder.problems(try text(integrations, policies))
    }

    @Test("000.6 an integration stands by itself; a policy names one that is there") func trustFirst() throws
    {
        #expect(try problems(Self.integration("corp-mdm"), "").isEmpty)
        let rule = "{ intune: corp-mdm, tags: { matches-any: [compliant] } }"
        #expect(try problems(Self.integration("corp-mdm"), Self.policy(rule)).isEmpty)
        let found = try problems(Self.integration("corp-mdn"), Self.policy(rule))
        #expect(found.contains { $0.contains("corp-mdm") && $0.contains("corp-mdn") })
    }

    @Test("000.10 a policy on an integration without credentials, or on none, is an error") func credentials()
        throws
    {
        let rule = "{ intune: mdm, tags: { matches-any: [compliant] } }"
        let without = try problems(Self.integration("mdm", ""), Self.policy(rule))
        #expect(without.contains { $0.contains("client-secret") })
        #expect(try !problems("", Self.policy(rule)).isEmpty)
        // Nobody has connected it yet: it is pending, and its policies wait for that.
        #expect(try problems(Self.integration("mdm", ", permissions: delegated"), Self.policy(rule)).isEmpty)
    }

    @Test("000.14 003.1 a rule asks Intune for labels, any of them or all of them") func labels() throws {
        let any = "{ intune: mdm, tags: { matches-any: [compliant, in-grace] } }"
        let all = "{ intune: mdm, tags: { matches-all: [compliant, registered] } }"
        try folder.write("gatepost.yaml", try text(Self.integration("mdm"), Self.policy("\(any), \(all)")))
        let policy = try folder.load().policy.devicePolicies.first { $0.name == "extra" }
        #expect(
            policy?.rules == [
                .tags(integration: "mdm", matchesAll: false, values: ["compliant", "in-grace"]),
                .tags(integration: "mdm", matchesAll: true, values: ["compliant", "registered"]),
            ])
        #expect(try !problems(Self.integration("mdm"), Self.policy("{ intune: mdm, tags: {} }")).isEmpty)
    }

    @Test("002.5 002.7 each application demands compliance of its own, also of another tenant's")
    func ownDemand()
        throws
    {
        let second = Self.integration("south").replacing(Self.tenant, with: "south.example")
        let rules = ["north", "south"].map { "{ intune: \($0), tags: { matches-all: [compliant] } }" }
        let base = try text(
            Self.integration("north") + second, Self.policy(rules.joined(separator: ", ")))
        let vault = """
            applications:
              vault:
                host: vault.corp.example
                upstreams: [ "http://127.0.0.1:8081" ]
                identity-providers: [ corp ]
                policies:
                  - { name: staff, action: allow, include: [ { email-domain: corp.example } ],
                      require: [ { match: { integration: south, minimum: strong } } ] }

            """
        let found = try folder.problems(base)
        #expect(found.isEmpty)
        try folder.write("gatepost.yaml", base.replacing("applications:\n", with: vault))
        let applications = try folder.load().policy.applications
        #expect(applications.map(\.name).sorted() == ["vault", "wiki"])
        let demands = applications.map { $0.policies.flatMap(\.require) }
        #expect(demands[0] != demands[1])
    }

    @Test(
        "000.1 rules about the agent and about a provider stand in one policy, on Windows and on macOS",
        arguments: ["windows", "macos"])
    func mixed(_ platform: String) throws {
        let rules = "{ intune: mdm, managed: true }, { agent: agents, facts: { disk-encryption: true } }"
        #expect(
            try problems(Self.integration("mdm"), Self.policy(rules, platform: platform)).isEmpty)
    }
}
