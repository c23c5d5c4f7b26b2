import JSON
import Signatures

/// The claims of a token that came straight from its issuer over TLS, which is its proof (OpenID Connect Core
/// 3.1.3.7, 6). Nobody is let in by them: they are compared with what was configured, and shown.
enum UnverifiedClaims {
    /// nil for a token that is no JWT: a vendor may make its access tokens opaque at any time.
    static func read(_ token: String?) -> JSONValue? {
        guard let token, token.utf8.count <= ProviderToken.bytesMax else { return nil }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let bytes = Base64URL.decode(String(parts[1])),
            let claims = try? JSONValue(parsing: bytes, limits: .token), claims.object != nil
        else { return nil }
        return claims
    }
}
