import HTTP

/// Body bytes of a response, from one framing into the other.
extension Reactor {
    /// Sends `output` (which may hold the head) and what has arrived of the body.
    /// - Returns: false when the upstream's framing is broken.
    func forwardBody(
        _ slot: Int32, _ record: UnsafeMutablePointer<Upstream>, _ output: inout HeadOutput
    ) -> Bool {
        let connection = downstreams[slot]
        if connection.pointee.exchange.isEdited { return forwardPage(slot, record, &output) }
        switch connection.pointee.exchange.upstreamFraming {
        case .none:
            send(&output, to: slot)
        case .length: forwardLength(slot, record, &output)
        case .chunked: return forwardChunks(slot, record, &output)
        case .untilClose: forwardUntilClose(slot, record, &output)
        }
        return true
    }

    private func forwardLength(
        _ slot: Int32, _ record: UnsafeMutablePointer<Upstream>, _ output: inout HeadOutput
    ) {
        let connection = downstreams[slot]
        let waiting = record.pointee.input.bytes
        let count = Int(min(Int64(waiting.count), connection.pointee.exchange.responseRemaining))
        if let start = waiting.baseAddress, count > 0 {
            if output.count > 0 {
                // Head and first body bytes: one record, one send.
                output.append(waiting.span.extracting(0..<count))
                send(&output, to: slot)
            } else {
                write(start, count, to: slot)
            }
            record.pointee.input.consume(count, pool)
            connection.pointee.exchange.responseRemaining -= Int64(count)
        } else {
            send(&output, to: slot)
        }
        connection.pointee.exchange.isResponseComplete = connection.pointee.exchange.responseRemaining == 0
    }

    private func forwardChunks(
        _ slot: Int32, _ record: UnsafeMutablePointer<Upstream>, _ output: inout HeadOutput
    ) -> Bool {
        let connection = downstreams[slot]
        let waiting = record.pointee.input.bytes
        var isRecoded = false
        if case .chunked = connection.pointee.exchange.downstreamFraming { isRecoded = true }
        var offset = 0
        let trailersBefore = connection.pointee.exchange.responseDecoder.trailerSectionBytes
        while true {
            switch connection.pointee.exchange.responseDecoder.next(waiting.span, from: &offset) {
            case .data(let range):
                if isRecoded { ChunkEncoding.begin(range.count, into: &output) }
                output.append(waiting.span.extracting(range))
                if isRecoded { ChunkEncoding.end(into: &output) }
                continue
            case .needMore:
                keepTrailers(
                    of: connection.pointee.exchange.responseDecoder, waiting, offset, since: trailersBefore,
                    in: &record.pointee.trailers)
            case .end:
                endAnswer(slot, record, waiting, offset, since: trailersBefore, isRecoded, into: &output)
                connection.pointee.exchange.isResponseComplete = true
            case .refused: return false
            }
            break
        }
        guard !output.isOverflowed else { return false }
        send(&output, to: slot)
        record.pointee.input.consume(
            connection.pointee.exchange.isResponseComplete ? offset : waiting.count, pool)
        return true
    }

    private func forwardUntilClose(
        _ slot: Int32, _ record: UnsafeMutablePointer<Upstream>, _ output: inout HeadOutput
    ) {
        let connection = downstreams[slot]
        let waiting = record.pointee.input.bytes
        var isRecoded = false
        if case .chunked = connection.pointee.exchange.downstreamFraming { isRecoded = true }
        if !waiting.isEmpty {
            if isRecoded { ChunkEncoding.begin(waiting.count, into: &output) }
            output.append(waiting.span)
            if isRecoded { ChunkEncoding.end(into: &output) }
        }
        send(&output, to: slot)
        record.pointee.input.consume(waiting.count, pool)
    }
}
