import Access
import Border
import CLinux
import Glibc

/// Who is let into a handshake, and what happens when the process can take nobody.
extension Reactor {
    /// So long nobody is accepted when the kernel has neither descriptors nor memory.
    private static let breathMilliseconds: UInt64 = 100
    /// A connection without a request for so long makes room for others.
    private static let restMilliseconds: UInt64 = 2_000

    /// Asked before a connection costs anything but its descriptor.
    func admits(_ client: NetworkAddress) -> Bool {
        let verdict = clients.admit(
            client, connectionsMax: limits.connectionsPerAddressMax,
            handshakesPerSecondMax: limits.handshakesPerAddressPerSecondMax, nowMilliseconds: nowMilliseconds)
        switch verdict {
        case .admitted:
            // Only now: whoever is refused for its address takes nothing of what is everybody's.
            _ = state.pointee.defence.handshakes.take(handshakeShare, nowMilliseconds)
            return true
        case .tooManyConnections:
            counters.add(.addressConnectionsRefused)
            report(.connectionsOfAddress, client: client)
        case .tooManyHandshakes:
            counters.add(.addressHandshakesRefused)
            report(.handshakesOfAddress, client: client)
        }
        return false
    }

    /// The same for whom a load balancer speaks: its own address is everybody's, and is not counted.
    func admits(_ slot: Int32, namedAs client: NetworkAddress) -> Bool {
        guard admits(client) else { return false }
        downstreams[slot].pointee.isCounted = true
        return true
    }

    /// Where a field named the client of a request, the connection's own peer was counted.
    func forgetClient(_ slot: Int32) {
        let connection = downstreams[slot]
        guard connection.pointee.isCounted else { return }
        let address = countedAddress(slot)
        connection.pointee.isCounted = false
        if let address { clients.leave(address, nowMilliseconds: nowMilliseconds) }
    }

    /// Among whose connections it is; nil: nobody's.
    func countedAddress(_ slot: Int32) -> NetworkAddress? {
        guard downstreams[slot].pointee.isCounted else { return nil }
        let peer = state.pointee.namedPeers.isEmpty ? nil : state.pointee.namedPeers[slot]
        return peer?.address ?? downstreams[slot].pointee.client
    }

    /// The whole gateway's bound: nobody is turned away, whoever is too many waits in the kernel's queue.
    func mayAccept() -> Bool {
        guard state.pointee.defence.acceptAgainAtMilliseconds == .max else { return false }
        let freeAt = state.pointee.defence.handshakes.freeAtMilliseconds(handshakeShare)
        guard freeAt > nowMilliseconds else { return true }
        counters.add(.acceptPauses)
        report(.handshakesOfAll)
        pauseAccepting(until: freeAt)
        return false
    }

    /// This reactor's part of `handshakes-per-second-max`; 0: no bound.
    private var handshakeShare: Int {
        let perSecond = limits.handshakesPerSecondMax
        return perSecond > 0 ? max(1, perSecond / workers) : 0
    }

    /// accept4 brought nothing.
    /// - Returns: whether to ask once more.
    func acceptFailed(_ listener: Int32) -> Bool {
        let problem = errno
        switch problem {
        case EAGAIN: return false
        case EMFILE, ENFILE: return makeRoomForDescriptors(listener)
        case ENOBUFS, ENOMEM:
            counters.add(.acceptPauses)
            report(.descriptorsExhausted)
            pauseAccepting(until: nowMilliseconds + Self.breathMilliseconds)
            return false
        // What a connection died of before it was accepted is reported here (accept(2)): the next may live.
        default: return problem == ECONNABORTED || problem == EINTR || problem == EPROTO
        }
    }

    /// The listener stays readable as long as somebody waits, so doing nothing would be a spin. Whoever rests
    /// makes room; where nobody does, the one descriptor that was kept back lets the client know at once.
    private func makeRoomForDescriptors(_ listener: Int32) -> Bool {
        counters.add(.descriptorsExhausted)
        report(.descriptorsExhausted)
        // Of those that rest: who asks again and again rests for moments, and would lose what it is sending.
        let oldest = state.pointee.firstIdle
        if oldest >= 0, restingMilliseconds(oldest) >= Self.restMilliseconds {
            close(oldest)
            return true
        }
        if state.pointee.defence.reserve >= 0 {
            _ = Glibc.close(state.pointee.defence.reserve)
            let descriptor = accept4(listener, nil, nil, ListenSocket.flags)
            if descriptor >= 0 { _ = Glibc.close(descriptor) }
            state.pointee.defence.keepReserve()
            if descriptor >= 0, state.pointee.defence.reserve >= 0 { return true }
        }
        pauseAccepting(until: nowMilliseconds + Self.breathMilliseconds)
        return false
    }

    /// Since when an idle connection is, by what is left until its deadline.
    private func restingMilliseconds(_ slot: Int32) -> UInt64 {
        let left = timers.deadline(of: slot) &- nowMilliseconds
        let whole = UInt64(limits.idleMilliseconds)
        return left > whole ? 0 : whole - left
    }

    // MARK: Pauses

    private func pauseAccepting(until milliseconds: UInt64) {
        let isNew = state.pointee.defence.acceptAgainAtMilliseconds == .max
        state.pointee.defence.acceptAgainAtMilliseconds = max(milliseconds, nowMilliseconds + 1)
        guard isNew else { return }
        for index in 0..<listenerCount { stopWatching(listeners[index].descriptor) }
    }

    func resumeAccepting() {
        state.pointee.defence.acceptAgainAtMilliseconds = .max
        if state.pointee.defence.reserve < 0 { state.pointee.defence.keepReserve() }
        guard state.pointee.isAccepting else { return }
        watchListeners()
    }
}

/// What a reactor keeps for its own protection.
struct DefenceState {
    /// The handshakes of this reactor's share.
    var handshakes = Pace()
    /// When accepting goes on; `.max` while it is not paused.
    var acceptAgainAtMilliseconds = UInt64.max
    /// When slow clients and memory are looked at; `.max` while nobody is connected.
    var lookAtMilliseconds = UInt64.max
    /// Before that time shedding would bring nothing.
    var shedAgainAtMilliseconds: UInt64 = 0
    /// A descriptor for nothing, to have one when there is none.
    var reserve: Int32 = -1
    /// When each kind of event was last written.
    var reportedAtMilliseconds = InlineArray<10, UInt64>(repeating: 0)

    init() { keepReserve() }

    mutating func keepReserve() {
        // Needs no file system, which a locked-down process may not have.
        reserve = eventfd(0, Int32(EFD_CLOEXEC))
    }

    func end() { if reserve >= 0 { _ = Glibc.close(reserve) } }
}
