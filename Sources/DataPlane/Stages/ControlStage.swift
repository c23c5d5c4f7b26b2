import Access
import Border
import HTTP

/// Requests that the control plane answers: reserved paths, sign-in, block pages.
extension Reactor {
    static let controlBodyBytesMax = 65_536

    /// Reads the body (small ones only), then parks the request until the control plane answers it.
    ///
    /// - Parameter readsBody: false for a refused form. Its body is nobody's any more, whatever its length; as with
    ///   every refusal before its end, the connection closes behind the answer.
    func askControl(
        _ slot: Int32, _ request: CanonicalRequest, _ purpose: ControlRequest.Purpose, readsBody: Bool = true
    ) -> Step {
        let connection = downstreams[slot]
        guard readsBody else {
            if !connection.pointee.exchange.isRequestComplete { connection.pointee.endsAfterResponse = true }
            return parkForControl(slot, request, purpose)
        }
        if case .length(let length) = request.framing, length > Int64(Self.controlBodyBytesMax) {
            return refuse(slot, 413, .requestTooLarge)
        }
        guard connection.pointee.exchange.isRequestComplete else { return beginCollecting(slot, request) }
        return parkForControl(slot, request, purpose)
    }

    private func parkForControl(
        _ slot: Int32, _ request: CanonicalRequest, _ purpose: ControlRequest.Purpose
    ) -> Step {
        let connection = downstreams[slot]
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

    /// One deadline for the whole body: it is small, and whoever drips it holds a place of those who wait.
    private func beginCollecting(_ slot: Int32, _ request: CanonicalRequest) -> Step {
        guard state.pointee.parked + state.pointee.collecting < limits.parkedMax else {
            counters.add(.parkedRefused)
            return refuse(slot, 503, .overloaded)
        }
        let connection = downstreams[slot]
        state.pointee.collecting += 1
        connection.pointee.isCollecting = true
        connection.pointee.phase = .collecting
        connection.pointee.exchange.collectedBytes = 0
        connection.pointee.exchange.requestDecoder = ChunkedDecoder()
        timers.set(slot, at: nowMilliseconds + UInt64(limits.bodyIdleMilliseconds))
        if connection.pointee.exchange.awaitsContinue { sendContinue(slot) }
        return .again
    }

    /// The body is whole, or nobody waits for it any more.
    func endCollecting(_ slot: Int32) {
        guard downstreams[slot].pointee.isCollecting else { return }
        downstreams[slot].pointee.isCollecting = false
        state.pointee.collecting -= 1
    }

    /// Records that one visit reads; then the others have their turn.
    private static let readsPerVisitMax = 16

    /// Collects the body behind the head; when it is whole the request is walked again.
    func collectBody(_ slot: Int32) -> Step {
        let connection = downstreams[slot]
        for _ in 0..<Self.readsPerVisitMax {
            switch collect(slot) {
            case .end:
                endCollecting(slot)
                connection.pointee.exchange.isRequestComplete = true
                connection.pointee.phase = .head
                return .again
            case .refused: return refuse(slot, 400, .requestMalformed)
            case .needMore, .data: break
            }
            guard connection.pointee.input.count < 2 * Self.controlBodyBytesMax + limits.headBytesMax else {
                return refuse(slot, 413, .requestTooLarge)
            }
            switch readInput(slot, atLeast: 16_384) {
            case .bytes: continue
            case .wait: return .wait
            case .end, .failed: return abandon(slot)
            }
        }
        return .again
    }

    /// Takes what has come since the last look. The head stays for the walk, and so do the bytes of the body: what is
    /// consumed after the answer is both together (`collectedBytes`).
    private func collect(_ slot: Int32) -> ChunkedDecoder.Event {
        let connection = downstreams[slot]
        let waiting = connection.pointee.input.bytes
        let headBytes = Int(connection.pointee.exchange.headBytes)
        guard let start = waiting.baseAddress else { return .needMore }
        switch connection.pointee.exchange.requestFraming {
        case .none, .untilClose: return .end
        case .length(let length):
            guard Int64(waiting.count - headBytes) >= length else { return .needMore }
            connection.pointee.collected.append(start + headBytes, Int(length), pool)
            connection.pointee.exchange.collectedBytes = Int32(length)
            return .end
        case .chunked:
            var offset = headBytes + Int(connection.pointee.exchange.collectedBytes)
            defer { connection.pointee.exchange.collectedBytes = Int32(offset - headBytes) }
            while true {
                let event = connection.pointee.exchange.requestDecoder.next(waiting.span, from: &offset)
                guard case .data(let range) = event else { return event }
                guard connection.pointee.collected.count + range.count <= Self.controlBodyBytesMax else {
                    return .refused(.invalidSize)
                }
                connection.pointee.collected.append(start + range.lowerBound, range.count, pool)
            }
        }
    }

    func controlRequest(
        _ slot: Int32, _ request: CanonicalRequest, _ purpose: ControlRequest.Purpose, _ ticket: Ticket
    ) -> ControlRequest {
        let connection = downstreams[slot]
        let head = connection.pointee.input.bytes.span
        // Pages lead back to what people asked for, whatever path is judged and forwarded.
        let request = work.pointee.request ?? request
        func text(_ range: ByteRange) -> String {
            String(decoding: bytes(head.extracting(range.indices)), as: UTF8.self)
        }
        var fields: [Field] = []
        for index in 0..<work.pointee.fields.count {
            let line = work.pointee.fields[index]
            fields.append(Field(text(line.name).lowercased(), text(line.value)))
        }
        var message = ControlRequest(
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
        message.isNavigation = isNavigation(slot)
        message.certificate = deviceClaim(slot)
        return message
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
