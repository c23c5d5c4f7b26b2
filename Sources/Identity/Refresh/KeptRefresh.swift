import Access
import JSON
import Signatures

/// What is kept of a sign-in, sealed, to ask its provider again without the person.
struct KeptRefresh: Sendable, Equatable {
    /// Opaque (RFC 6749 §1.5).
    var token: String
    /// The sign-in's: an id token that has one must have this one (Core §12.2).
    var nonce: String
    /// The sign-in's id token had no address, so userinfo was asked for it.
    var takesEmailFromUserinfo: Bool
    /// The same of groups.
    var takesGroupsFromUserinfo: Bool

    /// Longer ones are not kept: real ones have one or two kilobytes.
    static let tokenBytesMax = 8 << 10

    /// nil: the token answer has no refresh token that could be kept.
    init?(_ answer: JSONObject, nonce: String, signedInBy idToken: IDToken) {
        guard let token = Self.token(answer) else { return nil }
        self.token = token
        self.nonce = nonce
        takesEmailFromUserinfo = idToken.claims["email"] == nil
        takesGroupsFromUserinfo = TokenExchange.lacksGroups(idToken)
    }

    /// RFC 6749 appendix A.17: visible ASCII and blanks.
    static func token(_ answer: JSONObject) -> String? {
        guard let token = answer["refresh_token"]?.string, (1...tokenBytesMax).contains(token.utf8.count),
            token.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
        else { return nil }
        return token
    }

    /// `expires_in` of the access token; some providers write the number as text. nil: not said, or no number.
    static func expiresInSeconds(_ answer: JSONObject) -> Int64? {
        let value = answer["expires_in"]
        guard let seconds = value?.integer ?? value?.string.flatMap({ Int64($0) }) else { return nil }
        return (1...31_536_000).contains(seconds) ? seconds : nil
    }

    // MARK: At rest

    func sealed(_ sealer: Sealer, for binding: RefreshBinding) -> String {
        let members: JSONObject = [
            "token": .string(token), "nonce": .string(nonce), "email": .bool(takesEmailFromUserinfo),
            "groups": .bool(takesGroupsFromUserinfo),
        ]
        return sealer.seal(members.serialized(), context: binding.context)
    }

    /// nil: sealed for another session or registration, by a key that is gone, or changed since.
    init?(_ sealed: String, _ sealer: Sealer, for binding: RefreshBinding) {
        guard let bytes = sealer.open(sealed, context: binding.context),
            let value = try? JSONValue(parsing: bytes), let token = value["token"]?.string,
            let nonce = value["nonce"]?.string, let email = value["email"]?.bool,
            let groups = value["groups"]?.bool
        else { return nil }
        self.token = token
        self.nonce = nonce
        takesEmailFromUserinfo = email
        takesGroupsFromUserinfo = groups
    }
}

/// What a refresh token is sealed for. A registration that is configured anew under an old name is another one: its
/// provider must never be sent the tokens of the one before.
struct RefreshBinding: Sendable {
    var sessionID: String
    var registration: IdentityProviderRegistration

    fileprivate var context: String {
        let parts = [registration.name, registration.issuer, registration.clientID, sessionID]
        // Lengths, because names may hold any separator.
        return "gatepost-refresh-token " + parts.map { "\($0.utf8.count):\($0)" }.joined()
    }
}
