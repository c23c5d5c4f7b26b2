/// How far an integration is behind with asking about devices one by one.
public struct RefreshBacklog: Sendable, Hashable {
    /// How long the device that is due longest has waited for its question, seconds; 0: nobody waits.
    public var waitingSeconds: Int64
    /// How long asking about every known device takes at the provider's pace, seconds; nil: there were never enough
    /// questions at once to tell.
    public var roundSeconds: Int64?
    /// The complete list is read at the pace of `refresh`, because asking about every device takes too long.
    public var readsList: Bool
    /// Beyond this wait devices may lose what is known of them, seconds: a quarter of `ttl`.
    public var waitingSecondsMax: Int64

    /// Whether somebody has to do something.
    public var isLate: Bool { !readsList && waitingSeconds > waitingSecondsMax }

    /// Takes the members as they are.
    public init(waitingSeconds: Int64, roundSeconds: Int64?, readsList: Bool, waitingSecondsMax: Int64) {
        self.waitingSeconds = waitingSeconds
        self.roundSeconds = roundSeconds
        self.readsList = readsList
        self.waitingSecondsMax = waitingSecondsMax
    }
}
