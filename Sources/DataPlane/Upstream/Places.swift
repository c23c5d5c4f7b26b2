import Access
import Border

/// What stands in `Exchange.upstream` where no connection does.
enum Place {
    static let none: Int32 = -1
    /// Waits for one of the application's places.
    static let waiting: Int32 = -2
    /// Was given one and is about to be walked again.
    static let granted: Int32 = -3
}

/// The bound on what is open at an application, and the queue in front of it. A request that waits is in phase
/// `connecting`; in its turn it is walked again from its head, so what changed meanwhile counts.
extension Reactor {
    /// - Returns: nil when the request may go on.
    func takePlace(_ slot: Int32, _ group: UpstreamGroup, _ session: Int32) -> Acquired? {
        let place = downstreams[slot].pointee.exchange.upstream
        if place == Place.granted, state.pointee.places[slot] === group {
            state.pointee.places[slot] = nil
            group.state.pointee.open -= 1
            downstreams[slot].pointee.exchange.upstream = Place.none
            return nil
        }
        // A place elsewhere: the host belongs to another application since.
        if place != Place.none { leavePlace(slot) }
        let isFree = group.state.pointee.open < group.state.pointee.openMax
        if isFree, group.state.pointee.waiting.isEmpty { return nil }
        let entered = group.state.pointee.waiting.enter(
            downstreams.handle(slot), key: sessionKey(slot, session), max: group.state.pointee.waitingMax)
        guard entered else {
            counters.add(.upstreamBusy)
            return .busy
        }
        counters.add(.upstreamWaits)
        state.pointee.waiting += 1
        state.pointee.places[slot] = group
        downstreams[slot].pointee.exchange.upstream = Place.waiting
        timers.set(slot, at: nowMilliseconds + UInt64(group.state.pointee.rules.waitingMilliseconds))
        return .waiting
    }

    /// The request ended, or goes another way, before it was its turn or right after.
    func leavePlace(_ slot: Int32) {
        let place = downstreams[slot].pointee.exchange.upstream
        downstreams[slot].pointee.exchange.upstream = Place.none
        guard let group = state.pointee.places.removeValue(forKey: slot) else { return }
        if place == Place.granted {
            group.state.pointee.open -= 1
            admitWaiting(group)
        } else if group.state.pointee.waiting.leave(downstreams.handle(slot)) {
            state.pointee.waiting -= 1
        }
    }

    /// Gives what is free to those who waited longest.
    func admitWaiting(_ group: UpstreamGroup) {
        while group.state.pointee.open < group.state.pointee.openMax,
            let guest = group.state.pointee.waiting.next()
        {
            state.pointee.waiting -= 1
            let slot = guest.slot
            guard downstreams.isCurrent(guest), state.pointee.places[slot] === group else { continue }
            downstreams[slot].pointee.exchange.upstream = Place.granted
            downstreams[slot].pointee.phase = .head
            group.state.pointee.open += 1
            timers.set(slot, at: TimerWheel.never)
            enqueue(slot)
        }
    }

    /// The exchange gives its connection up and will ask for another one at once: its place stays its own.
    func releaseForRepetition(_ slot: Int32) {
        let group = upstreams[downstreams[slot].pointee.exchange.upstream].pointee.group
        group.state.pointee.open += 1
        releaseUpstream(slot, isReusable: false)
        guard group.state.pointee.isLimited else {
            group.state.pointee.open -= 1
            return
        }
        state.pointee.places[slot] = group
        downstreams[slot].pointee.exchange.upstream = Place.granted
    }

    /// Whom a request belongs to: its session, or the client's address where there is none (of
    /// IPv6 the /64 that is one subscriber's).
    func sessionKey(_ slot: Int32, _ session: Int32) -> UInt64 {
        guard session < 0 else { return Mixing.hash(sessions[session].pointee.record.session.utf8.span) }
        let client = ClientTable.Client(downstreams[slot].pointee.client)
        return Mixing.finish(Mixing.finish(client.high) ^ client.low)
    }
}
