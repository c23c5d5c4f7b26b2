import Access
import JSON
import Signatures

/// The members of an agent's assertion (handshake.md M4), each of the right type. Nothing is believed yet.
struct AssertionClaims: Sendable {
    var subject: String
    var audience: JSONValue
    var issuedAtSeconds: Int64
    var expiresAtSeconds: Int64
    var nonce: [UInt8]
    var challengeHash: String
    /// The origin that the agent saw; nil for transports without one.
    var origin: JSONValue?
    var transport: String
    var version: Int64
    var keyThumbprint: String
    var keyLevel: AgentStatement.KeyLevel
    var counter: Int64
    var lastSeenSeconds: Int64?
    var agentName: String
    var agentVersion: String
    var posture: JSONObject

    /// Numbers of agents: what every JSON reader can hold exactly, and what can be computed with.
    static let numberMax: Int64 = 1 << 53
    static let bytesMax = 16 << 10

    init(_ payload: JSONObject) throws(PostureRefusal) {
        func text(_ name: String) throws(PostureRefusal) -> String {
            guard let value = payload[name]?.string, !value.isEmpty, value.utf8.count <= 512 else {
                throw PostureRefusal(
                    .statementInvalid, "member \(name) is missing or no text of 1...512 bytes")
            }
            return value
        }
        func number(_ name: String) throws(PostureRefusal) -> Int64 {
            guard let value = payload[name]?.integer, (0...Self.numberMax).contains(value) else {
                throw PostureRefusal(.statementInvalid, "member \(name) is missing or no integer of 0...2^53")
            }
            return value
        }
        subject = try text("sub")
        guard let audience = payload["aud"] else {
            throw PostureRefusal(.statementInvalid, "member aud is missing")
        }
        self.audience = audience
        issuedAtSeconds = try number("iat")
        expiresAtSeconds = try number("exp")
        guard let nonce = Base64URL.decode(try text("eat_nonce")), nonce.count == 32 else {
            throw PostureRefusal(.statementInvalid, "eat_nonce is not 32 bytes of base64url")
        }
        self.nonce = nonce
        challengeHash = try text("chh")
        origin = payload["origin"]
        transport = try text("transport")
        version = try number("version")
        guard let thumbprint = payload["cnf"]?["jkt"]?.string, thumbprint.utf8.count == 43 else {
            throw PostureRefusal(.statementInvalid, "cnf.jkt is missing or no SHA-256 thumbprint")
        }
        keyThumbprint = thumbprint
        guard let level = AgentStatement.KeyLevel(rawValue: try text("key")) else {
            throw PostureRefusal(.statementInvalid, "key is none of software, claimed, attested")
        }
        keyLevel = level
        counter = try number("counter")
        lastSeenSeconds = payload["last_seen"] == nil ? nil : try number("last_seen")
        agentName = try text("swname")
        agentVersion = try text("swversion")
        guard let posture = payload["posture"]?.object else {
            throw PostureRefusal(.statementInvalid, "posture is missing or no object")
        }
        self.posture = posture
    }

    /// The nonce that the bytes name, before any signature is checked: it is used up whatever else they say.
    static func nonce(ofUnverified compact: String) throws(PostureRefusal) -> [UInt8] {
        // By bytes: letters of a text are what people see, and finding their bounds costs more than all that follows.
        let parts = Array(compact.utf8).split(
            separator: UInt8(ascii: "."), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = Base64URL.decode(String(decoding: parts[1], as: UTF8.self)),
            let value = try? JSONValue(parsing: payload, limits: .token),
            let text = value["eat_nonce"]?.string, let nonce = Base64URL.decode(text), nonce.count == 32
        else { throw PostureRefusal(.statementInvalid, "not a compact JWS with a 32-byte eat_nonce") }
        return nonce
    }
}
