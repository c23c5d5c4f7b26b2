import Border
import CNghttp2

/// How far the end of a client's connection is (RFC 9113 §6.8).
enum HTTP2Leaving: UInt8 {
    /// → asking.
    case no
    /// The first GOAWAY waits to be sent. → asked.
    case asking
    /// The client knows that it should begin no more streams; those that it began before it heard so are served.
    /// → told.
    case asked
    /// The last stream that is served was named: later ones were never looked at. → (closed after the last answer)
    case told
}

/// An orderly stop in two steps. A single GOAWAY would name a last stream while others are on their way, and a client
/// may not send those again elsewhere unless it knows that they do no harm twice.
extension Reactor {
    /// GOAWAY that names no last stream yet.
    func beginGoaway(_ slot: Int32) {
        guard let connection = (transports + Int(slot)).http2, let session = connection.pointee.session,
            connection.pointee.leaving == .no
        else { return }
        connection.pointee.leaving = .asking
        connection.pointee.tellAtMilliseconds = nowMilliseconds + UInt64(limits.http2.goodbyeMilliseconds)
        state.pointee.goodbyeAtMilliseconds = min(
            state.pointee.goodbyeAtMilliseconds, connection.pointee.tellAtMilliseconds)
        _ = nghttp2_submit_shutdown_notice(session)
        connection.touch()
    }

    /// Everything that waited was sent: a PING, whose answer says that the GOAWAY in front of it was read. Not with it,
    /// because nghttp2 sends a PING before all else.
    func askForAnswer(_ connection: HTTP2ConnectionPointer, _ session: OpaquePointer) {
        guard transports[Int(connection.pointee.slot)].pending.count < Transport.pendingBytesHigh else {
            return
        }
        connection.pointee.leaving = .asked
        _ = nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil)
        sendFrames(connection)
    }

    /// GOAWAY with the last stream that was begun: those go on, later ones were never looked at and may be sent again
    /// elsewhere.
    func endGoaway(_ connection: HTTP2ConnectionPointer) {
        guard connection.pointee.leaving == .asking || connection.pointee.leaving == .asked,
            let session = connection.pointee.session
        else { return }
        connection.pointee.leaving = .told
        _ = nghttp2_submit_goaway(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nghttp2_session_get_last_proc_stream_id(session),
            NGHTTP2_NO_ERROR.rawValue, nil, 0)
        connection.touch()
    }

    /// Whoever has not answered in time is told now.
    func endGoaways() {
        state.pointee.goodbyeAtMilliseconds = .max
        defer { flushMultiplexed() }
        for slot in downstreams.everUsed where downstreams.isInUse(slot) {
            guard let connection = (transports + Int(slot)).http2,
                connection.pointee.leaving == .asking || connection.pointee.leaving == .asked
            else { continue }
            let at = connection.pointee.tellAtMilliseconds
            if at <= nowMilliseconds {
                endGoaway(connection)
            } else {
                state.pointee.goodbyeAtMilliseconds = min(state.pointee.goodbyeAtMilliseconds, at)
            }
        }
    }

    /// Says goodbye at once, in front of TLS's own.
    func sayGoaway(_ connection: HTTP2ConnectionPointer) {
        guard let session = connection.pointee.session else { return }
        _ = nghttp2_session_terminate_session2(
            session, nghttp2_session_get_last_proc_stream_id(session), NGHTTP2_NO_ERROR.rawValue)
        sendFrames(connection)
    }
}
