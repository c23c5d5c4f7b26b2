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
        // Of one that was refused already, and whose end the upstream does not know yet.
        guard upstreams[stream.pointee.slot].pointee.ending == .none else { return true }
        guard connection.pointee.headError == nil else { return false }
        if connection.pointee.isHeadTooLarge {
            refuseAnswer(stream, endsStream: endsStream)
            return true
        }
        guard !stream.pointee.isHeadReceived else {
            guard endsStream, connection.pointee.asking?.status == 0 else { return false }
            endInbound(stream, trailersOf: connection)
            return true
        }
        let status = connection.pointee.asking?.status ?? 0
        guard (100...599).contains(status) else { return false }
        let isInterim = status < 200
        if isInterim {
            guard !endsStream else { return false }
            guard takeInterim(stream) else {
                refuseAnswer(stream, endsStream: false)
                return true
            }
        }
        guard writeAnswerHead(connection, stream, endsStream: endsStream) else {
            refuseAnswer(stream, endsStream: endsStream)
            return true
        }
        stream.pointee.isHeadReceived = !isInterim
        stream.pointee.isRemoteEnded = endsStream
        wake(stream)
        return true
    }

    /// An answer that the protocol allows and that is too much for us: whoever asked for it has none, and the others
    /// of the connection go on.
    private func refuseAnswer(_ stream: HTTP2StreamPointer, endsStream: Bool) {
        upstreams[stream.pointee.slot].pointee.ending = .reset
        stream.pointee.isHeadReceived = true
        stream.pointee.isRemoteEnded = endsStream
        failed(stream)
    }

    /// As HTTP/1.1 would say it, for the one parser. What END_STREAM said becomes a length of zero, where the length of
    /// an answer is not something else (RFC 9110 §8.6).
    /// - Returns: false when the parser would refuse it for its size.
    private func writeAnswerHead(
        _ connection: HTTP2ConnectionPointer, _ stream: HTTP2StreamPointer, endsStream: Bool
    ) -> Bool {
        let status = connection.pointee.asking?.status ?? 0
        var lines = connection.pointee.asking?.lines ?? 0
        var output = HeadOutput(work.pointee.output)
        let user = upstreams[stream.pointee.slot].pointee.downstream
        let isOpened = stream.pointee.isTunnel && (200..<300).contains(status)
        if isOpened {
            guard user >= 0, writeSwitching(user, into: &output) else { return false }
            lines += 3
        } else {
            output.append("HTTP/1.1 ")
            output.append(decimal: Int64(status))
            output.append(" \r\n")
        }
        connection.pointee.head.writeTrailers(from: connection.pointee.headLines, into: &output)
        let isHead = user >= 0 && downstreams[user].pointee.exchange.method == .head
        let mayHaveBody = !isOpened && status >= 200 && status != 204 && status != 304 && !isHead
        if !isOpened, status >= 200 {
            stream.pointee.bodyRest = mayHaveBody ? connection.pointee.head.contentLength ?? .max : 0
        }
        if mayHaveBody, connection.pointee.head.contentLength == nil {
            lines += 1
            stream.pointee.isBodyChunked = !endsStream
            if endsStream {
                output.append("content-length: 0\r\n")
            } else {
                output.append("transfer-encoding: chunked\r\n")
            }
        }
        output.append("\r\n")
        let limits = work.pointee.responseParser.limits
        guard lines <= limits.fieldsMax, output.count <= limits.headBytesMax, !output.isOverflowed,
            let start = work.pointee.outputBytes
        else { return false }
        stream.pointee.inbound.append(start, output.count, pool)
        return true
    }
}

extension UnsafeMutablePointer<HTTP2Connection> {
    /// Keeps one line of an upstream's section; `:status` stands beside the lines (RFC 9113 §8.3.2).
    /// - Returns: false when the connection ends.
    func takeAnswer(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let first = name.first, first == UInt8(ascii: ":") else {
            pointee.asking?.lines += 1
            return take(name, value)
        }
        let isStatus = name.baseAddress.map { Reactor.isOf($0, name.count, ":status") } ?? false
        guard isStatus, pointee.asking?.status == 0, pointee.asking?.lines == 0, value.count == 3
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
