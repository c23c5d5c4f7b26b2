import Border
import CLinux
import Glibc

/// Connections to upstreams: taken from the pool, made, given back.
extension Reactor {
    enum Acquired { case ready, connecting, waiting, unavailable, busy, noWebSocket }

    /// Finds an idle connection or begins a new one, to the endpoint that the application's balance chooses.
    func acquireUpstream(_ slot: Int32, _ route: Route, _ session: Int32) -> Acquired {
        let group = route.upstreams
        if group.state.pointee.isLimited || downstreams[slot].pointee.exchange.upstream != Place.none {
            if let outcome = takePlace(slot, group, session) { return outcome }
        }
        let key = group.state.pointee.rules.balance == .sessionHash ? sessionKey(slot, session) : 0
        guard let endpoint = group.state.pointee.choose(key: key, at: nowMilliseconds) else {
            admitWaiting(group)
            return .unavailable
        }
        while !downstreams[slot].pointee.exchange.isRetry, endpoint.state.pointee.firstIdle >= 0 {
            let idle = endpoint.state.pointee.firstIdle
            leavePool(idle)
            // Bytes or an end that came while nobody was looking: this one is of no use.
            guard isSilent(idle), !transports[Int(idle)].isFailed else {
                closeUpstream(idle)
                continue
            }
            counters.add(.upstreamReuses)
            upstreams[idle].pointee.isReused = true
            assign(idle, to: slot, endpoint, group)
            return .ready
        }
        let outcome = connect(slot, endpoint, group)
        if outcome == .unavailable { admitWaiting(group) }
        return outcome
    }

    private func connect(_ slot: Int32, _ endpoint: Endpoint, _ group: UpstreamGroup) -> Acquired {
        if endpoint.speaksHTTP2 { return acquireStream(slot, endpoint, group) }
        guard let upstream = openUpstream(endpoint, group, isProbe: false) else { return .unavailable }
        counters.add(.upstreamConnects)
        assign(upstream, to: slot, endpoint, group)
        return .connecting
    }

    /// - Returns: the slot of a connection that has begun; nil: not even that.
    func openUpstream(_ endpoint: Endpoint, _ group: UpstreamGroup, isProbe: Bool) -> Int32? {
        guard let descriptor = endpoint.connect() else {
            let code = errno
            // What this machine has run out of is no endpoint's fault.
            let isOurs = [EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL].contains(code)
            if !isProbe, !isOurs { upstreamFailed(endpoint, group, .connect(code), isConnect: true) }
            return nil
        }
        let record = Upstream(endpoint: endpoint, group: group, isProbe: isProbe)
        guard let handle = upstreams.insert(record) else {
            _ = Glibc.close(descriptor)
            return nil
        }
        let transport = transports + Int(handle.slot)
        transport.initialize(to: Transport(descriptor: descriptor, pool: pool))
        if let tls = endpoint.tls {
            guard let ssl = tls.makeConnection(over: transport) else {
                // It was not counted yet.
                upstreams[handle.slot].pointee.isProbe = false
                closeUpstream(handle.slot)
                return nil
            }
            transport.pointee.ssl = ssl
        }
        if endpoint.speaksHTTP2 { prepareMultiplexing(handle.slot) }
        watch(descriptor, handle)
        return handle.slot
    }

    func assign(_ upstream: Int32, to slot: Int32, _ endpoint: Endpoint, _ group: UpstreamGroup) {
        let record = upstreams[upstream]
        record.pointee.downstream = slot
        record.pointee.hasAnswered = false
        record.pointee.headMilliseconds = group.state.pointee.headMilliseconds
        record.pointee.idleMilliseconds = group.state.pointee.idleMilliseconds
        group.state.pointee.open += 1
        group.state.pointee.forwarded &+= 1
        endpoint.state.pointee.open += 1
        downstreams[slot].pointee.exchange.upstream = upstream
    }

    /// Ends the exchange's use of its upstream, or its wait for one: back to the pool, or closed.
    func releaseUpstream(_ slot: Int32, isReusable: Bool) {
        let upstream = downstreams[slot].pointee.exchange.upstream
        guard upstream >= 0 else {
            if upstream != Place.none { leavePlace(slot) }
            return
        }
        let record = upstreams[upstream]
        // The memory of both lives as long as the record does, which names them: no reference is counted for it.
        let endpoint = record.pointee.endpoint.state
        let group = record.pointee.group.state
        if endpoint.pointee.health.isWatched { noteAnswer(slot, record) }
        downstreams[slot].pointee.exchange.upstream = Place.none
        endpoint.pointee.open -= 1
        group.pointee.open -= 1
        let waiters = group.pointee.isLimited ? record.pointee.group : nil
        if isReusable, mayPool(upstream, record, endpoint) {
            enterPool(upstream, record, endpoint)
        } else {
            closeUpstream(upstream)
        }
        if let waiters { admitWaiting(waiters) }
    }

    @inline(__always)
    private func mayPool(
        _ upstream: Int32, _ record: UnsafeMutablePointer<Upstream>,
        _ endpoint: UnsafeMutablePointer<Endpoint.State>
    ) -> Bool {
        let transport = transports + Int(upstream)
        return record.pointee.phase == .ready && record.pointee.input.isEmpty
            && transport.pointee.pending.isEmpty && !transport.pointee.isFailed
            && !transport.pointee.sawHangup && !endpoint.pointee.isGone && isSilent(upstream)
            && hasPlaceInPool()
    }

    @inline(__always)
    private func hasPlaceInPool() -> Bool {
        let most = min(idleUpstreamsMax, limits.upstreamIdlePerReactorMax)
        if state.pointee.idleUpstreams < most { return true }
        counters.add(.upstreamsNotKept)
        return false
    }

    @inline(__always)
    private func enterPool(
        _ upstream: Int32, _ record: UnsafeMutablePointer<Upstream>,
        _ endpoint: UnsafeMutablePointer<Endpoint.State>
    ) {
        record.pointee.phase = .idle
        record.pointee.downstream = -1
        record.pointee.previousIdle = -1
        let first = endpoint.pointee.firstIdle
        record.pointee.nextIdle = first
        if first >= 0 { upstreams[first].pointee.previousIdle = upstream }
        endpoint.pointee.firstIdle = upstream
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
        if previous >= 0 {
            upstreams[previous].pointee.nextIdle = next
        } else {
            endpoint.state.pointee.firstIdle = next
        }
        if next >= 0 { upstreams[next].pointee.previousIdle = previous }
        state.pointee.idleUpstreams -= 1
        // Its deadline stays: should it pass now, the phase says that it means nothing.
        record.pointee.phase = .ready
    }

    func closeUpstream(_ upstream: Int32) {
        let record = upstreams[upstream]
        if record.pointee.phase == .idle { leavePool(upstream) }
        if let connection = record.pointee.http2 { endMultiplexing(of: upstream, connection) }
        if let stream = (transports + Int(upstream)).stream { leaveUpstream(upstream, stream) }
        if record.pointee.isProbe { leaveProbe(record.pointee.endpoint) }
        record.pointee.input.release(pool)
        record.pointee.trailers.release(pool)
        timers.set(upstream, at: TimerWheel.never)
        (transports + Int(upstream)).close()
        upstreams.remove(upstream)
    }
}
