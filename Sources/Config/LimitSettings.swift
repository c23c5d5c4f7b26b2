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

    /// The defaults.
    public init() {}
}
