import Foundation
import Testing

@Suite("What docs/device-check.md says to set in browsers")
struct PolicySnippetTests {
    static let origin = "https://auth.corp.example"

    static func blocks(_ kind: String) throws -> [String] {
        let text = try ProtocolTextTests.text("docs/device-check.md")
        let pieces = text.components(separatedBy: "```\(kind)\n").dropFirst()
        return try pieces.map { try #require($0.components(separatedBy: "\n```").first) }
    }

    @Test("on Linux: three files, each JSON, each for the auth host, loopback and windows alike") func linux()
        throws
    {
        let files = try Self.blocks("json").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(files.count == 3)
        for (file, name) in zip(
            files, ["LoopbackNetworkAllowedForUrls", "LocalNetworkAccessAllowedForUrls"])
        {
            #expect(Set(file.keys) == [name, "PopupsAllowedForUrls"])
            #expect(file.values.allSatisfy { $0 as? [String] == [Self.origin] })
        }
        let firefox = try #require(files[2]["policies"] as? [String: [String: [String]]])
        #expect(firefox["LocalNetworkAccess"] == ["SkipDomains": ["auth.corp.example"]])
        #expect(firefox["PopupBlocking"] == ["Allow": [Self.origin]])
    }

    @Test("on Windows: every list of every browser is a key of its own") func windows() throws {
        let file = try #require(try Self.blocks("reg").first)
        let lines = file.components(separatedBy: "\n").filter { !$0.isEmpty }
        #expect(lines.first == "Windows Registry Editor Version 5.00")
        var values: [String: String] = [:]
        for (key, value) in zip(lines.dropFirst(), lines.dropFirst(2)) where key.hasPrefix("[") {
            #expect(key.hasPrefix(#"[HKEY_LOCAL_MACHINE\SOFTWARE\Policies\"#) && key.hasSuffix("]"))
            values[String(key.dropFirst(#"[HKEY_LOCAL_MACHINE\SOFTWARE\Policies\"#.count).dropLast())] = value
        }
        let expected = [
            #"Google\Chrome\LoopbackNetworkAllowedForUrls"#, #"Google\Chrome\PopupsAllowedForUrls"#,
            #"Microsoft\Edge\LoopbackNetworkAllowedForUrls"#, #"Microsoft\Edge\PopupsAllowedForUrls"#,
            #"Mozilla\Firefox\LocalNetworkAccess\SkipDomains"#, #"Mozilla\Firefox\PopupBlocking\Allow"#,
        ]
        #expect(Set(values.keys) == Set(expected))
        for (key, value) in values {
            let host = key.hasSuffix("SkipDomains") ? "auth.corp.example" : Self.origin
            #expect(value == "\"1\"=\"\(host)\"", "\(key)")
        }
    }

    @Test("on macOS: a whole profile with a payload of its own for each browser") func macOS() throws {
        let text = try #require(try Self.blocks("xml").first)
        let profile = try #require(
            try PropertyListSerialization.propertyList(from: Data(text.utf8), format: nil)
                as? [String: Any])
        #expect(profile["PayloadType"] as? String == "Configuration")
        let payloads = try #require(profile["PayloadContent"] as? [[String: Any]])
        let names = payloads.compactMap { $0["PayloadType"] as? String }
        #expect(names == ["com.google.Chrome", "com.microsoft.Edge", "org.mozilla.firefox"])
        #expect(Set(payloads.compactMap { $0["PayloadUUID"] as? String }).count == 3)
        for payload in payloads.dropLast() {
            #expect(payload["LoopbackNetworkAllowedForUrls"] as? [String] == [Self.origin])
            #expect(payload["PopupsAllowedForUrls"] as? [String] == [Self.origin])
        }
        let firefox = try #require(payloads.last)
        #expect(firefox["EnterprisePoliciesEnabled"] as? Bool == true)
        #expect(
            (firefox["LocalNetworkAccess"] as? [String: [String]])?["SkipDomains"] == ["auth.corp.example"])
        #expect((firefox["PopupBlocking"] as? [String: [String]])?["Allow"] == [Self.origin])
    }
}
