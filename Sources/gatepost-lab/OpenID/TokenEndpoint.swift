/// The token endpoint, and the id_token it makes.

import Foundation
import JSON
import Signatures
import Synchronization

extension OpenIDProvider {
    func answerToken(_ exchange: Exchange) throws {
        if let slow = faults.fires(.slow) { Thread.sleep(forTimeInterval: Double(slow.milliseconds) / 1000) }
        if faults.fires(.serverError) != nil { return try exchange.send(.text("", status: 500)) }
        if faults.fires(.emptyRefusal) != nil { return try exchange.send(Response(status: 400)) }
        if faults.fires(.htmlError) != nil {
            return try exchange.send(.html("<!doctype html><title>Sorry</title><p>We will be back soon."))
        }
        if faults.fires(.malformedJSON) != nil {
            let body = Array("{\"access_token\":\"x\",\"id_token\":".utf8)
            return try exchange.send(
                Response(status: 200, fields: [("Content-Type", "application/json")], body: body))
        }
        if faults.fires(.hugeAnswer) != nil {
            let fields = [("Content-Type", "application/json")]
            return try exchange.sendBytes(
                count: 64 << 20, fields: fields, piece: [UInt8](repeating: 0x20, count: 65536))
        }
        let response = spoiled(try token(exchange))
        if faults.fires(.tokenCut) != nil { return try exchange.sendTruncated(response) }
        try exchange.send(response)
    }

    func refuse(_ error: String, _ description: String, status: Int = 400) -> Response {
        let fields = status == 401 ? [("WWW-Authenticate", "Basic realm=\"lab\"")] : []
        return .json(
            ["error": .string(error), "error_description": .string(description)], status: status,
            fields: fields)
    }

    private func token(_ exchange: Exchange) throws -> Response {
        guard exchange.head.method == "POST" else { return .text("POST only.\n", status: 405) }
        guard exchange.head.field("content-type")?.hasPrefix("application/x-www-form-urlencoded") == true,
            let form = Parameters(parsing: try exchange.readBody())
        else { return refuse("invalid_request", "not a form, or a doubled parameter") }
        guard let client = authenticate(exchange, form) else {
            return refuse("invalid_client", "unknown client or wrong secret", status: 401)
        }
        if form["grant_type"] == "refresh_token" { return try refresh(form, client, exchange) }
        guard form["grant_type"] == "authorization_code" else {
            return refuse("unsupported_grant_type", "only authorization_code")
        }
        guard let code = form["code"],
            var redeemed = state.withLock({ $0.redeem(code, nowSeconds: exchange.nowSeconds) })
        else { return refuse("invalid_grant", "the code is unknown, used or too old") }
        let grant = redeemed.grant
        guard grant.request.client == client, grant.request.redirectURI == form["redirect_uri"] else {
            return refuse("invalid_grant", "the code was given to another client or address")
        }
        guard faults.fires(.ignoreProof) != nil || proves(form["code_verifier"], grant.request.challenge)
        else {
            return refuse("invalid_grant", "the code verifier does not fit")
        }
        if let token = resourceToken(grant, exchange.nowSeconds) {
            state.withLock { $0.rename(redeemed.accessToken, to: token, of: code) }
            redeemed.accessToken = token
        }
        var answer: JSONObject = [
            "access_token": .string(redeemed.accessToken), "token_type": "Bearer",
            "expires_in": .integer(ProviderState.tokenSeconds),
            "scope": .string(grant.request.scopes.joined(separator: " ")),
        ]
        if faults.fires(.noIDToken) == nil {
            answer["id_token"] = .string(
                idToken(grant, accessToken: redeemed.accessToken, exchange.nowSeconds))
        }
        if let token = grant.refreshToken, faults.fires(.noRefreshToken) == nil {
            answer["refresh_token"] = .string(token)
        }
        return .json(.object(answer))
    }

    /// RFC 6749 2.3.1: one method at a time; in Basic, id and secret are form-encoded first.
    func authenticate(_ exchange: Exchange, _ form: Parameters) -> Client? {
        if let assertion = form["client_assertion"] {
            guard exchange.head.field("authorization") == nil, form["client_secret"] == nil,
                let client = client(
                    assertion: assertion, type: form["client_assertion_type"], exchange.nowSeconds),
                form["client_id"] ?? client.id == client.id
            else { return nil }
            return client
        }
        if let shown = exchange.clientCertificate {
            guard exchange.head.field("authorization") == nil, form["client_secret"] == nil else {
                return nil
            }
            return client(certificate: shown, id: form["client_id"])
        }
        var id = form["client_id"]
        var secret = form["client_secret"]
        if let field = exchange.head.field("authorization") {
            guard secret == nil, field.hasPrefix("Basic "),
                let bytes = Base64.decode(String(field.dropFirst(6))),
                let text = String(validating: bytes, as: UTF8.self), let colon = text.firstIndex(of: ":"),
                let basicID = Parameters.decode(text[..<colon]), id == nil || id == basicID
            else { return nil }
            id = basicID
            secret = Parameters.decode(text[text.index(after: colon)...])
        }
        guard let id, let secret, let client = clients.first(where: { $0.id == id }),
            state.withLock({ $0.clientKeys[id] == nil }),
            constantTimeEqual(Array(client.secret.utf8), Array(secret.utf8))
        else { return nil }
        return client
    }

    /// RFC 7636 4.1 and 4.6: 43 to 128 unreserved characters whose SHA-256 is the challenge.
    private func proves(_ verifier: String?, _ challenge: String) -> Bool {
        guard let verifier, (43...128).contains(verifier.utf8.count),
            Parameters.encode(verifier) == verifier
        else { return false }
        return Base64URL.encode(Digest.sha256(Array(verifier.utf8))) == challenge
    }

    func idToken(
        _ grant: Grant, accessToken: String, _ nowSeconds: Int64,
        changes: (inout JSONObject) -> Void = { _ in }
    ) -> String {
        var payload = claims(of: grant.person, for: grant.request.client)
        hideGroups(&payload, grant.person)
        payload["iss"] = .string(issuer)
        payload["aud"] = .string(grant.request.client.id)
        payload["iat"] = .integer(nowSeconds)
        payload["exp"] = .integer(nowSeconds + 600)
        payload["auth_time"] = .integer(grant.authenticatedAtSeconds)
        payload["nonce"] = grant.request.nonce.map { .string($0) }
        payload["sid"] = grant.request.sid.map { .string($0) }
        payload["at_hash"] = .string(half(accessToken))
        let answers =
            faults.fires(.ignoreContexts) == nil ? grant.request.asked.claims : AskedAuthentication.ignored
        for (name, value) in answers { payload[name] = value }
        spoil(&payload, grant, nowSeconds)
        spoilFurther(&payload, grant, accessToken: accessToken, nowSeconds)
        changes(&payload)
        return delivered(signedOddly(payload, client: grant.request.client) ?? sign(payload))
    }

    private func spoil(_ payload: inout JSONObject, _ grant: Grant, _ nowSeconds: Int64) {
        let id = JSONValue.string(grant.request.client.id)
        let rows: [(OpenIDFault, String, JSONValue?)] = [
            (.wrongNonce, "nonce", .string(ProviderState.secretText())), (.noNonce, "nonce", nil),
            (.wrongAudience, "aud", "somebody-else"), (.emptyAudience, "aud", []),
            (.audienceList, "aud", [id]),
            (.wrongIssuer, "iss", "https://evil.example"), (.wrongParty, "azp", "somebody-else"),
            (.expired, "exp", .integer(nowSeconds - 3600)),
            (.issuedInFuture, "iat", .integer(nowSeconds + 3600)),
            (.oldAuthTime, "auth_time", .integer(nowSeconds - 30 * 86_400)), (.noAuthTime, "auth_time", nil),
            (.noEmail, "email", nil), (.noGroups, "groups", nil), (.unverifiedEmail, "email_verified", false),
            (.floatingAuthTime, "auth_time", .number(Double(grant.authenticatedAtSeconds) + 0.5)),
        ]
        for (fault, name, value) in rows where faults.fires(fault) != nil { payload[name] = value }
    }

    private func sign(_ payload: JSONObject) -> String {
        guard let own = state.withLock({ $0.keys.last }) else { return "" }
        let key = faults.fires(.withdrawnKey) == nil ? own : withdrawnKey
        var header: JSONObject = ["typ": "JWT"]
        if faults.fires(.noKeyID) == nil { header["kid"] = .string(key.publicKey.thumbprint) }
        if faults.fires(.unknownKey) != nil { header["kid"] = "a-key-nobody-knows" }
        func part(_ object: JSONObject) -> String { Base64URL.encode(JSONValue.object(object).serialized()) }
        if faults.fires(.unsigned) != nil {
            header["alg"] = "none"
            return "\(part(header)).\(part(payload))."
        }
        if faults.fires(.symmetric) != nil {
            // The classic confusion: the public key, known to everybody, used as the secret of an HMAC.
            header["alg"] = "HS256"
            let input = "\(part(header)).\(part(payload))"
            let secret = JSONValue.object(key.publicKey.jwk).serialized()
            return "\(input).\(Base64URL.encode(Digest.hmacSHA256(key: secret, Array(input.utf8))))"
        }
        let signer = faults.fires(.badSignature) == nil ? key : strangersKey()
        return JWS.sign(header: header, payload: payload, with: signer)
    }
}
