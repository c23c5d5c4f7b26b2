/// Which values two processes can speak to each other about.
///
/// A version may add members that may be absent, and cases that are sent only to who knows them; then version N and
/// N + 1 understand each other. Anything else needs two versions' time: first everybody reads it, then somebody
/// writes it.
public enum BorderVersion {
    /// What this program writes.
    public static let current: UInt8 = 1
    /// The oldest that this program can speak with.
    public static let oldest: UInt8 = 1

    /// - Returns: what both sides speak; nil: they have nothing in common and must not go on.
    public static func common(with other: BorderGreeting) -> UInt8? {
        let version = min(current, other.newest)
        return version >= max(oldest, other.oldest) ? version : nil
    }
}

/// The first value of each direction. Its members never change.
public struct BorderGreeting: Sendable, Codable, Hashable {
    /// The newest and the oldest version that the sender speaks.
    public var newest: UInt8
    public var oldest: UInt8
    public init(newest: UInt8 = BorderVersion.current, oldest: UInt8 = BorderVersion.oldest) {
        self.newest = newest
        self.oldest = oldest
    }
}

/// Control process → data process, ordinary lane. Revocations have a lane, and a socket, of their own.
public enum ToData: Sendable, Codable, Hashable {
    case greeting(BorderGreeting)
    /// To be checked whole and then taken; answered by `configured` with the same number.
    case configure(number: UInt64, GatewaySnapshot)
    /// For one reactor, once every revocation up to `after` has been handed to it.
    case message(ToReactor, reactor: UInt16, after: UInt64)
    /// Answered by `status`.
    case statusAsked(number: UInt64)
    /// The control process is about to leave: nothing more is to be sent. Answered by `paused`.
    case pause
}

/// Data process → control process.
public enum FromData: Sendable, Codable, Hashable {
    case greeting(BorderGreeting)
    /// Second, once: which revocations and which configuration reached this process, from whichever control process.
    case state(sequence: UInt64, revision: UInt64)
    /// Third, in pieces: the records that reactors may still use.
    case known([KnownRecord], isLast: Bool)
    case message(ToControl)
    case configured(number: UInt64, failure: String?)
    /// The reactors' counters, a JSON object.
    case status(number: UInt64, [UInt8])
    /// Nothing more comes until another control process is there.
    case paused
}

/// A record that a reactor may still use: enough to ask whether it still should.
public struct KnownRecord: Sendable, Codable, Hashable {
    /// As of `SessionRecord`.
    public var tokenDigest: [UInt8]
    public var session: String
    public var application: String
    public var client: SessionRecord.Client
    public init(_ record: SessionRecord) {
        tokenDigest = record.tokenDigest
        session = record.session
        application = record.application
        client = record.client
    }
}
