import Access
import Border
import Foundation
import Identity
import Testing

@testable import Control

/// Every reserved path with every parameter that the sources read anywhere: both lists are read from the sources, so
/// that a path or a parameter of tomorrow is tried as well.
@Suite("No reserved path sends anybody elsewhere")
struct OpenRedirectTests {
    private static let lures = [
        "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example",
        "https:evil.example", "javascript:alert('evil.example')", "data:text/html,evil.example",
        "https://wiki.corp.example@evil.example/", "https://wiki.corp.example.evil.example/",
        "%2f%2fevil.example", "/\t/evil.example", "\r\nLocation: https://evil.example",
        "\u{0}//evil.example", " //evil.example", "/..//evil.example", "\"><a href=//evil.example>",
    ]

    /// What other products read.
    private static let foreignNames = [
        "next", "url", "rd", "return_to", "redirect_uri", "redirect_url", "continue", "target",
        "post_logout_redirect_uri",
    ]

    private static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    private static func found(_ expression: String, in folders: [String]) throws -> Set<String> {
        let pattern = try NSRegularExpression(pattern: expression)
        var found: Set<String> = []
        for folder in folders {
            let files = FileManager.default.enumerator(
                at: root.appending(path: "Sources/\(folder)"), includingPropertiesForKeys: nil)
            while let file = files?.nextObject() as? URL {
                guard file.pathExtension == "swift" else { continue }
                let text = try String(contentsOf: file, encoding: .utf8)
                for match in pattern.matches(in: text, range: NSRange(text.startIndex..., in: text)) {
                    if let range = Range(match.range(at: 1), in: text) { found.insert(String(text[range])) }
                }
            }
        }
        return found
    }

    static func names() throws -> [String] {
        try found(
            #"parameters?(?:\(request\)\??)?[\[(]"([A-Za-z_-]+)""#,
            in: ["Control/Reserved", "Identity", "Posture/Connect"]
        ).union(foreignNames).sorted()
    }

    static func paths() throws -> [String] {
        try found(#""(/\.gatepost/[a-z./-]+)"#, in: ["Control", "Identity"]).map { path in
            // What ends in a slash is followed by a configured name.
            switch path {
            case "/.gatepost/connect/": path + "agents"
            case _: path.hasSuffix("/") ? path + "corp" : path
            }
        }.sorted()
    }

    @Test func `the lists that are read from the sources hold what is known to be there`() throws {
        let names = try Self.names()
        for name in [
            "request", "provider", "state", "code", "iss", "error", "restart", "step-up", "tx", "path",
        ] {
            #expect(names.contains(name), "\(name)")
        }
        let paths = try Self.paths()
        for path in [
            "sign-in", "sign-out", "callback/corp", "handoff", "posture/start", "connect/agents", "events",
        ] {
            #expect(paths.contains("/.gatepost/\(path)"), "\(path)")
        }
    }

    /// The answer leads nowhere but to us, and shows the lure in no place where a browser would follow it.
    private func check(_ answer: ControlResponse, _ what: String) {
        for field in answer.fields {
            #expect(!field.value.utf8.contains { $0 < 0x20 }, "\(what): \(field.name)")
            guard ["location", "refresh", "content-location", "link"].contains(field.name.lowercased()) else {
                continue
            }
            let origins = ["https://auth.corp.example:8443/", "https://wiki.corp.example:8443/"]
            let isOurs = origins.contains { field.value.hasPrefix($0) && !field.value.hasPrefix($0 + "/") }
            let isPath = field.value == "/" || field.value.hasPrefix("/.gatepost/")
            #expect(isOurs || isPath, "\(what): \(field.name): \(field.value)")
        }
        let page = String(decoding: answer.body, as: UTF8.self)
        let pattern = #"(?i)(href|src|action|formaction|content|url)\s*=\s*["']?[^"'>\s]*evil"#
        #expect(page.range(of: pattern, options: .regularExpression) == nil, "\(what)")
    }

    private static func encoded(_ text: String) -> String {
        text.utf8.map { String(format: "%%%02X", $0) }.joined()
    }

    @Test("with and without a session, as a fetch and as a document", arguments: [false, true])
    func everywhere(_ isSignedIn: Bool) async throws {
        let house = try Gatehouse(fetcher: Outside())
        var cookies: [String: Field] = [:]
        if isSignedIn {
            let (_, _, own) = try await house.signIn()
            let (_, global) = try await house.globalSession()
            cookies["wiki.corp.example"] = Field("cookie", "__Host-gatepost=\(own.value)")
            cookies["auth.corp.example"] = Field("cookie", "__Host-gatepost=\(global.value)")
        }
        let document = [Field("sec-fetch-mode", "navigate"), Field("sec-fetch-dest", "document")]
        let names = try Self.names()
        var asked = 0
        for path in try Self.paths() {
            for host in ["auth.corp.example", "wiki.corp.example"] {
                let plain = await house.control.answer(house.request(path, host: host))
                if plain.status == 404 || plain.status == 405 { continue }
                let fields = document + [cookies[host]].compactMap { $0 }
                for (index, name) in names.enumerated() {
                    for lure in Self.lures {
                        asked += 1
                        // Beside it a second parameter that is a lure, too.
                        let other = names[(index + asked) % names.count]
                        let beside = other == name ? "" : "&\(other)=\(Self.encoded(lure))"
                        let query = "\(name)=\(Self.encoded(lure))\(beside)"
                        let answer = await house.control.answer(
                            house.request("\(path)?\(query)", host: host, fields))
                        check(answer, "\(host)\(path)?\(query)")
                    }
                }
            }
        }
        #expect(asked > 1_000, "\(asked) requests")
    }

    @Test(
        "the judge itself sees what would lead away",
        arguments: [
            ("Location", "https://evil.example/", ""), ("Location", "//evil.example/", ""),
            ("Location", "https://auth.corp.example:8443//evil.example", ""),
            ("Location", "https://auth.corp.example:8443@evil.example/", ""),
            ("Refresh", "0; url=https://evil.example", ""), ("X", "a\r\nLocation: https://evil.example", ""),
            ("X", "", "<a href=\"https://evil.example/\">"), ("X", "", "<form action=//evil.example>"),
        ])
    func judge(_ name: String, _ value: String, _ page: String) async throws {
        let house = try Gatehouse(fetcher: Outside())
        let answer = await house.control.answer(house.request("/.gatepost/jwks.json"))
        var bad = answer
        bad.fields.append(Field(name, value))
        bad.body = Array(page.utf8)
        check(answer, "as it is")
        withKnownIssue { check(bad, name) }
    }

    @Test func `a page of the own host that looks like another host's is begun as the root`() async throws {
        let house = try Gatehouse(fetcher: Outside())
        for path in ["//evil.example/", "/\\evil.example", "/.gatepost/sign-out"] {
            let answer = await house.control.answer(
                house.request(path, host: "wiki.corp.example", purpose: .signIn))
            check(answer, path)
            #expect(answer.status == 303)
        }
    }
}
