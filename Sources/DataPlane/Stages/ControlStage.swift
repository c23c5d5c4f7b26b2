import Access
import Border
import HTTP

/// Requests that the control plane answers: reserved paths, sign-in, block pages.
extension Reactor {
    static let controlBodyBytesMax = 65_536

    /// Reads the body (small ones only), then parks the request until the control plane answers it.
    func askControl(_ slot: Int32, _ request: CanonicalRequest, _ purpose: ControlRequest.Purpose) -> Step {
        let connection = downstreams[slot]
        if case .length(let length) = request.framing, length > Int64(Self.controlBodyBytesMax) {
            return refuse(slot, 413, .requestTooLarge)
        }
        guard connection.pointee.exchange.isRequestComplete else { return beginCollecting(slot, request) }
        guard let ticket = park(slot) else { return refuse(slot, 503, .overloaded) }
        counters.add(.controlRequests)
        let message = controlRequest(slot, request, purpose, ticket)
        connection.pointee.collected.release(pool)
        guard toControl.send(.request(message)) else {
            unpark(slot)
            return refuse(slot, 503, .overloaded)
        }
        return .wait
    }

    private func beginCollecting(_ slot: Int32, _ request: CanonicalRequest) -> Step {
        let connection = downstreams[slot]
        connection.pointee.phase = .collecting
        timers.set(slot, at: nowMilliseconds + UInt64(limits.bodyIdleMilliseconds))
        if connection.pointee.exchange.awaitsContinue { sendContinue(slot) }
        return .again
    }

    /// Collects the body behind the head; when it is whole the request is walked again.
    func collectBody(_ slot: Int32) -> Step {
        let connection = downstreams[slot]
        while true {
            let waiting = connection.pointee.input.bytes
            var offset = connection.pointee.exchange.headBytes
            let isComplete: Bool
            switch connection.pointee.exchange.requestFraming {
            case .length(let length):
                isComplete = Int64(waiting.count - offset) >= length
                if isComplete, let start = waiting.baseAddress {
                    connection.pointee.collected.append(start + offset, Int(length), pool)
                    offset += Int(length)
                }
            case .chunked:
                switch collectChunks(slot, &offset) {
                case .end: isComplete = true
                case .needMore, .data: isComplete = false
                case .refused: return refuse(slot, 400, .requestMalformed)
                }
            case .none, .untilClose: isComplete = true
            }
            if isComplete {
                connection.pointee.exchange.isRequestComplete = true
                // The head stays for the walk; what is consumed after the answer is head and body together.
                connection.pointee.exchange.collectedBytes = offset - connection.pointee.exchange.headBytes
                connection.pointee.phase = .head
                return .again
            }
            guard waiting.count < 2 * Self.controlBodyBytesMax + limits.headBytesMax else {
                return refuse(slot, 413, .requestTooLarge)
            }
            switch readInput(slot, atLeast: 16_384) {
            case .bytes: timers.set(slot, at: nowMilliseconds + UInt64(limits.bodyIdleMilliseconds))
            case .wait: return .wait
            case .end, .failed: return abandon(slot)
            }
        }
    }

    /// Decodes from the first chunk each time: bodies here are small, and nothing is consumed before the end.
    private func collectChunks(_ slot: Int32, _ offset: inout Int) -> ChunkedDecoder.Event {
        let connection = downstreams[slot]
        connection.pointee.collected.release(pool)
        var decoder = ChunkedDecoder()
        let waiting = connection.pointee.input.bytes
        while true {
            switch decoder.next(waiting.span, from: &offset) {
            case .data(let range):
                guard let start = waiting.baseAddress else { return .needMore }
                guard connection.pointee.collected.count + range.count <= Self.controlBodyBytesMax else {
                    return .refused(.invalidSize)
                }
                connection.pointee.collected.append(start + range.lowerBound, range.count, pool)
            case .needMore: return .needMore
            case .end: return .end
            case .refused(let error): return .refused(error)
            }
        }
    }

    private func controlRequest(
        _ slot: Int32, _ request: CanonicalRequest, _ purpose: ControlRequest.Purpose, _ ticket: Ticket
    ) -> ControlRequest {
        let connection = downstreams[slot]
        let head = connection.pointee.input.bytes.span
        func text(_ range: ByteRange) -> String {
            String(decoding: bytes(head.extracting(range.indices)), as: UTF8.self)
        }
        var fields: [Field] = []
        for index in 0..<work.pointee.fields.count {
            let line = work.pointee.fields[index]
            fields.append(Field(text(line.name).lowercased(), text(line.value)))
        }
        return ControlRequest(
            ticket: ticket, purpose: purpose,
            application: connection.pointee.route?.application?.name,
            host: connection.pointee.route?.host ?? "", method: text(request.methodRange),
            path: String(
                decoding: request.path.copied(head: head, scratch: work.pointee.scratch), as: UTF8.self),
            query: request.query.map(text) ?? "", fields: fields,
            body: bytes(connection.pointee.collected.bytes.span), client: connection.pointee.client,
            requestID: Hex.text(
                connection.pointee.exchange.names.requestIDHigh,
                connection.pointee.exchange.names.requestIDLow))
    }

    private func bytes(_ span: Span<UInt8>) -> [UInt8] {
        var copy: [UInt8] = []
        copy.reserveCapacity(span.count)
        for index in span.indices { copy.append(span[index]) }
        return copy
    }

    /// The control plane's answer.
    func controlAnswered(_ response: ControlResponse) {
        guard let slot = parkedSlot(response.ticket) else { return }
        unpark(slot)
        resume(slot, answer(slot, response))
    }
}
