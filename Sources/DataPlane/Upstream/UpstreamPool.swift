import Border
import CLinux
import Glibc

/// Connections to upstreams: taken from the pool, made, given back.
extension Reactor {
    enum Acquired { case ready, connecting, unavailable }

    /// An endpoint that refused is asked last for so long.
    private static let failureNanoseconds: UInt64 = 2_000_000_000

    /// Finds an idle connection or begins a new one, round robin over the route's endpoints.
    func acquireUpstream(_ slot: Int32, _ route: Route) -> Acquired {
        guard let endpoint = chooseEndpoint(slot, route) else { return .unavailable }
        while !downstreams[slot].pointee.exchange.isRetry, endpoint.firstIdle >= 0 {
            let idle = endpoint.firstIdle
            leavePool(idle)
            // Bytes or an end that came while nobody was looking: this one is of no use.
            guard isSilent(idle), !transports[Int(idle)].isFailed else {
                closeUpstream(idle)
                continue
            }
            counters.add(.upstreamReuses)
            upstreams[idle].pointee.isReused = true
            assign(idle, to: slot)
            return .ready
        }
        return connect(slot, endpoint)
    }

    private func connect(_ slot: Int32, _ endpoint: Endpoint) -> Acquired {
        guard let descriptor = endpoint.connect() else {
            upstreamRefused(endpoint)
            return .unavailable
        }
        guard let handle = upstreams.insert(Upstream(endpoint: endpoint)) else {
            _ = Glibc.close(descriptor)
            return .unavailable
        }
        counters.add(.upstreamConnects)
        let transport = transports + Int(handle.slot)
        transport.initialize(to: Transport(descriptor: descriptor, pool: pool))
        if let tls = endpoint.tls {
            guard let ssl = tls.makeConnection(over: transport) else {
                closeUpstream(handle.slot)
                return .unavailable
            }
            transport.pointee.ssl = ssl
        }
        watch(descriptor, handle)
        assign(handle.slot, to: slot)
        return .connecting
    }

    private func assign(_ upstream: Int32, to slot: Int32) {
        upstreams[upstream].pointee.downstream = slot
        upstreams[upstream].pointee.hasAnswered = false
        downstreams[slot].pointee.exchange.upstream = upstream
    }

    private func chooseEndpoint(_ slot: Int32, _ route: Route) -> Endpoint? {
        guard !route.endpoints.isEmpty else { return nil }
        for offset in 0..<route.endpoints.count {
            var index = route.nextEndpoint + offset
            if index >= route.endpoints.count { index -= route.endpoints.count }
            guard route.endpoints[index].failedUntilNanoseconds <= nowNanoseconds else { continue }
            route.nextEndpoint = index + 1 < route.endpoints.count ? index + 1 : 0
            return route.endpoints[index]
        }
        // All of them failed lately: the gateway tries anyway rather than invent an outage.
        let index = route.nextEndpoint
        route.nextEndpoint = index + 1 < route.endpoints.count ? index + 1 : 0
        return route.endpoints[index]
    }

    func upstreamRefused(_ endpoint: Endpoint) {
        counters.add(.upstreamFailures)
        endpoint.failedUntilNanoseconds = nowNanoseconds + Self.failureNanoseconds
    }

    /// Ends the exchange's use of its upstream: back to the pool, or closed.
    func releaseUpstream(_ slot: Int32, isReusable: Bool) {
        let upstream = downstreams[slot].pointee.exchange.upstream
        guard upstream >= 0 else { return }
        downstreams[slot].pointee.exchange.upstream = -1
        let record = upstreams[upstream]
        let transport = transports[Int(upstream)]
        let isClean =
            isReusable && record.pointee.phase == .ready && record.pointee.input.isEmpty
            && transport.pending.isEmpty && !transport.isFailed && !transport.sawHangup && isSilent(upstream)
        guard isClean, state.pointee.idleUpstreams < min(idleUpstreamsMax, limits.upstreamIdlePerReactorMax)
        else {
            return closeUpstream(upstream)
        }
        let endpoint = record.pointee.endpoint
        record.pointee.phase = .idle
        record.pointee.downstream = -1
        record.pointee.previousIdle = -1
        record.pointee.nextIdle = endpoint.firstIdle
        if endpoint.firstIdle >= 0 { upstreams[endpoint.firstIdle].pointee.previousIdle = upstream }
        endpoint.firstIdle = upstream
        state.pointee.idleUpstreams += 1
        timers.set(upstream, at: nowMilliseconds + UInt64(limits.idleMilliseconds))
    }

    /// Whether nothing more came than the answer. What an upstream says unasked would be read as the answer to the next
    /// request, and that may be somebody else's; inside of OpenSSL it can lie without any edge to announce it. A
    /// session ticket is no answer.
    private func isSilent(_ upstream: Int32) -> Bool {
        let transport = transports + Int(upstream)
        guard transport.mayRead else { return true }
        var byte: UInt8 = 0
        if case .wait = transport.read(&byte, 1) { return true }
        return false
    }

    private func leavePool(_ upstream: Int32) {
        let record = upstreams[upstream]
        let endpoint = record.pointee.endpoint
        let next = record.pointee.nextIdle
        let previous = record.pointee.previousIdle
        if previous >= 0 { upstreams[previous].pointee.nextIdle = next } else { endpoint.firstIdle = next }
        if next >= 0 { upstreams[next].pointee.previousIdle = previous }
        state.pointee.idleUpstreams -= 1
        // Its deadline stays: should it pass now, the phase says that it means nothing.
        record.pointee.phase = .ready
    }

    func closeUpstream(_ upstream: Int32) {
        let record = upstreams[upstream]
        if record.pointee.phase == .idle { leavePool(upstream) }
        record.pointee.input.release(pool)
        timers.set(upstream, at: TimerWheel.never)
        (transports + Int(upstream)).close()
        upstreams.remove(upstream)
    }
}
