import Border
import CNghttp2
import COpenSSL
import Glibc
import HTTP

/// What an HTTP/2 connection has where the gateway is the one that asks (RFC 9113 §8.7 and §6.8 are the reasons).
struct HTTP2AskingSide {
    enum Phase {
        /// Until the upstream's SETTINGS are there: nothing is asked of whom nobody knows to speak HTTP/2, and how many
        /// streams it takes is its word. → ready, leaving, ended.
        case opening
        /// → leaving, ended.
        case ready
        /// Streams in progress end, no others begin. → ended.
        case leaving
        /// The session is gone; streams that were answered whole are still read. → (freed with the last of them)
        case ended
    }

    var phase = Phase.opening
    /// The upstream broke the protocol: nothing more of it is believed.
    var isBroken = false
    var saidGoaway = false
    /// SETTINGS came, which nobody was told of yet.
    var isGreeted = false
    var streamsBegun: UInt64 = 0
    /// When the last bytes came, and whether a PING asks for the next ones.
    var heardMilliseconds: UInt64 = 0
    var isPinged = false
    /// When the word that a stream was given up by us last left: 0 is never, `.max` that it still waits to be sent.
    var gaveUpMilliseconds: UInt64 = 0
    /// The stream that the upstream itself reset last.
    var peerReset: Int32 = 0
    var isIdle = false
    /// Of the field section that is being received: its `:status` (0: none came), and how many other lines did.
    var status: Int32 = 0
    var lines = 0
    /// Streams whose answer was read whole while their END_STREAM had not come.
    var detached = InlineArray<8, Int32>(repeating: 0)
    var nextDetached = 0

    /// How many of them the upstream still counts among the streams that it takes.
    var detachedCount: Int {
        var count = 0
        for index in detached.indices where detached[index] > 0 { count += 1 }
        return count
    }

    mutating func forgetDetached(_ id: Int32) {
        for index in detached.indices where detached[index] == id { detached[index] = 0 }
    }
}

extension UnsafeMutablePointer<HTTP2Connection> {
    /// Whether frames of streams that were given up may still be on their way.
    var hasJustGivenUp: Bool {
        guard let at = pointee.asking?.gaveUpMilliseconds, at > 0 else { return false }
        guard at != .max else { return true }
        let now = pointee.reactor._withUnsafeGuaranteedRef { $0.nowMilliseconds }
        return now &- at < 10_000
    }
}

/// How a stream towards an upstream ended, where that was not with a whole answer.
enum StreamEnding: UInt8 {
    case none
    /// The upstream says that it has not looked at it (RFC 9113 §8.7): it may be sent again.
    case refused
    /// The upstream gave it up.
    case reset
    /// The upstream broke the protocol, in this stream or beside it.
    case malformed
}

/// HTTP/2 connections to upstreams: found for a request, and begun.
extension Reactor {
    /// Of all endpoints together; there are so many slots more, so that no request lacks one.
    static let http2UpstreamsMax = 256
    /// Streams of one connection, if the upstream takes as many.
    private static let streamsPerConnectionMax = 100
    /// The sum of all streams' windows: a client that does not read stops its own stream, and never the connection.
    private static let connectionWindowBytes = Int32(streamsPerConnectionMax * 65_535)

    // MARK: Finding one

    /// A stream of a connection that has room; another connection only when none has.
    func acquireStream(_ slot: Int32, _ endpoint: Endpoint, _ group: UpstreamGroup) -> Acquired {
        var parent = endpoint.state.pointee.firstConnection
        // One of them takes nothing now.
        var isClosed = false
        while parent >= 0 {
            guard let connection = upstreams[parent].pointee.http2, let side = connection.pointee.asking
            else {
                break
            }
            // What one connection says of its endpoint is said of all.
            guard side.phase != .ready || mayCarry(slot, connection) else {
                admitWaiting(group)
                return .noWebSocket
            }
            let most = streamsMax(connection)
            isClosed = isClosed || most == 0
            if connection.pointee.streamCount < most {
                if connection.pointee.streamCount + side.detachedCount >= most { giveUpDetached(connection) }
                guard openStream(slot, on: parent, connection, endpoint, group) else { return .unavailable }
                guard side.phase == .ready else { return .connecting }
                counters.add(.upstreamReuses)
                return .ready
            }
            parent = upstreams[parent].pointee.nextIdle
        }
        // It would take as little on another connection.
        guard !isClosed else { return busy(group) }
        let most = group.state.pointee.rules.http2ConnectionsMax ?? UpstreamRules.http2ConnectionsStandard
        guard endpoint.state.pointee.connections < most,
            state.pointee.http2Upstreams < Self.http2UpstreamsMax
        else { return busy(group) }
        guard let new = openUpstream(endpoint, group, isProbe: false) else { return .unavailable }
        counters.add(.upstreamConnects)
        enterConnections(new, endpoint)
        timers.set(new, at: nowMilliseconds + UInt64(group.state.pointee.connectMilliseconds))
        guard let connection = upstreams[new].pointee.http2,
            openStream(slot, on: new, connection, endpoint, group)
        else { return .unavailable }
        return .connecting
    }

    private func busy(_ group: UpstreamGroup) -> Acquired {
        counters.add(.upstreamBusy)
        admitWaiting(group)
        return .busy
    }

    private func streamsMax(_ connection: HTTP2ConnectionPointer) -> Int {
        guard connection.pointee.asking?.phase == .ready, let session = connection.pointee.session else {
            return Self.streamsPerConnectionMax
        }
        let told = nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
        return Int(min(told, UInt32(Self.streamsPerConnectionMax)))
    }

    private func enterConnections(_ upstream: Int32, _ endpoint: Endpoint) {
        let first = endpoint.state.pointee.firstConnection
        upstreams[upstream].pointee.nextIdle = first
        upstreams[upstream].pointee.previousIdle = -1
        if first >= 0 { upstreams[first].pointee.previousIdle = upstream }
        endpoint.state.pointee.firstConnection = upstream
        endpoint.state.pointee.connections += 1
    }

    /// It gets no further streams.
    func beginLeaving(_ upstream: Int32, _ connection: HTTP2ConnectionPointer) {
        guard let phase = connection.pointee.asking?.phase, phase == .opening || phase == .ready else {
            return
        }
        connection.pointee.asking?.phase = .leaving
        let record = upstreams[upstream]
        guard !record.pointee.isProbe else { return }
        let (previous, next) = (record.pointee.previousIdle, record.pointee.nextIdle)
        let endpoint = record.pointee.endpoint
        if previous >= 0 {
            upstreams[previous].pointee.nextIdle = next
        } else {
            endpoint.state.pointee.firstConnection = next
        }
        if next >= 0 { upstreams[next].pointee.previousIdle = previous }
        endpoint.state.pointee.connections -= 1
    }

    /// The endpoint is left by its application.
    func leaveConnections(of endpoint: Endpoint) {
        while endpoint.state.pointee.firstConnection >= 0 {
            let upstream = endpoint.state.pointee.firstConnection
            guard let connection = upstreams[upstream].pointee.http2 else { return }
            beginLeaving(upstream, connection)
            sendElsewhere(connection)
            if connection.pointee.session == nil {
                closeUpstream(upstream)
            } else {
                connection.touch()
            }
        }
    }

    /// Whoever still waits for the upstream's SETTINGS asks somebody else.
    func sendElsewhere(_ connection: HTTP2ConnectionPointer) {
        for user in users(of: connection) where downstreams.isCurrent(user) {
            guard downstreams[user.slot].pointee.phase == .connecting else { continue }
            releaseForRepetition(user.slot)
            downstreams[user.slot].pointee.phase = .head
            enqueue(user.slot)
        }
    }

    // MARK: Beginning

    /// With the socket: streams can wait for it from now on.
    func prepareMultiplexing(_ upstream: Int32) {
        let connection = HTTP2ConnectionPointer.allocate(capacity: 1)
        connection.initialize(to: HTTP2Connection(reactor: .passUnretained(self), slot: upstream))
        connection.pointee.asking = HTTP2AskingSide()
        upstreams[upstream].pointee.http2 = connection
        state.pointee.http2Upstreams += 1
    }

    func beginMultiplexing(of upstream: Int32) {
        guard let connection = upstreams[upstream].pointee.http2 else { return }
        if let ssl = transports[Int(upstream)].ssl {
            var name: UnsafePointer<UInt8>?
            var count: UInt32 = 0
            SSL_get0_alpn_selected(ssl, &name, &count)
            guard count == 2, let name, name[0] == UInt8(ascii: "h"), name[1] == UInt8(ascii: "2") else {
                return multiplexingFailed(upstream, .notHTTP2)
            }
        }
        connection.pointee.session = HTTP2AskingCallbacks.makeSession(for: connection)
        guard let session = connection.pointee.session, submitSettings(session) else {
            return multiplexingFailed(upstream, .handshake)
        }
        upstreams[upstream].pointee.phase = .multiplexing
        connection.pointee.asking?.heardMilliseconds = nowMilliseconds
        multiplexUpstream(upstream)
    }

    private func submitSettings(_ session: OpaquePointer) -> Bool {
        let settings = [
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue), value: 0),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
                value: UInt32(limits.headBytesMax)),
        ]
        let none = UInt8(NGHTTP2_FLAG_NONE.rawValue)
        return nghttp2_submit_settings(session, none, settings, settings.count) == 0
            && nghttp2_session_set_local_window_size(session, none, 0, Self.connectionWindowBytes) == 0
    }

    /// The upstream's SETTINGS are there: who waited is walked again, because policy may have changed meanwhile.
    func greeted(_ upstream: Int32, _ connection: HTTP2ConnectionPointer) {
        connection.pointee.asking?.isGreeted = false
        guard connection.pointee.asking?.phase == .opening else { return sendElsewhere(connection) }
        connection.pointee.asking?.phase = .ready
        guard !upstreams[upstream].pointee.isProbe else { return sendProbe(on: upstream, connection) }
        timers.set(upstream, at: TimerWheel.never)
        let most = streamsMax(connection)
        for (index, user) in users(of: connection).enumerated() {
            let slot = user.slot
            downstreams[slot].pointee.phase = .head
            if index < most, mayCarry(slot, connection) {
                upstreams[downstreams[slot].pointee.exchange.upstream].pointee.phase = .streaming
            } else {
                releaseForRepetition(slot)
            }
            enqueue(slot)
        }
    }

    /// Whose requests are on it, oldest first.
    func users(of connection: HTTP2ConnectionPointer) -> [Handle] {
        var found: [Handle] = []
        var stream = connection.pointee.firstStream
        while let current = stream {
            stream = current.pointee.next
            let slot = upstreams[current.pointee.slot].pointee.downstream
            if slot >= 0 { found.append(downstreams.handle(slot)) }
        }
        return found.reversed()
    }
}
