import CNghttp2
import Glibc
import HTTP

/// Field sections of an upstream → the response heads that the relay reads. Called from inside of nghttp2: marks and
/// enqueues only.
extension Reactor {
    /// The section is whole.
    /// - Returns: false when it is none.
    func endAnswerSection(_ connection: HTTP2ConnectionPointer, _ id: Int32, endsStream: Bool) -> Bool {
        guard connection.pointee.headStream == id else { return true }
        defer { releaseFieldSection(connection) }
        let known = nghttp2_session_get_stream_user_data(connection.pointee.session, id)
        // Of a request that was given up.
        guard let stream = known?.assumingMemoryBound(to: HTTP2Stream.self) else { return true }
        guard connection.pointee.headError == nil else { return false }
        if connection.pointee.isHeadTooLarge {
            // Allowed, and too much for us: whoever asked for it has no answer, and the others go on.
            upstreams[stream.pointee.slot].pointee.ending = .reset
            stream.pointee.isHeadReceived = true
            stream.pointee.isRemoteEnded = endsStream
            failed(stream)
            return true
        }
        guard !stream.pointee.isHeadReceived else {
            guard endsStream, (connection.pointee.asking?.status ?? 0) == 0 else { return false }
            endInbound(stream, trailersOf: connection)
            return true
        }
        guard (100...599).contains((connection.pointee.asking?.status ?? 0)) else { return false }
        let isInterim = (connection.pointee.asking?.status ?? 0) < 200
        if isInterim, endsStream || !takeInterim(stream) { return false }
        stream.pointee.isHeadReceived = !isInterim
        writeAnswerHead(connection, stream, endsStream: endsStream)
        stream.pointee.isRemoteEnded = endsStream
        wake(stream)
        return true
    }

    /// As HTTP/1.1 would say it, for the one parser. What END_STREAM said becomes a length of zero, where the length of
    /// an answer is not something else (RFC 9110 §8.6).
    private func writeAnswerHead(
        _ connection: HTTP2ConnectionPointer, _ stream: HTTP2StreamPointer, endsStream: Bool
    ) {
        let status = (connection.pointee.asking?.status ?? 0)
        var output = HeadOutput(work.pointee.output)
        output.append("HTTP/1.1 ")
        output.append(decimal: Int64(status))
        output.append(" \r\n")
        connection.pointee.head.writeTrailers(from: connection.pointee.headLines, into: &output)
        let user = upstreams[stream.pointee.slot].pointee.downstream
        let isHead = user >= 0 && downstreams[user].pointee.exchange.method == .head
        let mayHaveBody = status >= 200 && status != 204 && status != 304 && !isHead
        if mayHaveBody, !connection.pointee.head.hasContentLength {
            stream.pointee.isBodyChunked = !endsStream
            if endsStream {
                output.append("content-length: 0\r\n")
            } else {
                output.append("transfer-encoding: chunked\r\n")
            }
        }
        output.append("\r\n")
        guard !output.isOverflowed, let start = work.pointee.outputBytes else {
            return failed(stream)
        }
        stream.pointee.inbound.append(start, output.count, pool)
    }
}

extension UnsafeMutablePointer<HTTP2Connection> {
    /// Keeps one line of an upstream's section; `:status` stands beside the lines (RFC 9113 §8.3.2).
    /// - Returns: false when the connection ends.
    func takeAnswer(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let first = name.first, first == UInt8(ascii: ":") else {
            pointee.asking?.hasLines = true
            return take(name, value)
        }
        let isStatus = name.baseAddress.map { Reactor.isOf($0, name.count, ":status") } ?? false
        guard isStatus, pointee.asking?.status == 0, pointee.asking?.hasLines == false, value.count == 3
        else {
            return false
        }
        var status: Int32 = 0
        for digit in value {
            guard digit &- 48 < 10 else { return false }
            status = status * 10 + Int32(digit &- 48)
        }
        pointee.asking?.status = status
        return status > 0
    }
}
