import JSON
import Signatures

/// Builds and signs the answer to a challenge (handshake.md M4), in the mode that the gateway prefers.
struct AssertionMaker: Sendable {
    static let lifeSeconds: Int64 = 60
    /// Of this program, the same as the gateway's; administrators may set a minimum.
    static let version = "0.1.0"

    /// How the challenge came and the answer goes. Navigation and popup show no Origin: what protects them is the way
    /// back inside the signed challenge, and the session that it belongs to.
    enum Transport: String, Sendable { case fetch, popup, navigation }

    let identity: DeviceIdentity
    let collector: FactCollector
    let counter: StatementCounter
    /// What the machine's administrator lets this gateway learn.
    var permitted = PermittedClaims.all
    /// Remembers what this gateway asked for.
    var asked: AskedClaims?
    /// Facts that only this gateway is told.
    var own = JSONObject()

    /// - Returns: nil when the counter could not be written (an uncounted statement would look like a copy),
    ///   or the security chip did not sign.
    func assertion(
        for challenge: Challenge, origin: String?, transport: Transport, userID: UInt32, nowSeconds: Int64
    ) -> String? {
        guard let count = counter.take() else { return nil }
        asked?.note(challenge.requested)
        let enrolment = identity.enrolment
        let statement = StatementFile.read(
            in: identity, profiles: challenge.profiles, nowSeconds: nowSeconds)
        let subject = statement?.subject ?? enrolment.deviceID
        let (known, collectedAt) = collector.facts(nowSeconds: nowSeconds)
        let facts = permitted.disclosed(of: known.merging(own), requested: challenge.requested)
        var header = JSONObject([("typ", .string("posture+jwt"))])
        if let statement {
            if statement.namesThumbprint { header["jwk"] = .object(identity.key.publicKey.jwk) }
        } else {
            header["x5c"] = .array(enrolment.certificates.map { .string(Base64.encode($0)) })
        }
        var payload = JSONObject([
            ("eat_profile", .string("urn:gatepost:posture:1")),
            ("iss", .string("urn:device:" + enrolment.deviceID)),
            ("sub", .string(subject)),
            ("aud", .string(challenge.issuer)),
            ("iat", .integer(nowSeconds)),
            ("exp", .integer(nowSeconds + Self.lifeSeconds)),
            ("jti", .string(Base64URL.encode(Random.bytes(16)))),
            ("eat_nonce", .string(challenge.nonce)),
            ("chh", .string(Base64URL.encode(Digest.sha256(Array(challenge.compact.utf8))))),
            ("origin", origin.map { .string($0) } ?? .null),
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
            ("posture", .object(facts)),
        ])
        if let secureBoot = facts["secure_boot"] { payload["oemboot"] = secureBoot }
        return try? identity.key.token(header: header, payload: payload)
    }

    /// What the page gets: the assertion, and the statement that it stands on when there is no certificate in it.
    func answer(_ assertion: String) -> JSONValue {
        var members = JSONObject([("assertion", .string(assertion))])
        if let statement = statement(beside: assertion) { members["statement"] = .string(statement) }
        return .object(members)
    }

    /// The statement that an assertion stands on when there is no certificate in it.
    func statement(beside assertion: String) -> String? {
        guard let jws = try? JWS(compact: assertion), jws.header["x5c"] == nil else { return nil }
        return StatementFile.text(in: identity)
    }

    /// Tells two users of one machine apart without naming them.
    private static func userHash(_ user: UInt32, deviceID: String) -> String {
        let mac = Digest.hmacSHA256(key: Array(deviceID.utf8), Array("uid:\(user)".utf8))
        return Base64URL.encode(Array(mac.prefix(12)))
    }
}
