import Access
import Store

/// What a provider says of a person when it is asked again without them.
struct PersonNews: Sendable, Equatable {
    /// Everything that the provider says of the person; nil: it named no identity, what is known stands.
    var person: PersonFacts?
    /// Said at userinfo where the provider sends no id token; nil: not said.
    var email: Email?
    /// The same of groups; nil: not said.
    var groups: [String]?
    /// Groups that the provider has, but did not tell.
    var areGroupsUnknown = false
    /// When the request was sent.
    var askedAtSeconds: Int64

    /// An address, or that there is none which counts.
    enum Email: Sendable, Equatable { case address(String, verification: ClaimValue?), none }

    /// What a person proved when they signed in. Nobody was there now, so what a new token does not repeat still stands
    /// (Core §12.2 has `auth_time` stay; vendors leave the others out as well).
    private static let proofClaims = ["acr", "amr", "acrs"]
    private static let verificationClaim = "email_verified"

    /// Lays the news over a session, the global one or one below it.
    func apply(to session: inout StoredSession) {
        if let person {
            let known = session.claims
            session.email = person.email
            session.name = person.name ?? session.name
            session.groups = person.groups
            session.claims = person.claims
            for name in Self.proofClaims where person.claims[name] == nil {
                session.claims[name] = known[name]
            }
            // The token's id is the new token's, whether it has one or not.
            for (name, value) in known
            where name.hasPrefix(ClaimReader.ownPrefix) && name != StoredSession.tokenClaim {
                session.claims[name] = value
            }
            // By it the provider ends the session, whether or not a new token names it again.
            if session.providerSessionID == nil {
                session.claims[StoredSession.providerSessionClaim] =
                    known[StoredSession.providerSessionClaim]
            }
            session.authenticatedAtSeconds = proof(
                said: person.authenticatedAtSeconds, known: session.authenticatedAtSeconds)
        }
        switch email {
        case .address(let address, let verification)?:
            session.email = address
            session.claims[Self.verificationClaim] = verification
        case Email.none?: session.email = nil
        case nil: break
        }
        if let groups {
            session.groups = groups
            session.claims[ClaimReader.unknownGroupsClaim] = nil
        }
        if areGroupsUnknown {
            session.groups = []
            session.claims[ClaimReader.unknownGroupsClaim] = .flag(true)
        }
    }

    /// When the person proved who they are. Not now: a provider that stamps its own clock on a token that
    /// nobody was asked for would make an old proof young for ever.
    private func proof(said: Int64, known: Int64) -> Int64 {
        guard said > 0 else { return known }
        let isNow = said > known && said >= askedAtSeconds - IDTokenValidator.skewSeconds
        return isNow ? known : said
    }
}
