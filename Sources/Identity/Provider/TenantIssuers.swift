import Access
import JSON

/// One provider that signs for many tenants, each as an issuer of its own: Microsoft Entra's `common` and
/// `organizations`, whose discovery document names no issuer but the text `{tenantid}` in its place (Microsoft,
/// "Microsoft identity platform and OpenID Connect protocol").
///
/// Whoever has a tenant there can have tokens made for our client id. So which tenants count is configured, and nothing
/// is taken from one that is not.
public struct TenantIssuers: Sendable, Hashable {
    /// Stands in the document where a token has its tenant.
    static let placeholder = "{tenantid}"
    /// Segments of a configured issuer that stand for several tenants.
    static let shared = ["common", "organizations"]

    private let before: String
    private let after: String
    /// Lower case.
    private let tenants: [String]

    /// - Parameters:
    ///   - issuer: with a segment `common` or `organizations` behind its host; nil without.
    ///   - tenants: ids of the tenants that count, in any case.
    public init?(issuer: String, tenants: [String]) {
        let parts = issuer.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let place = parts.indices.dropFirst(3).first(where: { Self.shared.contains(parts[$0]) }) else {
            return nil
        }
        before = parts[..<place].joined(separator: "/") + "/"
        after = parts[(place + 1)...].map { "/" + $0 }.joined()
        self.tenants = tenants.map { $0.lowercased() }
    }

    /// Whether a discovery document is this provider's.
    func isDocumented(as issuer: String) -> Bool {
        ExactText.isEqual(issuer, before + Self.placeholder + after)
    }

    /// Whether it is the issuer of a tenant that counts.
    public func admits(_ issuer: String) -> Bool {
        tenants.contains { ExactText.isEqual(issuer, before + $0 + after) }
    }

    /// Whether a token is of a tenant that counts, and says so twice in one way: in `iss` and in `tid`.
    func admits(_ issuer: String, _ claims: JSONObject) -> Bool {
        guard let tenant = claims["tid"]?.string, ExactText.contains(tenants, tenant) else { return false }
        return ExactText.isEqual(issuer, before + tenant + after)
    }
}

extension IdentityProviderRegistration {
    /// In a directory of several tenants an address is what the administrators of its own tenant write: one of them
    /// could write another tenant's (Microsoft, "Migrate away from using email claims for authorization").
    var demandsVerifiedEmail: Bool { tenants != nil }

    /// Whether an issuer is one of this provider's that counts.
    func admits(_ issuer: String) -> Bool {
        tenants?.admits(issuer) ?? ExactText.isEqual(issuer, self.issuer)
    }

    /// Whether a discovery document that names this issuer is this provider's.
    func isDocumented(as issuer: String) -> Bool {
        tenants?.isDocumented(as: issuer) ?? ExactText.isEqual(issuer, self.issuer)
    }
}
