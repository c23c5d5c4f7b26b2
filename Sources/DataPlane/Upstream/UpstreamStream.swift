import Access
import Border
import CNghttp2
import HTTP

/// One stream of an HTTP/2 connection to an upstream: a record like any upstream's, whose transport is fed by frames.
extension Reactor {
    /// Of one stream, in front of its answer: as many as the relay takes.
    private static let interimHeadsMax: UInt8 = 16

    /// - Returns: false when there is no record left.
    func openStream(
        _ slot: Int32, on parent: Int32, _ connection: HTTP2ConnectionPointer, _ endpoint: Endpoint,
        _ group: UpstreamGroup
    ) -> Bool {
        guard let upstream = makeStream(on: connection, endpoint, group) else { return false }
        let isReady = connection.pointee.asking?.phase == .ready
        upstreams[upstream].pointee.phase = isReady ? .streaming : .connecting
        upstreams[upstream].pointee.isReused = (connection.pointee.asking?.streamsBegun ?? 0) > 0
        assign(upstream, to: slot, endpoint, group)
        return true
    }

    func makeStream(
        on connection: HTTP2ConnectionPointer, _ endpoint: Endpoint, _ group: UpstreamGroup
    ) -> Int32? {
        guard let handle = upstreams.insert(Upstream(endpoint: endpoint, group: group)) else { return nil }
        let stream = pool.pointee.take(HTTP2Stream(id: 0, slot: handle.slot, connection: connection))
        var transport = Transport(descriptor: -1, pool: pool)
        transport.multiplexed = UnsafeMutableRawPointer(stream)
        (transports + Int(handle.slot)).initialize(to: transport)
        stream.pointee.next = connection.pointee.firstStream
        connection.pointee.firstStream?.pointee.previous = stream
        connection.pointee.firstStream = stream
        connection.pointee.streamCount += 1
        return handle.slot
    }

    /// The record ends. What the upstream still works at for it is given up.
    func leaveUpstream(_ upstream: Int32, _ stream: HTTP2StreamPointer) {
        let connection = stream.pointee.connection
        if let session = connection.pointee.session {
            if stream.pointee.id > 0, !stream.pointee.isForgotten {
                forget(upstream, stream, connection, session)
                _ = nghttp2_session_set_stream_user_data(session, stream.pointee.id, nil)
            }
            if stream.pointee.owedWindow > 0 {
                _ = nghttp2_session_consume_connection(session, stream.pointee.owedWindow)
            }
            connection.touch()
        }
        if let next = stream.pointee.next { next.pointee.previous = stream.pointee.previous }
        if let previous = stream.pointee.previous {
            previous.pointee.next = stream.pointee.next
        } else {
            connection.pointee.firstStream = stream.pointee.next
        }
        connection.pointee.streamCount -= 1
        stream.pointee.inbound.release(pool)
        stream.pointee.body.release(pool)
        stream.pointee.trailers.release(pool)
        transports[Int(upstream)].multiplexed = nil
        pool.pointee.giveBack(stream)
        // The last one to read what came before the connection's end.
        let parent = connection.pointee.slot
        if connection.pointee.asking?.phase == .ended, connection.pointee.streamCount == 0,
            upstreams.isInUse(parent), upstreams[parent].pointee.http2 == connection,
            transports[Int(parent)].descriptor < 0
        {
            closeUpstream(parent)
        }
    }

    /// An answer that was read whole needs no RST_STREAM, although its END_STREAM may come in a frame of its own: many
    /// servers send it so, and count resets. The few streams that stay so are given up in their order.
    private func forget(
        _ upstream: Int32, _ stream: HTTP2StreamPointer, _ connection: HTTP2ConnectionPointer,
        _ session: OpaquePointer
    ) {
        let user = upstreams[upstream].pointee.downstream
        let isWhole = user >= 0 && downstreams[user].pointee.exchange.isResponseComplete
        // In front of a tunnel's end would leave what its client said before it lost the right to be heard.
        let isCut = user >= 0 && downstreams[user].pointee.exchange.isCut
        if isCut, !transports[Int(upstream)].pending.isEmpty {
            return giveUp(connection, stream.pointee.id)
        }
        if stream.pointee.isTunnel, stream.pointee.isHeadReceived { endTunnel(stream, session) }
        if isWhole || stream.pointee.isTunnel, stream.pointee.isEndSent {
            guard !stream.pointee.isRemoteEnded, let side = connection.pointee.asking else { return }
            let next = side.nextDetached
            if side.detached[next] > 0 { giveUp(connection, side.detached[next]) }
            connection.pointee.asking?.detached[next] = stream.pointee.id
            connection.pointee.asking?.nextDetached = (next + 1) % 8
            return
        }
        giveUp(connection, stream.pointee.id)
    }

    /// Where the upstream takes few streams, none may be kept from a request by a formality.
    func giveUpDetached(_ connection: HTTP2ConnectionPointer) {
        guard let detached = connection.pointee.asking?.detached else { return }
        for index in detached.indices where detached[index] > 0 { giveUp(connection, detached[index]) }
    }

    private func giveUp(_ connection: HTTP2ConnectionPointer, _ id: Int32) {
        connection.pointee.asking?.forgetDetached(id)
        connection.pointee.asking?.gaveUpMilliseconds = .max
        reset(connection, id, NGHTTP2_CANCEL)
    }

    /// Its request goes on: there is something to read, or room for more of its body.
    func wakeUser(of stream: HTTP2StreamPointer) {
        let slot = upstreams[stream.pointee.slot].pointee.downstream
        if slot >= 0 { enqueue(slot) }
    }

    // MARK: From inside of nghttp2: marks and enqueues only

    func takeInterim(_ stream: HTTP2StreamPointer) -> Bool {
        stream.pointee.interimHeads += 1
        return stream.pointee.interimHeads <= Self.interimHeadsMax
    }

    /// nghttp2 is through with a stream: answered on both sides, reset by either, or beyond a GOAWAY.
    func upstreamStreamClosed(
        _ connection: HTTP2ConnectionPointer, _ id: Int32, _ stream: HTTP2StreamPointer?,
        _ code: nghttp2_error_code
    ) {
        if connection.pointee.headStream == id { releaseFieldSection(connection) }
        guard let stream else {
            connection.pointee.asking?.forgetDetached(id)
            // Ours say CANCEL: this is nghttp2's word about a stream that nobody reads any more, or the upstream's own.
            let isOwnWord = connection.pointee.asking?.peerReset == id
            if code == NGHTTP2_PROTOCOL_ERROR, !isOwnWord { connection.pointee.asking?.isBroken = true }
            return
        }
        stream.pointee.isForgotten = true
        if code == NGHTTP2_NO_ERROR { connection.pointee.abuse.noteServed() }
        // RFC 9113 §8.1: whoever answered early takes the rest of the request back.
        guard !stream.pointee.isRemoteEnded else { return wakeUser(of: stream) }
        let upstream = upstreams[stream.pointee.slot]
        if code == NGHTTP2_REFUSED_STREAM {
            upstream.pointee.ending = .refused
            counters.add(.upstreamStreamsRefused)
        } else if stream.pointee.isPeerReset {
            upstream.pointee.ending = .reset
        } else {
            upstream.pointee.ending = .malformed
            connection.pointee.asking?.isBroken = true
        }
        failed(stream)
    }

    /// Nothing comes on it any more: its request learns so when it reads.
    func failed(_ stream: HTTP2StreamPointer) {
        transports[Int(stream.pointee.slot)].isFailed = true
        wake(stream)
    }

    // MARK: What becomes of the request

    /// The upstream ended the stream otherwise than by a whole answer.
    func streamEnded(_ slot: Int32, _ ending: StreamEnding) -> Step {
        let connection = downstreams[slot]
        let reason: Reason = ending == .malformed ? .upstreamMalformed : .upstreamUnavailable
        guard !connection.pointee.exchange.isResponseBegun else {
            // Half an answer: the client must not take it for a whole one.
            noteUpstreamFailure(slot, reason)
            connection.pointee.exchange.reason = reason
            return abandon(slot)
        }
        guard ending == .refused else { return refuse(slot, 502, reason) }
        // Nobody has looked at it, so it may go again, whatever its method; its body, though, is not kept.
        let group = upstreams[connection.pointee.exchange.upstream].pointee.group
        guard connection.pointee.exchange.isBodyless, connection.pointee.exchange.headBytes > 0,
            mayRetry(slot, group)
        else { return refuse(slot, 503, .upstreamBusy) }
        return repeatRequest(slot)
    }

    /// What an upstream sent on a stream is no answer: nothing of its connection is believed any more.
    func noteMalformed(_ upstream: Int32) {
        guard let stream = (transports + Int(upstream)).stream else { return }
        upstreams[upstream].pointee.ending = .malformed
        stream.pointee.connection.pointee.asking?.isBroken = true
        stream.pointee.connection.touch()
    }

    // MARK: Health checks

    func sendProbe(on parent: Int32, _ connection: HTTP2ConnectionPointer) {
        let record = upstreams[parent]
        guard let upstream = makeStream(on: connection, record.pointee.endpoint, record.pointee.group) else {
            return probeEnded(parent, .noAnswer)
        }
        upstreams[upstream].pointee.phase = .streaming
        record.pointee.group.state.pointee.probe.withUnsafeBufferPointer { bytes in
            if let start = bytes.baseAddress { (transports + Int(upstream)).write(start, bytes.count) }
        }
    }

    func continueProbe(on parent: Int32, _ connection: HTTP2ConnectionPointer) {
        guard let stream = connection.pointee.firstStream else { return }
        guard !transports[Int(stream.pointee.slot)].isFailed else { return probeEnded(parent, .noAnswer) }
        switch work.pointee.responseParser.parse(
            stream.pointee.inbound.front.span, answering: .get, into: &work.pointee.responseFields)
        {
        case .needMore: return
        case .refused: probeEnded(parent, .malformed)
        case .head(let response):
            probeEnded(
                parent,
                response.isInterim ? .malformed : judge(response.status, upstreams[parent].pointee.group))
        }
    }
}
