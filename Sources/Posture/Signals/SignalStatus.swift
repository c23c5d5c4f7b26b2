/// What administrators see of a Shared Signals stream, beside what every integration shows.
public struct SignalStreamStatus: Sendable, Hashable {
    /// `push` or `poll`.
    public var delivery: String
    /// The transmitter's id of the stream; nil before it was found or made.
    public var streamID: String?
    /// `enabled`, `paused` or `disabled`, as the transmitter said last.
    public var state: String?
    /// The transmitter's words for it.
    public var stateReason: String?
    /// When the last verification event came.
    public var verifiedAtSeconds: Int64?
    /// A verification event that was asked for did not come within two minutes: what signals would say has
    /// to be polled.
    public var isDegraded = false
    /// Longer than a day without verification: what the stream said of devices does not count.
    public var isSilenced = false
    /// Events that we asked for and do not get.
    public var missingEvents: [String] = []
    /// Whom it tells about, where it tells about nobody by itself; nil: it tells about everybody.
    public var subjects: SignalSubjectStatus?
    /// Acknowledged events by what became of them: `applied`, `unmapped-subject`, …
    public var acknowledged: [String: Int] = [:]
    /// Refused events by the code of the refusal.
    public var refused: [String: Int] = [:]
    /// The sentence of the last refusal.
    public var lastRefusal: String?
    /// The type of the last event whose subject names nobody and nothing here.
    public var lastUnmapped: String?
}

/// The subjects of a stream whose transmitter tells about nobody by itself (`default_subjects: NONE`).
public struct SignalSubjectStatus: Sendable, Hashable {
    /// People and devices that it was told of.
    public var added = 0
    /// Those that it will be told of.
    public var waiting = 0
    /// Those that it does not know, or not in a form that we have.
    public var unknown = 0
    /// Those that are more than a stream of ours may have.
    public var beyondMaximum = 0
    /// It takes no subjects, so it delivers nothing.
    public var isImpossible = false
    /// Why it could not be told of somebody just now.
    public var failure: String?

    /// Whether somebody is not told about who should be, and nothing is going to change that by itself.
    public var isDegraded: Bool { isImpossible || beyondMaximum > 0 || failure != nil }
}

/// What becomes of one delivered token.
public enum SignalReceipt: Sendable, Hashable {
    /// Taken, or known already: it need not come again.
    case acknowledged
    /// It will never be taken.
    case refused(SignalRefusal)
    /// Nothing is known against it: the store or the transmitter's keys cannot be read now.
    case unavailable(String)
    /// No stream of this name takes pushed events.
    case noSuchStream
}
