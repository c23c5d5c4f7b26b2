import Access
import JSON
import Signatures
import Store

/// What a browser signs: sealed by us, for one session, one purpose and a time. Nothing is kept of it but that it was
/// used.
struct BindingChallenge: Sendable {
    enum Purpose: String, Sendable { case register, refresh }

    var session: String
    /// Names the secret that the session had when the challenge was made.
    var generation: String
    var issuedAtSeconds: Int64
    var expiresAtSeconds: Int64

    /// A clock that jumped back must not make challenges of the future good for long.
    private static let clockSkewSeconds: Int64 = 120
    static let bytesMax = 1_024

    func sealed(_ sealer: Sealer, for purpose: Purpose) -> String {
        let members: JSONObject = [
            "sid": .string(session), "gen": .string(generation), "iat": .integer(issuedAtSeconds),
            "exp": .integer(expiresAtSeconds),
        ]
        return sealer.seal(members.serialized(), context: Self.context(purpose))
    }

    /// nil for a challenge that is not ours, for another session or purpose, or out of its time.
    init?(
        _ text: String, _ sealer: Sealer, for purpose: Purpose, session: String, nowSeconds: Int64
    ) {
        guard text.utf8.count <= Self.bytesMax, let bytes = sealer.open(text, context: Self.context(purpose)),
            let value = try? JSONValue(parsing: bytes, limits: .token), let sid = value["sid"]?.string,
            let generation = value["gen"]?.string, let issuedAt = value["iat"]?.integer,
            let expiresAt = value["exp"]?.integer, ExactText.isEqual(sid, session), nowSeconds < expiresAt,
            issuedAt <= nowSeconds.addingReportingOverflow(Self.clockSkewSeconds).partialValue
        else { return nil }
        self.init(
            session: sid, generation: generation, issuedAtSeconds: issuedAt, expiresAtSeconds: expiresAt)
    }

    init(session: String, generation: String, issuedAtSeconds: Int64, expiresAtSeconds: Int64) {
        self.session = session
        self.generation = generation
        self.issuedAtSeconds = issuedAtSeconds
        self.expiresAtSeconds = expiresAtSeconds
    }

    /// What names a secret without being of use to anybody: part of the digest of its digest.
    static func generation(of tokenDigest: [UInt8]) -> String {
        Base64URL.encode(Array(Digest.sha256(tokenDigest).prefix(9)))
    }

    /// Under which it is noted as used.
    static func nonce(of text: String) -> [UInt8] { Digest.sha256(Array("bound-session \(text)".utf8)) }

    private static func context(_ purpose: Purpose) -> String { "gatepost-bound-\(purpose.rawValue)" }
}
