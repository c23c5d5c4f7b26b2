import CNghttp2
import HTTP

/// WebSockets towards HTTP/2 upstreams: extended CONNECT (RFC 8441). The stages write the handshake of RFC 6455 and
/// read its answer, as towards any upstream; what stands for both on the stream is made here.
extension Reactor {
    /// Whether a connection takes what a request asks for: a tunnel only where its SETTINGS say so (RFC 8441 §3).
    func mayCarry(_ slot: Int32, _ connection: HTTP2ConnectionPointer) -> Bool {
        guard downstreams[slot].pointee.exchange.wantsUpgrade else { return true }
        let said = nghttp2_session_get_remote_settings(
            connection.pointee.session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL)
        return said == 1
    }

    /// Any 2xx is the 101 of HTTP/1.1 (RFC 8441 §5). The stream itself is the proof that the upstream took the
    /// handshake; a client of HTTP/1.1 is owed the digest of its key all the same.
    /// - Returns: false when the request's key is gone.
    func writeSwitching(_ user: Int32, into output: inout HeadOutput) -> Bool {
        guard let accept = expectedAccept(user) else { return false }
        output.append("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
        output.append("Sec-WebSocket-Accept: ")
        output.append(accept.span)
        output.append("\r\n")
        return true
    }

    /// Either side of the tunnel ended it: what was written on it leaves in front of its end.
    func endTunnel(_ stream: HTTP2StreamPointer, _ session: OpaquePointer) {
        stream.pointee.isEnded = true
        stream.pointee.isTouched = false
        if stream.pointee.isDeferred {
            stream.pointee.isDeferred = false
            _ = nghttp2_session_resume_data(session, stream.pointee.id)
        }
        sendFrames(stream.pointee.connection)
    }
}
