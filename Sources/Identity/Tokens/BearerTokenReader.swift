import Access
import JSON
import Signatures

/// What a bearer token must say to count (RFC 7519, RFC 8725, RFC 9068). Pure: the clock is given.
///
/// Everything that costs nothing comes before the signature: forged, foreign and expired tokens need no key.
public struct BearerTokenReader: Sendable {
    /// Those that the application's policies name.
    public var issuers: [TokenIssuer]
    /// The reader's clock.
    public var nowSeconds: Int64

    /// Longer tokens are none.
    public static let bytesMax = 8_192
    /// How far two clocks may be apart; not for `exp`, which bounds what is made of the token.
    public static let skewSeconds: Int64 = 120
    /// Media types that a bearer token may have, without `application/` (RFC 7515 §4.1.9): a logout token or
    /// an event is signed by the same key, and is none.
    private static let types: Set<String> = ["jwt", "at+jwt"]

    /// A reader for one application at one moment.
    public init(issuers: [TokenIssuer], nowSeconds: Int64) {
        self.issuers = issuers
        self.nowSeconds = nowSeconds
    }

    /// Checks everything but the signature.
    ///
    /// - Throws: `.tokenInvalid` naming the rule that was broken.
    public func read(_ compact: String) throws(IdentityError) -> ReadBearerToken {
        let token: JWS
        let claims: JSONObject
        do throws(SignatureError) {
            token = try JWS(compact: compact, bytesMax: Self.bytesMax)
            claims = try token.payloadObject
        } catch {
            throw IdentityError(.tokenInvalid, error.what)
        }
        try checkType(token)
        let issuer = try issuer(of: claims)
        guard issuer.algorithms.contains(token.algorithm) else {
            throw invalid("alg \(token.algorithm.rawValue) is not accepted of \(issuer.name)")
        }
        let expiry = try checkTimes(claims, issuer)
        // RFC 7800: such a token counts only together with its key, which a bearer does not prove.
        guard claims["cnf"] == nil else { throw invalid("cnf binds it to a key") }
        let facts = TokenFacts(
            issuer: issuer.name, subject: try subject(of: claims, issuer),
            claims: try values(of: claims, issuer))
        return ReadBearerToken(jws: token, issuer: issuer.name, facts: facts, expiresAtSeconds: expiry)
    }

    private func invalid(_ what: String) -> IdentityError { IdentityError(.tokenInvalid, what) }

    private func checkType(_ token: JWS) throws(IdentityError) {
        guard let value = token.header["typ"] else { return }
        let type = value.string?.lowercased() ?? ""
        let prefix = "application/"
        guard Self.types.contains(type.hasPrefix(prefix) ? String(type.dropFirst(prefix.count)) : type) else {
            throw invalid("typ is not a bearer token's")
        }
    }

    /// By `iss` and `aud`: several configured issuers may share the first.
    private func issuer(of claims: JSONObject) throws(IdentityError) -> TokenIssuer {
        guard let text = claims["iss"]?.string else { throw invalid("iss is missing") }
        let named = issuers.filter { ExactText.isEqual($0.issuer, text) }
        guard !named.isEmpty else { throw invalid("iss is no issuer that the application asks for") }
        guard let audience = claims.audience else {
            throw invalid("aud is missing, or no text or list of texts")
        }
        let meant = named.filter { issuer in audience.contains { ExactText.contains(issuer.audiences, $0) } }
        guard let issuer = meant.first else { throw invalid("aud does not name this gateway") }
        guard meant.count == 1 else { throw invalid("aud names two of the issuer's configurations") }
        return issuer
    }

    /// - Returns: `exp`.
    private func checkTimes(_ claims: JSONObject, _ issuer: TokenIssuer) throws(IdentityError) -> Int64 {
        guard let expiry = claims["exp"]?.numericDate, nowSeconds < expiry else {
            throw invalid("exp is missing or past")
        }
        // Without `iat` it began now at the latest: what is left must not be more than all of it.
        var start = nowSeconds
        if let issued = claims["iat"] {
            guard let issued = issued.numericDate, issued <= nowSeconds + Self.skewSeconds else {
                throw invalid("iat is no time, or in the future")
            }
            start = min(start, issued)
        }
        guard expiry - start <= issuer.lifetimeSecondsMax else {
            throw invalid("it lives longer than max-lifetime")
        }
        if let begins = claims["nbf"] {
            guard let begins = begins.numericDate, begins <= nowSeconds + Self.skewSeconds else {
                throw invalid("nbf is no time, or in the future")
            }
        }
        return expiry
    }

    private func subject(of claims: JSONObject, _ issuer: TokenIssuer) throws(IdentityError) -> String {
        guard let subject = Self.value(at: issuer.subject, in: claims)?.string,
            (1...ClaimReader.subjectBytesMax).contains(subject.utf8.count),
            subject.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
        else { throw invalid("the subject is not 1 to \(ClaimReader.subjectBytesMax) ASCII characters") }
        return subject
    }

    private func values(
        of claims: JSONObject, _ issuer: TokenIssuer
    ) throws(IdentityError) -> [String: ClaimValue] {
        var found: [String: ClaimValue] = [:]
        for (name, place) in issuer.claims {
            guard let value = Self.value(at: place, in: claims) else { continue }
            // Reduced as people's claims are, with their bounds.
            found[name] = try ClaimReader(claims: claims).reduced(value)
        }
        return found
    }

    private static func value(at place: [String], in claims: JSONObject) -> JSONValue? {
        guard let first = place.first else { return nil }
        return place.dropFirst().reduce(claims[first]) { value, name in value?.object?[name] }
    }
}
