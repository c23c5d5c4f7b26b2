import JSON
import Signatures

/// What enrolment and every renewal gave this device (handshake.md 9).
struct Enrolment: Sendable {
    static let fileName = "enrolment.json"

    var deviceID: String
    /// The only page origin that is ever answered, and the issuer of challenges.
    var authOrigin: String
    var audience: String
    var port: UInt16
    /// DER, leaf first.
    var certificates: [[UInt8]]
    /// The pinned sets: whose challenges are answered, and who may change that.
    var gatewayKeys: [KeyAnnouncement.Named]
    var rootKeys: [KeyAnnouncement.Named]
    /// Of the announcement that they came with; it never falls.
    var keySequence: Int64
    var renewAfterSeconds: Int64
    var renewedAtSeconds: Int64
    var notAfterSeconds: Int64
    /// Local users whose browsers are answered; empty: the agent's own user.
    var users: [UInt32]
    /// What the gateway's clock said with this answer; not kept.
    var statedNowSeconds: Int64?
    /// PEM of the authorities that the gateway's own TLS certificate comes from; nil: the system's.
    var authoritiesPEM: [UInt8]?

    /// Reads the gateway's answer to `enroll` or `renew`. Anything missing or odd refuses the whole answer.
    ///
    /// - Parameter old: what is pinned already; nil at enrolment, where the keys are believed because TLS and
    ///   the one-time token are.
    init(
        answer: JSONValue, following old: Enrolment?, nowSeconds: Int64, users: [UInt32],
        authoritiesPEM: [UInt8]?
    ) throws(AgentError) {
        let texts = (answer["gateway_keys"]?.array ?? []).compactMap(\.string)
        let announced: KeyAnnouncement
        do throws(SignatureError) {
            announced =
                if let old {
                    try KeyAnnouncement(following: texts, roots: old.rootKeys)
                } else {
                    try KeyAnnouncement(firstUseOf: texts)
                }
        } catch {
            throw AgentError(
                "the gateway's keys are refused: \(error.what)",
                remedy: old == nil ? "check the version of the gateway" : "enrol this device again")
        }
        try self.init(
            members: answer,
            pinned: (announced.keys, announced.roots, announced.sequence), renewedAtSeconds: nowSeconds,
            users: users, authoritiesPEM: authoritiesPEM)
        guard Array(announced.issuer.utf8) == Array(authOrigin.utf8),
            Array(announced.audience.utf8) == Array(audience.utf8)
        else {
            throw AgentError(
                "the gateway's keys are refused: announced for \(announced.issuer)",
                remedy: "check the address of the gateway")
        }
        if let old { try refuseRollback(from: old) }
    }

    /// An older announcement may name a key that was given up for a reason, and a different one with the same
    /// number was made by somebody else.
    private func refuseRollback(from old: Enrolment) throws(AgentError) {
        let isSame =
            KeyAnnouncement.isSame(gatewayKeys, old.gatewayKeys)
            && KeyAnnouncement.isSame(rootKeys, old.rootKeys)
        guard keySequence > old.keySequence || (keySequence == old.keySequence && isSame) else {
            throw AgentError(
                "the gateway's keys are refused: announcement \(keySequence) after \(old.keySequence)",
                remedy: "if the gateway was restored from a backup, enrol this device again")
        }
    }

    private typealias Pinned = (
        keys: [KeyAnnouncement.Named], roots: [KeyAnnouncement.Named], sequence: Int64
    )

    private init(
        members answer: JSONValue, pinned: Pinned, renewedAtSeconds: Int64, users: [UInt32],
        authoritiesPEM: [UInt8]?
    ) throws(AgentError) {
        let remedy = "check the address of the gateway and its version"
        guard let deviceID = answer["device_id"]?.string, !deviceID.isEmpty, deviceID.utf8.count <= 128,
            let origin = answer["auth_origin"]?.string, Self.isOrigin(origin),
            let audience = answer["audience"]?.string, !audience.isEmpty,
            let port = answer["port"]?.integer.flatMap(UInt16.init(exactly:)), port > 0,
            let renewAfter = answer["renew_after_seconds"]?.integer,
            // Bounded before it is computed with: ten years, and the year 9999.
            (1...315_360_000).contains(renewAfter),
            let notAfter = answer["not_after"]?.integer, (0...253_402_300_799).contains(notAfter),
            (0...253_402_300_799).contains(renewedAtSeconds)
        else { throw AgentError("the gateway's answer is incomplete", remedy: remedy) }
        let chain = (answer["certificates"]?.array ?? []).compactMap { $0.string.flatMap(Base64.decode) }
        guard (1...4).contains(chain.count), chain.count == answer["certificates"]?.array?.count else {
            throw AgentError("the gateway's answer has no usable certificate", remedy: remedy)
        }
        self.deviceID = deviceID
        authOrigin = origin
        self.audience = audience
        self.port = port
        certificates = chain
        gatewayKeys = pinned.keys
        rootKeys = pinned.roots
        keySequence = pinned.sequence
        renewAfterSeconds = renewAfter
        self.renewedAtSeconds = renewedAtSeconds
        notAfterSeconds = notAfter
        statedNowSeconds = answer["now"]?.integer.flatMap { (0...253_402_300_799).contains($0) ? $0 : nil }
        self.users = users
        self.authoritiesPEM = authoritiesPEM
    }

    /// Reads the state file back.
    init(stored bytes: [UInt8]) throws(AgentError) {
        let damaged = AgentError("\(Self.fileName) is damaged", remedy: "enrol this device again")
        guard
            let value = try? JSONValue(
                parsing: bytes, limits: JSONLimits(bytesMax: StateFolder.fileBytesMax)),
            let renewedAt = value["renewed_at"]?.integer, let users = value["users"]?.array,
            let sequence = value["key_sequence"]?.integer, sequence > 0
        else { throw damaged }
        let numbers = users.compactMap { $0.integer.flatMap(UInt32.init(exactly:)) }
        guard numbers.count == users.count,
            let keys = try? KeyAnnouncement.named(value["gateway_keys"]),
            let roots = try? KeyAnnouncement.named(value["root_keys"])
        else { throw damaged }
        try self.init(
            members: value, pinned: (keys, roots, sequence), renewedAtSeconds: renewedAt, users: numbers,
            authoritiesPEM: value["authorities"]?.string.map { Array($0.utf8) })
    }

    var stored: [UInt8] {
        var object = JSONObject([
            ("device_id", .string(deviceID)), ("auth_origin", .string(authOrigin)),
            ("audience", .string(audience)),
            ("port", .integer(Int64(port))),
            ("certificates", .array(certificates.map { .string(Base64.encode($0)) })),
            ("gateway_keys", KeyAnnouncement.keySet(gatewayKeys)),
            ("root_keys", KeyAnnouncement.keySet(rootKeys)),
            ("key_sequence", .integer(keySequence)), ("renew_after_seconds", .integer(renewAfterSeconds)),
            ("renewed_at", .integer(renewedAtSeconds)), ("not_after", .integer(notAfterSeconds)),
            ("users", .array(users.map { .integer(Int64($0)) })),
        ])
        if let authoritiesPEM {
            object["authorities"] = .string(String(decoding: authoritiesPEM, as: UTF8.self))
        }
        return JSONValue.object(object).serialized()
    }

    /// Whether the next certificate is due: well before the end, because its age is the proven check-in.
    ///
    /// The gateway names the time; a tenth of it is spread over the devices, so that those enrolled on one
    /// morning do not all come back on another. A third of the certificate's life is always kept in reserve,
    /// whatever was named. A clock before the last renewal was wrong then or is wrong now, and both ask for a
    /// new certificate.
    func isRenewalDue(nowSeconds: Int64) -> Bool {
        let early = renewAfterSeconds / 10 * Int64(Digest.sha256(Array(deviceID.utf8))[0]) / 255
        return nowSeconds - renewedAtSeconds >= renewAfterSeconds - early
            || notAfterSeconds - nowSeconds < (notAfterSeconds - renewedAtSeconds) / 3
            || nowSeconds < renewedAtSeconds - Challenge.skewSeconds
    }

    /// `https://host[:port]` in lower case and nothing else.
    static func isOrigin(_ text: String) -> Bool {
        guard text.hasPrefix("https://"), text.utf8.count <= 300 else { return false }
        let rest = text.utf8.dropFirst("https://".utf8.count)
        return !rest.isEmpty
            && rest.allSatisfy { byte in
                (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte)
                    || [0x2d, 0x2e, 0x3a].contains(byte)
            }
    }
}
