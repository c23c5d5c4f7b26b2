/// One connection to an upstream, or one stream of such a connection. Lives in a slab; its transport lives beside it.
struct Upstream {
    enum Phase {
        /// TCP connect in progress. → securing, ready, closed.
        case connecting
        /// TLS handshake in progress. → ready, probing, closed.
        case securing
        /// Belongs to an exchange. → idle, closed.
        case ready
        /// In the pool of its endpoint. → ready, closed.
        case idle
        /// A health check waits for its answer. → closed.
        case probing
        /// An HTTP/2 connection, whose streams are records of their own. → closed.
        case multiplexing
        /// One of these streams; before that it was connecting, as long as its connection was. → closed.
        case streaming
    }

    var phase = Phase.connecting
    let endpoint: Endpoint
    let group: UpstreamGroup
    var input = ByteBuffer()
    /// Of an answer whose body is read and whose trailers are not yet.
    var trailers = ByteBuffer()
    /// The downstream that uses it, -1 while idle.
    var downstream: Int32 = -1
    /// Of the exchange that it belongs to.
    var headMilliseconds: Int32 = 0
    var idleMilliseconds: Int32 = 0
    /// It already carried a request: it may have been closed by the upstream meanwhile.
    var isReused = false
    /// Whether a byte of the current response arrived.
    var hasAnswered = false
    /// Its failure was counted at the endpoint.
    var hasFailed = false
    /// Of a stream: how it ended, where it did not end as it should.
    var ending = StreamEnding.none
    /// Made for a health check: it never carries a request.
    var isProbe: Bool
    /// The HTTP/2 connection that this record is.
    var http2: HTTP2ConnectionPointer?
    /// Neighbours among the idle connections of its endpoint, or among its HTTP/2 connections.
    var nextIdle: Int32 = -1
    var previousIdle: Int32 = -1

    init(endpoint: Endpoint, group: UpstreamGroup, isProbe: Bool = false) {
        self.endpoint = endpoint
        self.group = group
        self.isProbe = isProbe
    }
}
