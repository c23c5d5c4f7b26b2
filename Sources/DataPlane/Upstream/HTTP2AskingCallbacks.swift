import Border
import CNghttp2
import Glibc
import HTTP

/// nghttp2's way back to us on connections to upstreams. As with clients', callbacks mark and enqueue; nothing is
/// closed, flushed or served inside of them.
enum HTTP2AskingCallbacks {
    // Unchecked because nghttp2's types are not Sendable: made once per process, never freed, only read.
    nonisolated(unsafe) private static let callbacks: OpaquePointer? = makeCallbacks()
    nonisolated(unsafe) private static let option: OpaquePointer? = makeOption()

    /// Entries of one SETTINGS frame.
    private static let settingsMax = 16
    /// Coded bytes of one request head.
    private static let requestHeadBytesMax = 1 << 20

    /// - Returns: a client's side of a connection; nil when memory is out.
    static func makeSession(for connection: HTTP2ConnectionPointer) -> OpaquePointer? {
        guard let callbacks, let option else { return nil }
        var session: OpaquePointer?
        guard nghttp2_session_client_new2(&session, callbacks, connection, option) == 0 else { return nil }
        return session
    }

    private static func makeOption() -> OpaquePointer? {
        var option: OpaquePointer?
        guard nghttp2_option_new(&option) == 0 else { return nil }
        // Window is given back as clients take the bytes.
        nghttp2_option_set_no_auto_window_update(option, 1)
        nghttp2_option_set_no_closed_streams(option, 1)
        nghttp2_option_set_max_settings(option, settingsMax)
        nghttp2_option_set_max_outbound_ack(option, 2 * upstreamBounds.framesPerSecondMax)
        nghttp2_option_set_max_continuations(option, 2 * upstreamBounds.continuationsMax)
        nghttp2_option_set_max_send_header_block_length(option, requestHeadBytesMax)
        return option
    }

    private static func makeCallbacks() -> OpaquePointer? {
        var callbacks: OpaquePointer?
        guard nghttp2_session_callbacks_new(&callbacks) == 0 else { return nil }
        nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, answerFrameBegan)
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, answerBegan)
        nghttp2_session_callbacks_set_on_header_callback(callbacks, answerLineReceived)
        nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, badAnswerLineReceived)
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, answerFrameRefused)
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, answerFrameReceived)
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, dataReceived)
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, upstreamStreamClosed)
        nghttp2_session_callbacks_set_send_data_callback(callbacks, dataTaken)
        return callbacks
    }
}

/// Fixed: what is configured is for clients, and no upstream has a reason for more.
private let upstreamBounds = HTTP2Limits()

private func answerFrameBegan(
    _ session: OpaquePointer?, _ header: UnsafePointer<nghttp2_frame_hd>?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
    guard let connection = connection(data), let header else { return failure }
    let kind = UInt32(header.pointee.type)
    // RFC 9113 §8.4: we said that we take none.
    if kind == NGHTTP2_PUSH_PROMISE.rawValue { return failure }
    if kind == NGHTTP2_DATA.rawValue || kind == NGHTTP2_HEADERS.rawValue {
        let id = header.pointee.stream_id
        // nghttp2 leaves out what comes behind a stream's end (RFC 9113 §5.1), data without a word. A second answer
        // is a breach, unless a stream was given up by us and it may have been on its way.
        let isAsked = id > 0 && id & 1 == 1 && UInt32(id) < nghttp2_session_get_next_stream_id(session)
        if isAsked, nghttp2_session_get_stream_remote_close(session, id) != 0, !connection.hasJustGivenUp {
            return failure
        }
    }
    if kind == NGHTTP2_DATA.rawValue, exceedsLength(session, header.pointee) { return failure }
    connection.pointee.reactor._withUnsafeGuaranteedRef {
        connection.pointee.abuse.noteFrame(header.pointee, upstreamBounds, $0.nowMilliseconds)
    }
    return connection.pointee.abuse.isExceeded ? failure : 0
}

/// RFC 9113 §8.1.1: more than was announced is malformed, and what passes the first byte on before it sees the rest
/// has given a whole answer away. Of a padded frame nghttp2 knows it when it has the padding's length.
private func exceedsLength(_ session: OpaquePointer?, _ header: nghttp2_frame_hd) -> Bool {
    guard UInt32(header.flags) & UInt32(NGHTTP2_FLAG_PADDED.rawValue) == 0,
        let stream = stream(session, header.stream_id)
    else { return false }
    return Int64(header.length) > stream.pointee.bodyRest
}

private func answerBegan(
    _ session: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
    guard let connection = connection(data), let frame else { return failure }
    connection.pointee.asking?.status = 0
    connection.pointee.asking?.lines = 0
    connection.pointee.reactor._withUnsafeGuaranteedRef {
        // Lines of an answer are kept as those of trailers are: none of them steers the request.
        $0.beginFieldSection(connection, frame.pointee.hd.stream_id, isTrailer: true)
    }
    return 0
}

private func answerLineReceived(
    _ session: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ name: UnsafePointer<UInt8>?,
    _ nameCount: Int, _ value: UnsafePointer<UInt8>?, _ valueCount: Int, _ flags: UInt8,
    _ data: UnsafeMutableRawPointer?
) -> Int32 {
    guard let connection = connection(data) else { return failure }
    return connection.takeAnswer(
        UnsafeBufferPointer(start: name, count: nameCount),
        UnsafeBufferPointer(start: value, count: valueCount)
    ) ? 0 : failure
}

/// nghttp2 would leave the line out; an upstream that sends such lines is not believed.
private func badAnswerLineReceived(
    _ session: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ name: UnsafePointer<UInt8>?,
    _ nameCount: Int, _ value: UnsafePointer<UInt8>?, _ valueCount: Int, _ flags: UInt8,
    _ data: UnsafeMutableRawPointer?
) -> Int32 { failure }

private func answerFrameRefused(
    _ session: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ code: Int32,
    _ data: UnsafeMutableRawPointer?
) -> Int32 {
    connection(data)?.pointee.asking?.isBroken = true
    return 0
}

private func answerFrameReceived(
    _ session: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ data: UnsafeMutableRawPointer?
) -> Int32 {
    guard let connection = connection(data), let frame else { return failure }
    let header = frame.pointee.hd
    let kind = UInt32(header.type)
    let flags = UInt32(header.flags)
    let endsStream = flags & UInt32(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    if kind == NGHTTP2_HEADERS.rawValue {
        let isAnswer = connection.pointee.reactor._withUnsafeGuaranteedRef {
            $0.endAnswerSection(connection, header.stream_id, endsStream: endsStream)
        }
        return isAnswer ? 0 : failure
    }
    if kind == NGHTTP2_DATA.rawValue, endsStream, let stream = stream(session, header.stream_id) {
        connection.pointee.reactor._withUnsafeGuaranteedRef { $0.endInbound(stream) }
    } else if kind == NGHTTP2_RST_STREAM.rawValue {
        // Of what we asked for there is no more than we asked.
        if let known = stream(session, header.stream_id) {
            known.pointee.isPeerReset = true
            return 0
        }
        connection.pointee.asking?.peerReset = header.stream_id
        let now = connection.pointee.reactor._withUnsafeGuaranteedRef { $0.nowMilliseconds }
        connection.pointee.abuse.noteReset(upstreamBounds, now)
    } else if kind == NGHTTP2_GOAWAY.rawValue {
        connection.pointee.asking?.saidGoaway = true
    } else if kind == NGHTTP2_SETTINGS.rawValue, flags & UInt32(NGHTTP2_FLAG_ACK.rawValue) == 0 {
        connection.pointee.asking?.isGreeted = true
    }
    return connection.pointee.abuse.isExceeded ? failure : 0
}

private func upstreamStreamClosed(
    _ session: OpaquePointer?, _ id: Int32, _ code: UInt32, _ data: UnsafeMutableRawPointer?
) -> Int32 {
    guard let connection = connection(data) else { return failure }
    let stream = stream(session, id)
    connection.pointee.reactor._withUnsafeGuaranteedRef {
        $0.upstreamStreamClosed(connection, id, stream, nghttp2_error_code(rawValue: code))
    }
    return 0
}
