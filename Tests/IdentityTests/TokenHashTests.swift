import Access
import JSON
import Signatures
import Testing

@testable import Identity

@Suite("at_hash and c_hash: optional, and true when they are there")
struct TokenHashTests {
    /// RFC 8410 §7: the frame of an Ed25519 seed in PKCS #8.
    private static let edwards: SigningKey? = {
        let frame: [UInt8] = [
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
        ]
        let text = Base64.encode(frame + Random.bytes(32))
        let pem = "-----BEGIN PRIVATE KEY-----\n\(text)\n-----END PRIVATE KEY-----\n"
        return try? SigningKey(pem: Array(pem.utf8), keyID: "k1")
    }()

    private func half(_ bytes: [UInt8]) -> JSONValue {
        .string(Base64URL.encode(Array(bytes.prefix(bytes.count / 2))))
    }

    private func outcome(
        edwards: Bool = false, _ edit: @escaping @Sendable (inout JSONObject) -> Void
    ) async throws -> Landing {
        let world = World()
        let key = edwards ? try #require(Self.edwards) : SigningKey.generateP256()
        world.tenant.change { state in
            state.signer = ("k1", key)
            state.published = [("k1", key)]
        }
        world.tenant.misbehave { $0.claims = edit }
        return await Browser(world).go("\(wiki)/")
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var claim: String
        /// What was hashed.
        var text: String
        var edwards = false
        var longHash = false
        var isTaken: Bool
    }

    static let rows: [Row] = [
        Row(testDescription: "at_hash", claim: "at_hash", text: "access-code-1", isTaken: true),
        Row(testDescription: "at_hash of another", claim: "at_hash", text: "access-code-2", isTaken: false),
        Row(testDescription: "c_hash", claim: "c_hash", text: "code-1", isTaken: true),
        Row(testDescription: "c_hash of another", claim: "c_hash", text: "code-2", isTaken: false),
        Row(
            testDescription: "c_hash by SHA-512 under ES256", claim: "c_hash", text: "code-1", longHash: true,
            isTaken: false),
        Row(
            testDescription: "Ed25519: at_hash by SHA-512", claim: "at_hash", text: "access-code-1",
            edwards: true, longHash: true, isTaken: true),
        Row(
            testDescription: "Ed25519: at_hash of another", claim: "at_hash", text: "access-code-2",
            edwards: true, longHash: true, isTaken: false),
        Row(
            testDescription: "Ed25519: at_hash by SHA-256", claim: "at_hash", text: "access-code-1",
            edwards: true, isTaken: false),
        Row(
            testDescription: "Ed25519: c_hash by SHA-512", claim: "c_hash", text: "code-1", edwards: true,
            longHash: true, isTaken: true),
    ]

    @Test(arguments: rows) func `a hash counts by the algorithm of its own token`(_ row: Row) async throws {
        let bytes = Array(row.text.utf8)
        let value = half(row.longHash ? Digest.sha512(bytes) : Digest.sha256(bytes))
        let landing = try await outcome(edwards: row.edwards) { $0[row.claim] = value }
        #expect((landing.session != nil) == row.isTaken, "\(landing)")
        if !row.isTaken { #expect(landing.refusal?.detail.contains(row.claim) == true) }
    }

    @Test(arguments: ["at_hash", "c_hash"], [JSONValue.null, 7, "", ["x"]])
    func `what is no hash is refused`(_ claim: String, _ value: JSONValue) async throws {
        #expect(try await outcome { $0[claim] = value }.refusal?.reason == .identityProviderRefused)
    }

    @Test func `without either, with both kinds of key, people are signed in`() async throws {
        #expect(try await outcome { _ in }.session != nil)
        #expect(try await outcome(edwards: true) { _ in }.session != nil)
    }
}
