import Access
import JSON
import Signatures
import Store
import Synchronization

@testable import Identity

/// Logout tokens of a fake provider, and the requests that bring them.
extension World {
    static let event = "http://schemas.openid.net/event/backchannel-logout"

    /// The claims of a right logout token.
    func logoutClaims(
        _ provider: FakeProvider? = nil, client: String = "client", sid: String? = "s-1",
        subject: String? = nil, jti: String = "t-1"
    ) -> JSONObject {
        var claims: JSONObject = [
            "iss": .string((provider ?? tenant).issuer), "aud": .string(client),
            "iat": .integer(nowSeconds), "exp": .integer(nowSeconds + 120), "jti": .string(jti),
            "events": .object(JSONObject([(Self.event, JSONValue.object([:]))])),
        ]
        claims["sid"] = sid.map { .string($0) }
        claims["sub"] = subject.map { .string($0) }
        return claims
    }

    /// Signs claims as a provider does now.
    func signed(
        _ claims: JSONObject, by provider: FakeProvider? = nil, header: JSONObject = ["typ": "logout+jwt"]
    ) -> String {
        let signer = Mutex<(kid: String, key: SigningKey)?>(nil)
        (provider ?? tenant).change { state in signer.withLock { $0 = state.signer } }
        guard let (kid, key) = signer.withLock({ $0 }) else { return "" }
        var header = header
        header["kid"] = .string(kid)
        return JWS.sign(header: header, payload: claims, with: key)
    }

    func logout(
        _ token: String, at provider: String = "entra", from address: UInt32 = 0x0a00_0001
    ) async -> BackchannelLogout {
        var request = FlowRequest(
            host: "auth.corp.example", path: "/.gatepost/backchannel-logout/\(provider)", method: "POST",
            nowSeconds: nowSeconds)
        request.body = Array(FormText.encode([("logout_token", token)]).utf8)
        return await flow.backchannelLogout(
            request, contentType: "application/x-www-form-urlencoded", from: NetworkAddress(v4: address))
    }

    /// From now on the tenant's id tokens name their session.
    func name(sessions sid: String?) {
        tenant.misbehave { faults in
            faults.claims = { $0["sid"] = sid.map { .string($0) } }
        }
    }
}

extension BackchannelLogout {
    /// How many were ended; nil for every other outcome.
    var endedCount: Int? {
        if case .done(_, let ended) = self { return ended.count }
        return nil
    }
    var refusal: String? {
        if case .refused(let what, _) = self { return what }
        return nil
    }
}
