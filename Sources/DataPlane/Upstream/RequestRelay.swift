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
        let connection = downstreams[slot]
        var (moved, blocks) = (0, 0)
        while !connection.pointee.exchange.isRequestComplete {
            let upstream = transports + Int(connection.pointee.exchange.upstream)
            if upstream.pointee.isFailed { return .wait }
            let target = connection.pointee.exchange.upstream
            guard mayProduce(for: target, of: slot, below: Transport.pendingBytesHigh) else { return .wait }
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

    /// Reads what the client has sent, up to a block of a body that is at least as long.
    private func readBlock(_ slot: Int32) -> TransportRead {
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
