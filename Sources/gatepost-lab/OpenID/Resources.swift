/// What takes the provider's access tokens: userinfo, and a small Graph that knows a person's groups.

import Foundation
import JSON
import Signatures
import Synchronization

extension OpenIDProvider {
    /// Of the resource whose access tokens are signed ones: the scope `api://lab/access` asks for it.
    static let resource = "api://lab"
    /// What a resource wants asked for before it answers, under the fault of its name.
    static let demand = #"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#

    /// The person's directory id: a GUID of the subject's own.
    static func object(of person: Person) -> String {
        let hex = Digest.sha256(Array(person.subject.utf8)).prefix(16).map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
        let parts = [8, 4, 4, 4, 12].reduce(into: (text: Substring(hex), parts: [Substring]())) {
            state, count in
            state.parts.append(state.text.prefix(count))
            state.text = state.text.dropFirst(count)
        }
        return parts.parts.joined(separator: "-")
    }

    private func bearer(_ exchange: Exchange) -> Grant? {
        guard let value = exchange.head.field("authorization"), value.hasPrefix("Bearer ") else { return nil }
        let token = String(value.dropFirst(7))
        return state.withLock { $0.grant(accessToken: token, nowSeconds: exchange.nowSeconds) }
    }

    private func refusal(_ challenge: String) -> Response {
        // Another scheme beside it, as real resources have it.
        .json(
            ["error": "invalid_token"], status: 401,
            fields: [
                ("WWW-Authenticate", "Basic realm=\"lab, not this one\""), ("WWW-Authenticate", challenge),
            ])
    }

    /// The challenge for who did not ask for the demanded claims, while the fault is on.
    private func demand(_ fault: OpenIDFault, _ grant: Grant) -> Response? {
        guard faults.isActive(fault),
            faults.isActive(.demandAgain) || grant.request.asked.resourceContexts != ["c1"]
        else { return nil }
        let claims = Base64.encode(Array(Self.demand.utf8))
        return refusal(
            "Bearer realm=\"\", authorization_uri=\"\(issuer)/authorize\", error=\"insufficient_claims\", "
                + "claims=\"\(claims)\"")
    }

    func userinfo(_ exchange: Exchange) -> Response {
        guard let grant = bearer(exchange) else { return refusal("Bearer error=\"invalid_token\"") }
        if let challenge = demand(.userinfoDemands, grant) { return challenge }
        var info = claims(of: grant.person, for: grant.request.client)
        hideGroups(&info, grant.person)
        let spoiled: [(OpenIDFault, String, JSONValue)] = [
            (.userinfoWrongIssuer, "iss", "https://evil.example"),
            (.userinfoWrongAudience, "aud", "somebody-else"), (.userinfoWrongSubject, "sub", "lab-0000"),
            (.userinfoBadSignature, "sub", info["sub"] ?? .null),
            (.signedUserinfo, "sub", info["sub"] ?? .null),
        ]
        let active = spoiled.filter { faults.fires($0.0) != nil }
        guard !active.isEmpty else { return .json(.object(info)) }
        info["iss"] = .string(issuer)
        info["aud"] = .string(grant.request.client.id)
        for (_, name, value) in active { info[name] = value }
        let isForeign = active.contains { $0.0 == .userinfoBadSignature }
        guard let own = state.withLock({ $0.keys.last }) else { return .text("", status: 500) }
        let token = JWS.sign(
            header: ["kid": .string(own.publicKey.thumbprint)], payload: info,
            with: isForeign ? strangersKey() : own)
        return Response(
            status: 200, fields: [("Content-Type", "application/jwt")], body: Array(token.utf8))
    }

    /// Entra's way to say that there are more groups than the token holds, with an address that nobody should follow.
    func hideGroups(_ claims: inout JSONObject, _ person: Person) {
        guard faults.isActive(.groupOverage) else { return }
        claims["groups"] = nil
        claims["oid"] = .string(Self.object(of: person))
        claims["_claim_names"] = ["groups": "src1"]
        claims["_claim_sources"] = ["src1": ["endpoint": "https://evil.example/getMemberObjects"]]
    }

    /// A signed access token for the resource that the grant asked for; nil: an opaque one will do.
    func resourceToken(_ grant: Grant, _ nowSeconds: Int64) -> String? {
        guard grant.request.scopes.contains("\(Self.resource)/access") else { return nil }
        var claims: JSONObject = [
            "iss": .string(issuer), "aud": .string(Self.resource), "sub": .string(grant.person.subject),
            "client_id": .string(grant.request.client.id), "iat": .integer(nowSeconds),
            "exp": .integer(nowSeconds + ProviderState.tokenSeconds),
            "jti": .string(ProviderState.secretText()),
            "deviceid": .string(Self.object(of: grant.person)),
        ]
        if faults.fires(.accessTokenWrongAudience) != nil { claims["aud"] = "api://other" }
        let isForeign = faults.fires(.accessTokenBadSignature) != nil
        guard let own = state.withLock({ $0.keys.last }) else { return nil }
        return JWS.sign(
            header: ["typ": "at+jwt", "kid": .string(own.publicKey.thumbprint)], payload: claims,
            with: isForeign ? strangersKey() : own)
    }

    /// `POST /graph/v1.0/users/{id}/getMemberObjects`.
    func memberObjects(_ exchange: Exchange) throws -> Response {
        if faults.fires(.graphDown) != nil {
            return .json(["error": ["code": "ServiceUnavailable"]], status: 503)
        }
        guard let grant = bearer(exchange) else { return refusal("Bearer error=\"invalid_token\"") }
        if let challenge = demand(.graphDemands, grant) { return challenge }
        let own = "/graph/v1.0/users/\(Self.object(of: grant.person))/getMemberObjects"
        guard exchange.head.path == own else {
            return .json(["error": ["code": "Request_ResourceNotFound"]], status: 404)
        }
        guard exchange.head.method == "POST",
            (try? JSONValue(parsing: try exchange.readBody()))?["securityEnabledOnly"]?.bool != nil
        else { return .json(["error": ["code": "Request_BadRequest"]], status: 400) }
        return .json([
            "@odata.context": "\(issuer)/graph/v1.0/$metadata#Collection(Edm.String)",
            "value": .array(grant.person.groups.map { .string($0) }),
        ])
    }
}
