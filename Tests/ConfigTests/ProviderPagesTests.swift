import Foundation
import Testing

@testable import Config

@Suite("docs/providers: a page for each provider, with an example that loads")
struct ProviderPagesTests {
    static let names = ProviderKind.all.map(\.name)
    let folder: ConfigFolder
    init() throws { folder = try ConfigFolder() }

    private static func page(_ name: String) throws -> String {
        try String(contentsOfFile: "\(Repository.root)/docs/providers/\(name).md", encoding: .utf8)
    }

    /// The YAML of a page, with files that exist.
    private static func examples(_ text: String) -> [String] {
        text.components(separatedBy: "```yaml\n").dropFirst().compactMap {
            $0.components(separatedBy: "```").first
        }.map {
            $0.replacing(#/key: { file: [^ ]+ }/#, with: "key: { file: key.pem }")
                .replacing(#/(certs|conf)\/[^ ,}\n]+/#, with: "chain.pem").replacing(
                    #/secrets\/[^ ,}\n]+/#, with: "secret"
                )
                .replacing(#/env: [A-Z_]+/#, with: "env: SET")
        }
    }

    @Test("the example of each page is a configuration without a problem", arguments: names)
    func example(_ name: String) throws {
        let examples = Self.examples(try Self.page(name)).filter { $0.hasPrefix("integrations:") }
        #expect(!examples.isEmpty, "docs/providers/\(name).md has no example that begins with integrations:")
        for example in examples {
            let sample = Sample.text.components(separatedBy: "\n")
            let own = sample.firstIndex(of: "integrations:") ?? 0
            let rest =
                sample[(own + 1)...].firstIndex { !$0.isEmpty && !$0.hasPrefix(" ") } ?? sample.endIndex
            var text = (Array(sample[..<own]) + Array(sample[rest...])).joined(separator: "\n")
            if example.contains("device-policies:"), let start = text.range(of: "device-policies:") {
                let end = text[start.upperBound...].firstRange(of: #/\n[a-z]/#)?.lowerBound ?? text.endIndex
                text.removeSubrange(start.lowerBound..<end)
            }
            let agents =
                "integrations:\n  agents: { provider: endpoint-agent, max-last-seen: 3d, "
                + "enrollment-ca: { certificate: chain.pem } }\n"
            #expect(
                try folder.problems(text + "\n" + example.replacing("integrations:\n", with: agents)) == [])
        }
    }

    @Test("each page names every key that must be there, and what to do about a refusal", arguments: names)
    func keys(_ name: String) throws {
        let page = try Self.page(name)
        let kind = try #require(ProviderKind.named(name))
        for key in kind.keys where key.isRequired {
            #expect(page.contains(key.name), "docs/providers/\(name).md does not name \(key.name)")
        }
        for word in [
            "## Set up", "## Limits", "## What a person sees", "## When it does not work", "forbidden",
        ] {
            #expect(
                page.contains(word) || name == "custom", "docs/providers/\(name).md has nothing about \(word)"
            )
        }
    }

    @Test("the index lists every provider") func index() throws {
        let page = try Self.page("README")
        for name in Self.names { #expect(page.contains("| `\(name)` | [") && page.contains("(\(name).md)")) }
    }
}
