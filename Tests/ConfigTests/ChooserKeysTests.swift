import Foundation
import Testing

@testable import Config

@Suite("Choosing one of several identity providers is configured")
struct ChooserKeysTests {
    let folder: ConfigFolder
    init() throws { folder = try ConfigFolder() }

    private func text(_ provider: String = "", _ application: String = "", several: Bool = true) throws
        -> String
    {
        let line =
            "  corp: { issuer: \"https://login.corp.example\", client-id: gatepost, "
            + "client-secret: { file: secret } }"
        let one = line.replacing("{ file: secret } }", with: "{ file: secret }\(provider) }")
        let two = line.replacing("corp: {", with: "managed: {")
        let accepted = several ? "[ corp, managed ]" : "[ corp ]"
        return try Sample.replacing(line, one + "\n" + two).replacing(
            "    identity-providers: [ corp ]\n",
            with: "    identity-providers: \(accepted)\n\(application)")
    }

    @Test("004.18 domains and the use of what is remembered reach their settings")
    func read() throws {
        let domains = ", email-domains: [corp.example, mail.corp.example]"
        try folder.write("gatepost.yaml", try text(domains, "    remembered-provider: use\n"))
        let snapshot = try folder.load()
        #expect(snapshot.identityProviders.first?.emailDomains == ["corp.example", "mail.corp.example"])
        #expect(snapshot.applications.first?.usesRememberedProvider == true)
    }

    @Test("without them nobody is asked for an address, and what is remembered is offered")
    func standard() throws {
        try folder.write("gatepost.yaml", try text("", "    remembered-provider: offer\n"))
        let snapshot = try folder.load()
        #expect(snapshot.identityProviders.first?.emailDomains == [])
        #expect(snapshot.applications.first?.usesRememberedProvider == false)
    }

    @Test(
        "what is no domain, or has no effect, is refused with the key named",
        arguments: [
            (", email-domains: [Corp.example]", "", "email-domains"),
            (", email-domains: [\"@corp.example\"]", "", "is an address"),
            (", email-domains: [\"*.corp.example\"]", "", "email-domains"),
            (", email-domains: [corp.example, corp.example]", "", "listed twice"),
            (", email-domains: [\"https://corp.example\"]", "", "email-domains"),
            (", email-domains: []", "", "email-domains"), (", email-domains: [\"\"]", "", "email-domains"),
            ("", "    remembered-provider: maybe\n", "remembered-provider"),
        ])
    func refused(_ provider: String, _ application: String, _ word: String) throws {
        let problems = try folder.problems(try text(provider, application))
        #expect(problems.joined().contains(word), "\(problems)")
    }

    @Test("exactly 64 domains are taken, and one more is too many")
    func bounded() throws {
        func keys(_ count: Int) -> String {
            ", email-domains: [" + (0..<count).map { "d\($0).example" }.joined(separator: ", ") + "]"
        }
        #expect(try folder.problems(try text(keys(64))).isEmpty)
        #expect(try folder.problems(try text(keys(65))).joined().contains("more than 64"))
    }

    @Test("with one provider there is nothing to remember, and that is said")
    func single() throws {
        let one = try text("", "    remembered-provider: use\n", several: false)
        #expect(try folder.problems(one).joined().contains("has no effect"))
    }

    @Test("004.15 every configuration in the administrators' page about sign-ins is a good one")
    func page() throws {
        let page = try String(contentsOfFile: "\(Repository.root)/docs/sign-in.md", encoding: .utf8)
        let blocks = page.components(separatedBy: "```yaml\n").dropFirst().compactMap {
            $0.components(separatedBy: "```").first
        }
        try #require(blocks.count == 4)
        let gateway = Sample.text.components(separatedBy: "identity-providers:\n")[0]
        // The third goes on with the providers of the one before, the last has no application of its own.
        let providers = try #require(blocks[1].components(separatedBy: "applications:\n").first)
        let applications = blocks[0].components(separatedBy: "applications:\n")[1]
            .components(separatedBy: "  desk:\n")[0].replacing("[ corp ]", with: "[ group ]")
        for block in [
            blocks[0], blocks[1], providers + blocks[2], blocks[3] + "applications:\n" + applications,
        ] {
            let whole = (gateway + block).replacing(/secrets\/[a-z-]+/, with: "secret")
            let problems = try folder.problems(whole)
            #expect(problems == [])
        }
    }
}
