import JSON
import Signatures

/// Builds and signs the answer to a challenge (handshake.md M4, Mode B).
struct AssertionMaker: Sendable {
    static let lifeSeconds: Int64 = 60
    /// Of this program, the same as the gateway's; administrators may set a minimum.
    static let version = "0.1.0"

    /// How the challenge came and the answer goes. Navigation and popup are other transports with other
    /// proofs of where they came from.
    enum Transport: String, Sendable { case fetch }

    let identity: DeviceIdentity
    let collector: FactCollector
    let counter: StatementCounter

    /// - Returns: nil when the counter could not be written (an uncounted statement would look like a copy),
    ///   or the security chip did not sign.
    func assertion(
        for challenge: Challenge, origin: String, transport: Transport, userID: UInt32, nowSeconds: Int64
    ) -> String? {
        guard let count = counter.take() else { return nil }
        let enrolment = identity.enrolment
        let (facts, collectedAt) = collector.facts(nowSeconds: nowSeconds)
        let header = JSONObject([
            ("typ", .string("posture+jwt")),
            ("x5c", .array(enrolment.certificates.map { .string(Base64.encode($0)) })),
        ])
        var payload = JSONObject([
            ("eat_profile", .string("urn:gatepost:posture:1")),
            ("iss", .string("urn:device:" + enrolment.deviceID)),
            ("sub", .string(enrolment.deviceID)),
            ("aud", .string(challenge.issuer)),
            ("iat", .integer(nowSeconds)),
            ("exp", .integer(nowSeconds + Self.lifeSeconds)),
            ("jti", .string(Base64URL.encode(Random.bytes(16)))),
            ("eat_nonce", .string(challenge.nonce)),
            ("chh", .string(Base64URL.encode(Digest.sha256(Array(challenge.compact.utf8))))),
            ("origin", .string(origin)),
            ("transport", .string(transport.rawValue)),
            ("version", .integer(Challenge.version)),
            ("ueid", .string(enrolment.deviceID)),
            ("swname", .string("gatepost-agent")),
            ("swversion", .string(Self.version)),
            ("cnf", ["jkt": .string(identity.key.publicKey.thumbprint)]),
            ("key", .string(identity.key.level)),
            ("counter", .integer(count)),
            ("last_seen", .integer(enrolment.renewedAtSeconds)),
            ("collected_at", .integer(collectedAt)),
            ("os_user", .string(Self.userHash(userID, deviceID: enrolment.deviceID))),
            ("posture", .object(Self.disclosed(facts, requested: challenge.requested))),
        ])
        if let secureBoot = facts["secure_boot"] { payload["oemboot"] = secureBoot }
        return try? identity.key.token(header: header, payload: payload)
    }

    /// Only what was asked for, and of that only what this machine knows (handshake.md 5, privacy).
    static func disclosed(_ facts: JSONObject, requested: [String]) -> JSONObject {
        let wanted = Set(requested.map { String($0.map { $0 == "-" ? "_" : $0 }) })
        var disclosed = JSONObject()
        for (name, value) in facts.members where wanted.contains(name) { disclosed[name] = value }
        return disclosed
    }

    /// Tells two users of one machine apart without naming them.
    private static func userHash(_ user: UInt32, deviceID: String) -> String {
        let mac = Digest.hmacSHA256(key: Array(deviceID.utf8), Array("uid:\(user)".utf8))
        return Base64URL.encode(Array(mac.prefix(12)))
    }
}
