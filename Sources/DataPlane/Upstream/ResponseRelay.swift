import Access
import Border
import HTTP

/// Upstream's answer → downstream: head, interim heads, body, and every way in which it can break.
extension Reactor {
    private static let blocksPerVisitMax = 16
    private static let interimResponsesMax = 16
    private static let blockBytes = 65_536

    /// One visit to an exchange: both directions as far as they go.
    func relay(_ slot: Int32) -> Step {
        let connection = downstreams[slot]
        var request = Step.wait
        if !connection.pointee.exchange.isRequestComplete {
            request = relayRequest(slot)
            if request == .closed || connection.pointee.phase != .forwarding { return request }
        }
        if transports[Int(slot)].sawHangup, let step = outlastHangup(slot) { return step }
        let response = relayResponse(slot)
        if response != .wait { return response }
        return request
    }

    private func relayResponse(_ slot: Int32) -> Step {
        let connection = downstreams[slot]
        for _ in 0..<Self.blocksPerVisitMax {
            guard mayProduce(for: slot, of: slot, below: Int(transports[Int(slot)].pendingHigh)) else {
                return .wait
            }
            let upstream = connection.pointee.exchange.upstream
            let record = upstreams[upstream]
            let isMoreNeeded = record.pointee.input.isEmpty || !connection.pointee.exchange.isResponseBegun
            if isMoreNeeded {
                guard (transports + Int(upstream)).mayRead else { return .wait }
                record.pointee.input.reserve(blockBytes(slot), pool)
                guard let end = record.pointee.input.end else { return .wait }
                switch (transports + Int(upstream)).read(end, record.pointee.input.room) {
                case .bytes(let count):
                    record.pointee.input.commit(count)
                    record.pointee.hasAnswered = true
                    if connection.pointee.exchange.isResponseBegun {
                        setDeadline(slot, idleMilliseconds(slot))
                    }
                case .wait:
                    if record.pointee.input.isEmpty { record.pointee.input.release(pool) }
                    return .wait
                case .end: return upstreamEnded(slot, inOrder: true)
                case .failed: return upstreamEnded(slot, inOrder: false)
                }
            }
            let step = forwardResponse(slot, record)
            // Also when it waits: for the next request, because the answer is whole.
            if step != .wait || connection.pointee.phase != .forwarding { return step }
        }
        return .again
    }

    /// How much is read of an answer at once.
    private func blockBytes(_ slot: Int32) -> Int {
        // Encrypted it fits into the next larger block.
        if isClientTight(slot) { return 4_096 }
        guard downstreams[slot].pointee.exchange.isResponseBegun else { return 8_192 }
        return min(Self.blockBytes, max(8_192, Int(transports[Int(slot)].pendingHigh)))
    }

    /// Moves what has arrived. `.wait` means that more must be read.
    private func forwardResponse(_ slot: Int32, _ record: UnsafeMutablePointer<Upstream>) -> Step {
        let connection = downstreams[slot]
        var output = HeadOutput(work.pointee.output)
        while !connection.pointee.exchange.isResponseBegun {
            let head = record.pointee.input.bytes.span
            let outcome = work.pointee.responseParser.parse(
                head, answering: connection.pointee.exchange.method, into: &work.pointee.responseFields,
                memo: &work.pointee.responseMemo)
            switch outcome {
            case .needMore:
                send(&output, to: slot)
                return .wait
            case .refused: return refuse(slot, 502, .upstreamMalformed)
            case .head(let response):
                if connection.pointee.limits != nil, let step = enforceLimits(on: response, head, slot) {
                    return step
                }
                guard acceptHead(slot, response, head, into: &output) else {
                    return refuse(slot, 502, .upstreamMalformed)
                }
                record.pointee.input.consume(response.headBytes, pool)
            }
            if output.isOverflowed { return refuse(slot, 502, .upstreamMalformed) }
        }
        if connection.pointee.phase == .tunnel {
            send(&output, to: slot)
            return .again
        }
        guard forwardBody(slot, record, &output) else {
            noteUpstreamFailure(slot, .upstreamMalformed)
            // The head may still lie unsent beside the broken body: then the client can be told.
            connection.pointee.exchange.isResponseBegun = connection.pointee.exchange.bytesOut > 0
            return refuse(slot, 502, .upstreamMalformed)
        }
        return connection.pointee.exchange.isResponseComplete ? finishExchange(slot) : .wait
    }

    /// - Returns: false when the answer is none to this request.
    private func acceptHead(
        _ slot: Int32, _ response: ResponseHead, _ head: Span<UInt8>, into output: inout HeadOutput
    ) -> Bool {
        let connection = downstreams[slot]
        if response.isInterim {
            connection.pointee.exchange.interimResponses += 1
            guard connection.pointee.exchange.interimResponses <= Self.interimResponsesMax else {
                return false
            }
            // 100 was answered by us; the others are the application's word, for whoever speaks HTTP/1.1.
            guard response.status != 100, !connection.pointee.exchange.isHTTP10 else { return true }
            return write(slot, response, head, framing: .none, into: &output)
        }
        if response.status == 101 {
            guard connection.pointee.exchange.wantsUpgrade, isRealUpgrade(slot, head) else { return false }
            connection.pointee.exchange.isResponseBegun = true
            beginTunnel(slot)
            return write(slot, response, head, framing: .none, into: &output)
        }
        connection.pointee.exchange.isResponseBegun = true
        connection.pointee.exchange.status = UInt16(response.status)
        connection.pointee.exchange.headNanoseconds = Clock.monotonicNanoseconds()
        counters.record(
            .upstreamHead,
            connection.pointee.exchange.headNanoseconds &- connection.pointee.exchange.sentNanoseconds)
        if connection.pointee.exchange.isBodyless { consumeHead(slot) }
        connection.pointee.exchange.isUpstreamReusable = response.keepsAlive
        connection.pointee.exchange.upstreamFraming = response.framing
        connection.pointee.exchange.isEventStream = response.isEventStream
        var framing = downstreamFraming(slot, response.framing)
        if connection.pointee.exchange.isPage { framing = beginEdit(slot, response, head, framing) }
        connection.pointee.exchange.downstreamFraming = framing
        if case .untilClose = framing { connection.pointee.endsAfterResponse = true }
        if !connection.pointee.exchange.isRequestComplete { connection.pointee.endsAfterResponse = true }
        setDeadline(slot, idleMilliseconds(slot))
        return write(slot, response, head, framing: framing, into: &output)
    }

    private func write(
        _ slot: Int32, _ response: ResponseHead, _ head: Span<UInt8>, framing: BodyFraming,
        into output: inout HeadOutput
    ) -> Bool {
        let keepsAlive = !downstreams[slot].pointee.endsAfterResponse
        if downstreams[slot].pointee.limits != nil {
            beginLimitedHead(slot, response, head, framing, keepsAlive, into: &output)
        } else if downstreams[slot].pointee.exchange.rewritesHead {
            beginRewrittenHead(slot, response, head, framing, keepsAlive, into: &output)
        } else {
            work.pointee.responseWriter.begin(
                response, head: head, fields: work.pointee.responseFields, framing: framing,
                keepsAlive: keepsAlive, memo: &work.pointee.responseMemo, into: &output)
        }
        if !response.isInterim {
            // RFC 9110 §6.6.1: who forwards an answer without a date gives it the time at which it came.
            if !work.pointee.responseFields.contains(.date), response.status != 101 {
                writeDate(into: &output)
            }
            work.pointee.ownLines.writeRequestID(downstreams[slot].pointee.exchange.names, into: &output)
        }
        ResponseWriter.end(into: &output)
        return true
    }

    /// How the body goes on: a known length stays known, everything else is chunked where the client can read
    /// it.
    private func downstreamFraming(_ slot: Int32, _ upstream: BodyFraming) -> BodyFraming {
        let exchange = downstreams[slot]
        exchange.pointee.exchange.responseRemaining = 0
        switch upstream {
        case .none:
            exchange.pointee.exchange.isResponseComplete = true
            return .none
        case .length(let length):
            exchange.pointee.exchange.responseRemaining = length
            exchange.pointee.exchange.isResponseComplete = length == 0
            return .length(length)
        case .chunked, .untilClose:
            if case .untilClose = upstream { exchange.pointee.exchange.isUpstreamReusable = false }
            return exchange.pointee.exchange.isHTTP10 ? .untilClose : .chunked
        }
    }

    /// The upstream will send nothing more.
    private func upstreamEnded(_ slot: Int32, inOrder: Bool) -> Step {
        let connection = downstreams[slot]
        let upstream = upstreams[connection.pointee.exchange.upstream]
        if upstream.pointee.ending != .none { return streamEnded(slot, upstream.pointee.ending) }
        if connection.pointee.exchange.isResponseBegun {
            guard inOrder, case .untilClose = connection.pointee.exchange.upstreamFraming else {
                // Half an answer: the client must not take it for a whole one, so no last chunk and no
                // goodbye.
                noteUpstreamFailure(slot, .upstreamUnavailable)
                connection.pointee.exchange.reason = .upstreamUnavailable
                return abandon(slot)
            }
            var output = HeadOutput(work.pointee.output)
            endEdit(slot, &output)
            if case .chunked = connection.pointee.exchange.downstreamFraming {
                ChunkEncoding.last(into: &output)
            }
            send(&output, to: slot)
            connection.pointee.exchange.isResponseComplete = true
            return finishExchange(slot)
        }
        guard mayRepeat(slot) else {
            return refuse(slot, 502, upstream.pointee.hasAnswered ? .upstreamMalformed : .upstreamUnavailable)
        }
        // Closed by the upstream while it lay in the pool, most likely: once more, on a new connection.
        return repeatRequest(slot)
    }

    func repeatRequest(_ slot: Int32) -> Step {
        releaseForRepetition(slot)
        detachSession(slot)
        downstreams[slot].pointee.exchange.isRetry = true
        downstreams[slot].pointee.phase = .head
        return .again
    }

    func send(_ output: inout HeadOutput, to slot: Int32) {
        guard output.count > 0, let start = work.pointee.outputBytes else { return }
        write(start, output.count, to: slot)
        output = HeadOutput(work.pointee.output)
    }

    /// More than one TLS record: collected, so that they leave by one send.
    func write(_ start: UnsafePointer<UInt8>, _ count: Int, to slot: Int32) {
        let transport = transports + Int(slot)
        if count > 16_384 { transport.pointee.isCorked = true }
        transport.write(start, count)
        if transport.pointee.isCorked { transport.uncork() }
        downstreams[slot].pointee.exchange.bytesOut &+= UInt64(count)
        counters.add(.bytesDownstream, UInt64(count))
    }
}
