import Border
import CNghttp2

/// How much of a request body a client may send ahead (RFC 9113 §5.2). A path with delay needs more than the protocol's
/// first 64 KiB for each round trip; what is given may come, and lie here until its application takes it.
extension Reactor {
    /// Of each stream, as the protocol begins (RFC 9113 §6.9.2).
    static let firstWindowBytes = 65_535
    /// Less than one frame: whoever has no more window is not waited for.
    private static let frameBytes: Int32 = 16_384

    /// For the bodies of all streams of one connection together, beside what `growWindow` adds.
    private var connectionWindowBytes: Int {
        max(Self.firstWindowBytes, min(1 << 20, limits.connectionMemoryBytesMax / 4))
    }

    func openWindow(_ session: OpaquePointer) -> Bool {
        nghttp2_session_set_local_window_size(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, Int32(connectionWindowBytes)) == 0
    }

    /// A stream's application has taken so much. Once it has taken a whole window, the window doubles: the path, and
    /// not the application, is what the client waits for. The connection's grows with it, so that no stream takes
    /// what the others have. All additions of a connection together take a quarter of its memory, and none is made
    /// while the reactor has used up half of its share, or the client half of its own.
    func growWindow(_ stream: HTTP2StreamPointer, taken: Int) {
        // Towards upstreams the connection has the window of all of its streams from its beginning.
        guard stream.pointee.connection.pointee.asking == nil else { return }
        stream.pointee.takenOfWindow += taken
        guard stream.pointee.takenOfWindow >= stream.pointee.window else { return }
        stream.pointee.takenOfWindow = 0
        let connection = stream.pointee.connection
        guard !stream.pointee.isRemoteEnded, !stream.pointee.isForgotten,
            let session = connection.pointee.session, !isMemoryTight, !isClientTight(stream.pointee.slot)
        else { return }
        let left = limits.connectionMemoryBytesMax / 4 - connection.pointee.addedWindow
        let more = min(stream.pointee.window, left)
        guard more >= Int(Self.frameBytes) else { return }
        stream.pointee.window += more
        connection.pointee.addedWindow += more
        let none = UInt8(NGHTTP2_FLAG_NONE.rawValue)
        _ = nghttp2_session_set_local_window_size(
            session, none, stream.pointee.id, Int32(clamping: stream.pointee.window))
        setConnectionWindow(connection, session)
    }

    /// The stream ends: what it had is somebody else's.
    func returnWindow(of stream: HTTP2StreamPointer) {
        let added = stream.pointee.window - Self.firstWindowBytes
        guard added > 0 else { return }
        stream.pointee.window = Self.firstWindowBytes
        let connection = stream.pointee.connection
        connection.pointee.addedWindow -= added
        if let session = connection.pointee.session { setConnectionWindow(connection, session) }
    }

    private func setConnectionWindow(_ connection: HTTP2ConnectionPointer, _ session: OpaquePointer) {
        _ = nghttp2_session_set_local_window_size(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0,
            Int32(clamping: connectionWindowBytes + connection.pointee.addedWindow))
        connection.touch()
    }

    // MARK: Whose turn it is

    /// Whether the client could not send its body if it wanted to: what it and its other streams have sent still lies
    /// here. Then no time runs against it.
    func lacksWindow(_ slot: Int32) -> Bool {
        guard let stream = (transports + Int(slot)).stream, !stream.pointee.isForgotten,
            let session = stream.pointee.connection.pointee.session
        else { return false }
        return nghttp2_session_get_local_window_size(session) < Self.frameBytes
            || nghttp2_session_get_stream_local_window_size(session, stream.pointee.id) < Self.frameBytes
    }

    /// Whether a stream's answer waits for window of its own that the client does not give. Where it waits for the
    /// connection's window or its socket, the connection is what is looked at.
    func isKeptWaiting(_ stream: HTTP2StreamPointer) -> Bool {
        guard !stream.pointee.isForgotten, let session = stream.pointee.connection.pointee.session else {
            return false
        }
        return hasWaitingBody(stream)
            && nghttp2_session_get_stream_remote_window_size(session, stream.pointee.id) <= 0
    }

    /// Whether streams of a connection wait for its window.
    func isKeptWaiting(_ connection: HTTP2ConnectionPointer) -> Bool {
        guard let session = connection.pointee.session,
            nghttp2_session_get_remote_window_size(session) <= 0
        else { return false }
        var stream = connection.pointee.firstStream
        while let current = stream {
            if hasWaitingBody(current), !isKeptWaiting(current) { return true }
            stream = current.pointee.next
        }
        return false
    }

    func hasWaitingBody(_ stream: HTTP2StreamPointer) -> Bool {
        !stream.pointee.body.isEmpty || !transports[Int(stream.pointee.slot)].pending.isEmpty
    }
}
