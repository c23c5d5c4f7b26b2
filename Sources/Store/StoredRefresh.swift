import Access

/// What keeps a sign-in in step with its identity provider: the refresh token of one global session, and when and with
/// what success it was used.
public struct StoredRefresh: Sendable, Codable, Hashable {
    /// The global session that it belongs to; it goes with it.
    public var sessionID: String
    /// The *configured name* of the identity provider that gave the token.
    public var provider: String
    /// The token and what belongs to it, sealed by the caller for this session and provider.
    public var sealedToken: String
    /// When it is to be used next; nil: it rests until the session is used again.
    public var dueAtSeconds: Int64?
    /// When what the provider says was last taken over; of a new sign-in: its own time.
    public var refreshedAtSeconds: Int64
    /// Since when a request is without an answer that was kept: the provider may have replaced the token meanwhile.
    public var unansweredSinceSeconds: Int64?
    /// How many endings (`GatewayStore.endingCount`) were known before that request was sent; nil: it is from before
    /// they were counted.
    public var endingsKnown: Int64?
    /// Since when every attempt fails.
    public var failingSinceSeconds: Int64?
    /// The word for the last failure.
    public var failure: String?
    /// Attempts that failed one after the other.
    public var failureCount: Int64

    /// A row out of its parts; nothing is checked here.
    public init(
        sessionID: String, provider: String, sealedToken: String, dueAtSeconds: Int64?,
        refreshedAtSeconds: Int64, unansweredSinceSeconds: Int64? = nil, endingsKnown: Int64? = nil,
        failingSinceSeconds: Int64? = nil, failure: String? = nil, failureCount: Int64 = 0
    ) {
        self.sessionID = sessionID
        self.provider = provider
        self.sealedToken = sealedToken
        self.dueAtSeconds = dueAtSeconds
        self.refreshedAtSeconds = refreshedAtSeconds
        self.unansweredSinceSeconds = unansweredSinceSeconds
        self.endingsKnown = endingsKnown
        self.failingSinceSeconds = failingSinceSeconds
        self.failure = failure
        self.failureCount = failureCount
    }
}

/// A session as it was read and as it is to be.
public struct SessionChange: Sendable, Hashable {
    /// As it was read.
    public var old: StoredSession
    /// Of the same id and kind.
    public var new: StoredSession

    /// A change out of its parts.
    public init(_ old: StoredSession, _ new: StoredSession) {
        self.old = old
        self.new = new
    }
}

extension SessionChange {
    /// Whether the provider calls the sign-in, its token or the person by another name than before: what ended that
    /// name did not find it.
    public var isNamedAnew: Bool {
        new.kind == .global && !ExactText.isEqual(old.changingNames, new.changingNames)
    }
}

extension StoredRefresh {
    /// Whether an ending was noted since the request. By their count and by no clock: one that has gone back since
    /// would date the ending before the request.
    public func mayHaveMissed(_ ending: LastEnding) -> Bool {
        unansweredSinceSeconds != nil && endingsKnown ?? 0 < ending.number
    }
}

/// What came of replacing a row together with its session.
public enum RefreshReplacement: Sendable, Hashable, CaseIterable {
    /// Both are as they should be.
    case done
    /// The row is gone or another one: a sign-in has brought a newer token, or the session has ended. Nothing was
    /// written.
    case refreshChanged
    /// Only a session was changed or ended meanwhile. Nothing was written.
    case sessionChanged
    /// A sign-in is given a name of the provider's that was ended since the request was sent: it must end, too.
    /// Nothing was written.
    case sessionEnded
}

/// How the refreshes of one provider stand.
public struct RefreshTally: Sendable, Hashable {
    /// Sessions with a refresh token.
    public var known: Int
    /// Those that nobody uses: their refresh rests.
    public var resting: Int
    /// Those whose last attempt failed.
    public var failing: Int
    /// The earliest beginning of a failure that lasts.
    public var failingSinceSeconds: Int64?

    /// A tally out of its parts.
    public init(known: Int, resting: Int, failing: Int, failingSinceSeconds: Int64? = nil) {
        self.known = known
        self.resting = resting
        self.failing = failing
        self.failingSinceSeconds = failingSinceSeconds
    }
}

/// Refresh tokens at rest, as the control plane sees them: part of `GatewayStore`, as durable as sessions are.
public protocol RefreshStore: Sendable {
    /// Keeps the refresh token of a sign-in in the place of the one before. Refused (`.globalSessionGone`) when the
    /// session has ended.
    func keep(_ refresh: StoredRefresh) async throws(StoreError)
    /// The row of this session; nil: it has none.
    func refresh(sessionID: String) async throws(StoreError) -> StoredRefresh?
    /// The rows of these sessions, where they have one.
    func refreshes(sessionIDs: [String]) async throws(StoreError) -> [StoredRefresh]
    /// What is due at one provider, the longest due first, at most `limit`.
    ///
    /// - Parameter latestSeconds: an appointment after this second was made by a clock that has jumped back since;
    ///   it is due as well.
    func dueRefreshes(
        of provider: String, nowSeconds: Int64, latestSeconds: Int64, limit: Int
    ) async throws(StoreError) -> [StoredRefresh]
    /// What one provider has not confirmed for long: failing since the first of these seconds or longer, or due since
    /// the third and never asked; at most `limit`, in no order.
    ///
    /// - Parameter restingSinceSeconds: one that rests counts only when it began to fail at this second or later.
    func overdueRefreshes(
        of provider: String, failingSinceSeconds: Int64, restingSinceSeconds: Int64, dueSinceSeconds: Int64,
        limit: Int
    ) async throws(StoreError) -> [StoredRefresh]
    /// Replaces a row that still is exactly as it was read, and with it the session that it belongs to and those
    /// below, in one transaction: all or nothing. None is ever brought back.
    ///
    /// - Parameter sessions: what changes of them.
    func replace(
        _ old: StoredRefresh, with new: StoredRefresh, sessions: [SessionChange]
    ) async throws(StoreError) -> RefreshReplacement
    /// Ends the session of a row that still is exactly as it was read, with everything below it.
    ///
    /// - Returns: everything that was ended; nothing when a sign-in has brought a newer token meanwhile.
    func end(refreshing refresh: StoredRefresh) async throws(StoreError) -> [StoredSession]
    /// Forgets the refresh token of a session that goes on without.
    func removeRefresh(sessionID: String) async throws(StoreError)
    /// Makes those of these sessions' rows due that rest.
    func wake(refreshesOf sessionIDs: [String], atSeconds: Int64) async throws(StoreError)
    /// How many there are by provider, for people.
    func refreshTallies() async throws(StoreError) -> [String: RefreshTally]
}
