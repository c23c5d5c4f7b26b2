import Border
import HTTP

/// How an exchange ends: counted, logged, and everything it held given back.
extension Reactor {
    /// The answer was written whole. The connection goes on with its next request, or says goodbye.
    func finishExchange(_ slot: Int32) -> Step {
        let connection = downstreams[slot]
        consumeHead(slot)
        releaseUpstream(
            slot,
            isReusable: connection.pointee.exchange.isUpstreamReusable
                && connection.pointee.exchange.isRequestComplete
                && connection.pointee.exchange.isResponseComplete)
        let mayGoOn = connection.pointee.exchange.isRequestComplete && !connection.pointee.endsAfterResponse
        endExchange(slot)
        guard mayGoOn, !transports[Int(slot)].isFailed else { return beginLinger(slot) }
        becomeIdle(slot)
        // The next request may have come already, behind this one or inside of OpenSSL.
        return connection.pointee.input.isEmpty && !(transports + Int(slot)).mayRead ? .wait : .again
    }

    /// Logs and forgets the request in progress, finished or broken off.
    func endExchange(_ slot: Int32) {
        let connection = downstreams[slot]
        detachSession(slot)
        guard connection.pointee.exchange.isBegun else { return }
        counters.add(.responses)
        counters.record(
            .request, Clock.monotonicNanoseconds() &- connection.pointee.exchange.beganNanoseconds)
        if state.pointee.writesAccessLog { writeAccessLine(slot) }
        connection.pointee.decidedPath.release(pool)
        connection.pointee.collected.release(pool)
        if connection.pointee.phase == .parked {
            state.pointee.parked -= 1
            connection.pointee.phase = .head
        }
        releaseUpstream(slot, isReusable: false)
        connection.pointee.exchange = work.pointee.freshExchange
        if connection.pointee.limits != nil {
            connection.pointee.limits = nil
            connection.pointee.page = nil
        }
        if connection.pointee.loggedSession != nil { connection.pointee.loggedSession = nil }
    }
}
