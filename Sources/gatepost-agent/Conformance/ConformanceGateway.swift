import JSON
import Signatures
import Synchronization

/// The gateway that an agent under test enrols with: real keys, a real authority, no policy.
///
/// It makes challenges that a real gateway would never make, which is why it has keys of its own and lives
/// only as long as one run.
final class ConformanceGateway: Sendable {
    static let audience = "urn:gatepost:agents:conformance"
    static let certificateSeconds: Int64 = 7 * 86_400

    /// Its auth origin: what the agent must pin.
    let origin: String
    /// The one-time enrolment token.
    let token = Base64URL.encode(Random.bytes(32))
    let ring = KeyRing.ephemeral()
    let authority: EnrollmentAuthority
    /// A key that no agent has pinned.
    let stranger = SigningKey.generateP256()
    /// The management server's key for statements (profile `stmt`).
    private let management = SigningKey.generateP256()
    /// Another gateway's ring, with newer announcements than ours.
    private let foreign = KeyRing.ephemeral()
    /// Ours from before the enrolment.
    private let older: [String]
    private let agentPort: UInt16
    private let clock: AgentClock
    private let state = Mutex(State())

    private struct State {
        var device: Device?
        var renewals = 0
        var attempts = 0
        /// The first renewal hears of keys by a root that nobody pinned, and of our own older ones.
        var isMisleading = true
        var isRotated = false
        var proofs: Set<String> = []
    }

    /// What enrolled here.
    struct Device: Sendable {
        var id: String
        var thumbprint: String
        /// The facts that it stated at enrolment.
        var facts: JSONObject
    }

    init(origin: String, agentPort: UInt16, clock: AgentClock) throws(SignatureError) {
        self.origin = origin
        self.agentPort = agentPort
        self.clock = clock
        let pair = try EnrollmentAuthority.generateSelfSigned(
            commonName: "Conformance devices", nowSeconds: clock.nowSeconds() - 600)
        authority = try EnrollmentAuthority(certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM)
        older = KeyAnnouncement.signed(by: ring, issuer: origin, audience: Self.audience)
        try ring.rotate(.challenge)
        for _ in 0..<4 { try foreign.rotate(.challenge) }
    }

    var device: Device? { state.withLock { $0.device } }
    /// Renewals that were answered as they should be.
    var renewals: Int { state.withLock { $0.renewals } }
    /// All that proved their key.
    var attempts: Int { state.withLock { $0.attempts } }
    var foreignKey: (kid: String, key: SigningKey) { foreign.signingKey(.challenge) }

    /// Once in a run: from now on challenges name newer keys than an agent has that enrolled before.
    func rotateOnce() throws(SignatureError) {
        let isFirst = state.withLock { state in
            defer { state.isRotated = true }
            return !state.isRotated
        }
        if isFirst { try ring.rotate(.challenge) }
    }

    static let statedName = "conformance-stated"

    /// What a management server says of the device that enrolled; nil before that.
    func statement(nowSeconds: Int64) -> String? {
        guard let device else { return nil }
        let payload = JSONObject([
            ("iss", "https://management.invalid"), ("sub", .string(Self.statedName)),
            ("iat", .integer(nowSeconds)), ("exp", .integer(nowSeconds + 86_400)), ("managed", true),
            ("last_seen", .integer(nowSeconds)), ("cnf", ["jkt": .string(device.thumbprint)]),
        ])
        return JWS.sign(header: ["typ": "device-statement+jwt"], payload: payload, with: management)
    }

    /// `POST enroll` and `POST renew`: the status and the body to answer with.
    func answer(path: String, body: [UInt8]) -> (status: Int, body: [UInt8]) {
        let limits = JSONLimits(bytesMax: 64 << 10, depthMax: 8, membersMax: 500)
        guard let value = try? JSONValue(parsing: body, limits: limits) else {
            return Self.refusal("request-malformed")
        }
        switch path {
        case "/.gatepost/enroll": return enroll(value)
        case "/.gatepost/renew": return renew(value)
        default: return (404, [])
        }
    }

    private static func refusal(_ word: String) -> (status: Int, body: [UInt8]) {
        (403, JSONObject([("reason", .string(word))]).serialized())
    }

    private func enroll(_ body: JSONValue) -> (status: Int, body: [UInt8]) {
        guard let given = body["token"]?.string, constantTimeEqual(Array(given.utf8), Array(token.utf8))
        else {
            return Self.refusal("enrollment-token-invalid")
        }
        guard let csr = body["csr"]?.string.flatMap(Base64.decode) else {
            return Self.refusal("request-malformed")
        }
        let id = "conformance-" + Base64URL.encode(Random.bytes(9)).lowercased()
        let now = clock.nowSeconds()
        guard
            let leaf = try? authority.issue(
                csrDER: csr, deviceID: id, validSeconds: Self.certificateSeconds, nowSeconds: now)
        else { return Self.refusal("request-malformed") }
        let isFirst = state.withLock { state in
            guard state.device == nil else { return false }
            state.device = Device(
                id: id, thumbprint: leaf.publicKey.thumbprint,
                facts: body["facts"]?.object ?? JSONObject())
            return true
        }
        return isFirst ? (200, answer(id, leaf, now)) : Self.refusal("enrollment-token-invalid")
    }

    private func renew(_ body: JSONValue) -> (status: Int, body: [UInt8]) {
        let now = clock.nowSeconds()
        guard let device, let text = body["proof"]?.string, let jws = try? JWS(compact: text),
            jws.header["typ"] == .string("renewal+jwt"), jws.header["alg"] == .string("ES256"),
            let chain = Self.chain(of: jws),
            let verified = try? authority.verify(chainDER: chain, nowSeconds: now),
            jws.verify(with: verified.leaf.publicKey), Self.same(verified.deviceID, device.id),
            let payload = try? jws.payloadObject, payload["aud"] == .string(origin),
            let issued = payload["iat"]?.integer, (now - 120...now + 120).contains(issued),
            let proof = payload["jti"]?.string, Base64URL.decode(proof)?.count == 16,
            let csr = payload["csr"]?.string.flatMap(Base64.decode),
            state.withLock({ $0.proofs.insert(proof).inserted }),
            let leaf = try? authority.issue(
                csrDER: csr, deviceID: device.id, validSeconds: Self.certificateSeconds, nowSeconds: now),
            Self.same(leaf.publicKey.thumbprint, device.thumbprint)
        else { return Self.refusal("signature-invalid") }
        let isMisleading = state.withLock { state in
            defer { state.isMisleading = false }
            state.attempts += 1
            if !state.isMisleading { state.renewals += 1 }
            return state.isMisleading
        }
        let forged = KeyAnnouncement.signed(by: foreign, issuer: origin, audience: Self.audience)
        return (200, answer(device.id, leaf, now, keys: isMisleading ? [forged[0], older[0]] : nil))
    }

    private func answer(
        _ id: String, _ leaf: Certificate, _ now: Int64, keys forged: [String]? = nil
    ) -> [UInt8] {
        let keys = forged ?? KeyAnnouncement.signed(by: ring, issuer: origin, audience: Self.audience)
        let chain = [leaf, authority.certificate].map { JSONValue.string(Base64.encode($0.der)) }
        return JSONObject([
            ("device_id", .string(id)), ("certificates", .array(chain)),
            ("gateway_keys", .array(keys.map { .string($0) })), ("auth_origin", .string(origin)),
            ("audience", .string(Self.audience)), ("port", .integer(Int64(agentPort))),
            ("renew_after_seconds", 86_400), ("not_after", .integer(leaf.notAfterSeconds)),
            ("now", .integer(now)),
        ]).serialized()
    }

    /// The certificates of an `x5c` header, leaf first; nil when there are none or one is no base64.
    static func chain(of jws: JWS) -> [[UInt8]]? {
        guard let entries = jws.header["x5c"]?.array, (1...4).contains(entries.count) else { return nil }
        let chain = entries.compactMap { $0.string.flatMap(Base64.decode) }
        return chain.count == entries.count ? chain : nil
    }

    /// Byte by byte: texts that only look alike are different names.
    static func same(_ left: String, _ right: String) -> Bool { Array(left.utf8) == Array(right.utf8) }
}
