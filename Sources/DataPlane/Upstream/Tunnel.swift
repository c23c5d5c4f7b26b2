import Access
import Border
import HTTP

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
        connection.pointee.tunnelFrames = WebSocketFrames()
        setDeadline(slot, idleMilliseconds(slot))
    }

    func relayTunnel(_ slot: Int32) -> Step {
        let connection = downstreams[slot]
        let upstream = connection.pointee.exchange.upstream
        for _ in 0..<Self.blocksPerVisitMax {
            let up = tunnelUp(slot, upstream)
            guard connection.pointee.phase == .tunnel else { return up }
            let down = tunnelDown(slot, upstream)
            guard connection.pointee.phase == .tunnel else { return down }
            if up == .wait, down == .wait { return .wait }
            setDeadline(slot, idleMilliseconds(slot))
        }
        return .again
    }

    private func tunnelUp(_ slot: Int32, _ upstream: Int32) -> Step {
        let connection = downstreams[slot]
        let target = transports + Int(upstream)
        guard mayProduce(for: upstream, of: slot, below: Transport.pendingBytesHigh) else { return .wait }
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
        guard mayProduce(for: slot, of: slot, below: Int(transports[Int(slot)].pendingHigh)) else {
            return .wait
        }
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
        downstreams[slot].pointee.tunnelFrames.feed(waiting)
        record.pointee.input.consume(waiting.count, pool)
        return .again
    }

    /// Nobody has said anything for the time that a tunnel may be silent.
    func tunnelDeadlinePassed(_ slot: Int32) {
        // RFC 6455 §7.4.1: 1001, this end goes away. Whoever has it open may open it again.
        guard closeTunnel(slot, status: 1_001, "idle") else {
            abandon(slot)
            return
        }
        endExchange(slot)
        resume(slot, beginLinger(slot))
    }

    /// RFC 6455 §7.4.1: 1008, a policy was broken. The page that has it open learns which word the log has.
    /// - Returns: whether it was said.
    func closeTunnel(_ slot: Int32, _ reason: Reason) -> Bool {
        closeTunnel(slot, status: 1_008, reason.rawValue)
    }

    /// Says goodbye to the browser where it can be said: between two frames of what the application sends.
    ///
    /// - Returns: whether it was said.
    private func closeTunnel(_ slot: Int32, status: UInt16, _ reason: String) -> Bool {
        let connection = downstreams[slot]
        guard connection.pointee.phase == .tunnel, connection.pointee.tunnelFrames.isBetweenFrames else {
            return false
        }
        let frame = WebSocketFrames.close(status: status, reason: reason)
        frame.withUnsafeBufferPointer { frame in
            guard let start = frame.baseAddress else { return }
            write(start, frame.count, to: slot)
        }
        return true
    }

    /// WebSocket ends inside of its own protocol; when TCP ends on one side, the other one ends too.
    private func endTunnel(_ slot: Int32) -> Step {
        endExchange(slot)
        return beginLinger(slot)
    }
}
