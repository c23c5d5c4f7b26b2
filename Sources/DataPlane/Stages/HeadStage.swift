import Access
import Border
import HTTP

/// Bytes → canonical request, or an answer that says why not.
extension Reactor {
    /// Parses what is there, reads more where that is not a whole head.
    /// - Returns: nil when `work.pointee.request` is the request; otherwise what to do instead.
    func readHead(_ slot: Int32) -> Step? {
        let connection = downstreams[slot]
        // What a connection does after its answer: nothing to parse and nothing to read.
        if connection.pointee.input.isEmpty, !(transports + Int(slot)).mayRead { return .wait }
        for _ in 0..<Self.readsPerVisitMax {
            if !connection.pointee.input.isEmpty {
                if state.pointee.hasQuarantine, isQuarantined(slot) { return refuseQuarantined(slot) }
                #if DEBUG
                    trapWhereAsked(slot)
                #endif
                switch parseHead(slot) {
                case .head(let request):
                    connection.pointee.headSeen = 0
                    work.pointee.request = request
                    return nil
                case .refused(let error):
                    connection.pointee.headSeen = 0
                    return refuseHead(slot, error)
                case .needMore:
                    connection.pointee.headSeen = Int32(clamping: connection.pointee.input.count)
                    beginHeadDeadline(slot)
                }
            }
            switch readInput(slot, atLeast: connection.pointee.input.isEmpty ? 4_096 : 16_384) {
            case .bytes: continue
            case .wait: return .wait
            case .end, .failed: return close(slot)
            }
        }
        return .again
    }

    /// Records that one visit reads of a head; then the others have their turn.
    private static let readsPerVisitMax = 16

    /// From the first byte on the whole head has one deadline, however slowly its bytes drip in.
    private func beginHeadDeadline(_ slot: Int32) {
        guard downstreams[slot].pointee.isIdle else { return }
        leaveIdle(slot)
        timers.set(slot, at: nowMilliseconds + UInt64(limits.headMilliseconds))
    }

    @inline(__always)  // It hands over a whole canonical request: two copies less.
    private func parseHead(_ slot: Int32) -> RequestHeadOutcome {
        let head = downstreams[slot].pointee.input.bytes.span
        let outcome = work.pointee.requestParser.parse(
            head, alreadySeen: Int(downstreams[slot].pointee.headSeen), into: &work.pointee.fields,
            scratch: &work.pointee.scratch, memo: downstreams[slot].pointee.headMemo)
        guard case .refused(.encodedSeparator) = outcome, state.pointee.hasEncodedSlashRoute else {
            return outcome
        }
        // Whose path it is shows only after the parse: again with the permission, and only its owner keeps
        // it.
        let permitted = work.pointee.requestParser.parse(
            head, options: .allowsEncodedSlash, into: &work.pointee.fields, scratch: &work.pointee.scratch)
        guard case .head(let request) = permitted,
            route(slot, request)?.allowsEncodedSlash == true
        else { return outcome }
        return permitted
    }

    private func refuseHead(_ slot: Int32, _ error: HeadError) -> Step {
        counters.add(.requestsMalformed)
        beginNamelessExchange(slot)
        switch error {
        case .headTooLarge: counters.add(.headsTooLarge)
        case .tooManyFields: counters.add(.fieldsTooMany)
        case .targetTooLong: counters.add(.targetsTooLong)
        default: break
        }
        let isTooLarge = error.status == 431 || error.status == 414
        return refuse(slot, error.status, isTooLarge ? .requestTooLarge : .requestMalformed)
    }

    private func refuseQuarantined(_ slot: Int32) -> Step {
        counters.add(.requestsQuarantined)
        beginNamelessExchange(slot)
        return refuse(slot, 400, .requestMalformed)
    }

    /// Gives the request its names and notes what later steps need after the head is gone.
    func beginExchange(_ slot: Int32, _ request: CanonicalRequest) {
        let connection = downstreams[slot]
        guard !connection.pointee.exchange.isBegun else { return leaveIdle(slot) }
        beginNamelessExchange(slot)
        connection.pointee.exchange.method = request.method
        connection.pointee.exchange.accessMethod = accessMethod(slot, request)
        connection.pointee.exchange.isHTTP10 = request.version == .http10
        connection.pointee.exchange.headBytes = Int32(request.headBytes)
        connection.pointee.exchange.requestFraming = request.framing
        connection.pointee.exchange.isRequestComplete = connection.pointee.exchange.isBodyless
        connection.pointee.exchange.awaitsContinue =
            request.expectsContinue && !connection.pointee.exchange.isBodyless
        connection.pointee.exchange.wantsUpgrade = request.upgrade == .webSocket
        if case .length(let length) = request.framing {
            connection.pointee.exchange.requestRemaining = length
        }
        if !request.keepsAlive || state.pointee.drainDeadlineMilliseconds != nil {
            connection.pointee.endsAfterResponse = true
        }
        if request.method == .post { noteGRPC(slot) }
        continueTrace(slot)
        rememberPath(slot, request)
    }

    private func beginNamelessExchange(_ slot: Int32) {
        let connection = downstreams[slot]
        guard !connection.pointee.exchange.isBegun else { return }
        leaveIdle(slot)
        counters.add(.requests)
        // Fresh but for the bytes read so far: `endExchange` leaves a new one.
        connection.pointee.exchange.isBegun = true
        connection.pointee.hasAsked = true
        connection.pointee.exchange.beganNanoseconds = nowNanoseconds
        let high = state.pointee.random.next()
        let low = state.pointee.random.next()
        connection.pointee.exchange.names.requestIDHigh = high
        connection.pointee.exchange.names.requestIDLow = low
        // A trace that begins here has the request's name: one number to search for instead of two.
        connection.pointee.exchange.names.traceHigh = high
        connection.pointee.exchange.names.traceLow = low
        connection.pointee.exchange.names.span = state.pointee.random.next()
    }

    /// W3C Trace Context: a valid traceparent is continued with a span of our own, anything else starts a
    /// trace.
    private func continueTrace(_ slot: Int32) {
        guard let range = work.pointee.fields.onlyValue(.traceparent) else { return }
        let head = downstreams[slot].pointee.input.bytes.span
        guard let incoming = Traceparent(parsing: head, range.indices) else { return }
        downstreams[slot].pointee.exchange.names.traceHigh = incoming.traceHigh
        downstreams[slot].pointee.exchange.names.traceLow = incoming.traceLow
        downstreams[slot].pointee.exchange.names.traceFlags = incoming.flags
        downstreams[slot].pointee.exchange.keepsTracestate = true
    }

    private func accessMethod(_ slot: Int32, _ request: CanonicalRequest) -> RequestMethod {
        switch request.method {
        case .get: .get
        case .head: .head
        case .post: .post
        case .put: .put
        case .delete: .delete
        case .options: .options
        case .patch: .patch
        case .other: .other
        }
    }

    func rememberPath(_ slot: Int32, _ request: CanonicalRequest) {
        let head = downstreams[slot].pointee.input.bytes.span
        let path = (request.path.isInScratch ? work.pointee.scratch.bytes.span : head)
            .extracting(request.path.range.indices)
        downstreams[slot].pointee.decidedPath.note(path, pool)
    }
}
