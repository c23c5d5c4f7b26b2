import ChildPrograms
import Fetch
import Foundation
import Posture
import Testing

@testable import Config
@testable import Control

/// Nobody answers: what is shown of a pace does not depend on anybody.
private struct NobodyAnswers: Fetcher {
    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        FetchResponse(status: 503, body: [])
    }
}

@Suite("How long a change at a provider may stay unknown, as `gatepost integrations` shows it")
struct DetectionTimeTests {
    struct Row: Sendable, CustomTestStringConvertible {
        /// The provider; the integration bears its name.
        var provider: String
        /// The rest of its keys, as an administrator writes them.
        var keys: String
        /// With the provider's own defaults, seconds.
        var standard: Int64
        /// With `refresh: 3h` and `ttl: 12h`, seconds.
        var slower: Int64
        var testDescription: String { provider }
    }

    static let microsoft =
        "tenant: corp.example, client-id: 5d7c1f00-0000-4000-8000-1234567890ab, "
        + "client-secret: { file: secrets/corp }"
    static let table: [Row] = [
        // Each device is asked about; the list of every day only heals what that missed.
        Row(provider: "intune", keys: microsoft, standard: 7_200, slower: 10_800),
        // What changed is read; each device by itself less often.
        Row(provider: "entra", keys: microsoft, standard: 1_800, slower: 10_800),
        // The whole list at the pace of `refresh`, each device by itself once a day.
        Row(
            provider: "crowdstrike",
            keys: "cloud: us-1, client-id: a, client-secret: { file: secrets/corp }", standard: 900,
            slower: 10_800),
        Row(provider: "defender", keys: microsoft, standard: 900, slower: 10_800),
        Row(
            provider: "tanium",
            keys: "api-url: \"https://corp-api.cloud.tanium.com\", api-token: { file: secrets/corp }",
            standard: 1_800, slower: 10_800),
        Row(
            provider: "workspace-one",
            keys: "api-url: \"https://as1234.awmdm.com/API\", region: emea, client-id: a, "
                + "client-secret: { file: secrets/corp }, time-zone: UTC", standard: 900, slower: 10_800),
        // Asked about each device; lists of 1 h and 6 h bring a change sooner than a slow `refresh`.
        Row(
            provider: "jamf",
            keys: "base-url: \"https://corp.jamfcloud.com\", client-id: a, "
                + "client-secret: { file: secrets/corp }", standard: 900, slower: 10_800),
        Row(
            provider: "sentinelone",
            keys: "console-url: \"https://corp.sentinelone.net\", api-token: { file: secrets/corp }",
            standard: 900, slower: 3_600),
        Row(provider: "kolide", keys: "api-token: { file: secrets/corp }", standard: 900, slower: 3_600),
        Row(
            provider: "kandji",
            keys: "api-url: \"https://corp.api.kandji.io\", api-token: { file: secrets/corp }",
            standard: 900, slower: 10_800),
        Row(
            provider: "google",
            keys: "service-account: { email: gatepost@project.iam.gserviceaccount.com, "
                + "admin: reader@corp.example, key: { file: secrets/google.key } }", standard: 900,
            slower: 10_800),
        Row(
            provider: "fleet",
            keys: "base-url: \"https://fleet.corp.example\", api-token: { file: secrets/corp }",
            standard: 900, slower: 3_600),
        Row(
            provider: "custom",
            keys: "api-url: \"https://posture.corp.example/evaluate\", api-token: { file: secrets/corp }, "
                + "compliant-score: 80", standard: 900, slower: 10_800),
    ]

    /// The one kind of key that Google gives to service accounts.
    private static func keyOfRSA() throws -> [UInt8] {
        let file = FileManager.default.temporaryDirectory.appending(path: "google-\(UUID().uuidString).key")
        defer { try? FileManager.default.removeItem(at: file) }
        let made = try ChildProgram(
            "/usr/bin/openssl",
            [
                "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out",
                file.path,
            ],
            errors: .kept
        ).outcome()
        #expect(made.status == 0, "\(made.text)")
        return Array(try Data(contentsOf: file))
    }

    /// What is shown of each integration, by its name.
    private func shown(_ further: String) async throws -> [String: Int64?] {
        let lines = Self.table.map {
            "  \($0.provider): { provider: \($0.provider), \($0.keys)\(further) }\n"
        }
        let house = try Gatehouse(
            Gatehouse.config.replacing("integrations:\n", with: "integrations:\n" + lines.joined()),
            files: { _ in ["secrets/google.key": try Self.keyOfRSA()] }, fetcher: NobodyAnswers())
        let all = await house.control.services.posture.integrationStatus()
        return Dictionary(uniqueKeysWithValues: all.map { ($0.integration, $0.noticedWithinSeconds) })
    }

    @Test("every provider: by its list or by a question about each device, whichever comes sooner")
    func everyProvider() async throws {
        let standard = try await shown("")
        let slower = try await shown(", refresh: 3h, ttl: 12h")
        for row in Self.table {
            #expect(standard[row.provider] == row.standard, "\(row.provider)")
            #expect(slower[row.provider] == row.slower, "\(row.provider)")
        }
        // Agents tell by themselves, so they have no such time.
        #expect(standard["agents"] == .some(nil))
        #expect(standard.count == Self.table.count + 1)
    }

    @Test("no provider that can be configured is missing from the table")
    func total() {
        // A stream and an agent tell by themselves.
        #expect(
            Set(Self.table.map(\.provider))
                == Set(IntegrationsSection.providers).subtracting(["shared-signals", "endpoint-agent"]))
    }
}
