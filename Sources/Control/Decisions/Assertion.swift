import Access
import Config
import JSON
import Signatures
import Store

/// Makes `Gatepost-Assertion`: a short ES256 token that tells one application who is asking and on which device.
struct Assertion {
    /// Seconds that an assertion is good for.
    static let lifetimeSeconds: Int64 = 120
    /// Seconds that verifiers may keep the key set. The next key has been in it since the rotation before, and the
    /// previous one stays until the rotation after: rotations must be further apart than this.
    static let keySetSeconds: Int64 = 300
    /// At most this many groups go into it, so that the field stays far below any server's limit.
    static let groupsMax = 50

    var ring: KeyRing
    var issuer: String
    let cache = AssertionCache()

    /// At most one token a minute is made of what stays the same.
    func token(
        for session: StoredSession, application: String, deviceID: String?, device: DeviceResult?,
        nowSeconds: Int64
    ) -> AssertionCache.Made {
        var payload = JSONObject([
            ("iss", .string(issuer)), ("aud", .string(application)), ("sub", .string(session.subject)),
            ("idp", .string(session.identityProvider)), ("idp_iss", .string(session.issuer)),
            ("sid", .string(session.id)),
        ])
        if let email = session.email { payload["email"] = .string(email) }
        if let name = session.name { payload["name"] = .string(name) }
        if !session.groups.isEmpty {
            payload["groups"] = .array(session.groups.prefix(Self.groupsMax).map { .string($0) })
            // Who reads that somebody is in no other group must know that there are more.
            if session.groups.count > Self.groupsMax {
                payload["groups_omitted"] = .integer(Int64(session.groups.count - Self.groupsMax))
            }
        }
        if let id = deviceID, let device { payload["device"] = Self.summary(id, device) }
        let (kid, key) = ring.signingKey(.assertion)
        let content = payload.serialized() + Array(kid.utf8)
        // Beside a certificate the session has another device, and both are in use.
        return cache.token(
            "\(session.id) \(application) \(deviceID ?? "")", saying: content, nowSeconds: nowSeconds
        ) {
            payload["iat"] = .integer(nowSeconds)
            payload["exp"] = .integer(nowSeconds + Self.lifetimeSeconds)
            let header = JSONObject([("typ", .string("gatepost-assertion+jwt")), ("kid", .string(kid))])
            return JWS.sign(header: header, payload: payload, with: key)
        }
    }

    /// For a client without a person: `sub` is the service, or the subject of the bearer token, and `idp`
    /// says so. No configured provider has that name's colon, so nobody takes a service for a person.
    func token(for machine: Machine, device: DeviceResult?, nowSeconds: Int64) -> String {
        let (kid, key) = ring.signingKey(.assertion)
        var payload = JSONObject([
            ("iss", .string(issuer)), ("aud", .string(machine.application)),
            ("sub", .string(machine.service.token?.subject ?? machine.service.name)),
            ("idp", .string(machine.signer == nil ? "gatepost:service" : "gatepost:token")),
            ("iat", .integer(nowSeconds)), ("exp", .integer(nowSeconds + Self.lifetimeSeconds)),
            ("sid", .string(machine.recordID)),
        ])
        if let signer = machine.signer { payload["idp_iss"] = .string(signer.issuer.issuer) }
        if let id = machine.device, let device { payload["device"] = Self.summary(id, device) }
        let header = JSONObject([("typ", .string("gatepost-assertion+jwt")), ("kid", .string(kid))])
        return JWS.sign(header: header, payload: payload, with: key)
    }

    private static func summary(_ id: String, _ device: DeviceResult) -> JSONValue {
        var summary = JSONObject([("id", .string(id)), ("class", .string(device.deviceClass.rawValue))])
        if let policy = device.policyName { summary["policy"] = .string(policy) }
        return .object(summary)
    }

    /// The public keys for upstreams, as served at `/.gatepost/jwks.json` (RFC 7517).
    func keySet() -> JSONValue {
        let keys = ring.verificationKeys(.assertion).map { kid, key -> JSONValue in
            var jwk = key.jwk
            jwk["kid"] = .string(kid)
            jwk["use"] = .string("sig")
            jwk["alg"] = .string(key.algorithm.rawValue)
            return .object(jwk)
        }
        return .object(JSONObject([("keys", .array(keys))]))
    }
}
