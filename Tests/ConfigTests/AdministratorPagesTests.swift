import Access
import Foundation
import Testing

@testable import Config

@Suite("What administrators read about platforms and repairs")
struct AdministratorPagesTests {
    private static func page(_ name: String) throws -> String {
        try String(contentsOfFile: "\(Repository.root)/docs/providers/\(name).md", encoding: .utf8)
    }

    /// The text under a heading, up to the next one.
    private static func section(_ heading: String, of page: String) throws -> String {
        let text = try Self.page(page)
        let start = try #require(text.range(of: "\n## \(heading)\n"), "\(page).md has no section \(heading)")
        let rest = text[start.upperBound...]
        return String(rest[..<(rest.range(of: "\n## ")?.lowerBound ?? rest.endIndex)])
    }

    @Test(
        "001.29 the broker of each platform stands in Entra's page with its identifiers",
        arguments: [
            ("iOS", ["com.microsoft.azureauthenticator.ssoextension"]),
            ("macOS", ["com.microsoft.CompanyPortalMac.ssoextension", "UBF8T346G9"]),
            ("Android", ["MSAL", "certificate from the broker app", "Edge"]),
            ("Windows", ["primary refresh token"]),
        ])
    func brokers(_ platform: String, _ words: [String]) throws {
        let rows = try Self.section("Brokers on each platform", of: "entra").split(separator: "\n")
        let row = try #require(rows.first { $0.hasPrefix("| \(platform)") })
        for word in words { #expect(row.contains(word), "\(platform): \(word)") }
    }

    @Test("001.20 the vendors' steps for an on-premises domain and the MDM application are written down")
    func domain() throws {
        let steps = try Self.section("Devices of an on-premises domain", of: "entra")
        for word in [
            "hybrid join", "service connection point", "automatic MDM enrollment", "Mobility (MDM and WIP)",
            "On-premises MDM application", "Partner compliance",
        ] { #expect(steps.contains(word), "\(word)") }
    }

    @Test("001.30 the example of repairs is a good configuration, and the older addresses are named")
    func repairs() throws {
        let text = try Self.section("Ways to repair a device", of: "README")
        for address in [
            "airwatch://conditionalaccess?partner=microsoft",
            "awagent://com.airwatch.androidagent?component=conditionalaccess&partnertype=microsoft",
        ] { #expect(text.contains(address)) }
        let block = try #require(
            text.components(separatedBy: "```yaml\n").last?.components(separatedBy: "```").first)
        let parts = block.components(separatedBy: "integrations:\n")
        try #require(parts.count == 2)
        let schemes = try #require(parts[0].components(separatedBy: "gateway:\n").last)
        let folder = try ConfigFolder()
        let integrations = parts[1].replacing("secrets/workspace-one", with: "secret")
        try folder.write(
            "gatepost.yaml",
            try Sample.replacing("integrations:\n", "integrations:\n\(integrations)")
                .replacing("  store: sqlite:state\n", with: "  store: sqlite:state\n\(schemes)"))
        let snapshot = try folder.load()
        #expect(snapshot.gateway.linkSchemes == ["https", "wsonehub"])
        #expect(snapshot.remediation["uem"]?[.macos]?.map(\.scheme) == ["wsonehub", "https"])
        #expect(!snapshot.warnings.contains { $0.key.contains("remediation") })
    }
}
