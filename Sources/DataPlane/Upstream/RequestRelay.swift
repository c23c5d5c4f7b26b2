import Access
import Border
import HTTP

/// Downstream body → upstream, as fast as the upstream takes it and never more than a block ahead.
extension Reactor {
    /// Moved per visit, in bytes and in blocks, which may be small.
    private static let visitBytesMax = 262_144
    private static let blocksPerVisitMax = 16
    /// So many of TLS's records (RFC 8446 clause 5.1) are sent on at once: a send for each costs as much as the record.
    private static let recordsPerBlock = 4
    private static let recordBytesMax = 16_384
    private static let blockBytes = recordsPerBlock * recordBytesMax

    /// `.wait` also when the body is complete: the response is what is awaited then.
    func relayRequest(_ slot: Int32) -> Step {
        let step = forwardRequest(slot)
        guard step != .closed else { return step }
        if let stream = (transports + Int(slot)).stream { giveBackWindow(stream) }
        return step
    }

    /// What the upstream's socket has not taken is still the client's to wait for: it sends ahead what its window says,
    /// and not as much again for each buffer on the way.
    func giveBackWindow(_ stream: HTTP2StreamPointer) {
        let connection = downstreams[stream.pointee.slot]
        guard connection.pointee.phase == .forwarding else { return }
        let upstream = transports + Int(connection.pointee.exchange.upstream)
        stream.giveBackWindow(
            keeping: stream.pointee.inbound.count + connection.pointee.input.count
                + upstream.pointee.pending.count)
    }

    private func forwardRequest(_ slot: Int32) -> Step {
        let connection = downstreams[slot]
        var (moved, blocks) = (0, 0)
        while !connection.pointee.exchange.isRequestComplete {
            let upstream = transports + Int(connection.pointee.exchange.upstream)
            if upstream.pointee.isFailed { return .wait }
            guard hasRoom(connection.pointee.exchange.upstream, for: slot) else { return .wait }
            guard moved < Self.visitBytesMax, blocks < Self.blocksPerVisitMax else { return .again }
            blocks += 1
            if connection.pointee.input.isEmpty {
                switch readBlock(slot) {
                case .bytes: setDeadline(slot, idleMilliseconds(slot))
                case .wait: return .wait
                case .end, .failed: return abandon(slot)
                }
            }
            moved += connection.pointee.input.count
            guard forwardBody(slot, to: upstream) else {
                counters.add(.requestsMalformed)
                return refuse(slot, 400, .requestMalformed)
            }
            if connection.pointee.exchange.isRequestComplete {
                // Whose answer has begun is a stream in both directions: no head is awaited.
                let isBegun = connection.pointee.exchange.isResponseBegun
                setDeadline(slot, isBegun ? idleMilliseconds(slot) : headMilliseconds(slot))
            }
        }
        return .wait
    }

    /// Whether the upstream is given more. A socket that has not taken all of the last block would not take the next
    /// one either: it would only be moved behind it. A head waits for the first block, to leave with it, and of a
    /// stream several blocks become the frames of a turn.
    private func hasRoom(_ upstream: Int32, for slot: Int32) -> Bool {
        let transport = transports + Int(upstream)
        guard transport.stream == nil else {
            return mayProduce(for: upstream, of: slot, below: Transport.pendingBytesHigh)
        }
        let waiting = transport.pointee.pending.count
        return waiting == 0 || (transport.pointee.isCorked && waiting < Self.recordBytesMax)
    }

    /// Reads what the client has sent, up to a block of a body that is at least as long.
    private func readBlock(_ slot: Int32) -> TransportRead {
        if let stream = (transports + Int(slot)).stream, !stream.pointee.inbound.isEmpty {
            return takeBlock(slot, stream)
        }
        let connection = downstreams[slot]
        let isLong =
            if case .length = connection.pointee.exchange.requestFraming {
                connection.pointee.exchange.requestRemaining >= Int64(Self.blockBytes)
            } else { false }
        let result = readInput(slot, atLeast: isLong ? Self.blockBytes : Self.recordBytesMax)
        guard isLong, case .bytes = result else { return result }
        // An end that comes behind these bytes is found again by the next read.
        for _ in 1..<Self.recordsPerBlock {
            guard connection.pointee.input.room >= Self.recordBytesMax,
                case .bytes = readInput(slot, atLeast: Self.recordBytesMax)
            else { break }
        }
        return result
    }

    /// What a stream has received changes hands where it lies.
    private func takeBlock(_ slot: Int32, _ stream: HTTP2StreamPointer) -> TransportRead {
        let connection = downstreams[slot]
        connection.pointee.input.release(pool)
        connection.pointee.input = stream.receiveBlock(transports + Int(slot))
        let count = connection.pointee.input.count
        connection.pointee.exchange.bytesIn &+= UInt64(count)
        return .bytes(count)
    }

    /// - Returns: false when the chunked coding is broken.
    private func forwardBody(_ slot: Int32, to upstream: TransportPointer) -> Bool {
        let connection = downstreams[slot]
        switch connection.pointee.exchange.requestFraming {
        case .length:
            let waiting = connection.pointee.input.bytes
            guard let start = waiting.baseAddress else { return true }
            let count = Int(min(Int64(waiting.count), connection.pointee.exchange.requestRemaining))
            upstream.write(start, count)
            connection.pointee.input.consume(count, pool)
            connection.pointee.exchange.requestRemaining -= Int64(count)
            counters.add(.bytesUpstream, UInt64(count))
            connection.pointee.exchange.isRequestComplete = connection.pointee.exchange.requestRemaining == 0
            return true
        case .chunked: return forwardChunks(slot, to: upstream)
        case .none, .untilClose:
            connection.pointee.exchange.isRequestComplete = true
            return true
        }
    }

    /// Decodes and encodes anew: the upstream gets our chunks, never the client's framing bytes, and of its trailers
    /// those that may be.
    private func forwardChunks(_ slot: Int32, to upstream: TransportPointer) -> Bool {
        let connection = downstreams[slot]
        let waiting = connection.pointee.input.bytes
        // Behind what `send` may just have put at the front.
        var output = HeadOutput(work.pointee.output)
        var offset = 0
        var isOpen = true
        let trailersBefore = connection.pointee.exchange.requestDecoder.trailerSectionBytes
        while isOpen {
            switch connection.pointee.exchange.requestDecoder.next(waiting.span, from: &offset) {
            case .data(let range):
                ChunkEncoding.begin(range.count, into: &output)
                output.append(waiting.span.extracting(range))
                ChunkEncoding.end(into: &output)
            case .needMore:
                isOpen = false
                keepTrailers(
                    of: connection.pointee.exchange.requestDecoder, waiting, offset, since: trailersBefore,
                    in: &connection.pointee.collected)
            case .end:
                guard
                    endRequest(slot, waiting, offset, since: trailersBefore, into: &output)
                else { return false }
                connection.pointee.exchange.isRequestComplete = true
                isOpen = false
            case .refused: return false
            }
        }
        guard !output.isOverflowed, let start = work.pointee.outputBytes else { return false }
        upstream.write(start, output.count)
        counters.add(.bytesUpstream, UInt64(output.count))
        let consumed = connection.pointee.exchange.isRequestComplete ? offset : waiting.count
        connection.pointee.input.consume(consumed, pool)
        return true
    }
}
