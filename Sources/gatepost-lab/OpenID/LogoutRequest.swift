/// Logout tokens and the requests that bring them (OpenID Connect Back-Channel Logout 1.0 §2.4, §2.5).

import JSON
import Signatures
import Synchronization

/// What is sent to a relying party.
struct LogoutRequest: Sendable {
    /// nil: the field is not sent.
    var contentType: String?
    var body: [UInt8]
}

extension OpenIDProvider {
    static let logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
    private static let formType = "application/x-www-form-urlencoded"

    /// A logout token in its form, spoiled in one way when asked to be.
    ///
    /// - Parameter tokenID: its `jti`; a new one when nil.
    func logoutRequest(
        to client: Client, subject: String?, sid: String?, tokenID: String? = nil,
        fault: LogoutFault? = nil
    ) -> LogoutRequest {
        let token = logoutToken(client, subject: subject, sid: sid, tokenID: tokenID, fault: fault)
        var pairs = [("logout_token", token)]
        var type: String? = Self.formType
        switch fault {
        case .twoTokens: pairs.append(("logout_token", token))
        case .noToken: pairs = [("id_token", token)]
        case .emptyToken: pairs = [("logout_token", "")]
        case .furtherParameters: pairs.append(("vendor", "something new"))
        case .multipart: type = "multipart/form-data; boundary=x"
        case .noContentType: type = nil
        case .charset: type = "application/x-www-form-urlencoded; charset=UTF-8"
        case .jsonBody:
            let body = JSONValue.object(["logout_token": .string(token)]).serialized()
            return LogoutRequest(contentType: "application/json", body: body)
        case .brokenEscape:
            return LogoutRequest(contentType: type, body: Array("logout_token=%zz\(token)".utf8))
        case .notUTF8:
            return LogoutRequest(
                contentType: type, body: Array("x=%ff&logout_token=\(token)".utf8))
        default: break
        }
        return LogoutRequest(contentType: type, body: Array(Parameters.encode(pairs).utf8))
    }

    private func logoutToken(
        _ client: Client, subject: String?, sid: String?, tokenID: String?, fault: LogoutFault?
    ) -> String {
        let now = clock.nowSeconds
        var payload: JSONObject = [
            "iss": .string(issuer), "aud": .string(client.id), "iat": .integer(now),
            "exp": .integer(now + 120), "jti": .string(tokenID ?? ProviderState.secretText()),
            "events": Self.events([:]),
        ]
        payload["sub"] = subject.map { .string($0) }
        payload["sid"] = sid.map { .string($0) }
        if let fault { spoil(&payload, fault, client, now) }
        return signed(payload, fault, client)
    }

    private static func events(_ value: JSONValue, beside other: String? = nil) -> JSONValue {
        let further: [(String, JSONValue)] = other.map { [($0, JSONValue.object([:]))] } ?? []
        return .object(JSONObject(further + [(logoutEvent, value)]))
    }

    private func spoil(_ payload: inout JSONObject, _ fault: LogoutFault, _ client: Client, _ now: Int64) {
        let own = JSONValue.string(client.id)
        let rows: [(LogoutFault, String, JSONValue?)] = [
            (.wrongAudience, "aud", "somebody-else"), (.emptyAudience, "aud", []), (.noAudience, "aud", nil),
            (.mixedAudience, "aud", [own, 7]), (.audienceList, "aud", [own]),
            (.severalAudiences, "aud", ["somebody-else", own]),
            (.wrongIssuer, "iss", "https://evil.example"), (.noIssuer, "iss", nil),
            (.noEvents, "events", nil), (.eventsText, "events", .string(Self.logoutEvent)),
            (.eventsList, "events", [.string(Self.logoutEvent)]),
            (.otherEvent, "events", ["http://schemas.openid.net/event/something-else": [:]]),
            (.eventNotObject, "events", Self.events(true)),
            (.filledEvent, "events", Self.events(["reason": "admin"])),
            (.furtherEvents, "events", Self.events([:], beside: "https://vendor.example/event")),
            (.nonce, "nonce", "n-1"), (.nullNonce, "nonce", .null), (.numericSubject, "sub", 7),
            (.emptySID, "sid", ""), (.nullSID, "sid", .null), (.noTokenID, "jti", nil),
            (.emptyTokenID, "jti", ""), (.numericTokenID, "jti", 7),
            (.expired, "exp", .integer(now - 121)), (.expiryText, "exp", "soon"), (.noExpiry, "exp", nil),
            (.plainTypeNoExpiry, "exp", nil),
            (.noIssuedAt, "iat", nil), (.issuedInFuture, "iat", .integer(now + 121)),
            (.issuedLongAgo, "iat", .integer(now - 721)), (.notYet, "nbf", .integer(now + 121)),
            (.floatingTimes, "iat", .number(Double(now) + 0.5)),
            (.furtherClaims, "urn:vendor:tenant", ["a", "b"]),
            (.huge, "padding", .string(String(repeating: "x", count: 9_000))),
        ]
        for (row, name, value) in rows where row == fault { payload[name] = value }
        if fault == .nobody {
            payload["sub"] = nil
            payload["sid"] = nil
        }
    }

    private func header(_ fault: LogoutFault?, _ key: SigningKey) -> JSONObject {
        var header: JSONObject = ["typ": "logout+jwt", "kid": .string(key.publicKey.thumbprint)]
        let rows: [(LogoutFault, String, JSONValue?)] = [
            (.plainType, "typ", "JWT"), (.noType, "typ", nil), (.upperType, "typ", "LOGOUT+JWT"),
            (.mediaType, "typ", "application/logout+jwt"), (.accessTokenType, "typ", "at+jwt"),
            (.securityEventType, "typ", "secevent+jwt"), (.numericType, "typ", 7),
            (.unknownKey, "kid", "a-key-nobody-knows"), (.noKeyID, "kid", nil),
            (.plainTypeNoExpiry, "typ", "JWT"),
            (.criticalHeader, "crit", ["exp"]), (.unencoded, "b64", false),
        ]
        for (row, name, value) in rows where row == fault { header[name] = value }
        return header
    }

    private func signed(_ payload: JSONObject, _ fault: LogoutFault?, _ client: Client) -> String {
        guard let own = state.withLock({ $0.keys.last }) else { return "" }
        let key = fault == .withdrawnKey ? withdrawnKey : own
        var header = header(fault, key)
        var bytes = payload.serialized()
        if fault == .listPayload { bytes = JSONValue.array([.object(payload)]).serialized() }
        if fault == .doubledClaim { bytes = Array("{\"jti\":\"another\",".utf8) + bytes.dropFirst() }
        func input(_ algorithm: String) -> String {
            header["alg"] = .string(algorithm)
            return Base64URL.encode(header.serialized()) + "." + Base64URL.encode(bytes)
        }
        let text: String
        switch fault {
        case .unsigned: return input("none") + "."
        case .symmetricPublicKey:
            text = input("HS256")
            let secret = JSONValue.object(key.publicKey.jwk).serialized()
            return text + "." + Base64URL.encode(Digest.hmacSHA256(key: secret, Array(text.utf8)))
        case .symmetricSecret:
            text = input("HS256")
            return text + "."
                + Base64URL.encode(Digest.hmacSHA256(key: Array(client.secret.utf8), Array(text.utf8)))
        default: text = input(key.publicKey.algorithm.rawValue)
        }
        if fault == .noSignature { return text + "." }
        let signer = fault == .badSignature ? strangersKey() : key
        let compact = text + "." + Base64URL.encode(signer.sign(Array(text.utf8)))
        return fault == .encryptedForm ? compact + ".x.y" : compact
    }
}
