import JSON
import Signatures

/// A challenge that can be made wrong in one place.
struct ChallengeDraft: Sendable {
    var header: JSONObject
    var payload: JSONObject
    var signer: SigningKey

    /// As a gateway makes it: everything right.
    init(_ gateway: ConformanceGateway, nowSeconds: Int64) {
        let (kid, key) = gateway.ring.signingKey(.challenge)
        signer = key
        header = JSONObject([("typ", "posture-challenge+jwt"), ("kid", .string(kid))])
        payload = JSONObject([
            ("iss", .string(gateway.origin)), ("aud", .string(ConformanceGateway.audience)),
            ("iat", .integer(nowSeconds)), ("nbf", .integer(nowSeconds)), ("exp", .integer(nowSeconds + 60)),
            ("jti", .string(Base64URL.encode(Random.bytes(16)))),
            ("nonce", .string(Base64URL.encode(Random.bytes(32)))), ("origin", .string(gateway.origin)),
            ("app", "conformance"), ("txh", .string(Base64URL.encode(Random.bytes(32)))),
            ("rtn", .string(gateway.origin + "/.gatepost/posture/return")),
            ("req", ["platform", "os-name"]), ("profiles", ["x5c"]), ("versions", ["min": 1, "max": 1]),
            ("key_seq", .integer(KeyAnnouncement.sequence(of: gateway.ring))),
        ])
    }

    var compact: String { JWS.sign(header: header, payload: payload, with: signer) }

    var jti: String { payload["jti"]?.string ?? "" }
    var nonce: String { payload["nonce"]?.string ?? "" }

    /// Moves all times.
    mutating func shift(seconds: Int64) {
        for name in ["iat", "nbf", "exp"] {
            payload[name] = .integer((payload[name]?.integer ?? 0) + seconds)
        }
    }

    /// Header and payload as they stand, with any bytes for a signature.
    func unsigned(alg: String, signature: (_ input: String) -> [UInt8]) -> String {
        var header = header
        header["alg"] = .string(alg)
        let input =
            Base64URL.encode(header.serialized()) + "." + Base64URL.encode(payload.serialized())
        return input + "." + Base64URL.encode(signature(input))
    }
}
