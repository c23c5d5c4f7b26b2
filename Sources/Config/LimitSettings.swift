/// `gateway.limits`: bounds and deadlines of the data plane, named as the data plane names them.
public struct LimitSettings: Sendable, Hashable {
    /// `connections-max`: downstream connections of the whole gateway.
    public var connectionsMax = 10_000
    /// `head-bytes-max`: bytes of one request head.
    public var headBytesMax = 32_768
    /// `fields-max`: fields of one head.
    public var fieldsMax = 100
    /// `target-bytes-max`: bytes of one request target.
    public var targetBytesMax = 16_384
    /// `handshake`: deadline of a TLS handshake.
    public var handshakeMilliseconds = 10_000
    /// `head`: deadline of a request head.
    public var headMilliseconds = 10_000
    /// `idle`: longest silence between requests of a connection.
    public var idleMilliseconds = 75_000
    /// `body-idle`: longest silence while a body is moving.
    public var bodyIdleMilliseconds = 60_000
    /// `upstream-connect`: deadline of a connection to an upstream.
    public var upstreamConnectMilliseconds = 5_000
    /// `upstream-head`: deadline of an upstream's response head.
    public var upstreamHeadMilliseconds = 60_000
    /// `upstream-idle-per-reactor-max`: kept idle upstream connections per reactor.
    public var upstreamIdlePerReactorMax = 256
    /// `parked-max`: requests waiting for the control plane, per reactor.
    public var parkedMax = 1_024
    /// `parked`: deadline of such a wait.
    public var parkedMilliseconds = 10_000
    /// `first-contact`: how long the device check waits for the providers' first word about a device.
    public var firstContactMilliseconds = 3_000
    /// `sessions-cached-max`: sessions each reactor keeps at hand.
    public var sessionsCachedMax = 100_000
    /// `connections-per-address-max`: connections of one IPv4 address or IPv6 /64; 0: no bound.
    public var connectionsPerAddressMax = 1_000
    /// `handshakes-per-address-per-second-max`: new connections of such an address; 0: no bound.
    public var handshakesPerAddressPerSecondMax = 500
    /// `handshakes-per-second-max`: new connections of the whole gateway; 0: no bound.
    public var handshakesPerSecondMax = 5_000
    /// `body-rate-min`: bytes per second that a client sends or reads while it is waited for; 0: no bound.
    public var bodyRateMin = 240
    /// `body-patience`: how long such a client may be behind.
    public var bodyPatienceMilliseconds = 20_000
    /// `first-request`: longest silence before the first request of a connection.
    public var firstRequestMilliseconds = 15_000
    /// `connection-memory-max`: bytes that the buffers of one connection take.
    public var connectionMemoryBytesMax = 8_388_608
    /// `memory-per-address-max`: bytes that those of one IPv4 address or IPv6 /64 take together; 0: no bound.
    public var memoryPerAddressBytesMax = 12_582_912
    /// `memory-max`: bytes that the buffers of all connections take together.
    public var memoryBytesMax = 268_435_456
    /// `http2-streams-max`: streams of one HTTP/2 connection that are open at once.
    public var http2StreamsMax = 100
    /// `http2-resets-per-second-max`: streams of one that are reset, beyond those that were answered.
    public var http2ResetsPerSecondMax = 128
    /// `http2-frames-per-second-max`: frames of one that bring nothing, beyond those that responses explain.
    public var http2FramesPerSecondMax = 256
    /// `http2-continuations-max`: CONTINUATION frames of one field section.
    public var http2ContinuationsMax = 8

    /// The defaults.
    public init() {}
}
