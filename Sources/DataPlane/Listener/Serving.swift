import Border
import Glibc

/// Drives one downstream connection until it has to wait: each phase has one function, which says what next.
extension Reactor {
    /// Steps per visit: a connection with much to do lets the others have their turn.
    private static let stepsPerVisitMax = 32
    /// How long a refused client may take to read the answer before the connection is cut.
    private static let lingerMilliseconds: UInt64 = 2_000
    /// How long an answer may be silent whose client has ended its side.
    private static let hangupMilliseconds: UInt64 = 10_000

    func serve(_ slot: Int32) {
        var steps = 0
        state.pointee.served = slot
        while true {
            switch step(slot) {
            case .closed: return
            case .wait:
                guard !transports[Int(slot)].isFailed else {
                    abandon(slot)
                    return
                }
                restLater(slot)
                chargeClient(slot)
                return
            case .again:
                steps += 1
                guard steps < Self.stepsPerVisitMax else {
                    chargeClient(slot)
                    return enqueue(slot)
                }
            }
        }
    }

    private func step(_ slot: Int32) -> Step {
        if transports[Int(slot)].isFailed { return abandon(slot) }
        switch downstreams[slot].pointee.phase {
        case .proxyHeader: return readProxyHeader(slot)
        case .handshaking: return continueHandshake(slot)
        case .head: return walk(slot)
        case .multiplexing: return multiplex(slot)
        // An end of the client's side is no end of its waiting.
        case .parked, .connecting: return .wait
        case .collecting: return collectBody(slot)
        case .forwarding, .tunnel: return move(slot)
        case .lingering: return linger(slot)
        }
    }

    private func move(_ slot: Int32) -> Step {
        let connection = downstreams[slot]
        guard !connection.pointee.exchange.isCutQueued else { return .wait }
        return connection.pointee.phase == .tunnel ? relayTunnel(slot) : relay(slot)
    }

    /// The client ended its side while it is owed an answer (RFC 9112 §9.6): it may be waiting, or be gone, and only
    /// what is sent to it will tell. Meanwhile its upstream is kept for a short silence only.
    ///
    /// - Returns: nil when the exchange goes on.
    @inline(never)
    func outlastHangup(_ slot: Int32) -> Step? {
        let connection = downstreams[slot]
        guard connection.pointee.exchange.isRequestComplete, !connection.pointee.exchange.isResponseComplete
        else { return nil }
        // It has no end that somebody could wait for.
        guard !connection.pointee.exchange.isEventStream else { return abandon(slot) }
        let end = nowMilliseconds + Self.hangupMilliseconds
        if timers.deadline(of: slot) > end { timers.set(slot, at: end) }
        return nil
    }

    /// Reads into the connection's input; never more than one record or block at a time.
    func readInput(_ slot: Int32, atLeast bytes: Int = 4_096) -> TransportRead {
        let connection = downstreams[slot]
        let transport = transports + Int(slot)
        guard transport.mayRead else { return .wait }
        connection.pointee.input.reserve(bytes, pool)
        guard let end = connection.pointee.input.end else { return .failed }
        let result = transport.read(end, connection.pointee.input.room)
        switch result {
        case .bytes(let count):
            connection.pointee.input.commit(count)
            connection.pointee.exchange.bytesIn &+= UInt64(count)
        case .wait, .end, .failed:
            if connection.pointee.input.isEmpty { connection.pointee.input.release(pool) }
        }
        return result
    }

    // MARK: Ends

    /// The answer is complete and the connection ends: close_notify and FIN, then wait for the client's own
    /// end so that the kernel does not turn unread bytes into a reset that destroys the answer.
    func beginLinger(_ slot: Int32) -> Step {
        if let stream = (transports + Int(slot)).stream { return endStream(slot, stream) }
        if let connection = (transports + Int(slot)).http2 {
            sayGoaway(connection)
            endMultiplexing(connection)
        }
        downstreams[slot].pointee.phase = .lingering
        downstreams[slot].pointee.input.release(pool)
        downstreams[slot].pointee.headSeen = 0
        endCollecting(slot)
        leaveIdle(slot)
        (transports + Int(slot)).shutdownWrite()
        setLingerDeadline(slot)
        return .again
    }

    /// A client that still reads its answer has the time that it needs for it; after that two seconds.
    func setLingerDeadline(_ slot: Int32) {
        // Of a stream's answer some may be decoded already and wait for the client's window.
        let isSent =
            transports[Int(slot)].pending.isEmpty
            && (transports + Int(slot)).stream.map { $0.pointee.body.isEmpty } ?? true
        timers.set(
            slot,
            at: nowMilliseconds + (isSent ? Self.lingerMilliseconds : UInt64(limits.bodyIdleMilliseconds)))
    }

    private func linger(_ slot: Int32) -> Step {
        let transport = transports + Int(slot)
        if let stream = transport.stream { return lingerStream(slot, stream) }
        let waiting = transport.pointee.pending.count
        transport.flush()
        transport.endWriting()
        if transport.pointee.pending.count < waiting { setLingerDeadline(slot) }
        guard let scratch = work.pointee.outputBytes else { return close(slot) }
        // Below TLS on purpose: after close_notify nothing of what still comes is looked at.
        for _ in 0..<8 {
            let count = transport.receive(scratch, 65_536)
            // It sends no more, but it may still be reading.
            if count == 0 { return transport.pointee.pending.isEmpty ? close(slot) : .wait }
            if count < 0 { return transport.pointee.isFailed ? close(slot) : .wait }
        }
        return .again
    }

    /// Ends a connection at once, whatever it was doing; an exchange in progress is logged as broken off.
    @discardableResult
    func abandon(_ slot: Int32) -> Step {
        noteResetCode(slot)
        endExchange(slot)
        return close(slot)
    }

    /// Frees everything that belongs to the connection.
    @discardableResult
    func close(_ slot: Int32) -> Step {
        let connection = downstreams[slot]
        if let http2 = (transports + Int(slot)).http2 { endMultiplexing(http2) }
        leaveIdle(slot)
        endHolding(slot)
        releaseUpstream(slot, isReusable: false)
        detachSession(slot)
        if let stream = (transports + Int(slot)).stream {
            leaveConnection(slot, stream)
        } else {
            forgetClient(slot)
        }
        if connection.pointee.phase == .parked { state.pointee.parked -= 1 }
        endCollecting(slot)
        connection.pointee.input.release(pool)
        connection.pointee.collected.release(pool)
        connection.pointee.decidedPath.release(pool)
        forgetHead(slot)
        timers.set(slot, at: TimerWheel.never)
        (transports + Int(slot)).close()
        downstreams.remove(slot)
        return .closed
    }
}
