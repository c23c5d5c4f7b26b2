import Border
import COpenSSL
import Glibc

/// The ordinary lane: answers, configurations, the order to stop.
extension Reactor {
    private static let messagesPerTurnMax = 1_024

    func readInbox() {
        for _ in 0..<Self.messagesPerTurnMax {
            guard let delivery = inbox.nextMessage() else { return }
            switch delivery {
            case .configuration(let configuration): apply(configuration)
            case .message(let message): take(message)
            }
        }
        // More may wait: come back without waiting for events.
        inbox.signalAgain()
    }

    private func take(_ message: ToReactor) {
        switch message {
        case .session(let ticket, let record): sessionAnswered(ticket, record)
        case .sessionUnavailable(let ticket, let reason): sessionUnavailable(ticket, reason)
        case .response(let response): controlAnswered(response)
        case .proceed(let ticket): proceed(ticket)
        case .drain(let milliseconds): beginDrain(milliseconds)
        }
    }

    /// Takes a new configuration whole, or keeps the old one whole.
    private func apply(_ configuration: PreparedConfiguration) {
        do {
            var prepared = PreparedUpstreams(state.pointee.groups)
            let plan = try Plan(configuration) { try prepared.group(for: $0) }
            let old = limits
            adopt(plan, prepared, configuration.revokedSerials)
            redecideAnonymous(under: plan)
            checkProofs()
            guard limits != old else { return }
            work.deinitialize(count: 1)
            work.initialize(to: Workspace(limits, instanceID: instanceID))
        } catch {
            counters.add(.configurationsRefused)
        }
        // Contexts of new upstreams leave entries, the end of a PEM file for one, that no connection may find.
        ERR_clear_error()
    }

    private func beginDrain(_ milliseconds: Int) {
        guard state.pointee.drainDeadlineMilliseconds == nil else { return }
        state.pointee.drainDeadlineMilliseconds = nowMilliseconds + UInt64(max(0, milliseconds))
        state.pointee.isAccepting = false
        for index in 0..<listenerCount {
            stopWatching(listeners[index].descriptor)
            // Who has it beside us serves whoever waits there.
            if listeners[index].isShared { continue }
            // Whoever comes now is turned away by the kernel instead of waiting in a queue that nobody reads.
            _ = shutdown(listeners[index].descriptor, Int32(SHUT_RDWR))
        }
        for slot in downstreams.everUsed where downstreams.isInUse(slot) {
            downstreams[slot].pointee.endsAfterResponse = true
            beginGoaway(slot)
        }
        if !inbox.keepsConnections { endIdle() }
    }

    /// Connections of HTTP/2 end by themselves once their last stream is named: a request may be on its way.
    private func endIdle() {
        var next = state.pointee.firstIdle
        while next >= 0 {
            let slot = next
            next = downstreams[slot].pointee.nextIdle
            if (transports + Int(slot)).http2 == nil { resume(slot, beginLinger(slot)) }
        }
    }

    /// Idle connections that were left for a last request are asked to go so long before the end.
    private static let lastCallMilliseconds: UInt64 = 2_000

    /// When a drain has something to do by itself.
    var drainLookMilliseconds: UInt64 {
        guard let deadline = state.pointee.drainDeadlineMilliseconds else { return .max }
        let lastCall = deadline > Self.lastCallMilliseconds ? deadline - Self.lastCallMilliseconds : 0
        return min(nowMilliseconds < lastCall ? lastCall : deadline, state.pointee.goodbyeAtMilliseconds)
    }

    /// Ends the loop when nobody is left, or when the time for leaving is over.
    func finishDrainIfDone(_ deadline: UInt64) {
        if nowMilliseconds >= state.pointee.goodbyeAtMilliseconds { endGoaways() }
        if downstreams.count > 0, nowMilliseconds < deadline {
            if nowMilliseconds + Self.lastCallMilliseconds >= deadline { endIdle() }
            return
        }
        endAllCutStreams()
        for slot in downstreams.everUsed where downstreams.isInUse(slot) { abandon(slot) }
        state.pointee.isEnded = true
    }
}
