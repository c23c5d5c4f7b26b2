import Access
import Border
import HTTP

/// The decision was to forward: a connection, then the canonical request on it.
extension Reactor {
    func forward(_ slot: Int32, _ request: CanonicalRequest, _ route: Route, _ session: Int32) -> Step {
        let connection = downstreams[slot]
        if work.pointee.pathRoute >= 0, let step = answerPathRoute(slot, request, route, session) {
            return step
        }
        if connection.pointee.exchange.wantsUpgrade, let step = refuseUpgrade(slot) { return step }
        if connection.pointee.exchange.method == .options, let step = answerLastHop(slot) { return step }
        guard !isLoop(slot) else { return refuse(slot, 508, .upstreamUnavailable) }
        if session >= 0, sessions[session].pointee.provenRevision != route.revision,
            !mayTell(session, route)
        {
            return pullAgain(slot, session)
        }
        if connection.pointee.limits != nil, let step = enforceLimits(on: request, slot, route, session) {
            return step
        }
        if route.rewritesResponses || connection.pointee.exchange.rewritesHead { noteRewriting(slot, route) }
        if connection.pointee.exchange.upstream < 0 || !leads(slot, to: route) {
            switch acquireUpstream(slot, route, session) {
            case .ready: break
            case .connecting:
                connection.pointee.phase = .connecting
                timers.set(
                    slot, at: nowMilliseconds + UInt64(route.upstreams.state.pointee.connectMilliseconds))
                return .wait
            case .waiting:
                connection.pointee.phase = .connecting
                return .wait
            case .busy: return refuse(slot, 503, .upstreamBusy)
            case .noWebSocket: return refuse(slot, 502, .websocketUnsupported)
            case .unavailable: return refuse(slot, 502, .upstreamUnavailable)
            }
        }
        attachSession(slot, session)
        return send(slot, request, route, session)
    }

    /// Whether the connection that was made is one of the route's: a reload may have given the host to another
    /// application meanwhile.
    private func leads(_ slot: Int32, to route: Route) -> Bool {
        guard upstreams[downstreams[slot].pointee.exchange.upstream].pointee.group !== route.upstreams else {
            return true
        }
        releaseUpstream(slot, isReusable: false)
        return false
    }

    /// Head and what is there of the body leave in one send.
    private func send(_ slot: Int32, _ request: CanonicalRequest, _ route: Route, _ session: Int32) -> Step {
        let connection = downstreams[slot]
        var output = HeadOutput(work.pointee.output)
        do {
            try writeHead(slot, request, route, session, into: &output)
        } catch {
            return refuse(slot, error.status, .requestMalformed)
        }
        guard !output.isOverflowed, let start = work.pointee.outputBytes else {
            return refuse(slot, 431, .requestTooLarge)
        }
        let transport = transports + Int(connection.pointee.exchange.upstream)
        connection.pointee.phase = .forwarding
        uncollectBody(slot)
        // A head without body stays until the answer begins: should a reused connection turn out to be dead,
        // the request is walked once more from it.
        guard !connection.pointee.exchange.isBodyless else {
            transport.write(start, output.count)
            setDeadline(slot, headMilliseconds(slot))
            // Its answer takes a round trip and comes with an edge: nothing to look for before that.
            return transport.pointee.isFailed || transport.mayRead ? .again : .wait
        }
        if connection.pointee.exchange.awaitsContinue { sendContinue(slot) }
        transport.pointee.isCorked = true
        transport.write(start, output.count)
        consumeHead(slot)
        setDeadline(slot, idleMilliseconds(slot))
        let step = relayRequest(slot)
        guard step != .closed else { return .closed }
        transport.uncork()
        if let stream = (transports + Int(slot)).stream { giveBackWindow(stream) }
        return .again
    }

    private func writeHead(
        _ slot: Int32, _ request: CanonicalRequest, _ route: Route, _ session: Int32,
        into output: inout HeadOutput
    ) throws(HeadError) {
        let connection = downstreams[slot]
        let head = connection.pointee.input.bytes.span
        var options: RequestWriter.Options =
            connection.pointee.exchange.keepsTracestate ? .keepsTracestate : []
        if route.readsBearerTokens, session >= 0, !route.forwardsBearerTokens,
            sessions[session].pointee.record.client == .bearerToken
        {
            options.insert(.dropsAuthorization)
        }
        if connection.pointee.exchange.isPreflight {
            route.requestWriter.beginPreflight(
                request, head: head, fields: work.pointee.fields, scratch: work.pointee.scratch,
                into: &output)
        } else if connection.pointee.exchange.isPage {
            try route.pageWriter.begin(
                request, head: head, fields: work.pointee.fields, scratch: work.pointee.scratch,
                options: options, into: &output)
            output.append("Accept-Encoding: identity\r\n")
        } else {
            try route.requestWriter.begin(
                request, head: head, fields: work.pointee.fields, scratch: work.pointee.scratch,
                options: options, into: &output)
        }
        if session >= 0 { output.append(sessions[session].pointee.record.identityFields.span) }
        if connection.pointee.limits != nil { writeUpstreamFields(slot, into: &output) }
        if route.hasRequestLines {
            let lines = route.requestLines
            output.append(lines.span)
            if route.writesForwarded {
                connection.pointee.forwarded.writeStandard(
                    request, head: head, scratch: work.pointee.scratch, into: &output)
            }
        }
        if work.pointee.fields.contains(.te) {
            connection.pointee.exchange.acceptsTrailers = TrailerSection.isAccepted(head, work.pointee.fields)
        }
        if work.pointee.pathRoute >= 0 { writeStrippedPrefix(route, into: &output) }
        connection.pointee.forwarded.write(
            request, head: head, scratch: work.pointee.scratch, into: &output)
        work.pointee.ownLines.write(connection.pointee.exchange.names, into: &output)
        RequestWriter.end(into: &output)
    }

    /// The interim answer that lets the client send its body. The gateway decides, so the gateway answers.
    func sendContinue(_ slot: Int32) {
        let connection = downstreams[slot]
        connection.pointee.exchange.awaitsContinue = false
        guard connection.pointee.input.count <= Int(connection.pointee.exchange.headBytes) else { return }
        var output = HeadOutput(work.pointee.output.suffixRebased(from: Workspace.outputBytes - 64))
        output.append("HTTP/1.1 100 Continue\r\n\r\n")
        if let start = work.pointee.outputBytes {
            (transports + Int(slot)).write(start + Workspace.outputBytes - 64, output.count)
        }
    }

    /// A body that was collected for the control plane goes upstream after all, because the decision has changed
    /// meanwhile: it still lies behind the head, and is relayed from there like any other.
    private func uncollectBody(_ slot: Int32) {
        let connection = downstreams[slot]
        connection.pointee.collected.release(pool)
        guard connection.pointee.exchange.collectedBytes > 0 else { return }
        connection.pointee.exchange.collectedBytes = 0
        connection.pointee.exchange.requestDecoder = ChunkedDecoder()
        connection.pointee.exchange.isRequestComplete = connection.pointee.exchange.isBodyless
    }

    /// The head (and a body that was collected behind it) is no longer needed.
    func consumeHead(_ slot: Int32) {
        let connection = downstreams[slot]
        let bytes = Int(connection.pointee.exchange.headBytes + connection.pointee.exchange.collectedBytes)
        connection.pointee.exchange.headBytes = 0
        connection.pointee.exchange.collectedBytes = 0
        if bytes > 0 { connection.pointee.input.consume(min(bytes, connection.pointee.input.count), pool) }
    }

    /// A request that this process forwarded already came back: an upstream points at us.
    private func isLoop(_ slot: Int32) -> Bool {
        guard let range = work.pointee.fields.value(.gatepostHop), range.count == 16 else { return false }
        let head = downstreams[slot].pointee.input.bytes.span
        let value = head.extracting(range.indices)
        for index in 0..<16 where value[index] != Hex.digit(instanceID >> UInt64(60 - 4 * index)) {
            return false
        }
        return true
    }
}

extension UnsafeMutableRawBufferPointer {
    fileprivate func suffixRebased(from start: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: self[start...])
    }
}
