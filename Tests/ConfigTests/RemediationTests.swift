import Access
import Foundation
import Testing

@testable import Config

@Suite("Ways to repair a device: configured for each platform of an integration")
struct RemediationTests {
    let folder: ConfigFolder
    init() throws { folder = try ConfigFolder() }

    private static let provider =
        "  falcon: { provider: crowdstrike, cloud: us-1, client-id: x, client-secret: { file: secret } }\n"

    /// The sample with an integration that has these links, and with these schemes.
    private static func text(_ remediation: String, schemes: String? = nil) throws -> String {
        var text = try Sample.replacing(
            "integrations:\n",
            "integrations:\n" + provider.replacing(" } }\n", with: " }, remediation: \(remediation) }\n"))
        if let schemes {
            text = text.replacing(
                "  store: sqlite:state", with: "  store: sqlite:state\n  link-schemes: \(schemes)")
        }
        return text
    }

    private static func macLink(_ url: String) -> String {
        "{ macos: [ { text: Open Hub, url: \"\(url)\" } ] }"
    }

    @Test("001.30 links stand in the snapshot by integration and platform, https without being listed")
    func links() throws {
        let hub = "wsonehub://conditionalaccess?partner=Microsoft"
        let remediation =
            "{ macos: [ { text: Open Hub, url: \"\(hub)\" } ], windows: [ { text: Help, url: \"https://x.example\" } ] }"
        try folder.write("gatepost.yaml", try Self.text(remediation, schemes: "[https, wsonehub]"))
        let snapshot = try folder.load()
        #expect(
            snapshot.remediation["falcon"] == [
                .macos: [RemediationLink(text: "Open Hub", url: hub, scheme: "wsonehub")],
                .windows: [RemediationLink(text: "Help", url: "https://x.example", scheme: "https")],
            ])
        #expect(snapshot.gateway.linkSchemes == ["https", "wsonehub"])
        #expect(!snapshot.warnings.contains { $0.key.contains("remediation") })

        try folder.write(
            "gatepost.yaml", try Self.text("{ macos: [ { text: Help, url: \"https://x.example\" } ] }"))
        let other = try folder.load()
        #expect(other.gateway.linkSchemes == ["https"])
        #expect(other.integrations == snapshot.integrations, "new links need a reload only, no restart")
    }

    @Test("001.30 a scheme that is not listed is legal and pointed out, in its own line: it is shown as text")
    func unlisted() throws {
        try folder.write("gatepost.yaml", try Self.text(Self.macLink("airwatch://conditionalaccess")))
        let warning = try #require(try folder.load().warnings.first { $0.key.contains("remediation") })
        #expect(warning.key == "integrations.falcon.remediation.macos[0].url")
        #expect(warning.problem.contains("is shown as text: gateway.link-schemes does not have airwatch"))
    }

    @Test(
        "001.30 URLs that no page may show are refused",
        arguments: [
            "javascript:alert(1)", "JavaScript:alert(1)", "java script:alert(1)", " javascript:x",
            "data:text/html,x", "DATA:text/html,x", "vbscript:x", "file:///etc/passwd",
            "blob:https://x.example/1",
            "view-source:https://x.example", "intent://scan/", "about:blank", "wss://x.example",
            "hub.corp.example/repair", "//x.example/", "/repair", ":x", "1st://x", "ht_tp://x",
            "https:x.example", "https:///repair", "https://corp.example@evil.example/",
            "https://a\\\\@b.example",
            "https://x.example/ä", "https://x.example/a b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa://x",
        ])
    func refused(_ url: String) throws {
        let problems = try folder.problems(try Self.text(Self.macLink(url), schemes: "[https]"))
        #expect(problems.count == 1 && problems[0].contains("remediation.macos[0].url:"), "\(problems)")
    }

    @Test("a URL of 2,048 bytes is taken, one of 2,049 is not", arguments: [(2_048, true), (2_049, false)])
    func length(_ bytes: Int, _ isTaken: Bool) throws {
        let url = "https://x.example/" + String(repeating: "a", count: bytes - 18)
        #expect(try folder.problems(try Self.text(Self.macLink(url))).isEmpty == isTaken)
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        var remediation: String
        var problem: String
        var testDescription: String { problem }
    }

    private static let link = "{ text: a, url: \"https://x.example\" }"
    static let mistakes = [
        Mistake(remediation: "{ macosx: [ \(link) ] }", problem: "did you mean macos?"),
        Mistake(remediation: "{ linux: [ \(link) ] }", problem: "the integration knows no such devices"),
        Mistake(remediation: "{ macos: [] }", problem: "list is empty"),
        Mistake(remediation: "{}", problem: "names no platform"),
        Mistake(remediation: "{ macos: \(link) }", problem: "must be a list"),
        Mistake(remediation: "{ macos: [ { text: a } ] }", problem: "remediation.macos[0].url: is missing"),
        Mistake(
            remediation: "{ macos: [ { url: \"https://x.example\" } ] }",
            problem: "remediation.macos[0].text: is missing"),
        Mistake(
            remediation: "{ macos: [ \(Array(repeating: link, count: 6).joined(separator: ", ")) ] }",
            problem: "has 6 links"),
        Mistake(
            remediation:
                "{ macos: [ { text: \(String(repeating: "x", count: 81)), url: \"https://x.example\" } ] }",
            problem: "has 81 characters"),
    ]

    @Test("mistakes are named with their key", arguments: mistakes)
    func mistake(_ mistake: Mistake) throws {
        let problems = try folder.problems(try Self.text(mistake.remediation))
        #expect(problems.contains { $0.contains(mistake.problem) }, "\(problems)")
    }

    @Test("five links and a text of 80 characters are taken")
    func bounds() throws {
        let long = "{ text: \(String(repeating: "x", count: 80)), url: \"https://x.example\" }"
        let links = Array(repeating: long, count: 5).joined(separator: ", ")
        #expect(try folder.problems(try Self.text("{ macos: [ \(links) ] }")).isEmpty)
    }

    @Test(
        "001.30 schemes that run or embed content cannot be listed",
        arguments: [
            "[javascript]", "[https, data]", "[HTTPS]", "[\"ht tp\"]", "[\"https:\"]", "[]", "[blob]",
        ])
    func schemes(_ list: String) throws {
        let problems = try folder.problems(try Self.text(Self.macLink("https://x.example"), schemes: list))
        #expect(problems.contains { $0.contains("gateway.link-schemes") }, "\(problems)")
    }

    @Test(
        "001.27 a link into an application that asks for a good device is pointed out",
        arguments: [("https://wiki.corp.example/repair", true), ("https://other.example/repair", false)])
    func ownApplication(_ url: String, _ isWarned: Bool) throws {
        try folder.write("gatepost.yaml", try Self.text(Self.macLink(url)))
        let warnings = try folder.load().warnings.map(\.problem)
        #expect(
            warnings.contains { $0.contains("which application wiki shows to good devices only") } == isWarned
        )
    }

    @Test("the agent's integration has links, too, of every platform: phones ask for it in vain")
    func agent() throws {
        let text = try Sample.replacing(
            "max-last-seen: 3d,", "max-last-seen: 3d, remediation: { ios: [ \(Self.link) ] },")
        try folder.write("gatepost.yaml", text)
        #expect(try folder.load().remediation["agents"]?[.ios]?.count == 1)
    }
}
