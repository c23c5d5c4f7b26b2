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

    /// Nobody can configure more.
    public static let continuationsCeiling = 64

    public init() {}
}
