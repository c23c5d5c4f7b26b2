import Config
import Foundation
import Testing

/// The repository, found from this file.
enum Repository {
    static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent().path
    static let golden = "\(root)/Tests/ConfigTests/Golden"
}

/// A folder with certificates, keys and secrets that look real to the configuration; gone after the test.
final class ConfigFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("\(NSTemporaryDirectory())gatepost-config-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw POSIXError(.EIO) }
        path = String(cString: made)
        try write("chain.pem", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
        try write("key.pem", "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n")
        try write("secret", "s3cret\n")
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ text: String, mode: mode_t = 0o600) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
        chmod("\(path)/\(name)", mode)
    }

    func load(_ name: String = "gatepost.yaml") throws(ConfigFailure) -> ConfigSnapshot {
        try ConfigSnapshot.load(
            path: name.isEmpty ? path : "\(path)/\(name)", environment: ["SET": "from-environment"],
            identify: { "hash-of-\($0.count)-bytes" })
    }

    /// The problems of a text, without the folder's name.
    func problems(_ text: String) throws -> [String] {
        try write("gatepost.yaml", text)
        do throws(ConfigFailure) {
            _ = try load()
            return []
        } catch { return error.problems.map { $0.description.replacing("\(path)/", with: "") } }
    }
}

/// A good configuration in which single lines are replaced.
enum Sample {
    static let text = """
        version: 1
        gateway:
          auth-host: auth.corp.example
          listeners: [ { address: "127.0.0.1:8443", certificates: [ { chain: chain.pem, key: key.pem } ] } ]
          store: sqlite:state
        identity-providers:
          corp: { issuer: "https://login.corp.example", client-id: gatepost, client-secret: { file: secret } }
        integrations:
          agents: { provider: endpoint-agent, max-last-seen: 3d, enrollment-ca: { certificate: chain.pem } }
        device-policies:
          - { name: linux, platform: linux, priority: 10, result: compliant, \
        rules: [ { agent: agents, managed: true } ] }
        applications:
          wiki:
            host: wiki.corp.example
            upstreams: [ "http://127.0.0.1:8080" ]
            identity-providers: [ corp ]
            policies:
              - { name: staff, action: allow, include: [ { email-domain: corp.example } ], \
        require: [ { device: compliant } ] }

        """

    /// The sample with one piece replaced; the piece must be there.
    static func replacing(_ piece: String, _ other: String) throws -> String {
        try #require(text.contains(piece), "the sample has no \(piece)")
        return text.replacing(piece, with: other)
    }
}

/// Golden files are compared whole and rewritten with UPDATE_GOLDEN=1.
func expectGolden(_ path: String, _ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    }
    let expected = try String(contentsOfFile: path, encoding: .utf8)
    #expect(
        text == expected, "run with UPDATE_GOLDEN=1 and review the difference", sourceLocation: sourceLocation
    )
}
