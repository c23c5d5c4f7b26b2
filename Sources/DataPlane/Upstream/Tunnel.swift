import Border

/// After 101: bytes both ways, bounded by what each side has not taken yet, until either side ends.
extension Reactor {
    private static let blocksPerVisitMax = 16
    private static let blockBytes = 16_384

    func beginTunnel(_ slot: Int32) {
        let connection = downstreams[slot]
        counters.add(.tunnels)
        consumeHead(slot)
        connection.pointee.exchange.isRequestComplete = true
        connection.pointee.exchange.status = 101
        connection.pointee.endsAfterResponse = true
        connection.pointee.phase = .tunnel
        setDeadline(slot, limits.bodyIdleMilliseconds)
    }

    func relayTunnel(_ slot: Int32) -> Step {
        let connection = downstreams[slot]
        let upstream = connection.pointee.exchange.upstream
        for _ in 0..<Self.blocksPerVisitMax {
            let up = tunnelUp(slot, upstream)
            if case .closed = up { return .closed }
            let down = tunnelDown(slot, upstream)
            if case .closed = down { return .closed }
            if up == .wait, down == .wait { return .wait }
            setDeadline(slot, limits.bodyIdleMilliseconds)
        }
        return .again
    }

    private func tunnelUp(_ slot: Int32, _ upstream: Int32) -> Step {
        let connection = downstreams[slot]
        let target = transports + Int(upstream)
        guard target.pointee.pending.count < Transport.pendingBytesHigh else { return .wait }
        if connection.pointee.input.isEmpty {
            switch readInput(slot, atLeast: Self.blockBytes) {
            case .bytes: break
            case .wait: return .wait
            case .end, .failed: return endTunnel(slot)
            }
        }
        let waiting = connection.pointee.input.bytes
        if let start = waiting.baseAddress { target.write(start, waiting.count) }
        connection.pointee.input.consume(waiting.count, pool)
        return target.pointee.isFailed ? endTunnel(slot) : .again
    }

    private func tunnelDown(_ slot: Int32, _ upstream: Int32) -> Step {
        let record = upstreams[upstream]
        guard transports[Int(slot)].pending.count < Transport.pendingBytesHigh else { return .wait }
        if record.pointee.input.isEmpty {
            record.pointee.input.reserve(Self.blockBytes, pool)
            guard let end = record.pointee.input.end else { return .wait }
            switch (transports + Int(upstream)).read(end, record.pointee.input.room) {
            case .bytes(let count): record.pointee.input.commit(count)
            case .wait:
                record.pointee.input.release(pool)
                return .wait
            case .end, .failed: return endTunnel(slot)
            }
        }
        let waiting = record.pointee.input.bytes
        if let start = waiting.baseAddress { write(start, waiting.count, to: slot) }
        record.pointee.input.consume(waiting.count, pool)
        return .again
    }

    /// WebSocket ends inside of its own protocol; when TCP ends on one side, the other one ends too.
    private func endTunnel(_ slot: Int32) -> Step {
        (transports + Int(slot)).shutdownWrite()
        return abandon(slot)
    }
}
