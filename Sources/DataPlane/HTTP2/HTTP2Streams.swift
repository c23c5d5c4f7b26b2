import Access
import Border
import CNghttp2
import HTTP

/// A stream's record: made when its request is whole, gone when its answer is sent or broken off.
extension Reactor {
    /// - Returns: nil when there is no record left.
    func openStream(_ connection: HTTP2ConnectionPointer, _ id: Int32) -> HTTP2StreamPointer? {
        let parent = connection.pointee.slot
        // Streams may not take the places of everybody's connections.
        guard state.pointee.streams < max(1, Int(downstreams.capacity) / 2), takePlace(connection) else {
            return nil
        }
        let record = Downstream(
            streamOf: downstreams[parent], acceptedNanoseconds: nowNanoseconds,
            exchange: work.pointee.freshExchange)
        guard let handle = downstreams.insert(record) else { return nil }
        let stream = pool.pointee.take(HTTP2Stream(id: id, slot: handle.slot, connection: connection))
        var transport = Transport(descriptor: -1, pool: pool)
        transport.multiplexed = UnsafeMutableRawPointer(stream)
        transport.pendingHigh = connection.pointee.room
        (transports + Int(handle.slot)).initialize(to: transport)
        joinHolding(handle.slot, downstreams[parent].pointee.holding)
        demands[handle.slot] = ClientDemand()
        if !state.pointee.namedPeers.isEmpty {
            state.pointee.namedPeers[handle.slot] = state.pointee.namedPeers[parent]
        }
        stream.pointee.next = connection.pointee.firstStream
        connection.pointee.firstStream?.pointee.previous = stream
        connection.pointee.firstStream = stream
        connection.pointee.streamCount += 1
        downstreams[parent].pointee.hasAsked = true
        state.pointee.streams += 1
        counters.add(.http2Streams)
        leaveIdle(parent)
        timers.set(parent, at: TimerWheel.never)
        timers.set(handle.slot, at: nowMilliseconds + UInt64(limits.headMilliseconds))
        return stream
    }

    /// The record ends; what the client still has to be told is told.
    func leaveConnection(_ slot: Int32, _ stream: HTTP2StreamPointer) {
        let connection = stream.pointee.connection
        if let session = connection.pointee.session {
            if !stream.pointee.isForgotten {
                _ = nghttp2_session_set_stream_user_data(session, stream.pointee.id, nil)
                if !stream.pointee.isEndSent {
                    reset(connection, stream.pointee.id, stream.pointee.resetCode)
                } else if !stream.pointee.isRemoteEnded {
                    // RFC 9113 §8.1: the answer is whole, the rest of the request is not wanted.
                    reset(connection, stream.pointee.id, NGHTTP2_NO_ERROR)
                }
            }
            if stream.pointee.owedWindow > 0 {
                _ = nghttp2_session_consume_connection(session, stream.pointee.owedWindow)
                connection.touch()
            }
        }
        returnWindow(of: stream)
        if let next = stream.pointee.next { next.pointee.previous = stream.pointee.previous }
        if let previous = stream.pointee.previous {
            previous.pointee.next = stream.pointee.next
        } else {
            connection.pointee.firstStream = stream.pointee.next
        }
        connection.pointee.streamCount -= 1
        state.pointee.streams -= 1
        rememberInConnection(slot, connection)
        stream.pointee.inbound.release(pool)
        stream.pointee.body.release(pool)
        stream.pointee.trailers.release(pool)
        transports[Int(slot)].multiplexed = nil
        pool.pointee.giveBack(stream)
        if connection.pointee.streamCount == 0, connection.pointee.session != nil {
            settle(connection)
            connection.touch()
        }
    }

    /// The next stream is most likely for the same host, under the same cookie.
    private func rememberInConnection(_ slot: Int32, _ connection: HTTP2ConnectionPointer) {
        let stream = downstreams[slot]
        let parent = downstreams[connection.pointee.slot]
        if parent.pointee.lastRoute !== stream.pointee.lastRoute {
            parent.pointee.lastRoute = stream.pointee.lastRoute
        }
        parent.pointee.lastCookie = stream.pointee.lastCookie
        parent.pointee.machine = stream.pointee.machine
        parent.pointee.certificate = stream.pointee.certificate
        parent.pointee.planRevision = stream.pointee.planRevision
        parent.pointee.readsForwarded = stream.pointee.readsForwarded
    }

    /// The TLS connection below a connection or stream.
    func ssl(of slot: Int32) -> OpaquePointer? {
        guard let stream = (transports + Int(slot)).stream else { return transports[Int(slot)].ssl }
        return transports[Int(stream.pointee.connection.pointee.slot)].ssl
    }

    // MARK: Ends

    /// The record has written its answer: END_STREAM follows it, and then the record is gone.
    func endStream(_ slot: Int32, _ stream: HTTP2StreamPointer) -> Step {
        downstreams[slot].pointee.phase = .lingering
        downstreams[slot].pointee.input.release(pool)
        downstreams[slot].pointee.headSeen = 0
        endCollecting(slot)
        stream.pointee.isEnded = true
        stream.pointee.isTouched = true
        stream.pointee.connection.touch()
        setLingerDeadline(slot)
        return .wait
    }

    /// What still comes of a request that was answered is nobody's.
    func lingerStream(_ slot: Int32, _ stream: HTTP2StreamPointer) -> Step {
        if stream.pointee.isForgotten { return close(slot) }
        stream.pointee.inbound.release(pool)
        let owed = stream.pointee.owedWindow
        stream.pointee.owedWindow = 0
        if owed > 0, let session = stream.pointee.connection.pointee.session {
            _ = nghttp2_session_consume_connection(session, owed)
            stream.pointee.connection.touch()
        }
        return .wait
    }

    /// Why the client's stream is reset: it is told whether we took the answer away or could not give it.
    func noteResetCode(_ slot: Int32) {
        guard let stream = (transports + Int(slot)).stream else { return }
        switch downstreams[slot].pointee.exchange.reason {
        case nil, .upstreamUnavailable, .upstreamMalformed, .upstreamTimeout:
            stream.pointee.resetCode = NGHTTP2_INTERNAL_ERROR
        case .some: stream.pointee.resetCode = NGHTTP2_CANCEL
        }
    }
}

extension BufferPool {
    /// A block of its own for a stream's record.
    mutating func take(_ stream: HTTP2Stream) -> HTTP2StreamPointer {
        let (block, _) = take(atLeast: MemoryLayout<HTTP2Stream>.size)
        let pointer = UnsafeMutableRawPointer(block).bindMemory(to: HTTP2Stream.self, capacity: 1)
        pointer.initialize(to: stream)
        return pointer
    }

    mutating func giveBack(_ stream: HTTP2StreamPointer) {
        stream.deinitialize(count: 1)
        giveBack(
            UnsafeMutableRawPointer(stream).assumingMemoryBound(to: UInt8.self),
            size: Self.blockBytes(holding: MemoryLayout<HTTP2Stream>.size))
    }
}
