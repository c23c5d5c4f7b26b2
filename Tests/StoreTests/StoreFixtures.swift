import Access
import Foundation
import Store

/// A folder that is gone when the test is over.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("\(NSTemporaryDirectory())gatepost-store-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw POSIXError(.EIO) }
        path = String(cString: made)
        chmod(path, 0o700)
    }

    deinit {
        chmod(path, 0o700)
        try? FileManager.default.removeItem(atPath: path)
    }

    func file(_ name: String) -> String { "\(path)/\(name)" }
}

enum Fixture {
    static func digest(_ seed: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 32)
        withUnsafeBytes(of: Int64(seed).bigEndian) { source in
            for (index, byte) in source.enumerated() { bytes[index] = byte }
        }
        return bytes
    }

    static func global(_ id: String, seed: Int, subject: String = "ada", expires: Int64 = 10_000)
        -> StoredSession
    {
        StoredSession(
            id: id, kind: .global, tokenDigest: digest(seed), host: "auth.corp.example",
            identityProvider: "corp",
            issuer: "https://login.corp.example", subject: subject, email: "\(subject)@corp.example",
            name: "Ada",
            groups: ["staff", "admins"],
            claims: [
                "department": .text("sales"), "levels": .list(["a", "b"]), "admin": .flag(true),
                "n": .integer(7),
            ],
            idToken: "sealed", authenticatedAtSeconds: 1_000, createdAtSeconds: 1_000,
            expiresAtSeconds: expires,
            deviceID: "device-1", deviceThumbprint: "thumb", statement: statement)
    }

    static func application(_ id: String, of global: String, seed: Int, subject: String = "ada")
        -> StoredSession
    {
        var session = Fixture.global(id, seed: seed, subject: subject)
        session.kind = .application
        session.globalID = global
        session.application = "wiki"
        session.host = "wiki.corp.example"
        session.idToken = nil
        session.statement = nil
        return session
    }

    static let statement = AgentStatement(
        integration: "agents", verifiedAtSeconds: 1_000, expiresAtSeconds: 1_900, lastSeenSeconds: 990,
        isManaged: true, keyLevel: .software, agentVersion: "1.0", osVersion: "debian 12",
        facts: ["disk-encryption": .flag(true)])

    static func device(_ id: String, pins: [String: String] = [:]) -> StoredDevice {
        StoredDevice(
            id: id, ownerIssuer: "https://login.corp.example", ownerSubject: "ada",
            ownerEmail: "ada@corp.example",
            platform: .linux, keyThumbprint: "thumb-\(id)", certificateSerial: "0a", enrolledAtSeconds: 1_000,
            certificateNotAfterSeconds: 90_000, pinnedIDs: pins, counter: 5)
    }

    static func verdict(_ native: String, integration: String = "intune", fetched: Int64 = 100) -> Verdict {
        Verdict(
            id: "v-\(native)-\(fetched)", integration: integration, provider: "intune", nativeID: native,
            state: .compliant, isManaged: true, labels: ["compliant", "registered"], observedAtSeconds: 50,
            fetchedAtSeconds: fetched, expiresAtSeconds: 20_000, matchKey: "intune-device-id",
            matchStrength: .strong, rawState: "compliant", digest: "00", remedies: ["nothing"])
    }
}
