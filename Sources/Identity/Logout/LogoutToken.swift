import Access
import JSON
import Signatures

/// What a logout token says, once it is known that it is one for us.
struct LogoutToken: Sendable {
    /// Not verified until `LogoutTokenReader.verify` returned.
    var token: JWS
    var tokenID: String
    /// As the provider's clock has it.
    var issuedAtSeconds: Int64
    var subject: String?
    var sid: String?
}

/// Why a logout token is not one. The words are for the provider's administrator and for the log.
struct LogoutTokenRefusal: Error, Hashable {
    var what: String
    init(_ what: String) { self.what = what }
}

/// Reads logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4, §2.6). Pure: keys and clock are given.
///
/// Everything that costs nothing is checked before a key is looked for: whoever sends rubbish costs no
/// signature.
struct LogoutTokenReader: Sendable {
    /// Whether `iss` is the provider's.
    var isIssuer: @Sendable (String) -> Bool
    /// Must be in `aud`.
    var clientID: String
    var nowSeconds: Int64

    static let eventName = "http://schemas.openid.net/event/backchannel-logout"
    /// How old `iat` may be, beside the skew: providers try again for a while.
    static let ageSecondsMax: Int64 = 600
    static let skewSeconds = IDTokenValidator.skewSeconds
    /// From here on a token is too old to be taken anyway, so its name need not be remembered any longer.
    static let rememberedSeconds = ageSecondsMax + 2 * skewSeconds + 60
    static let tokenIDBytesMax = 512
    static let sidBytesMax = ClaimReader.textBytesMax

    /// What the token says; nothing of it is proven yet.
    func read(_ compact: String) throws(LogoutTokenRefusal) -> LogoutToken {
        let token: JWS
        let claims: JSONObject
        do throws(SignatureError) {
            token = try JWS(compact: compact)
            guard IDTokenValidator.algorithms.contains(token.algorithm) else {
                throw SignatureError("token: alg \(token.algorithm.rawValue) is not accepted here")
            }
            claims = try token.payloadObject
        } catch {
            throw LogoutTokenRefusal(error.what)
        }
        try checkType(token.header["typ"])
        guard let iss = claims["iss"]?.string, isIssuer(iss) else {
            throw LogoutTokenRefusal("iss is not the issuer")
        }
        try checkAudience(claims["aud"])
        let issuedAt = try checkTimes(claims)
        try checkEvents(claims)
        guard let tokenID = claims["jti"]?.string, (1...Self.tokenIDBytesMax).contains(tokenID.utf8.count)
        else {
            throw LogoutTokenRefusal("jti is no text of 1 to \(Self.tokenIDBytesMax) bytes")
        }
        let subject = try text(claims["sub"], "sub", bytesMax: ClaimReader.subjectBytesMax)
        let sid = try text(claims["sid"], "sid", bytesMax: Self.sidBytesMax)
        guard subject != nil || sid != nil else { throw LogoutTokenRefusal("neither sub nor sid") }
        return LogoutToken(
            token: token, tokenID: tokenID, issuedAtSeconds: issuedAt, subject: subject, sid: sid)
    }

    /// - Parameter keys: the provider's keys that fit; without a `kid` there must be exactly one, as for id
    /// tokens.
    func verify(_ token: LogoutToken, keys: [VerificationKey]) throws(LogoutTokenRefusal) {
        guard token.token.keyID != nil || keys.count == 1 else {
            throw LogoutTokenRefusal("token without kid, and \(keys.count) keys fit")
        }
        guard keys.prefix(4).contains(where: { token.token.verify(with: $0) }) else {
            throw LogoutTokenRefusal("signature is wrong")
        }
    }

    /// Providers send `logout+jwt` (§2.4 recommends it), `JWT` or nothing. Another type is another kind of
    /// token that happens to be signed by the same key (RFC 8725 §3.11).
    private func checkType(_ value: JSONValue?) throws(LogoutTokenRefusal) {
        guard let value else { return }
        // Media types are compared without case, and may leave out "application/" (RFC 7515 §4.1.9).
        var type = value.string?.lowercased()
        if let text = type, text.hasPrefix("application/") { type = String(text.dropFirst(12)) }
        guard type == "logout+jwt" || type == "jwt" else {
            throw LogoutTokenRefusal("typ is of another kind of token")
        }
    }

    private func checkAudience(_ value: JSONValue?) throws(LogoutTokenRefusal) {
        let audience: [JSONValue]
        switch value {
        case .string: audience = [value].compactMap { $0 }
        case .array(let several): audience = several
        case .null, .bool, .integer, .number, .object, nil: throw LogoutTokenRefusal("aud is missing")
        }
        let names = audience.compactMap(\.string)
        guard names.count == audience.count, names.contains(where: { ExactText.isEqual($0, clientID) })
        else { throw LogoutTokenRefusal("aud does not name this client") }
    }

    /// `exp` is required by §2.4 and left out by some providers; `iat` bounds a token in any case.
    private func checkTimes(_ claims: JSONObject) throws(LogoutTokenRefusal) -> Int64 {
        guard let issued = seconds(claims["iat"]), issued <= nowSeconds + Self.skewSeconds else {
            throw LogoutTokenRefusal("iat is missing or in the future")
        }
        guard issued >= nowSeconds - Self.ageSecondsMax - Self.skewSeconds else {
            throw LogoutTokenRefusal("iat is too old")
        }
        if let expiry = claims["exp"] {
            guard let expiry = seconds(expiry), nowSeconds < expiry + Self.skewSeconds else {
                throw LogoutTokenRefusal("exp is past")
            }
        }
        if let start = claims["nbf"] {
            guard let start = seconds(start), start <= nowSeconds + Self.skewSeconds else {
                throw LogoutTokenRefusal("nbf is in the future")
            }
        }
        return issued
    }

    /// With a nonce it would be an id token that somebody passes on (§2.4: "MUST NOT").
    private func checkEvents(_ claims: JSONObject) throws(LogoutTokenRefusal) {
        guard let events = claims["events"]?.object else { throw LogoutTokenRefusal("events is no object") }
        guard events[Self.eventName]?.object != nil else {
            throw LogoutTokenRefusal("events does not have the logout event as an object")
        }
        guard claims["nonce"] == nil else { throw LogoutTokenRefusal("a logout token has no nonce") }
    }

    private func text(
        _ value: JSONValue?, _ name: String, bytesMax: Int
    ) throws(LogoutTokenRefusal) -> String? {
        guard let value else { return nil }
        guard let text = value.string, (1...bytesMax).contains(text.utf8.count) else {
            throw LogoutTokenRefusal("\(name) is no text of 1 to \(bytesMax) bytes")
        }
        return text
    }

    /// A NumericDate (RFC 7519 §2), bounded so that adding to it cannot overflow.
    private func seconds(_ value: JSONValue?) -> Int64? {
        guard let number = value?.number, (0...1e12).contains(number) else { return nil }
        return Int64(number)
    }
}
