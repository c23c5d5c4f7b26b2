import Border
import CLinux
import Glibc

/// The order of one turn: revocations, inbox, ends of what they cut, established connections, deadlines, then a few new
/// connections.
extension Reactor {
    private static let eventsPerTurnMax = 256
    /// Tokens of what is no connection; connection tokens carry a generation of at least 1 and a small slot.
    private static let inboxToken = UInt64.max
    private static let listenerToken = UInt64.max - 1

    func registerDescriptors() {
        add(inbox.descriptor, EPOLLIN.rawValue | EPOLLET.rawValue, token: Self.inboxToken)
        watchListeners()
    }

    func watchListeners() {
        for index in 0..<listenerCount {
            add(listeners[index].descriptor, EPOLLIN.rawValue, token: Self.listenerToken)
        }
    }

    /// Edge-triggered, both directions, once per connection: no further epoll_ctl until it is closed.
    func watch(_ descriptor: Int32, _ handle: Handle) {
        let events = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
        add(descriptor, events, token: handle.packed)
    }

    /// Runs until the drain is over.
    func run() {
        let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Self.eventsPerTurnMax)
        defer {
            events.deallocate()
            mark.end()
            inbox.close()
        }
        while !state.pointee.isEnded {
            let hasMore =
                !state.pointee.queue.isEmpty || !state.pointee.overdrawn.isEmpty
                || !state.pointee.cuts.isEmpty
            let timeout = hasMore ? 0 : waitMilliseconds()
            mark.end()
            let count = gatepost_epoll_wait(epoll, events, Int32(Self.eventsPerTurnMax), timeout)
            state.pointee.readClocks()
            mark.begin(nowNanoseconds)
            turn(events, Int(max(0, count)))
        }
    }

    /// Until the next deadline; a drain and resting buffers have one of their own.
    private func waitMilliseconds() -> Int32 {
        let timeout = timers.timeoutMilliseconds(now: nowMilliseconds)
        let isDraining = state.pointee.drainDeadlineMilliseconds != nil
        let other = min(
            state.pointee.nextLookMilliseconds, isDraining ? drainLookMilliseconds : .max)
        guard other != .max else { return timeout }
        let left = other > nowMilliseconds ? Int32(clamping: other - nowMilliseconds) : 0
        return timeout < 0 ? left : min(timeout, left)
    }

    private func turn(_ events: UnsafeMutablePointer<epoll_event>, _ count: Int) {
        counters.add(.turns)
        if inbox.mayHaveMail {
            applyRevocations()
            readInbox()
        }
        if !state.pointee.cuts.isEmpty { endCutStreams() }
        var hasNewConnections = false
        for index in 0..<count {
            let token = events[index].data.u64
            if token == Self.inboxToken {
                inbox.clearWake()
                applyRevocations()
                readInbox()
            } else if token == Self.listenerToken {
                hasNewConnections = true
            } else {
                dispatch(Handle(packed: token), events[index].events)
            }
        }
        while let slot = timers.nextDue(now: nowMilliseconds) { deadlinePassed(slot) }
        if !state.pointee.queue.isEmpty { serveQueued() }
        if !state.pointee.overdrawn.isEmpty { relieveClients() }
        if isMemoryShort { shedCostliest() }
        if nowMilliseconds >= state.pointee.nextLookMilliseconds { lookAround() }
        if hasNewConnections { acceptConnections() }
        if !state.pointee.unflushed.isEmpty { flushMultiplexed() }
        publishLevels()
        if let deadline = state.pointee.drainDeadlineMilliseconds { finishDrainIfDone(deadline) }
    }

    /// What is due by the reactor's own clock, seldom and for all connections at once.
    @inline(never)
    private func lookAround() {
        if nowMilliseconds >= state.pointee.sweepAtMilliseconds { sweepBuffers() }
        if nowMilliseconds >= state.pointee.streamCheckAtMilliseconds { checkStreams() }
        if nowMilliseconds >= state.pointee.defence.lookAtMilliseconds { lookAtClients() }
        if nowMilliseconds >= state.pointee.defence.acceptAgainAtMilliseconds { resumeAccepting() }
        if nowMilliseconds >= state.pointee.tendUpstreamsAtMilliseconds { tendUpstreams() }
    }

    private func dispatch(_ handle: Handle, _ events: UInt32) {
        let isUpstream = upstreams.contains(handle.slot)
        // A late event for a slot that has been given to another connection.
        guard isUpstream ? upstreams.isCurrent(handle) : downstreams.isCurrent(handle) else { return }
        let transport = transports + Int(handle.slot)
        if events & EPOLLIN.rawValue != 0 { transport.pointee.isReadable = true }
        if events & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 {
            transport.pointee.isReadable = true
            transport.pointee.sawHangup = true
            // A reset, or both sides ended: what a client is still owed reaches nobody.
            if !isUpstream, events & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 {
                transport.pointee.isFailed = true
            }
        }
        if events & (EPOLLOUT.rawValue | EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 {
            transport.pointee.isWritable = true
        }
        if isUpstream {
            state.pointee.served = -1
            upstreamReady(handle.slot)
        } else {
            if !transport.pointee.pending.isEmpty { flushPending(handle.slot) }
            serve(handle.slot)
        }
    }

    private func serveQueued() {
        // Only what was queued before: who queues itself again waits for the next turn.
        let waiting = state.pointee.queue
        state.pointee.queue.removeAll(keepingCapacity: true)
        for handle in waiting where downstreams.isCurrent(handle) {
            downstreams[handle.slot].pointee.isQueued = false
            serve(handle.slot)
        }
    }

    func enqueue(_ slot: Int32) {
        guard !downstreams[slot].pointee.isQueued else { return }
        downstreams[slot].pointee.isQueued = true
        state.pointee.queue.append(downstreams.handle(slot))
    }

    private func publishLevels() {
        counters.set(.openConnections, UInt64(Int(downstreams.count) - state.pointee.streams))
        counters.set(.openStreams, UInt64(state.pointee.streams))
        counters.set(.openExchanges, counters.value(.requests) &- counters.value(.responses))
        scheduleStreamCheck()
        counters.set(.openUpstreams, UInt64(upstreams.count))
        counters.set(.parked, UInt64(state.pointee.parked))
        counters.set(.waitingForUpstream, UInt64(state.pointee.waiting))
        counters.set(.cachedSessions, UInt64(sessions.count))
        counters.set(.bufferHolders, UInt64(state.pointee.bufferHolders.count))
    }

    func stopWatching(_ descriptor: Int32) {
        _ = epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil)
    }

    private func add(_ descriptor: Int32, _ events: UInt32, token: UInt64) {
        var event = epoll_event()
        event.events = events
        event.data.u64 = token
        let result = epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)
        precondition(result == 0, "epoll_ctl of descriptor \(descriptor): errno \(errno)")
    }
}
