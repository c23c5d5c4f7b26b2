import Access

/// Which sign-ins something ends: those that there are, and those under way that began before.
public enum EndingScope: Sendable, Hashable {
    /// What a configured provider calls one session (`sid`). With a subject only that person's; and of that
    /// person those, too, whose provider gave them no such name: nobody can tell that they are another
    /// session.
    case providerSession(provider: String, sid: String, subject: String?)
    /// Every session of one subject that one configured provider made.
    case providerSubject(provider: String, subject: String)
    /// Every session of one person of one issuer, whichever registration made it.
    case person(issuer: String, subject: String)
    /// Every session that one configured provider made.
    case provider(String)
    /// Every session that one configured provider made under one issuer.
    case issuer(provider: String, issuer: String)
    /// One sign-in, by our id, that its provider calls `sid`; of those under way every one with that name.
    case signIn(id: String, provider: String, sid: String)
}

/// Who made sessions that there are.
public struct SessionMaker: Sendable, Hashable {
    /// The configured name of the provider.
    public var provider: String
    /// The issuer that its tokens named then.
    public var issuer: String
    /// Takes the members as they are.
    public init(provider: String, issuer: String) {
        self.provider = provider
        self.issuer = issuer
    }
}

/// Something that is good once.
public struct OneTime: Sendable, Hashable {
    /// What names it, 32 bytes.
    public var digest: [UInt8]
    /// It is remembered until then.
    public var expiresAtSeconds: Int64
    /// Takes the members as they are.
    public init(digest: [UInt8], expiresAtSeconds: Int64) {
        self.digest = digest
        self.expiresAtSeconds = expiresAtSeconds
    }
}

/// What one call of `end` did.
public struct EndedSessions: Sendable, Hashable {
    /// Everything that was ended, to be revoked on the data plane.
    public var sessions: [StoredSession]
    /// False: there are more; call again, without what is good once.
    public var isComplete: Bool
    /// Takes the members as they are.
    public init(sessions: [StoredSession], isComplete: Bool) {
        self.sessions = sessions
        self.isComplete = isComplete
    }
}

/// What was of a browser that was signed out.
public struct SignedOutSessions: Sendable, Hashable {
    /// Everything that was ended, to be revoked on the data plane.
    public var sessions: [StoredSession]
    /// Their refresh tokens, which are gone with them.
    public var refreshes: [StoredRefresh]
    /// Takes the members as they are.
    public init(sessions: [StoredSession], refreshes: [StoredRefresh]) {
        self.sessions = sessions
        self.refreshes = refreshes
    }
}

/// When something last ended that a sign-in belongs to: by the host's clock, and by the count of all endings, which
/// goes on where a clock goes back.
public struct LastEnding: Sendable, Hashable {
    /// The latest second that one of them was dated.
    public var atSeconds: Int64
    /// How many endings had been noted with the last of them, it included.
    public var number: Int64
    /// Takes the members as they are.
    public init(atSeconds: Int64, number: Int64) {
        self.atSeconds = atSeconds
        self.number = number
    }

    /// The later one of two, by clock and by count apart.
    public func orLater(_ other: LastEnding?) -> LastEnding {
        guard let other else { return self }
        return LastEnding(
            atSeconds: max(atSeconds, other.atSeconds), number: max(number, other.number))
    }
}

/// Endings that were dated later than now, by a clock that has gone back since.
public struct EndingsAhead: Sendable, Hashable {
    /// So far ahead is no sign of a wrong clock: who looks may have read it before somebody else noted an ending.
    public static let toleranceSeconds: Int64 = 10
    /// How many there were.
    public var count: Int
    /// How far ahead the last of them was.
    public var seconds: Int64
    /// Takes the members as they are.
    public init(count: Int, seconds: Int64) {
        self.count = count
        self.seconds = seconds
    }
}

/// How many would end.
public struct SessionCount: Sendable, Hashable {
    /// Sign-ins at the auth host.
    public var signIns: Int
    /// Sessions at applications, those below the sign-ins among them.
    public var sessions: Int
    /// Different persons.
    public var persons: Int
    /// Takes the members as they are.
    public init(signIns: Int = 0, sessions: Int = 0, persons: Int = 0) {
        self.signIns = signIns
        self.sessions = sessions
        self.persons = persons
    }

    /// What was ended, without what had expired before.
    public init(_ ended: [StoredSession], liveAtSeconds nowSeconds: Int64) {
        let live = ended.filter { $0.expiresAtSeconds > nowSeconds }
        signIns = live.count { $0.kind == .global }
        sessions = live.count - signIns
        persons = Set(live.map { [Array($0.issuer.utf8), Array($0.subject.utf8)] }).count
    }
}

extension StoredSession {
    /// The claim in which providers name their own session (OpenID Connect Back-Channel Logout 1.0 §2.1).
    public static let providerSessionClaim = "sid"

    /// What the provider calls the session that this sign-in is of; nil: it did not say.
    public var providerSessionID: String? {
        if case .text(let sid)? = claims[Self.providerSessionClaim], !sid.isEmpty { return sid }
        return nil
    }
}
