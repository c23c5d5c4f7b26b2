/// One connection to an upstream. Lives in a slab; its transport lives beside it.
struct Upstream {
    enum Phase {
        /// TCP connect in progress. → securing, ready, closed.
        case connecting
        /// TLS handshake in progress. → ready, closed.
        case securing
        /// Belongs to an exchange. → idle, closed.
        case ready
        /// In the pool of its endpoint. → ready, closed.
        case idle
    }

    var phase = Phase.connecting
    let endpoint: Endpoint
    var input = ByteBuffer()
    /// The downstream that uses it, -1 while idle.
    var downstream: Int32 = -1
    /// It already carried a request: it may have been closed by the upstream meanwhile.
    var isReused = false
    /// Whether a byte of the current response arrived.
    var hasAnswered = false
    var nextIdle: Int32 = -1
    var previousIdle: Int32 = -1

    init(endpoint: Endpoint) { self.endpoint = endpoint }
}
