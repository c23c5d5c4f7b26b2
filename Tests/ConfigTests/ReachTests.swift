import Access
import Testing

@testable import Config

@Suite("What can never be reached, or shuts out those whom it should help")
struct ReachTests {
    let folder: ConfigFolder

    init() throws { folder = try ConfigFolder() }

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var policies: [String]
        /// Of the last policy; nil: reached.
        var problem: String?
        var testDescription: String { name }
        init(_ name: String, _ policies: [String], _ problem: String?) {
            (self.name, self.policies, self.problem) = (name, policies, problem)
        }
    }

    private static func allow(_ name: String, _ rest: String) -> String {
        "{ name: \(name), action: allow, \(rest) }"
    }

    static let cases: [Case] = [
        .init(
            "a block behind an allow for all it blocks",
            [
                allow("a", "include: [ { email-domain: corp.example } ]"),
                "{ name: b, action: block, include: [ { email: eve@corp.example } ], "
                    + "require: [ { identity-provider: corp } ] }",
            ],
            "block b is never reached: allow a matches first"),
        .init(
            "a bypass reaches nobody whom an allow for sessions has not",
            [
                allow("a", "include: [ { everyone: true } ]"),
                "{ name: b, action: bypass, include: [ { everyone: true } ] }",
            ],
            nil),
        .init(
            "two policies together leave nothing",
            [
                allow("get", "include: [ { method: GET } ]"),
                allow("rest", "include: [ { everyone: true } ], exclude: [ { method: GET } ]"),
                allow("c", "include: [ { group: staff } ]"),
            ],
            "allow c is never reached: allow get and allow rest match first"),
        .init(
            "a score inside another range",
            [
                allow("a", "include: [ { score: { integration: falcon, is: \">= 50\" } } ]"),
                allow("b", "include: [ { score: { integration: falcon, is: \"= 55\" } } ]"),
            ],
            "allow b is never reached: allow a matches first"),
        .init(
            "two ranges of scores leave devices of two records that do not agree",
            [
                allow("a", "include: [ { score: { integration: falcon, is: \">= 50\" } } ]"),
                allow("b", "include: [ { score: { integration: falcon, is: \"< 60\" } } ]"),
                allow("c", "include: [ { score: { integration: falcon, is: \"> 10\" } } ]"),
            ], nil),
        .init(
            "a block for people in groups, when whoever is in one is let in before",
            [
                allow("a", "include: [ { email-domain: corp.example } ]"),
                "{ name: b, action: block, include: [ { group: staff } ], "
                    + "require: [ { email: [ada@corp.example, eve@corp.example] } ] }",
            ],
            "block b is never reached: allow a matches first"),
        .init(
            "a device without a score is still left",
            [
                allow("a", "include: [ { score: { integration: falcon, is: \">= 50\" } } ]"),
                allow("b", "include: [ { device: compliant } ]"),
            ], nil),
        .init(
            "classes together leave those without a device",
            [
                allow("a", "include: [ { device: [compliant, partial, denied] } ]"),
                allow("b", "include: [ { everyone: true } ]"),
            ],
            nil),
        .init(
            "a narrower path",
            [
                allow("a", "include: [ { path: { prefixes: [/docs] } } ]"),
                allow("b", "include: [ { path: { exact: [/docs/a] } } ]"),
            ],
            "allow b is never reached: allow a matches first"),
        .init(
            "a wider path",
            [
                allow("a", "include: [ { path: { exact: [/docs] } } ]"),
                allow("b", "include: [ { path: { prefixes: [/docs] } } ]"),
            ],
            nil),
        .init(
            "a narrower network",
            [
                allow("a", "include: [ { network: 10.0.0.0/8 } ]"),
                allow("b", "include: [ { network: 10.1.0.0/16 } ]"),
            ],
            "allow b is never reached: allow a matches first"),
        .init(
            "conditions that exclude each other",
            [
                allow(
                    "a",
                    "include: [ { email: ada@corp.example } ], require: [ { email-domain: other.example } ]")
            ],
            "allow a never matches: its conditions exclude each other"),
        .init(
            "through a group",
            [
                allow("a", "include: [ { meets: staff } ]"),
                allow("b", "include: [ { group: staff } ], require: [ { amr: mfa } ]"),
            ],
            "allow b is never reached: allow a matches first"),
        .init(
            "a risk between two others",
            [
                allow("a", "include: [ { risk: { integration: defender, is: \"<= medium\" } } ]"),
                allow("b", "include: [ { risk: { integration: defender, is: \"= low\" } } ]"),
            ],
            "allow b is never reached: allow a matches first"),
    ]

    @Test("unreachable policies, exactly, with the earlier ones named", arguments: cases)
    func policies(_ c: Case) throws {
        let lines = c.policies.map { "\n      - \($0)" }.joined() + "\n"
        let start = try #require(Sample.text.firstRange(of: "    policies:")).upperBound
        let groups = "groups: { staff: { include: [ { group: [staff, admins] } ] } }\napplications:\n"
        let extra =
            "integrations:\n  falcon: { provider: crowdstrike, cloud: us-1, client-id: x, "
            + "client-secret: { file: secret } }\n"
            + "  defender: { provider: defender, tenant: corp.example, client-id: x, "
            + "client-secret: { file: secret } }\n"
        let text = (String(Sample.text[..<start]) + lines).replacing("applications:\n", with: groups)
            .replacing("integrations:\n", with: extra)
        try folder.write("gatepost.yaml", text)
        let problems = try folder.load().warnings.filter { $0.key.contains("policies[") }.map(\.problem)
        #expect(problems == (c.problem.map { [$0] } ?? []))
    }

    @Test("thirty groups that are asked besides hide nothing") func many() throws {
        let groups = (0..<30).map { "{ group: g\($0) }" }.joined(separator: ", ")
        let text =
            try Sample.replacing(", require: [ { device: compliant } ]", "")
            + "      - { name: b, action: block, include: [ { email: eve@corp.example } ], "
            + "require: [ { identity-provider: corp } ], "
            + "exclude: [ \(groups) ] }\n      - { name: c, action: allow, include: [ { email: eve@corp.example } ] }\n"
        try folder.write("gatepost.yaml", text)
        #expect(
            try folder.load().warnings.map(\.problem) == [
                "block b is never reached: allow staff matches first",
                "allow c is never reached: allow staff matches first",
            ])
    }

    @Test(
        "device policies that an earlier one always anticipates",
        arguments: [
            ("{ agent: agents, managed: true, last-seen: 1d }", true),
            ("{ agent: agents, managed: true }", true),
            ("{ agent: agents, managed: true, minimum-key: attested }", true),
            ("{ agent: agents, minimum-key: attested }", false),
            ("{ agent: agents, managed: true, last-seen: 9d }", false),
        ])
    func devices(_ rule: String, _ isShadowed: Bool) throws {
        let line =
            "  - { name: linux, platform: linux, priority: 10, result: compliant, "
            + "rules: [ { agent: agents, managed: true } ] }"
        let second = "  - { name: later, platform: linux, priority: 11, result: partial, rules: [ \(rule) ] }"
        let first = line.replacing("managed: true", with: "managed: true, last-seen: 7d")
        let text = try Sample.replacing(line, first + "\n" + second)
        try folder.write("gatepost.yaml", text)
        let warnings = try folder.load().warnings.map(\.problem)
        #expect(
            warnings.contains("later is never reached: linux (priority 10) holds whenever it would")
                == isShadowed)
    }

    @Test(
        "001.27 a page that repairs devices and asks for a good one is pointed out",
        arguments: [
            ("Go to https://wiki.corp.example/enroll.", true), ("Go to https://other.example/enroll.", false),
            ("See (https://wiki.corp.example/open/mac).", false), ("No link at all.", false),
        ])
    func remediation(_ message: String, _ isWarned: Bool) throws {
        let text =
            try Sample.replacing("priority: 10,", "priority: 10, message: \"\(message)\",")
            + "      - { name: help, action: bypass, include: [ { path: { prefixes: [/open] } } ] }\n"
        try folder.write("gatepost.yaml", text)
        let warnings = try folder.load().warnings.map(\.problem)
        #expect(
            warnings.contains { $0.contains("which application wiki shows to good devices only") } == isWarned
        )
    }
}
