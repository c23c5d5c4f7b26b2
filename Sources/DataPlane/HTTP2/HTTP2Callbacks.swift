import Border
import CNghttp2
import Glibc
import HTTP

/// nghttp2's way back to us. Callbacks mark and enqueue; nothing is closed, flushed or served inside of them, because
/// they come from the middle of nghttp2's own work.
enum HTTP2Callbacks {
    // Unchecked because nghttp2's types are not Sendable: made once per process, never freed, only read.
    nonisolated(unsafe) private static let callbacks: OpaquePointer? = makeCallbacks()

    /// Entries of one SETTINGS frame.
    private static let settingsMax = 16
    /// Coded bytes of one response head.
    private static let responseHeadBytesMax = 1 << 20

    /// - Returns: a server's side of a connection; nil when memory is out.
    static func makeSession(for connection: HTTP2ConnectionPointer, _ limits: HTTP2Limits) -> OpaquePointer? {
        guard let callbacks, let option = makeOption(limits) else { return nil }
        defer { nghttp2_option_del(option) }
        var session: OpaquePointer?
        var memory = withUnsafeMutablePointer(to: &connection.pointee.frames) {
            HTTP2FrameMemory.functions(for: $0)
        }
        guard nghttp2_session_server_new3(&session, callbacks, connection, option, &memory) == 0 else {
            return nil
        }
        return session
    }

    private static func makeOption(_ limits: HTTP2Limits) -> OpaquePointer? {
        var option: OpaquePointer?
        guard nghttp2_option_new(&option) == 0 else { return nil }
        // Window is given back as the application takes the bytes.
        nghttp2_option_set_no_auto_window_update(option, 1)
        // Priorities are ignored, and closed streams need not be remembered for them.
        nghttp2_option_set_no_closed_streams(option, 1)
        nghttp2_option_set_max_settings(option, settingsMax)
        // Answers to PING and SETTINGS that may wait for a client which does not read. One turn brings at most as many
        // as `HTTP2Abuse` allows.
        nghttp2_option_set_max_outbound_ack(option, 2 * max(1, limits.framesPerSecondMax))
        // Ours is the lower bound, and says ENHANCE_YOUR_CALM.
        nghttp2_option_set_max_continuations(option, 2 * HTTP2Limits.continuationsCeiling)
        nghttp2_option_set_max_send_header_block_length(option, responseHeadBytesMax)
        return option
    }

    private static func makeCallbacks() -> OpaquePointer? {
        var callbacks: OpaquePointer?
        guard nghttp2_session_callbacks_new(&callbacks) == 0 else { return nil }
        nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, frameBegan)
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, headBegan)
        nghttp2_session_callbacks_set_on_header_callback(callbacks, lineReceived)
        nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, badLineReceived)
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, frameRefused)
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frameReceived)
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, dataReceived)
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, streamClosed)
        nghttp2_session_callbacks_set_send_data_callback(callbacks, dataTaken)
        return callbacks
    }

    /// The source of a stream's DATA frames; which stream it is nghttp2 says.
    static var body: nghttp2_data_provider {
        var provider = nghttp2_data_provider()
        provider.read_callback = bodyRead
        return provider
    }
}

func connection(_ data: UnsafeMutableRawPointer?) -> HTTP2ConnectionPointer? {
    data?.assumingMemoryBound(to: HTTP2Connection.self)
}

/// nil: the record is gone, and what still comes for the stream is nobody's.
func stream(_ session: OpaquePointer?, _ id: Int32) -> HTTP2StreamPointer? {
    nghttp2_session_get_stream_user_data(session, id)?.assumingMemoryBound(to: HTTP2Stream.self)
}

let failure = NGHTTP2_ERR_CALLBACK_FAILURE.rawValue

private func frameBegan(
    _ session: OpaquePointer?, _ header: UnsafePointer<nghttp2_frame_hd>?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
    guard let connection = connection(data), let header else { return failure }
    connection.pointee.reactor._withUnsafeGuaranteedRef {
        connection.pointee.abuse.noteFrame(header.pointee, $0.limits.http2, $0.nowMilliseconds)
    }
    // Ends the reading at once; the connection's end is made outside.
    return connection.pointee.abuse.isExceeded ? failure : 0
}

private func headBegan(
    _ session: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
    guard let connection = connection(data), let frame else { return failure }
    let isTrailer = frame.pointee.headers.cat != NGHTTP2_HCAT_REQUEST
    connection.pointee.reactor._withUnsafeGuaranteedRef {
        $0.beginFieldSection(connection, frame.pointee.hd.stream_id, isTrailer: isTrailer)
    }
    return 0
}

private func lineReceived(
    _ session: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ name: UnsafePointer<UInt8>?,
    _ nameCount: Int, _ value: UnsafePointer<UInt8>?, _ valueCount: Int, _ flags: UInt8,
    _ data: UnsafeMutableRawPointer?
) -> Int32 {
    guard let connection = connection(data) else { return failure }
    return connection.take(
        UnsafeBufferPointer(start: name, count: nameCount),
        UnsafeBufferPointer(start: value, count: valueCount)
    ) ? 0 : failure
}

/// nghttp2 would leave the line out and go on with the rest; a request that says less than it said is another one.
private func badLineReceived(
    _ session: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ name: UnsafePointer<UInt8>?,
    _ nameCount: Int, _ value: UnsafePointer<UInt8>?, _ valueCount: Int, _ flags: UInt8,
    _ data: UnsafeMutableRawPointer?
) -> Int32 {
    guard let connection = connection(data) else { return failure }
    if connection.pointee.headError == nil { connection.pointee.headError = .invalidValue }
    return 0
}

/// nghttp2 answers it with RST_STREAM by itself, also where there is no stream that could be closed: requests beyond
/// the bound before the client has heard of it. Each waits in nghttp2's memory until the client reads.
private func frameRefused(
    _ session: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ code: Int32,
    _ data: UnsafeMutableRawPointer?
) -> Int32 {
    guard let connection = connection(data) else { return failure }
    connection.pointee.reactor._withUnsafeGuaranteedRef {
        connection.pointee.abuse.noteReset($0.limits.http2, $0.nowMilliseconds)
        if code == NGHTTP2_ERR_REFUSED_STREAM.rawValue { $0.counters.add(.http2StreamsRefused) }
    }
    return connection.pointee.abuse.isExceeded ? failure : 0
}

private func frameReceived(
    _ session: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
    guard let connection = connection(data), let frame else { return failure }
    let header = frame.pointee.hd
    let kind = UInt32(header.type)
    let endsStream = UInt32(header.flags) & UInt32(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    if kind == NGHTTP2_HEADERS.rawValue {
        connection.pointee.reactor._withUnsafeGuaranteedRef {
            $0.endFieldSection(connection, header.stream_id, endsStream: endsStream)
        }
    } else if kind == NGHTTP2_DATA.rawValue, endsStream, let stream = stream(session, header.stream_id) {
        connection.pointee.reactor._withUnsafeGuaranteedRef { $0.endInbound(stream) }
    } else if kind == NGHTTP2_PING.rawValue,
        UInt32(header.flags) & UInt32(NGHTTP2_FLAG_ACK.rawValue) != 0
    {
        // The only PING that is sent here follows the first GOAWAY.
        guard connection.pointee.leaving == .asked else { return 0 }
        connection.pointee.reactor._withUnsafeGuaranteedRef { $0.endGoaway(connection) }
    }
    return 0
}

func dataReceived(
    _ session: OpaquePointer?, _ flags: UInt8, _ id: Int32, _ bytes: UnsafePointer<UInt8>?, _ count: Int,
    _ data: UnsafeMutableRawPointer?
) -> Int32 {
    guard let connection = connection(data), let bytes else { return failure }
    guard let stream = stream(session, id) else {
        // Of a stream that nobody has any more: the others need the connection's window, it gets no more of its own.
        _ = nghttp2_session_consume_connection(session, count)
        return 0
    }
    connection.pointee.reactor._withUnsafeGuaranteedRef { $0.appendInbound(stream, bytes, count) }
    return 0
}

private func streamClosed(
    _ session: OpaquePointer?, _ id: Int32, _ code: UInt32, _ data: UnsafeMutableRawPointer?
) -> Int32 {
    guard let connection = connection(data) else { return failure }
    let stream = stream(session, id)
    connection.pointee.reactor._withUnsafeGuaranteedRef {
        $0.streamForgotten(connection, id, stream, isReset: code != NGHTTP2_NO_ERROR.rawValue)
    }
    return 0
}

/// How much of a stream's body the next DATA frame takes; the bytes themselves are copied once, by `dataTaken`.
func bodyRead(
    _ session: OpaquePointer?, _ id: Int32, _ target: UnsafeMutablePointer<UInt8>?, _ most: Int,
    _ flags: UnsafeMutablePointer<UInt32>?, _ source: UnsafeMutablePointer<nghttp2_data_source>?,
    _ data: UnsafeMutableRawPointer?
) -> Int {
    guard let stream = stream(session, id), let connection = connection(data), let flags else {
        return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
    }
    // Of a stream that lost its right nothing waits but its end.
    let waiting = connection.pointee.reactor._withUnsafeGuaranteedRef {
        $0.isHeld(stream) ? nil : $0.waitingBody(stream)
    }
    let count = min(waiting ?? 0, most)
    let isLast = count == waiting && stream.pointee.isBodyWhole
    guard count > 0 || isLast else {
        stream.pointee.isDeferred = true
        return Int(NGHTTP2_ERR_DEFERRED.rawValue)
    }
    flags.pointee |= UInt32(NGHTTP2_DATA_FLAG_NO_COPY.rawValue)
    if isLast {
        flags.pointee |= UInt32(NGHTTP2_DATA_FLAG_EOF.rawValue)
        if connection.submitTrailers(of: stream) {
            flags.pointee |= UInt32(NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue)
            // nghttp2 leaves an empty frame in front of trailers out: nobody will say that it left.
            stream.pointee.isEndSent = stream.pointee.isEndSent || count == 0
            stream.pointee.hasProgress = true
        }
        stream.pointee.isLastRead = true
    }
    return count
}

/// One DATA frame leaves: its header, and the bytes from where they wait.
func dataTaken(
    _ session: OpaquePointer?, _ frame: UnsafeMutablePointer<nghttp2_frame>?,
    _ header: UnsafePointer<UInt8>?, _ count: Int, _ source: UnsafeMutablePointer<nghttp2_data_source>?,
    _ data: UnsafeMutableRawPointer?
) -> Int32 {
    guard let connection = connection(data), let frame, let header,
        let stream = stream(session, frame.pointee.hd.stream_id)
    else { return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue }
    connection.pointee.abuse.noteDataSent()
    return connection.pointee.reactor._withUnsafeGuaranteedRef {
        $0.gather(connection, header, stream, count) ? 0 : NGHTTP2_ERR_WOULDBLOCK.rawValue
    }
}
