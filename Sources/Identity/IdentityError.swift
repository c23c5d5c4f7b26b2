public import Access

/// Why a person could not be identified.
public struct IdentityError: Error, Hashable, CustomStringConvertible {
    /// Selects the reaction.
    public enum Kind: String, Sendable, CaseIterable {
        /// The provider does not answer, or answers that it cannot now.
        case providerUnavailable = "provider-unavailable"
        /// The provider's answer is not what the specification says.
        case providerMalformed = "provider-malformed"
        /// The provider said no.
        case providerRefused = "provider-refused"
        /// The id token is not one for us, or not valid.
        case tokenInvalid = "token-invalid"
        /// A resource of the provider wants further claims asked for before it answers.
        case claimsDemanded = "claims-demanded"
    }

    /// Selects the reaction.
    public var kind: Kind
    /// For the log: what was wrong and where; never a token or a code.
    public var what: String
    /// The provider's own error code, of safe characters only, for the page.
    public var providerCode: String?
    /// What the provider told the person's browser, for the page: printable, at most 300 characters.
    public var providerWords: String?
    /// Which claims are demanded; nil: what was said of them cannot be followed.
    var demanded: DemandedClaims?

    /// An error out of its parts.
    public init(
        _ kind: Kind, _ what: String, providerCode: String? = nil, providerWords: String? = nil
    ) {
        self.kind = kind
        self.what = what
        self.providerCode = providerCode
        self.providerWords = providerWords
    }

    public var description: String { "\(kind.rawValue): \(what)" }

    /// The word for logs, pages and metrics.
    public var reason: Reason {
        switch kind {
        case .providerUnavailable, .providerMalformed: .identityProviderUnavailable
        case .providerRefused, .tokenInvalid: .identityProviderRefused
        case .claimsDemanded: .authenticationInsufficient
        }
    }
}
