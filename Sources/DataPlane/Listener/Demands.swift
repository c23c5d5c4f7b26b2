import Access
import Border
import CNghttp2
import COpenSSL
import HTTP

/// What clients cost by being slow or by having much waiting: looked at once a second, and memory in every
/// turn.
extension Reactor {
    static let lookEveryMilliseconds: UInt64 = 1_000
    private static let shedEveryMilliseconds: UInt64 = 100
    /// What OpenSSL holds for a connection that is busy: one record each way.
    private static let tlsBufferBytes = 34 << 10

    /// From the first connection on.
    func beginLooking(_ slot: Int32) {
        demands[slot] = ClientDemand()
        guard state.pointee.defence.lookAtMilliseconds == .max else { return }
        state.pointee.defence.lookAtMilliseconds = nowMilliseconds + Self.lookEveryMilliseconds
    }

    func lookAtClients() {
        state.pointee.defence.lookAtMilliseconds =
            downstreams.count == 0 ? .max : nowMilliseconds + Self.lookEveryMilliseconds
        // Nobody can hold more than all do together.
        lookAtHoldings()
        let looksAtMemory = pool.pointee.bytesInUse > limits.connectionMemoryBytesMax
        for slot in downstreams.everUsed where downstreams.isInUse(slot) {
            if isTooSlow(slot) {
                endSlow(slot)
            } else if looksAtMemory, (transports + Int(slot)).stream == nil {
                lookAtMemory(slot)
            }
        }
    }

    /// Of one connection, with all its streams.
    private func lookAtMemory(_ slot: Int32) {
        let most = limits.connectionMemoryBytesMax
        var bytes = bytesHeld(slot)
        guard bytes > most else { return }
        counters.add(.connectionMemoryExceeded)
        if let connection = (transports + Int(slot)).http2 {
            report(.memoryOfConnection, client: downstreams[slot].pointee.client, bytes: bytes)
            bytes = shedStreams(connection, over: most, bytes)
            guard bytes > most else { return }
        }
        shed(slot, .memoryOfConnection, bytes)
    }

    // MARK: Slowness

    /// Time that a client is waited for runs against it, and what it sends or reads meanwhile pays the time
    /// back. The upstream's slowness is never the client's, nor is a pause that the application answers into.
    private func isTooSlow(_ slot: Int32) -> Bool {
        let transport = transports + Int(slot)
        let isReadingAwaited =
            if let stream = transport.stream {
                isKeptWaiting(stream)
            } else {
                !transport.pointee.pending.isEmpty || transport.http2.map { isKeptWaiting($0) } ?? false
            }
        return demands[slot].look(
            sent: transport.pointee.bytesSent,
            received: transport.pointee.bytesReceived,
            awaited: isReadingAwaited ? .reading : isBodyAwaited(slot) ? .sending : .nothing,
            elapsedMilliseconds: Int(Self.lookEveryMilliseconds), rate: limits.bodyRateMin,
            patienceMilliseconds: limits.bodyPatienceMilliseconds)
    }

    private func isBodyAwaited(_ slot: Int32) -> Bool {
        let connection = downstreams[slot]
        switch connection.pointee.phase {
        case .collecting: return !lacksWindow(slot)
        case .forwarding:
            let exchange = connection.pointee.exchange
            // A call may be open in both directions without a word for as long as its idle limit allows.
            return !exchange.isRequestComplete && !exchange.isResponseBegun && exchange.upstream >= 0
                && !(exchange.isGRPC && (transports + Int(exchange.upstream)).stream != nil)
                && transports[Int(exchange.upstream)].pending.isEmpty && !lacksWindow(slot)
        // Heads and handshakes have one deadline from their first byte, tunnels are quiet as they like, and
        // what an HTTP/2 connection waits for its streams wait for.
        case .proxyHeader, .handshaking, .head, .parked, .connecting, .tunnel, .lingering, .multiplexing:
            return false
        }
    }

    private func endSlow(_ slot: Int32) {
        counters.add(.slowClientsCut)
        report(.tooSlow, client: downstreams[slot].pointee.client)
        // A refusal that does not fit into the socket either would wait for the same client.
        guard transports[Int(slot)].pending.isEmpty, (transports + Int(slot)).http2 == nil else {
            abandon(slot)
            return
        }
        resume(slot, refuse(slot, 408, .requestTimeout))
    }

    // MARK: Memory

    /// This reactor's part of `memory-max`.
    private var memoryShareBytes: Int { limits.memoryBytesMax / workers }

    private var bytesHeldByAll: Int {
        pool.pointee.bytesInUse + state.pointee.bufferHolders.count * Self.tlsBufferBytes
    }

    /// Half of the share is used: nobody is given more than it needs.
    var isMemoryTight: Bool { bytesHeldByAll > memoryShareBytes / 2 }

    /// Asked in every turn, so by the product: a division takes longer than all the rest.
    var isMemoryShort: Bool {
        bytesHeldByAll &* workers > limits.memoryBytesMax
            && nowMilliseconds >= state.pointee.defence.shedAgainAtMilliseconds
    }

    /// Of an HTTP/2 connection with what its streams hold.
    func bytesHeld(_ slot: Int32) -> Int {
        bytesHeldAlone(slot) + ((transports + Int(slot)).http2.map { bytesHeld($0) } ?? 0)
    }

    /// Of an HTTP/2 connection without its streams.
    func bytesHeldAlone(_ slot: Int32) -> Int {
        let connection = downstreams[slot]
        let transport = transports + Int(slot)
        var bytes =
            connection.pointee.input.capacity + connection.pointee.collected.capacity
            + transport.pointee.pending.capacity
        if transport.pointee.holdsBuffers { bytes += Self.tlsBufferBytes }
        if transport.pointee.multiplexed != nil { bytes += bytesMultiplexed(slot) }
        let upstream = connection.pointee.exchange.upstream
        if upstream >= 0 {
            bytes += upstreams[upstream].pointee.input.capacity + transports[Int(upstream)].pending.capacity
            if let stream = (transports + Int(upstream)).stream {
                bytes += stream.pointee.inbound.capacity + stream.pointee.body.capacity
            }
        }
        return bytes
    }

    /// Of a stream, or of an HTTP/2 connection without its streams.
    @inline(never)
    private func bytesMultiplexed(_ slot: Int32) -> Int {
        let transport = transports + Int(slot)
        guard let stream = transport.stream else { return transport.http2?.pointee.headLines.count ?? 0 }
        return BufferPool.blockBytes(holding: MemoryLayout<HTTP2Stream>.size)
            + stream.pointee.inbound.capacity + stream.pointee.body.capacity
            + stream.pointee.trailers.capacity + (isUnread(stream) ? Self.unreadStreamBytes : 0)
    }

    /// Whether bytes of an answer wait, here or behind us, for window or for a socket that the client does not empty.
    /// What was written in this turn waits for its end only.
    private func isUnread(_ stream: HTTP2StreamPointer) -> Bool {
        let record = downstreams[stream.pointee.slot]
        let upstream = record.pointee.exchange.upstream
        let waitsBehind =
            upstream >= 0 && record.pointee.exchange.isResponseBegun
            && !upstreams[upstream].pointee.input.isEmpty
        guard waitsBehind || hasWaitingBody(stream) else { return false }
        let connection = stream.pointee.connection
        guard let session = connection.pointee.session, !stream.pointee.isForgotten else { return false }
        return !transports[Int(connection.pointee.slot)].pending.isEmpty
            || nghttp2_session_get_remote_window_size(session) <= 0
            || nghttp2_session_get_stream_remote_window_size(session, stream.pointee.id) <= 0
    }

    /// The records of a request whose answer its client does not take: our own of both sides, and nghttp2's. A
    /// connection over HTTP/2 has a hundred of them, and they cost as much as the least that waits of each answer. Who
    /// waits for an answer, as many streams of events behind one address do, is not charged for them.
    static let unreadStreamBytes =
        MemoryLayout<Downstream>.stride + MemoryLayout<Upstream>.stride
        + 2 * MemoryLayout<Transport>.stride + 512

    /// First everybody gives back TLS buffers, which costs nobody anything but two allocations at the next
    /// record. Then the connections that hold most end, until a tenth of the share is free again, so that it
    /// is not the next turn's work as well. Sorting takes an allocation: this is not a path that anything
    /// fast takes.
    func shedCostliest() {
        let wanted = memoryShareBytes - memoryShareBytes / 10
        giveBackTLSBuffers()
        guard bytesHeldByAll > wanted else { return }
        var held: [(slot: Int32, bytes: Int)] = []
        for slot in downstreams.everUsed
        where downstreams.isInUse(slot) && (transports + Int(slot)).stream == nil {
            held.append((slot, bytesHeld(slot)))
        }
        held.sort { $0.bytes > $1.bytes }
        for victim in held where bytesHeldByAll > wanted && victim.bytes > 0 {
            // Ending one may have ended another.
            guard downstreams.isInUse(victim.slot) else { continue }
            counters.add(.connectionsShed)
            shed(victim.slot, .memoryOfAll, victim.bytes)
            state.pointee.bufferHolders.removeAll { [downstreams] in !downstreams.isCurrent($0) }
        }
        // What is left belongs to nobody who could be ended: looking again at once would find the same.
        guard bytesHeldByAll > wanted else { return }
        state.pointee.defence.shedAgainAtMilliseconds = nowMilliseconds + Self.shedEveryMilliseconds
    }

    /// As a rest does, of those who do not rest. Half a record stays where it is.
    /// - Parameter holding: of one client's connections; nil: of all.
    func giveBackTLSBuffers(of holding: ClientHoldingPointer? = nil) {
        let transports = transports
        let downstreams = downstreams
        state.pointee.bufferHolders.removeAll { handle in
            guard downstreams.isCurrent(handle) else { return true }
            guard holding == nil || downstreams[handle.slot].pointee.holding == holding else { return false }
            let transport = transports + Int(handle.slot)
            guard SSL_free_buffers(transport.pointee.ssl) == 1 else { return false }
            transport.pointee.holdsBuffers = false
            forgetHead(handle.slot)
            chargeClient(handle.slot)
            return true
        }
    }

    func shed(_ slot: Int32, _ event: DefenceEvent, _ bytes: Int) {
        report(event, client: downstreams[slot].pointee.client, bytes: bytes)
        if let connection = (transports + Int(slot)).http2 { noteOverload(connection) }
        if downstreams[slot].pointee.exchange.isBegun {
            downstreams[slot].pointee.exchange.reason = .overloaded
        }
        abandon(slot)
    }
}

/// What was seen of a client at the last look.
struct ClientDemand {
    /// What the client is waited for.
    enum Awaited { case nothing, sending, reading }

    private var sent: UInt32 = 0
    private var received: UInt32 = 0
    /// Behind `body-rate-min` by so much.
    private(set) var lateMilliseconds: Int32 = 0

    init() {}

    /// - Parameters:
    ///   - sent: bytes that the socket has taken for the client so far, modulo 2^32; `received` likewise.
    ///   - rate: bytes per second; 0 is no bound.
    /// - Returns: whether the client is further behind than patience goes.
    mutating func look(
        sent: UInt32, received: UInt32, awaited: Awaited, elapsedMilliseconds: Int, rate: Int,
        patienceMilliseconds: Int
    ) -> Bool {
        // Only what is waited for counts: who sends much does not read the more.
        let moved = awaited == .reading ? sent &- self.sent : received &- self.received
        self.sent = sent
        self.received = received
        guard rate > 0, awaited != .nothing else {
            lateMilliseconds = 0
            return false
        }
        let late = Int(lateMilliseconds) + elapsedMilliseconds - Int(moved) * 1_000 / rate
        lateMilliseconds = Int32(clamping: max(0, late))
        return late > patienceMilliseconds
    }
}

/// One demand per downstream slot, beside the connection's record: nothing that a request touches.
struct ClientDemands {
    private let demands: UnsafeMutablePointer<ClientDemand>
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        demands = .allocate(capacity: capacity)
        demands.initialize(repeating: ClientDemand(), count: capacity)
    }

    /// The demands must not be used afterwards.
    func destroy() { demands.deallocate() }

    subscript(slot: Int32) -> ClientDemand {
        get { demands[checked(slot)] }
        nonmutating _modify { yield &demands[checked(slot)] }
    }

    private func checked(_ slot: Int32) -> Int {
        precondition(slot >= 0 && Int(slot) < capacity, "slot \(slot) of \(capacity)")
        return Int(slot)
    }
}
