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

    /// Any verdict at all, of integration "intune".
    static func random(_ random: inout SeededGenerator) -> Verdict {
        func text(_ random: inout SeededGenerator) -> String {
            let words = [
                "", "a", "device-7", "intune-device-id=x;serial=a=b;;mac=", ";", "=",
                "0f1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c1", "serial=0F1D9B7E-0A0E-4D51-9A0F-8D7B7A0D1C1",
                "Ünïcode ✓", String(repeating: "long ", count: 60),
            ]
            return words.randomElement(using: &random).map {
                $0 + String(UInt8.random(in: 0...9, using: &random))
            } ?? ""
        }
        func texts(_ random: inout SeededGenerator) -> [String] {
            (0..<Int.random(in: 0...4, using: &random)).map { _ in text(&random) }
        }
        func time(_ random: inout SeededGenerator) -> Int64 {
            Bool.random(using: &random) ? Int64.random(in: 0...4_000_000_000, using: &random) : Int64.max
        }
        func maybe<Value>(_ value: Value, _ random: inout SeededGenerator) -> Value? {
            Bool.random(using: &random) ? value : nil
        }
        let digest = (0..<64).map { _ in String("0123456789abcdef".randomElement(using: &random) ?? "0") }
            .joined()
        var verdict = Verdict(
            id: text(&random), integration: "intune", provider: text(&random), nativeID: text(&random),
            state: Verdict.State.allCases.randomElement(using: &random) ?? .unknown,
            isManaged: maybe(Bool.random(using: &random), &random),
            score: maybe(
                Verdict.Score(
                    value: time(&random), minimum: -time(&random), maximum: 5,
                    higherIsBetter: Bool.random(using: &random)), &random),
            risk: maybe(Verdict.Risk.allCases.randomElement(using: &random) ?? .none, &random),
            isSensorRunning: maybe(Bool.random(using: &random), &random), labels: texts(&random),
            observedAtSeconds: time(&random), assessedAtSeconds: maybe(time(&random), &random),
            fetchedAtSeconds: time(&random), expiresAtSeconds: time(&random),
            graceUntilSeconds: maybe(time(&random), &random), matchKey: text(&random),
            matchStrength: Verdict.Strength.allCases.randomElement(using: &random) ?? .weak,
            rawState: text(&random),
            digest: Bool.random(using: &random) ? digest : text(&random), remedies: texts(&random))
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            verdict.checks.append(
                Verdict.Check(id: text(&random), title: text(&random), state: .notApplicable))
        }
        if Bool.random(using: &random) {
            verdict.provenance = Verdict.Provenance(
                transport: Verdict.Provenance.Transport.allCases.randomElement(using: &random) ?? .ssf,
                endpoint: maybe("/v1.0/devices/delta", &random) ?? text(&random),
                requestID: maybe(text(&random), &random))
        }
        if Bool.random(using: &random) {
            verdict.nativeID = "0f1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11"
            verdict.matchKey =
                "entra-device-id=0f1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c12;intune-device-id=\(verdict.nativeID)"
        }
        if Bool.random(using: &random) {
            verdict.id =
                "intune:\(verdict.nativeID):\(verdict.fetchedAtSeconds):\(verdict.digest.prefix(12))"
        }
        return verdict
    }
}

/// The same numbers for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
