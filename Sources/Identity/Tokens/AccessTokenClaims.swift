import Access
import JSON
import Signatures

/// Which claims of a provider's access tokens are taken (`access-token-claims`).
public struct AccessTokenClaims: Sendable, Hashable {
    /// Must be in the token's `aud`: the resource that the token is for, which has to be one of ours.
    public var audience: String
    /// Names of claims.
    public var names: [String]

    /// Takes the members as they are; nothing is checked here.
    public init(audience: String, names: [String]) {
        self.audience = audience
        self.names = names
    }
}

extension TokenExchange {
    /// The wanted claims of the access token that came with an id token.
    ///
    /// - Throws: `.tokenInvalid` when the token is not a signed one for the configured audience, about this person and
    ///   given to us. Going on without it would let in whom a rule on one of its claims keeps out.
    func accessTokenClaims(
        _ wanted: AccessTokenClaims, _ idToken: IDToken, _ accessToken: String?
    ) async throws(IdentityError) -> [String: ClaimValue] {
        guard let accessToken else {
            throw IdentityError(.tokenInvalid, "access-token-claims: the provider gave no access token")
        }
        let claims = try await claims(
            of: accessToken, audience: wanted.audience, what: "access token", expires: true)
        guard Self.isAboutTheSame(claims, idToken.claims) else {
            throw IdentityError(.tokenInvalid, "access token: it is about somebody else")
        }
        // RFC 9068 §2.2 has client_id; Microsoft Entra azp, or appid in tokens of its first version.
        for name in ["client_id", "azp", "appid"] {
            guard let party = claims[name] else { continue }
            guard let party = party.string, ExactText.isEqual(party, registration.clientID) else {
                throw IdentityError(.tokenInvalid, "access token: \(name) is another client")
            }
        }
        var chosen = JSONObject()
        for name in wanted.names {
            // An opinion of the id token, even null, goes before.
            if idToken.claims[name] == nil, let value = claims[name] { chosen[name] = value }
        }
        return try ClaimReader(claims: chosen).otherClaims()
    }

    /// By `sub`; at Microsoft Entra by `oid` and `tid`, because `sub` there is another one for each
    /// application.
    private static func isAboutTheSame(_ token: JSONObject, _ idToken: JSONObject) -> Bool {
        func isSame(_ name: String) -> Bool {
            guard let left = token[name]?.string, let right = idToken[name]?.string, !left.isEmpty else {
                return false
            }
            return ExactText.isEqual(left, right)
        }
        let hasObject = idToken["oid"]?.string != nil && idToken["tid"]?.string != nil
        return hasObject ? isSame("oid") && isSame("tid") : isSame("sub")
    }
}
