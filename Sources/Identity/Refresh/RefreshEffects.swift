public import Store

/// What follows from refreshes outside of this module; sessions and tokens are kept or ended when it is told.
public protocol RefreshEffects: Sendable {
    /// The store has forgotten these sessions: whatever they have open is to be cut now.
    func ended(_ sessions: [StoredSession], by end: RefreshEnd) async
    /// What is known of the person has changed: the sessions below this one are to be decided anew.
    func changed(globalID: String) async
    /// Something for the administrator.
    func told(_ news: RefreshNews)
}

/// Why a refresh ended a session.
public struct RefreshEnd: Sendable, Hashable {
    /// The global session.
    public var sessionID: String
    /// The configured name.
    public var provider: String
    /// `.revoked`, `.interaction` or `.otherSubject`; any other one when the provider's grace is over.
    public var failure: RefreshFailure
    /// An answer of before was lost, perhaps with a new token in it: the refusal may be of the old one alone.
    public var wasAnswerLost: Bool
    /// The provider has said nothing that counts for longer than it may.
    public var isGraceOver = false

    /// The stable word (docs/reasons.md).
    public var word: String {
        if isGraceOver { return "refresh-grace-over" }
        if case .revoked = failure, wasAnswerLost { return "refresh-answer-lost" }
        return failure.word
    }
}

/// What an administrator may have to know of refreshes. No token is ever part of it.
public enum RefreshNews: Sendable, Hashable {
    /// A provider fails; once when it begins, and every five minutes while it lasts.
    case failing(provider: String, RefreshFailure)
    /// It answers again.
    case working(provider: String)
    /// A new sign-in was quicker: what the provider said to the refresh beside it was not used.
    case superseded(sessionID: String, provider: String)
    /// A kept token cannot be opened: its key is gone, or the provider is configured anew. The session goes on without.
    case unreadable(sessionID: String, provider: String)
    /// The store did not take what the provider said. A new token is kept in memory until it does.
    case notSaved(sessionID: String, StoreError)
    /// A token was not given back at the provider.
    case notRevoked(provider: String, what: String)
}

/// How one provider's refreshes go, for people.
public struct RefreshStatus: Sendable, Hashable {
    /// The configured name.
    public var provider: String
    /// Since the start; nil: none yet.
    public var lastSuccessSeconds: Int64?
    /// Since when every attempt fails; nil: it works, or nothing was tried.
    public var failingSinceSeconds: Int64?
    /// The stable word of the failure.
    public var failure: String?
    /// The provider's code, or what was wrong.
    public var detail: String?
    /// Requests under way.
    public var running: Int
}
