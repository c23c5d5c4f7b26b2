import Access

/// Names by which somebody outside means sign-ins. Of each kind any one has to fit, and of every kind that is given.
public struct SignInNames: Sendable, Hashable, Codable {
    /// A person as somebody outside names one.
    public enum Person: Sendable, Hashable, Codable {
        /// `iss` and `sub` of the identity provider.
        case identity(issuer: String, subject: String)
        /// Lower case.
        case email(String)
    }

    /// An ID token as somebody outside names it.
    public struct Token: Sendable, Hashable, Codable {
        /// Its `iss`.
        public var issuer: String
        /// Its `jti`, or Entra's `uti`.
        public var id: String

        /// Takes the members as they are.
        public init(issuer: String, id: String) {
            self.issuer = issuer
            self.id = id
        }
    }

    /// Names of the same person.
    public var persons: [Person]
    /// Our id of the session, or the identity provider's (`sid`).
    public var sessions: [String]
    /// ID tokens that the session was made or renewed with last: one of these or one of `sessions` has to fit.
    public var tokens: [Token]
    /// The identity provider's tenant (`tid`).
    public var tenants: [String]

    /// Takes the members as they are.
    public init(
        persons: [Person] = [], sessions: [String] = [], tokens: [Token] = [], tenants: [String] = []
    ) {
        self.persons = persons
        self.sessions = sessions
        self.tokens = tokens
        self.tenants = tenants
    }

    /// Whether it names nothing.
    public var isEmpty: Bool {
        persons.isEmpty && sessions.isEmpty && tokens.isEmpty && tenants.isEmpty
    }

    /// Whether a session is meant; nothing named means everything.
    ///
    /// A session of the person of which it is not known which of the provider's sessions or tenants it
    /// belongs to is meant too: it may be the one.
    ///
    /// - Parameter isKnown: the session is already known to be one of those that were meant, by something that is not
    ///   among these names.
    public func covers(_ session: StoredSession, isKnown: Bool = false) -> Bool {
        if !persons.isEmpty, !persons.contains(where: { Self.fits($0, session) }) { return false }
        let isKnown = isKnown || !persons.isEmpty
        guard sessions.isEmpty && tokens.isEmpty || isNamed(session, isKnown) else { return false }
        return tenants.isEmpty || Self.fits(session.claims[StoredSession.tenantClaim], tenants, isKnown)
    }

    private func isNamed(_ session: StoredSession, _ isKnown: Bool) -> Bool {
        sessions.contains { ExactText.isEqual($0, session.id) }
            || !sessions.isEmpty
                && Self.fits(session.claims[StoredSession.providerSessionClaim], sessions, isKnown)
            || !tokens.isEmpty && isOfToken(session, isKnown)
    }

    /// As with a provider's session: of a person's session whose token is not known it may be the one.
    private func isOfToken(_ session: StoredSession, _ isKnown: Bool) -> Bool {
        let ids = session.tokenIDs
        guard !ids.isEmpty else { return isKnown }
        return tokens.contains { token in
            ExactText.isEqual(token.issuer, session.issuer) && ExactText.contains(ids, token.id)
        }
    }

    private static func fits(_ claim: ClaimValue?, _ wanted: [String], _ isKnown: Bool) -> Bool {
        guard case .text(let text)? = claim else { return isKnown }
        return ExactText.contains(wanted, text)
    }

    private static func fits(_ person: Person, _ session: StoredSession) -> Bool {
        switch person {
        case .identity(let issuer, let subject):
            ExactText.isEqual(session.issuer, issuer) && ExactText.isEqual(session.subject, subject)
        case .email(let email): session.email.map { ExactText.isEqual($0, email) } ?? false
        }
    }
}

extension StoredSession {
    /// The claim in which Entra names the tenant.
    static let tenantClaim = "tid"
    /// Entra's name for the id of a token, beside `jti`.
    private static let otherTokenClaim = "uti"

    /// How the ID token may be called that it was made or renewed with last.
    var tokenIDs: [String] { [Self.tokenClaim, Self.otherTokenClaim].compactMap(text) }

    /// The provider's tenant that it is of, where the provider says so.
    var tenantID: String? { text(Self.tenantClaim) }

    /// What a provider may call it by from one token to the next; absent ones are empty.
    var changingNames: [String] { [providerSessionID ?? "", email ?? "", tenantID ?? ""] + tokenIDs }

    private func text(_ claim: String) -> String? {
        if case .text(let text)? = claims[claim] { text } else { nil }
    }
}
