import Border
import CNghttp2
import Glibc

/// Frames → TLS records: all that a turn has for one connection leaves together.
extension Reactor {
    /// Frames are put together up to here before they are encrypted.
    private static let gatheredBytesMax = 48 << 10
    /// Decoded body bytes that wait of one stream.
    private static let decodedBytesMax = 32 << 10

    func willFlush(_ slot: Int32) {
        state.pointee.unflushed.append(
            upstreams.contains(slot) ? upstreams.handle(slot) : downstreams.handle(slot))
    }

    /// Everything that became ready in this turn.
    func flushMultiplexed() {
        while !state.pointee.unflushed.isEmpty {
            let waiting = state.pointee.unflushed
            state.pointee.unflushed.removeAll(keepingCapacity: true)
            for handle in waiting {
                if upstreams.isCurrent(handle) { flushUpstream(handle.slot) }
                guard downstreams.isCurrent(handle),
                    let connection = (transports + Int(handle.slot)).http2
                else { continue }
                connection.pointee.isUnflushed = false
                flush(connection)
            }
        }
    }

    private func flush(_ connection: HTTP2ConnectionPointer) {
        let slot = connection.pointee.slot
        guard let session = connection.pointee.session else { return }
        sendFrames(connection)
        if connection.pointee.leaving == .asking { askForAnswer(connection, session) }
        guard !transports[Int(slot)].isFailed else {
            abandon(slot)
            return
        }
        // Streams that we had to reset were counted when their frames left.
        guard !connection.pointee.abuse.isExceeded else {
            endForAbuse(connection, session)
            return
        }
        var stream = connection.pointee.firstStream
        while let current = stream {
            stream = current.pointee.next
            if current.pointee.hasProgress { progressed(current) }
        }
        shareRoom(connection)
        settle(connection)
        chargeClient(slot)
        guard nghttp2_session_want_write(session) == 0 else { return }
        // Either everybody is served after a GOAWAY, or the client broke the protocol and was told so.
        let isServed = connection.pointee.leaving == .told && connection.pointee.streamCount == 0
        if isServed || nghttp2_session_want_read(session) == 0 { resume(slot, beginLinger(slot)) }
    }

    /// What was written to streams becomes frames, as far as the socket keeps up.
    func sendFrames(_ connection: HTTP2ConnectionPointer) {
        guard let session = connection.pointee.session else { return }
        var stream = connection.pointee.firstStream
        while let current = stream {
            stream = current.pointee.next
            guard current.pointee.isTouched, !isHeld(current) else { continue }
            if connection.pointee.asking == nil {
                submit(current, session)
            } else if transports[Int(connection.pointee.slot)].pending.count < Transport.pendingBytesHigh {
                // Else it waits here, where its bytes are counted and end with the request.
                submitRequest(current, session)
            }
        }
        // What the socket takes at once makes room again, and no edge of epoll will tell of it: the end of an answer
        // would wait until the client says something.
        while sendSome(connection, session) {}
    }

    /// - Returns: whether there may be more, and there is room for it.
    private func sendSome(_ connection: HTTP2ConnectionPointer, _ session: OpaquePointer) -> Bool {
        let transport = transports + Int(connection.pointee.slot)
        transport.pointee.isCorked = true
        while transport.pointee.pending.count < Transport.pendingBytesHigh {
            var bytes: UnsafePointer<UInt8>?
            let count = nghttp2_session_mem_send(session, &bytes)
            guard count > 0, let bytes else {
                // Out of memory is all that can have happened.
                if count < 0, count != Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) {
                    transport.pointee.isFailed = true
                }
                break
            }
            append(connection, bytes, count)
        }
        writeGathered(connection)
        let wasFull = transport.pointee.pending.count >= Transport.pendingBytesHigh
        transport.uncork()
        return wasFull && !transport.pointee.isFailed
            && transport.pointee.pending.count < Transport.pendingBytesHigh
    }

    /// - Returns: false when nothing more may be put together now.
    func gather(
        _ connection: HTTP2ConnectionPointer, _ header: UnsafePointer<UInt8>, _ stream: HTTP2StreamPointer,
        _ count: Int
    ) -> Bool {
        guard transports[Int(connection.pointee.slot)].pending.count < Transport.pendingBytesHigh else {
            return false
        }
        append(connection, header, 9)
        let transport = transports + Int(stream.pointee.slot)
        if stream.pointee.isResponseChunked {
            if let start = stream.pointee.body.bytes.baseAddress { append(connection, start, count) }
            stream.pointee.body.consume(count, pool)
        } else {
            if let start = transport.pointee.pending.bytes.baseAddress { append(connection, start, count) }
            transport.pointee.pending.consume(count, pool)
        }
        transport.pointee.bytesSent &+= UInt32(truncatingIfNeeded: count)
        stream.pointee.hasProgress = true
        if stream.pointee.isLastRead { stream.pointee.isEndSent = true }
        return true
    }

    private func append(_ connection: HTTP2ConnectionPointer, _ bytes: UnsafePointer<UInt8>, _ count: Int) {
        if connection.pointee.gathered + count > Self.gatheredBytesMax { writeGathered(connection) }
        guard let start = work.pointee.outputBytes, count <= Workspace.outputBytes else {
            transports[Int(connection.pointee.slot)].isFailed = true
            return
        }
        memcpy(start + connection.pointee.gathered, bytes, count)
        connection.pointee.gathered += count
    }

    private func writeGathered(_ connection: HTTP2ConnectionPointer) {
        let count = connection.pointee.gathered
        connection.pointee.gathered = 0
        guard count > 0, let start = work.pointee.outputBytes else { return }
        (transports + Int(connection.pointee.slot)).write(start, count)
    }

    /// Body bytes of a stream that the next DATA frame may take.
    func waitingBody(_ stream: HTTP2StreamPointer) -> Int {
        guard stream.pointee.isResponseChunked else {
            return transports[Int(stream.pointee.slot)].pending.count
        }
        decodeChunks(stream)
        return stream.pointee.body.count
    }

    private func decodeChunks(_ stream: HTTP2StreamPointer) {
        let transport = transports + Int(stream.pointee.slot)
        let most = min(Self.decodedBytesMax, Int(transport.pointee.pendingHigh))
        while stream.pointee.body.count < most {
            let waiting = transport.pointee.pending.bytes
            switch stream.pointee.responseChunks.next(waiting) {
            case .data(let range, let consumed):
                if let start = waiting.baseAddress {
                    stream.pointee.body.append(start + range.lowerBound, range.count, pool)
                }
                transport.pointee.pending.consume(consumed, pool)
            case .framing(let consumed): transport.pointee.pending.consume(consumed, pool)
            case .trailer(let range, let consumed):
                if let start = waiting.baseAddress {
                    stream.pointee.trailers.append(start + range.lowerBound, range.count + 2, pool)
                }
                transport.pointee.pending.consume(consumed, pool)
            case .needMore: return
            case .broken:
                transport.pointee.isFailed = true
                wake(stream)
                return
            }
        }
    }

    /// Bytes of a stream have left: its record may go on, or is done.
    private func progressed(_ stream: HTTP2StreamPointer) {
        stream.pointee.hasProgress = false
        let slot = stream.pointee.slot
        switch downstreams[slot].pointee.phase {
        case .lingering:
            guard stream.pointee.isEndSent else {
                chargeClient(slot)
                return setLingerDeadline(slot)
            }
            stream.pointee.connection.pointee.abuse.noteServed()
            close(slot)
        case .forwarding, .tunnel:
            setDeadline(slot, idleMilliseconds(slot))
            // It may have waited for room.
            enqueue(slot)
        case .proxyHeader, .handshaking, .head, .parked, .collecting, .connecting, .multiplexing: return
        }
    }
}
