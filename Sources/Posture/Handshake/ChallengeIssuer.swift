import Access
import JSON
import Signatures

/// Makes challenges (handshake.md M1, 9): what the agent checks before it says anything.
struct ChallengeIssuer: Sendable {
    static let lifeSeconds: Int64 = 60
    /// The protocol versions that this gateway speaks.
    static let versionMin: Int64 = 1
    static let versionMax: Int64 = 1
    static let returnPath = "/.gatepost/posture/return"

    let settings: HandshakeSettings
    let ring: KeyRing
    /// Whether one key of the management server may sign for every device (`unsafe-static`).
    var isSharedKeyAccepted = false

    /// A signed challenge, its nonce, and what the gateway must remember of it.
    func issue(for transaction: Transaction, nowSeconds: Int64) -> (
        jws: String, nonce: [UInt8], challenge: IssuedChallenge
    ) {
        let nonce = Random.bytes(32)
        let expires = nowSeconds + Self.lifeSeconds
        let profiles = DemandCheck.profiles(
            settings.modes, isSharedKeyAccepted, for: transaction.demand)
        let hash = Self.transactionHash(session: transaction.globalSession, transaction: transaction.id)
        var payload = JSONObject([
            ("iss", .string(settings.authOrigin)),
            ("aud", .string(settings.audience)),
            ("iat", .integer(nowSeconds)),
            ("nbf", .integer(nowSeconds)),
            ("exp", .integer(expires)),
            ("jti", .string(Base64URL.encode(Random.bytes(16)))),
            ("nonce", .string(Base64URL.encode(nonce))),
            ("origin", .string(settings.authOrigin)),
            ("app", .string(transaction.application)),
            ("txh", .string(hash)),
            // The agent builds navigations only from this signed URL, so it must lead back to our own origin.
            ("rtn", .string(settings.authOrigin + Self.returnPath + "?tx=" + transaction.id)),
            ("req", .array(settings.requestedFacts.map { .string($0) })),
            ("profiles", .array(profiles.map { .string($0.rawValue) })),
            ("versions", ["min": .integer(Self.versionMin), "max": .integer(Self.versionMax)]),
            // An agent that knows an older announcement renews now instead of within a day.
            ("key_seq", .integer(KeyAnnouncement.sequence(of: ring))),
        ])
        if let hint = transaction.subjectHint { payload["sub_hint"] = .string(hint) }
        let (kid, key) = ring.signingKey(.challenge)
        let header = JSONObject([("typ", .string("posture-challenge+jwt")), ("kid", .string(kid))])
        let jws = JWS.sign(header: header, payload: payload, with: key)
        let issued = IssuedChallenge(
            transaction: transaction.id, transactionHash: hash, challengeHash: Self.challengeHash(jws),
            expiresAtSeconds: expires)
        return (jws, nonce, issued)
    }

    static func transactionHash(session: String, transaction: String) -> String {
        // The lengths are fixed by construction (ids of ours), so plain concatenation has one reading.
        Base64URL.encode(Digest.sha256(Array(session.utf8) + Array(transaction.utf8)))
    }

    static func challengeHash(_ jws: String) -> String { Base64URL.encode(Digest.sha256(Array(jws.utf8))) }
}
