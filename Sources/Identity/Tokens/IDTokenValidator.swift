public import Access
public import JSON
public import Signatures
import Store

/// A validated id token.
public struct IDToken: Sendable {
    /// Who signed in.
    public var person: PersonFacts
    /// Every claim, for merging with userinfo.
    public var claims: JSONObject
}

/// What an id token must say to be ours (OpenID Connect Core 1.0 §3.1.3.7). Pure: keys, clock and nonce are given.
public struct IDTokenValidator: Sendable {
    /// `iss`, byte for byte, unless there are `tenants`.
    public var issuer: String
    /// Whose tokens count of a provider that signs for many.
    public var tenants: TenantIssuers?
    /// Must be in `aud`.
    public var clientID: String
    /// Must be `nonce`.
    public var nonce: String
    /// `at_hash`, when present, must be this token's.
    public var accessToken: String?
    /// `c_hash`, when present, must be this code's.
    public var code: String?
    /// The validator's clock.
    public var nowSeconds: Int64
    /// Of a refresh: `nonce` need not be there (Core §12.2); one that is there must be the sign-in's all the same.
    var mayLackNonce = false
    /// See `IdentityProviderRegistration.demandsVerifiedEmail`.
    var demandsVerifiedEmail = false

    /// How far two clocks may be apart.
    public static let skewSeconds: Int64 = 120
    /// How old `iat` of a fresh sign-in may be, beside the skew.
    public static let ageSecondsMax: Int64 = 600
    /// The algorithms taken; the key's own algorithm must be the header's besides.
    public static let algorithms: Set<SignatureAlgorithm> = [.rs256, .ps256, .es256, .eddsa]

    /// A validator for one exchange.
    public init(issuer: String, clientID: String, nonce: String, accessToken: String?, nowSeconds: Int64) {
        self.issuer = issuer
        self.clientID = clientID
        self.nonce = nonce
        self.accessToken = accessToken
        self.nowSeconds = nowSeconds
    }

    /// Takes the token apart and refuses algorithms that are not taken, before any key is looked up.
    public func parse(_ compact: String) throws(IdentityError) -> JWS {
        do throws(SignatureError) {
            let token = try JWS(compact: compact)
            guard Self.algorithms.contains(token.algorithm) else {
                throw SignatureError("token: alg \(token.algorithm.rawValue) is not accepted here")
            }
            return token
        } catch {
            throw IdentityError(.tokenInvalid, error.what)
        }
    }

    /// Checks signature and claims.
    ///
    /// - Parameter keys: the provider's keys that fit `kid` and algorithm. Without a `kid` there must be exactly one:
    ///   trying several until one fits would let a forgotten key sign.
    /// - Throws: `.tokenInvalid` naming the rule that was broken.
    public func validate(_ token: JWS, keys: [VerificationKey]) throws(IdentityError) -> IDToken {
        let claims = try signedClaims(token, keys: keys)
        try checkAudience(claims)
        try checkTimes(claims)
        let isNonceMissing = claims["nonce"] == nil || claims["nonce"]?.isNull == true
        if !mayLackNonce || !isNonceMissing {
            guard let sent = claims["nonce"]?.string, constantTimeEqual(Array(sent.utf8), Array(nonce.utf8))
            else {
                throw invalid("nonce is not the one sent")
            }
        }
        try checkHash("at_hash", of: accessToken, in: claims, token.algorithm, "is another token's")
        try checkHash("c_hash", of: code, in: claims, token.algorithm, "is another code's")
        // Not `iat` instead: a token made anew from an old session would prove a person who is not there.
        var person = try ClaimReader(claims: claims, demandsVerifiedEmail: demandsVerifiedEmail).person(
            issuer: claims["iss"]?.string ?? issuer, authenticatedAtSeconds: try authenticationTime(claims))
        person.claims.merge(StoredSession.tokenClaims(id: claims["jti"]?.string)) { $1 }
        return IDToken(person: person, claims: claims)
    }

    /// What every token of the provider has to be: signed by one of its keys, and by the issuer.
    func signedClaims(_ token: JWS, keys: [VerificationKey]) throws(IdentityError) -> JSONObject {
        _ = try token.signer(among: keys)
        let claims: JSONObject
        do throws(SignatureError) { claims = try token.payloadObject } catch {
            throw IdentityError(.tokenInvalid, error.what)
        }
        let iss = claims["iss"]?.string ?? ""
        guard tenants?.admits(iss, claims) ?? ExactText.isEqual(iss, issuer) else {
            throw invalid(tenants == nil ? "iss is not the issuer" : "iss and tid are no tenant that counts")
        }
        return claims
    }

    private func invalid(_ what: String) -> IdentityError { IdentityError(.tokenInvalid, what) }

    private func checkAudience(_ claims: JSONObject) throws(IdentityError) {
        guard let audience = claims.audience else {
            throw invalid("aud is missing, or no text or list of texts")
        }
        // An empty list is what one provider sends for clients without a configured audience: it names nobody.
        guard audience.contains(where: { ExactText.isEqual($0, clientID) }) else {
            throw invalid("aud does not name this client")
        }
        let party = claims["azp"]
        guard party == nil || party?.string.map({ ExactText.isEqual($0, clientID) }) == true else {
            throw invalid("azp is another client")
        }
        guard audience.count == 1 || party != nil else { throw invalid("several audiences and no azp") }
    }

    private func checkTimes(_ claims: JSONObject) throws(IdentityError) {
        guard let expiry = seconds(claims["exp"]), nowSeconds < expiry.saturating(plus: Self.skewSeconds)
        else {
            throw invalid("exp is missing or past")
        }
        guard let issued = seconds(claims["iat"]), issued <= nowSeconds + Self.skewSeconds else {
            throw invalid("iat is missing or in the future")
        }
        guard issued >= nowSeconds - Self.ageSecondsMax - Self.skewSeconds else {
            throw invalid("iat is too old for a fresh sign-in")
        }
        if let start = claims["nbf"] {
            guard let start = seconds(start), start <= nowSeconds + Self.skewSeconds else {
                throw invalid("nbf is in the future")
            }
        }
    }

    /// Providers send whole numbers, floats, 0 and nothing; 0 and nothing both mean "not said".
    ///
    /// - Returns: 0 for "not said".
    private func authenticationTime(_ claims: JSONObject) throws(IdentityError) -> Int64 {
        guard let value = claims["auth_time"], !value.isNull else { return 0 }
        guard let time = seconds(value), time <= nowSeconds + Self.skewSeconds else {
            throw invalid("auth_time is no time, or in the future")
        }
        return time
    }

    /// Both claims are optional in the code flow (Core §3.1.3.8, §3.3.2.11); what is said must be true. The hash is the
    /// one of the token's own algorithm: SHA-512 where that is Ed25519.
    private func checkHash(
        _ name: String, of text: String?, in claims: JSONObject, _ algorithm: SignatureAlgorithm,
        _ wrong: String
    ) throws(IdentityError) {
        guard let claim = claims[name], let text else { return }
        let bytes = Array(text.utf8)
        let digest: [UInt8]
        switch algorithm {
        case .rs256, .ps256, .es256: digest = Digest.sha256(bytes)
        case .rs512, .eddsa: digest = Digest.sha512(bytes)
        case .rs384, .es384: throw invalid("\(name) by an algorithm that is not taken")
        }
        let expected = Base64URL.encode(Array(digest.prefix(digest.count / 2)))
        guard let hash = claim.string, ExactText.isEqual(hash, expected) else {
            throw invalid("\(name) \(wrong)")
        }
    }

    /// A NumericDate (RFC 7519 §2): it may have a fraction. Bounded so that adding to it cannot overflow.
    private func seconds(_ value: JSONValue?) -> Int64? {
        value?.numericDate
    }
}

extension Int64 {
    func saturating(plus other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
