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
    /// Acknowledged events by what became of them: `applied`, `unmapped-subject`, …
    public var acknowledged: [String: Int] = [:]
    /// Refused events by the code of the refusal.
    public var refused: [String: Int] = [:]
    /// The sentence of the last refusal.
    public var lastRefusal: String?
    /// The type of the last event whose subject names nobody and nothing here.
    public var lastUnmapped: String?
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
