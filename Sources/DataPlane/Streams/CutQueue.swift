import Access
import Border

/// Streams that lost their right and wait for their end, in the order in which they lost it.
///
/// To end one costs some 25 µs (two goodbyes, two descriptors, a line of the log). All of 10,000 in one turn would
/// be a quarter of a second in which nobody is served; so turns end a number of them each. What stands here is still
/// open, but nothing of it moves any more: it is not read from, and nothing that waits of it is sent.
struct CutQueue {
    /// What a revocation did is told when the last of its streams has ended.
    struct Cause {
        let sequence: UInt64
        let eventNanoseconds: UInt64
    }

    enum Item {
        case stream(Handle, isRevoked: Bool)
        /// The revocation whose streams stand in front of this.
        case end(Cause)
    }

    /// Taken ones keep their places until as many are gone: to move the others up each time would take the square of
    /// their number.
    private static let takenMax = 1_024
    private var items: [Item] = []
    private var taken = 0
    /// A revocation is being applied: what is queued now is its doing.
    var isRevoking = false
    /// Streams that were ended of the revocation whose end comes next.
    var ended = 0

    var isEmpty: Bool { items.isEmpty }
    var first: Item? { items.isEmpty ? nil : items[taken] }

    mutating func append(_ item: Item) { items.append(item) }

    mutating func removeFirst() {
        taken += 1
        if taken == items.count {
            // Nothing is kept for the next time: 10,000 streams end seldom.
            items = []
            taken = 0
        } else if taken >= Self.takenMax, taken * 2 >= items.count {
            items.removeFirst(taken)
            taken = 0
        }
    }
}

extension Reactor {
    /// Of 10,000 streams 1 % end in the turn in which they lost their right, the last ones a hundred turns later.
    static let cutsPerTurnMax = 100

    /// From here on nothing of the stream moves, and one of the next turns ends it.
    func queueCut(_ slot: Int32, _ reason: Reason) {
        downstreams[slot].pointee.exchange.isCutQueued = true
        downstreams[slot].pointee.exchange.cutReason = reason
        let isRevoked = state.pointee.cuts.isRevoking
        state.pointee.cuts.append(.stream(downstreams.handle(slot), isRevoked: isRevoked))
    }

    /// Whether a stream of HTTP/2, a client's or an upstream's, belongs to a request that waits for its end.
    @inline(__always)
    func isHeld(_ stream: HTTP2StreamPointer) -> Bool {
        guard !state.pointee.cuts.isEmpty else { return false }
        let slot = stream.pointee.slot
        let user = upstreams.contains(slot) ? upstreams[slot].pointee.downstream : slot
        return user >= 0 && downstreams[user].pointee.exchange.isCutQueued
    }

    /// Ends as many as one turn may.
    func endCutStreams() {
        var left = cutsPerTurnMax
        while let item = state.pointee.cuts.first {
            switch item {
            case .stream(let handle, let isRevoked):
                guard left > 0 else { return }
                state.pointee.cuts.removeFirst()
                // It may have ended by itself, and another request may be at its place.
                guard downstreams.isCurrent(handle), downstreams[handle.slot].pointee.exchange.isCutQueued
                else { continue }
                left -= 1
                if isRevoked { state.pointee.cuts.ended += 1 }
                cut(handle.slot)
            case .end(let cause):
                state.pointee.cuts.removeFirst()
                report(cause, streams: state.pointee.cuts.ended)
                state.pointee.cuts.ended = 0
            }
        }
    }

    /// The reactor ends: whatever still waits ends for its own reason, and is told.
    func endAllCutStreams() {
        while !state.pointee.cuts.isEmpty { endCutStreams() }
    }

    private func cut(_ slot: Int32) {
        let connection = downstreams[slot]
        // What it is still told goes the way of every answer.
        connection.pointee.exchange.isCutQueued = false
        connection.pointee.exchange.isCut = true
        let reason = connection.pointee.exchange.cutReason
        if closeCall(slot, reason) { return }
        // In front of a goodbye its client would be given all that it has not taken yet, as slowly as it likes.
        guard transports[Int(slot)].pending.isEmpty, closeTunnel(slot, reason) else {
            abandon(slot)
            return
        }
        endExchange(slot)
        resume(slot, beginLinger(slot))
    }

    /// Tells the control plane what a revocation ended here, and how long after its event.
    func report(_ cause: CutQueue.Cause, streams: Int) {
        let now = Clock.monotonicNanoseconds()
        let latency = now > cause.eventNanoseconds ? now - cause.eventNanoseconds : 0
        if streams > 0 {
            counters.add(.streamsCut, UInt64(streams))
            counters.record(.cut, latency)
        }
        _ = toControl.send(
            .cut(sequence: cause.sequence, reactor: number, streams: streams, nanoseconds: latency))
    }
}
