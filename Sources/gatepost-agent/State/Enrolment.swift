import JSON
import Signatures

/// What enrolment and every renewal gave this device (handshake.md 9).
struct Enrolment: Sendable {
    static let fileName = "enrolment.json"
    static let keysMax = 8

    var deviceID: String
    /// The only page origin that is ever answered, and the issuer of challenges.
    var authOrigin: String
    var audience: String
    var port: UInt16
    /// DER, leaf first.
    var certificates: [[UInt8]]
    /// The pinned set: kid → key.
    var gatewayKeys: [(kid: String, key: VerificationKey)]
    var renewAfterSeconds: Int64
    var renewedAtSeconds: Int64
    var notAfterSeconds: Int64
    /// Local users whose browsers are answered; empty: the agent's own user.
    var users: [UInt32]
    /// PEM of the authorities that the gateway's own TLS certificate comes from; nil: the system's.
    var authoritiesPEM: [UInt8]?

    /// Reads the gateway's answer to `enroll` or `renew`. Anything missing or odd refuses the whole answer.
    init(answer: JSONValue, nowSeconds: Int64, users: [UInt32], authoritiesPEM: [UInt8]?) throws(AgentError) {
        let remedy = "check the address of the gateway and its version"
        guard let deviceID = answer["device_id"]?.string, !deviceID.isEmpty, deviceID.utf8.count <= 128,
            let origin = answer["auth_origin"]?.string, Self.isOrigin(origin),
            let audience = answer["audience"]?.string, !audience.isEmpty,
            let port = answer["port"]?.integer.flatMap(UInt16.init(exactly:)), port > 0,
            let renewAfter = answer["renew_after_seconds"]?.integer, renewAfter > 0,
            let notAfter = answer["not_after"]?.integer
        else { throw AgentError("the gateway's answer is incomplete", remedy: remedy) }
        let chain = (answer["certificates"]?.array ?? []).compactMap { $0.string.flatMap(Base64.decode) }
        guard (1...4).contains(chain.count), chain.count == answer["certificates"]?.array?.count else {
            throw AgentError("the gateway's answer has no usable certificate", remedy: remedy)
        }
        var keys: [(kid: String, key: VerificationKey)] = []
        for value in answer["gateway_keys"]?["keys"]?.array ?? [] {
            guard let jwk = value.object, let kid = jwk["kid"]?.string, keys.count < Self.keysMax,
                let key = try? VerificationKey(jwk: jwk), key.algorithm == .es256
            else { throw AgentError("the gateway's answer has an unusable key", remedy: remedy) }
            keys.append((kid, key))
        }
        guard !keys.isEmpty else {
            throw AgentError("the gateway's answer has no key to pin", remedy: remedy)
        }
        self.deviceID = deviceID
        authOrigin = origin
        self.audience = audience
        self.port = port
        certificates = chain
        gatewayKeys = keys
        renewAfterSeconds = renewAfter
        renewedAtSeconds = nowSeconds
        notAfterSeconds = notAfter
        self.users = users
        self.authoritiesPEM = authoritiesPEM
    }

    /// Reads the state file back.
    init(stored bytes: [UInt8]) throws(AgentError) {
        let remedy = "enrol this device again"
        guard
            let value = try? JSONValue(
                parsing: bytes, limits: JSONLimits(bytesMax: StateFolder.fileBytesMax)),
            let renewedAt = value["renewed_at"]?.integer, let users = value["users"]?.array
        else { throw AgentError("\(Self.fileName) is damaged", remedy: remedy) }
        let numbers = users.compactMap { $0.integer.flatMap(UInt32.init(exactly:)) }
        guard numbers.count == users.count else {
            throw AgentError("\(Self.fileName) is damaged", remedy: remedy)
        }
        try self.init(
            answer: value, nowSeconds: renewedAt, users: numbers,
            authoritiesPEM: value["authorities"]?.string.map { Array($0.utf8) })
    }

    var stored: [UInt8] {
        let keys = gatewayKeys.map { kid, key in
            var jwk = key.jwk
            jwk["kid"] = .string(kid)
            return JSONValue.object(jwk)
        }
        var object = JSONObject([
            ("device_id", .string(deviceID)), ("auth_origin", .string(authOrigin)),
            ("audience", .string(audience)),
            ("port", .integer(Int64(port))),
            ("certificates", .array(certificates.map { .string(Base64.encode($0)) })),
            ("gateway_keys", ["keys": .array(keys)]), ("renew_after_seconds", .integer(renewAfterSeconds)),
            ("renewed_at", .integer(renewedAtSeconds)), ("not_after", .integer(notAfterSeconds)),
            ("users", .array(users.map { .integer(Int64($0)) })),
        ])
        if let authoritiesPEM {
            object["authorities"] = .string(String(decoding: authoritiesPEM, as: UTF8.self))
        }
        return JSONValue.object(object).serialized()
    }

    /// Whether the next certificate is due: well before the end, because its age is the proven check-in.
    func isRenewalDue(nowSeconds: Int64) -> Bool { nowSeconds >= renewedAtSeconds + renewAfterSeconds }

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
