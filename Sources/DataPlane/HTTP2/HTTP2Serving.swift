import Border
import CNghttp2
import COpenSSL
import Glibc

/// An HTTP/2 connection from its handshake to its GOAWAY (RFC 9113).
extension Reactor {
    /// Records that one visit reads; then the others have their turn.
    private static let readsPerVisitMax = 16

    /// Whether the client chose HTTP/2 in the handshake (RFC 9113 §3.2).
    func speaksHTTP2(_ slot: Int32) -> Bool {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(transports[Int(slot)].ssl, &name, &count)
        guard let name, count == 2 else { return false }
        return name[0] == UInt8(ascii: "h") && name[1] == UInt8(ascii: "2")
    }

    func beginMultiplexing(_ slot: Int32) -> Step {
        // Once per connection, and not from the pool: its smallest block would be four times as large.
        let connection = HTTP2ConnectionPointer.allocate(capacity: 1)
        connection.initialize(to: HTTP2Connection(reactor: .passUnretained(self), slot: slot))
        transports[Int(slot)].multiplexed = UnsafeMutableRawPointer(connection)
        counters.add(.http2Connections)
        restMultiplexing(slot)
        timers.set(
            slot, at: nowMilliseconds + UInt64(min(limits.idleMilliseconds, limits.firstRequestMilliseconds)))
        connection.pointee.session = HTTP2Callbacks.makeSession(for: connection, limits.http2)
        guard let session = connection.pointee.session, submitSettings(session) else { return close(slot) }
        connection.touch()
        // Its handshake was under way when the stop was ordered.
        if state.pointee.drainDeadlineMilliseconds != nil { beginGoaway(slot) }
        guard isStrongEnough(slot) else {
            _ = nghttp2_session_terminate_session(session, NGHTTP2_INADEQUATE_SECURITY.rawValue)
            return beginLinger(slot)
        }
        return .again
    }

    private func submitSettings(_ session: OpaquePointer) -> Bool {
        let settings = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
                value: UInt32(http2StreamsMax)),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
                value: UInt32(limits.headBytesMax)),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL.rawValue), value: 1),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES.rawValue), value: 1),
        ]
        let none = UInt8(NGHTTP2_FLAG_NONE.rawValue)
        return nghttp2_submit_settings(session, none, settings, settings.count) == 0
            && openWindow(session)
    }

    /// RFC 9113 §9.2.2: with TLS 1.2 only ephemeral keys and authenticated encryption.
    private func isStrongEnough(_ slot: Int32) -> Bool {
        let ssl = transports[Int(slot)].ssl
        guard SSL_version(ssl) < TLS1_3_VERSION else { return true }
        guard let cipher = SSL_get_current_cipher(ssl) else { return false }
        let exchange = SSL_CIPHER_get_kx_nid(cipher)
        return SSL_CIPHER_is_aead(cipher) == 1 && (exchange == NID_kx_ecdhe || exchange == NID_kx_dhe)
    }

    // MARK: Visits

    /// Reads what has come and marks what it asks for; streams are served from the queue, output leaves at the turn's
    /// end.
    func multiplex(_ slot: Int32) -> Step {
        guard let connection = (transports + Int(slot)).http2 else { return close(slot) }
        connection.touch()
        for _ in 0..<Self.readsPerVisitMax {
            // A client that does not read is not read from: what it asks for would only wait.
            guard mayProduce(for: slot, of: slot, below: Transport.pendingBytesHigh) else {
                settle(connection)
                return .wait
            }
            switch readInput(slot, atLeast: 16_384) {
            case .bytes:
                makeRoom(for: slot)
                guard feed(connection) else { return beginLinger(slot) }
            case .wait:
                settle(connection)
                return .wait
            case .end, .failed: return abandon(slot)
            }
        }
        return .again
    }

    /// - Returns: false when the connection ends; GOAWAY with the reason waits in the session.
    private func feed(_ connection: HTTP2ConnectionPointer) -> Bool {
        let record = downstreams[connection.pointee.slot]
        guard let session = connection.pointee.session else { return false }
        let waiting = record.pointee.input.bytes
        let result = nghttp2_session_mem_recv(session, waiting.baseAddress, waiting.count)
        record.pointee.input.consume(waiting.count, pool)
        // Errors of the protocol nghttp2 answers itself: its GOAWAY leaves with the flush, which ends the connection.
        if result >= 0 { return true }
        var code = NGHTTP2_INTERNAL_ERROR
        if connection.pointee.abuse.isExceeded || result == Int(NGHTTP2_ERR_FLOODED.rawValue) {
            code = NGHTTP2_ENHANCE_YOUR_CALM
            noteFlood(connection)
        } else if result == Int(NGHTTP2_ERR_BAD_CLIENT_MAGIC.rawValue) {
            code = NGHTTP2_PROTOCOL_ERROR
        }
        _ = nghttp2_session_terminate_session2(
            session, nghttp2_session_get_last_proc_stream_id(session), code.rawValue)
        return false
    }

    func endForAbuse(_ connection: HTTP2ConnectionPointer, _ session: OpaquePointer) {
        noteFlood(connection)
        _ = nghttp2_session_terminate_session2(
            session, nghttp2_session_get_last_proc_stream_id(session), NGHTTP2_ENHANCE_YOUR_CALM.rawValue)
        let slot = connection.pointee.slot
        resume(slot, beginLinger(slot))
    }

    private func noteFlood(_ connection: HTTP2ConnectionPointer) {
        counters.add(.http2Floods)
        report(.http2Flood, client: downstreams[connection.pointee.slot].pointee.client)
        switch connection.pointee.abuse.exceeded {
        case .frames: counters.add(.http2FrameFloods)
        case .resets: counters.add(.http2ResetFloods)
        case .continuations: counters.add(.http2ContinuationFloods)
        case .fields: counters.add(.http2FieldFloods)
        case .other, nil: return
        }
    }

    /// Streams need records. Idle connections give theirs up, as they do for new connections.
    private func makeRoom(for slot: Int32) {
        guard downstreams.count == downstreams.capacity, state.pointee.firstIdle >= 0,
            state.pointee.firstIdle != slot
        else { return }
        counters.add(.idleConnectionsDisplaced)
        close(state.pointee.firstIdle)
    }

    /// The connection's own deadline; its streams have theirs.
    func settle(_ connection: HTTP2ConnectionPointer) {
        let slot = connection.pointee.slot
        let isUnset = timers.deadline(of: slot) == TimerWheel.never
        if connection.pointee.headStream != 0 {
            // From the first frame of a field section on it has one deadline, however slowly it drips in.
            guard isUnset || downstreams[slot].pointee.isIdle else { return }
            leaveIdle(slot)
            timers.set(slot, at: nowMilliseconds + UInt64(limits.headMilliseconds))
        } else if !transports[Int(slot)].pending.isEmpty {
            // Also when its streams are gone: who does not read what it was sent is not idle but stuck.
            if isUnset { timers.set(slot, at: nowMilliseconds + UInt64(limits.bodyIdleMilliseconds)) }
        } else if connection.pointee.streamCount == 0 {
            // Not again for every frame: whoever asks for nothing is idle, however much it says.
            if !downstreams[slot].pointee.isIdle { restMultiplexing(slot) }
        } else {
            timers.set(slot, at: TimerWheel.never)
        }
    }

    func restMultiplexing(_ slot: Int32) {
        becomeIdle(slot)
        downstreams[slot].pointee.phase = .multiplexing
    }

    /// The client reads.
    func multiplexingFlushed(_ slot: Int32) {
        guard !downstreams[slot].pointee.isIdle else { return }
        let isSent = transports[Int(slot)].pending.isEmpty
        timers.set(
            slot,
            at: isSent ? TimerWheel.never : nowMilliseconds + UInt64(limits.bodyIdleMilliseconds))
    }

    func multiplexingDeadlinePassed(_ slot: Int32) {
        guard transports[Int(slot)].pending.isEmpty else {
            counters.add(.bodiesExpired)
            abandon(slot)
            return
        }
        if downstreams[slot].pointee.isIdle {
            noteRestExpired(hadRequests: downstreams[slot].pointee.hasAsked)
        } else {
            counters.add(.headsExpired)
        }
        resume(slot, beginLinger(slot))
    }

    // MARK: Ends

    /// Frees the session; streams that are left break off.
    func endMultiplexing(_ connection: HTTP2ConnectionPointer) {
        let session = connection.pointee.session
        connection.pointee.session = nil
        while let stream = connection.pointee.firstStream { abandon(stream.pointee.slot) }
        releaseFieldSection(connection)
        leavePlaces(connection)
        nghttp2_session_del(session)
        transports[Int(connection.pointee.slot)].multiplexed = nil
        connection.deinitialize(count: 1)
        connection.deallocate()
    }
}
