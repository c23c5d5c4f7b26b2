public import Access
import JSON
public import Signatures

/// A configured issuer of bearer tokens for clients without a person (`token-issuers.<name>`).
public struct TokenIssuer: Sendable {
    /// Where keys come from.
    public enum Keys: Sendable {
        /// Fetched as a registration's are, whose `keySource` says from where.
        case fetched(IdentityProviderRegistration)
        /// Given by the configuration.
        case fixed(JWKSet)
    }

    /// The configured name.
    public var name: String
    /// `iss`, byte for byte.
    public var issuer: String
    /// One of these has to be in `aud`.
    public var audiences: [String]
    /// A key's own algorithm must be the header's besides.
    public var algorithms: Set<SignatureAlgorithm>
    /// Where the subject stands in the token: names of members, outermost first.
    public var subject: [String]
    /// Where the claims stand that policies may ask for, by the names that policies call them.
    public var claims: [String: [String]]
    /// A token that lives longer than this is none.
    public var lifetimeSecondsMax: Int64
    /// Its keys.
    public var keys: Keys

    /// An issuer out of its parts.
    public init(
        name: String, issuer: String, audiences: [String], algorithms: Set<SignatureAlgorithm>,
        subject: [String], claims: [String: [String]], lifetimeSecondsMax: Int64, keys: Keys
    ) {
        self.name = name
        self.issuer = issuer
        self.audiences = audiences
        self.algorithms = algorithms
        self.subject = subject
        self.claims = claims
        self.lifetimeSecondsMax = lifetimeSecondsMax
        self.keys = keys
    }

    /// The key of the token among the issuer's. Fetches at most what is due, and once a minute for an unknown
    /// `kid`.
    ///
    /// - Returns: the RFC 7638 thumbprint of the key that signed.
    /// - Throws: `.tokenInvalid` when none did; another kind when the keys cannot be had.
    public func verify(
        _ token: ReadBearerToken, by directory: ProviderDirectory, nowSeconds: Int64
    ) async throws(IdentityError) -> String {
        let candidates: [VerificationKey]
        switch keys {
        case .fixed(let set):
            candidates = set.candidates(keyID: token.jws.keyID, algorithm: token.jws.algorithm)
        case .fetched(let registration):
            candidates = try await directory.candidates(
                keyID: token.jws.keyID, algorithm: token.jws.algorithm, of: registration,
                nowSeconds: nowSeconds)
        }
        return try token.jws.signer(among: candidates).thumbprint
    }

    /// Whether a key that signed once is still the issuer's: one that was taken out signs for nobody any
    /// more.
    public func holds(
        keyThumbprint: String, by directory: ProviderDirectory, nowSeconds: Int64
    ) async throws(IdentityError) -> Bool {
        switch keys {
        case .fixed(let set):
            set.keys.contains { ExactText.isEqual($0.thumbprint, keyThumbprint) }
        case .fetched(let registration):
            try await directory.holds(
                keyThumbprint: keyThumbprint, of: registration, nowSeconds: nowSeconds)
        }
    }
}

/// A bearer token whose every rule holds but the signature, which nobody has checked yet.
public struct ReadBearerToken: Sendable {
    /// The token's parts.
    public var jws: JWS
    /// The configured name of the issuer that it names.
    public var issuer: String
    /// What policies compare.
    public var facts: TokenFacts
    /// `exp`.
    public var expiresAtSeconds: Int64
}
