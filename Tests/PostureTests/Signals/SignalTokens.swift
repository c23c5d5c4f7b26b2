import JSON
import Signatures

@testable import Posture

/// Security event tokens as a transmitter would sign them, and every way in which they can be wrong.
struct SignalToken {
    static let issuer = "https://signals.idp.example/t1"
    static let audience = "https://gw.corp.example/ssf"
    static let now: Int64 = 1_769_932_800
    static let key =
        (try? SigningKey(pem: SigningKey.generateP256().pem, keyID: "k1"))
        ?? SigningKey.generateP256()
    static let revoked = SignalEvent.caep + "session-revoked"

    var header: JSONObject = ["typ": "secevent+jwt"]
    var claims: JSONObject = [
        "iss": .string(issuer), "jti": "01JK8Q0W3", "iat": .integer(now), "aud": .string(audience),
        "sub_id": ["format": "email", "email": "mara@corp.example"],
        "events": [revoked: ["event_timestamp": .integer(now - 10)]],
    ]

    init(_ change: (inout SignalToken) -> Void = { _ in }) { change(&self) }

    func compact(_ key: SigningKey = SignalToken.key) -> String {
        JWS.sign(header: header, payload: claims, with: key)
    }

    static var validator: SecurityEventValidator {
        SecurityEventValidator(issuer: issuer, audience: audience, nowSeconds: now)
    }

    /// The refusal; nil when it is taken.
    static func refusal(
        _ compact: String, keys: [VerificationKey] = [key.publicKey],
        _ change: (inout SecurityEventValidator) -> Void = { _ in }
    ) -> SignalRefusal? {
        var validator = validator
        change(&validator)
        do throws(SignalRefusal) {
            let unverified = try validator.parse(compact)
            let token = unverified.token
            let fitting = JWKSet(keys: keys).candidates(keyID: token.keyID, algorithm: token.algorithm)
            _ = try SignalEvent(try validator.validate(unverified, keys: fitting))
            return nil
        } catch {
            return error
        }
    }
}
