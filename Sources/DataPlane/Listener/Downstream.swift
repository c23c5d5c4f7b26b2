import Access
import Border
import HTTP

/// One client connection and the request that it is busy with. Lives in a slab; its transport lives beside
/// it.
struct Downstream {
    /// Where the connection stands; each case lists what may follow it.
    enum Phase {
        /// A listed load balancer says whom it speaks for. → handshaking, closed.
        case proxyHeader
        /// → head, multiplexing, closed.
        case handshaking
        /// An HTTP/2 connection, whose streams are records of their own. → lingering, closed.
        case multiplexing
        /// Waiting for a request head, or walking one. → parked, collecting, connecting, forwarding,
        /// lingering.
        case head
        /// An answer of the control plane is awaited. → head (walk again), lingering.
        case parked
        /// The body of a reserved path is read before the control plane is asked. → parked, lingering.
        case collecting
        /// A new upstream connection is being made. → head (walk again), lingering.
        case connecting
        /// Request and response bodies are moving. → head, tunnel, lingering, closed.
        case forwarding
        /// 101 was answered: bytes both ways until either side ends. → closed.
        case tunnel
        /// The answer is written and nothing is read but to be thrown away. → closed.
        case lingering
    }

    var input = ByteBuffer()
    var client: NetworkAddress
    /// The same as text in the field lines of every request.
    var forwarded: ForwardedFields
    /// The certificate that the client's server name chose in `planRevision`; -1 when it named none.
    var certificate: Int32 = -1
    /// Of what `holding` counts, this connection's or stream's part.
    var charged: Int32 = 0
    var planRevision: UInt64 = 0
    /// How the client proves that it is a machine; nil: it did not.
    var machine: MachineMemory?
    /// After this request the connection ends.
    var endsAfterResponse = false
    var isQueued = false
    /// The number of the listener that it came by: its client certificates, protocols and trusted peers go by it.
    var listener: UInt16 = 0
    /// Bytes of an unfinished head that were looked at already.
    var headSeen: Int32 = 0
    /// Neighbours in the list of idle connections, oldest first.
    var previousIdle: Int32 = -1
    var nextIdle: Int32 = -1
    var isIdle = false
    var isCollecting = false
    var phase = Phase.handshaking
    /// Where `client` comes from.
    var addressSource = AddressSource.connection
    /// Requests name the client in a field: the peer is trusted to say so.
    var readsForwarded = false
    /// Among the connections of its address.
    var isCounted = false
    /// It has sent a request.
    var hasAsked = false
    /// What its client's connections hold together; nil: it counts nowhere.
    var holding: ClientHoldingPointer?
    /// Neighbours among the open exchanges of one session.
    var previousStream: Int32 = -1
    var nextStream: Int32 = -1
    /// Where the frames end that the application sends through a tunnel.
    var tunnelFrames = WebSocketFrames()
    var acceptedNanoseconds: UInt64
    var exchange: Exchange
    /// The route of the last request; `exchange` says whether it is this one's too. Kept, because the next request
    /// of a connection is nearly always for the same host.
    var lastRoute: Route?
    /// The field lines of the last request, while the connection is busy.
    var headMemo = HeadMemo()
    /// What the policy that let the request in limits beyond its request line; nil for nearly all of them.
    var limits: EnforcedLimits?
    /// Where the page stands that is given a banner.
    var page: PageEdit?
    /// The cookie that was last found in the cache.
    var lastCookie = CookieMemo()
    /// Who it was, for the log line: by then the session may be forgotten.
    var loggedSession: (id: String, device: String?)?
    /// The body of a reserved request.
    var collected = ByteBuffer()
    /// The canonical path, for re-deciding while the exchange is open and for the log line.
    var decidedPath = NotedPath()

    init(client: NetworkAddress, acceptedNanoseconds: UInt64, exchange: Exchange) {
        self.exchange = exchange
        self.client = client
        let text = AddressText(client)
        forwarded = ForwardedFields(client: text.bytes.span.extracting(0..<text.count), isSecure: true)
        self.acceptedNanoseconds = acceptedNanoseconds
    }

    /// One stream of an HTTP/2 connection: whoever the connection is, it is too. Its end is the end of its answer.
    init(
        streamOf connection: UnsafeMutablePointer<Downstream>, acceptedNanoseconds: UInt64, exchange: Exchange
    ) {
        self.exchange = exchange
        client = connection.pointee.client
        forwarded = connection.pointee.forwarded
        listener = connection.pointee.listener
        addressSource = connection.pointee.addressSource
        readsForwarded = connection.pointee.readsForwarded
        certificate = connection.pointee.certificate
        planRevision = connection.pointee.planRevision
        machine = connection.pointee.machine
        lastRoute = connection.pointee.lastRoute
        lastCookie = connection.pointee.lastCookie
        self.acceptedNanoseconds = acceptedNanoseconds
        phase = .head
        endsAfterResponse = true
    }

    /// Where the request in progress goes; nil before that is known.
    var route: Route? { exchange.isRouted ? lastRoute : nil }
}

/// What a request is called: by us, and in the trace that it belongs to.
struct RequestNames {
    var requestIDHigh: UInt64 = 0
    var requestIDLow: UInt64 = 0
    var traceHigh: UInt64 = 0
    var traceLow: UInt64 = 0
    var span: UInt64 = 0
    var traceFlags: UInt8 = 0
}

/// What is known of the request in progress. A fresh value per request, and a trivial one: it is copied over the
/// last one's without a reference to count.
struct Exchange {
    /// How the control plane answered for this request's token.
    enum SessionAnswer { case notAsked, none }

    var isBegun = false
    var names = RequestNames()
    var keepsTracestate = false
    var beganNanoseconds: UInt64 = 0
    var parkedNanoseconds: UInt64 = 0
    var parkNanoseconds: UInt64 = 0
    /// When it was decided; it is sent a fraction of a microsecond later.
    var sentNanoseconds: UInt64 = 0
    var headNanoseconds: UInt64 = 0

    var isRouted = false
    var method = Method.get
    var accessMethod = RequestMethod.get
    var isHTTP10 = false
    /// 0 once the head was consumed; both are bounded by configuration far below their type.
    var headBytes: Int32 = 0
    /// Bytes of a collected body that still lie behind the head.
    var collectedBytes: Int32 = 0
    var requestFraming = BodyFraming.none
    // Small members stand behind those whose last word they fill.
    var isRequestComplete = false
    var awaitsContinue = false
    var wantsUpgrade = false
    /// The control plane was asked whether the device proves itself again: once for each request.
    var isRecheckAsked = false
    /// And has not answered yet.
    var isRecheckPending = false
    var requestRemaining: Int64 = 0
    var requestDecoder = ChunkedDecoder()

    var sessionAnswer = SessionAnswer.notAsked
    var session: Int32 = -1
    /// The decision that decided this request; nil where none was named.
    var decidedBy: DecisionID?
    /// Nobody's residual decided, which the route names.
    var isDecidedByRoute = false
    /// What a pulled record will be filed under.
    var secret = Token(0, 0, 0, 0)
    var parkTicket: UInt32 = 0
    /// What was decided; nil as long as nothing was, and where the control plane answers.
    var decision: Reason?

    var upstream: Int32 = -1
    /// How often a record was pulled, an upstream tried, and an interim answer received; each is bounded far below its
    /// type.
    var pulls: UInt8 = 0
    var connectAttempts: UInt16 = 0
    var interimResponses: UInt8 = 0
    /// The reused connection died before it answered: the one repetition uses a fresh one.
    var isRetry = false

    /// The upstream answered with a download that may not be relayed: the request is walked once more, to be refused
    /// as others are.
    var isDownload = false
    /// A page is asked for under a policy with a banner.
    var isPage = false
    /// The banner is still to be put into the body.
    var isEdited = false
    /// Which `Access-Control-*` the answer gets in place of the application's.
    var crossOrigin = CrossOriginAnswer.asSent
    /// A CORS preflight on its way to the application.
    var isPreflight = false

    var upstreamFraming = BodyFraming.none
    var isResponseBegun = false
    var isResponseComplete = false
    var isEventStream = false
    var responseRemaining: Int64 = 0
    var responseDecoder = ChunkedDecoder()
    var downstreamFraming = BodyFraming.none
    var isUpstreamReusable = false

    var status: UInt16 = 0
    var reason: Reason?
    /// The answer goes on with other fields than it comes with.
    var rewritesHead = false
    /// Refusals are told in gRPC's own way.
    var isGRPC = false
    /// The client said `TE: trailers`.
    var acceptsTrailers = false
    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0
    /// Milliseconds of the reactor's clock; a revoked request that is still short is cut then.
    var cutAtMilliseconds: UInt64 = .max
    /// Why, should it come to that.
    var cutReason = Reason.sessionEnded
    /// It has lost its right: nothing of it moves any more, and one of the next turns ends it (`CutQueue`).
    var isCutQueued = false
    /// It is being ended for that.
    var isCut = false

    var isBodyless: Bool {
        switch requestFraming {
        case .none, .length(0): true
        case .length, .chunked, .untilClose: false
        }
    }
}
