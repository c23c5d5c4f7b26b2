import Access
import Border

/// What happens when time is up, in every phase.
extension Reactor {
    /// Never later than the moment at which a revoked request is cut.
    func setDeadline(_ slot: Int32, _ milliseconds: Int) {
        let connection = downstreams[slot]
        timers.set(
            slot,
            at: min(nowMilliseconds + UInt64(milliseconds), connection.pointee.exchange.cutAtMilliseconds))
    }

    /// Sends what waits for a client. One that reads, however slowly, has its deadline moved.
    func flushPending(_ slot: Int32) {
        guard !downstreams[slot].pointee.exchange.isCutQueued else { return }
        let transport = transports + Int(slot)
        let waiting = transport.pointee.pending.count
        transport.flush()
        guard transport.pointee.pending.count < waiting else { return }
        switch downstreams[slot].pointee.phase {
        case .forwarding, .tunnel: setDeadline(slot, idleMilliseconds(slot))
        case .multiplexing: multiplexingFlushed(slot)
        case .proxyHeader, .handshaking, .head, .collecting, .parked, .connecting, .lingering: return
        }
    }

    func deadlinePassed(_ slot: Int32) {
        if upstreams.contains(slot) {
            if upstreams.isInUse(slot), upstreams[slot].pointee.isProbe {
                return probeEnded(slot, .answerTimeout)
            }
            if upstreams.isInUse(slot), upstreams[slot].pointee.http2 != nil {
                return multiplexedDeadlinePassed(slot)
            }
            // In use it has no deadline of its own: this one is left from when it was idle.
            guard upstreams.isInUse(slot), upstreams[slot].pointee.phase == .idle else { return }
            counters.add(.deadlinesPassed)
            return closeUpstream(slot)
        }
        counters.add(.deadlinesPassed)
        guard downstreams.isInUse(slot) else { return }
        let connection = downstreams[slot]
        // Its end is on the way, and with it the reason that this moment does not know.
        guard !connection.pointee.exchange.isCutQueued else { return }
        switch connection.pointee.phase {
        case .proxyHeader, .handshaking:
            counters.add(.handshakesExpired)
            close(slot)
        case .lingering: close(slot)
        case .head: headDeadlinePassed(slot)
        case .collecting:
            // What its other streams have here keeps it from sending: their deadlines give its window back.
            guard !lacksWindow(slot) else { return setDeadline(slot, limits.bodyIdleMilliseconds) }
            counters.add(.bodiesExpired)
            resume(slot, refuse(slot, 408, .requestTimeout))
        case .parked:
            counters.add(.parkedExpired)
            unpark(slot)
            if proceedsUnanswered(slot) { return }
            resume(slot, refuse(slot, 503, .controlPlaneUnavailable))
        case .connecting: connectDeadlinePassed(slot)
        case .tunnel:
            counters.add(.bodiesExpired)
            tunnelDeadlinePassed(slot)
        case .multiplexing: multiplexingDeadlinePassed(slot)
        case .forwarding: forwardingDeadlinePassed(slot)
        }
    }

    /// Silence between requests ends quietly; half a head is answered.
    private func headDeadlinePassed(_ slot: Int32) {
        let connection = downstreams[slot]
        guard !connection.pointee.isIdle else {
            noteRestExpired(hadRequests: connection.pointee.hasAsked)
            resume(slot, beginLinger(slot))
            return
        }
        counters.add(.headsExpired)
        connection.pointee.endsAfterResponse = true
        resume(slot, refuse(slot, 408, .requestTimeout))
    }

    /// Between two requests, or before the first.
    func noteRestExpired(hadRequests: Bool) {
        counters.add(hadRequests ? .idleExpired : .firstRequestsExpired)
    }

    private func forwardingDeadlinePassed(_ slot: Int32) {
        let connection = downstreams[slot]
        if nowMilliseconds >= connection.pointee.exchange.cutAtMilliseconds {
            // Of a revocation's many short requests all that are left are cut at the same moment.
            noteCut(slot, connection.pointee.exchange.cutReason)
            counters.add(.streamsCut)
            queueCut(slot, connection.pointee.exchange.cutReason)
            return
        }
        // Half an answer, or nobody who is known to wait for one: that is no failure of the upstream's.
        guard !connection.pointee.exchange.isResponseBegun, !transports[Int(slot)].sawHangup else {
            if connection.pointee.exchange.isResponseBegun { counters.add(.bodiesExpired) }
            abandon(slot)
            return
        }
        // Who was waited for: the client's body, or the upstream.
        let isClientSlow =
            !connection.pointee.exchange.isRequestComplete
            && transports[Int(connection.pointee.exchange.upstream)].pending.isEmpty
        if isClientSlow, lacksWindow(slot) { return setDeadline(slot, idleMilliseconds(slot)) }
        counters.add(isClientSlow ? .bodiesExpired : .upstreamHeadsExpired)
        let step =
            isClientSlow ? refuse(slot, 408, .requestTimeout) : refuse(slot, 504, .upstreamTimeout)
        resume(slot, step)
    }
}
