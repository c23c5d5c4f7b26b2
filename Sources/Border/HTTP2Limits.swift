/// Bounds of each HTTP/2 connection of a client, under `gateway.limits` too.
public struct HTTP2Limits: Sendable, Codable, Hashable {
    /// Streams open at once; fewer where `Limits.connectionMemoryBytesMax` leaves no room for so many.
    public var streamsMax = 100
    /// Streams of a second that were reset, beyond those that were answered.
    public var resetsPerSecondMax = 128
    /// Frames of a second that bring nothing, beyond those that responses explain.
    public var framesPerSecondMax = 256
    /// CONTINUATION frames of one field section; at most `continuationsCeiling`.
    public var continuationsMax = 8
    /// How long a client that is asked to go may take to say that it has read so; then its last stream is named.
    public var goodbyeMilliseconds = 1_000
    /// A connection to an upstream that has open streams and says nothing for so long is asked by PING.
    public var pingAfterMilliseconds = 10_000
    /// How long the answer to that PING may take.
    public var pingAnswerMilliseconds = 5_000

    /// Nobody can configure more.
    public static let continuationsCeiling = 64

    public init() {}

    /// What can be configured: the rest is the data process's own, and does not cross.
    private enum CodingKeys: CodingKey {
        case streamsMax, resetsPerSecondMax, framesPerSecondMax, continuationsMax
    }
}
