import Border
import CNghttp2
import HTTP

/// Field sections → request heads and trailers. Called from inside of nghttp2: marks and enqueues only.
extension Reactor {
    func beginFieldSection(_ connection: HTTP2ConnectionPointer, _ id: Int32, isTrailer: Bool) {
        connection.pointee.headStream = id
        connection.pointee.head = HTTP2RequestHead(isTrailer: isTrailer)
        connection.pointee.headError = nil
        connection.pointee.isHeadTooLarge = false
        connection.pointee.headListBytes = 0
        if connection.pointee.headLines.baseAddress == nil {
            let bytes = HTTP2RequestHead.storageBytes(headBytesMax: limits.headBytesMax)
            let (block, size) = pool.pointee.take(atLeast: bytes)
            connection.pointee.headLines = UnsafeMutableRawBufferPointer(start: block, count: size)
        }
    }

    func releaseFieldSection(_ connection: HTTP2ConnectionPointer) {
        connection.pointee.headStream = 0
        let lines = connection.pointee.headLines
        guard let block = lines.baseAddress else { return }
        pool.pointee.giveBack(block.assumingMemoryBound(to: UInt8.self), size: lines.count)
        connection.pointee.headLines = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    /// The section is whole: a request begins, or its body ends.
    func endFieldSection(_ connection: HTTP2ConnectionPointer, _ id: Int32, endsStream: Bool) {
        guard connection.pointee.headStream == id else { return }
        defer { releaseFieldSection(connection) }
        guard let session = connection.pointee.session else { return }
        let known = nghttp2_session_get_stream_user_data(session, id)
        guard let stream = known?.assumingMemoryBound(to: HTTP2Stream.self) else {
            return beginRequest(connection, session, id, endsStream)
        }
        // RFC 9113 §8.1: a trailer section is the end.
        guard endsStream, connection.pointee.headError == nil, !connection.pointee.isHeadTooLarge else {
            return reset(connection, id, NGHTTP2_PROTOCOL_ERROR)
        }
        endInbound(stream, trailersOf: connection)
    }

    private func beginRequest(
        _ connection: HTTP2ConnectionPointer, _ session: OpaquePointer, _ id: Int32, _ endsStream: Bool
    ) {
        // Trailers of a request that was answered already.
        guard !connection.pointee.head.isTrailer else { return }
        guard connection.pointee.leaving != .told else {
            return reset(connection, id, NGHTTP2_REFUSED_STREAM)
        }
        let lines = connection.pointee.headLines
        // Of a head that is too large not even the beginning needs to be there.
        let isTooLarge = connection.pointee.isHeadTooLarge
        guard connection.pointee.headError == nil,
            let kind = isTooLarge ? .message : try? connection.pointee.head.kind(in: lines)
        else {
            counters.add(.requestsMalformed)
            return reset(connection, id, NGHTTP2_PROTOCOL_ERROR)
        }
        // A tunnel's request has no body (RFC 8441 §5), and a body in front of nothing is none of ours either.
        guard kind != .webSocket || !endsStream else { return reset(connection, id, NGHTTP2_PROTOCOL_ERROR) }
        guard let stream = openStream(connection, id) else {
            counters.add(.http2StreamsRefused)
            return reset(connection, id, NGHTTP2_REFUSED_STREAM)
        }
        nghttp2_session_set_stream_user_data(session, id, stream)
        writeHead(connection, stream, kind, endsStream)
        stream.pointee.isRemoteEnded = endsStream
        stream.pointee.isTunnel = kind == .webSocket
        stream.pointee.isBodyChunked =
            kind == .message && !endsStream && connection.pointee.head.contentLength == nil
        wake(stream)
    }

    /// Into what the record reads. A head that is too large goes in without its end, just past the limit: the parser
    /// answers it as it does on any connection.
    private func writeHead(
        _ connection: HTTP2ConnectionPointer, _ stream: HTTP2StreamPointer, _ kind: HTTP2RequestHead.Kind,
        _ endsStream: Bool
    ) {
        var output = HeadOutput(work.pointee.output)
        let lines = connection.pointee.headLines
        if connection.pointee.isHeadTooLarge {
            output.append("GET / HTTP/1.1\r\nx: ")
            for _ in 0...limits.headBytesMax { output.append(UInt8(ascii: "x")) }
        } else {
            var key = InlineArray<24, UInt8>(repeating: 0)
            if kind == .webSocket {
                WebSocketKey.make(&key, high: random(), low: random())
            }
            connection.pointee.head.write(
                kind, hasBody: !endsStream, webSocketKey: key.span, from: lines, into: &output)
        }
        guard !output.isOverflowed, let start = work.pointee.outputBytes else {
            transports[Int(stream.pointee.slot)].isFailed = true
            return
        }
        stream.pointee.inbound.append(start, output.count, pool)
    }

    private func random() -> UInt64 { state.pointee.random.next() }

    // MARK: Bodies

    /// DATA, in the framing that the head announced.
    func appendInbound(_ stream: HTTP2StreamPointer, _ bytes: UnsafePointer<UInt8>, _ count: Int) {
        guard count > 0 else { return }
        stream.pointee.owedWindow += count
        stream.pointee.bodyRest &-= Int64(count)
        if stream.pointee.isBodyChunked {
            var line = InlineArray<32, UInt8>(repeating: 0)
            let length = withUnsafeMutableBytes(of: &line) { raw -> Int in
                var output = HeadOutput(raw)
                ChunkEncoding.begin(count, into: &output)
                return output.count
            }
            line.span.withUnsafeBufferPointer {
                if let start = $0.baseAddress { stream.pointee.inbound.append(start, length, pool) }
            }
        }
        stream.pointee.inbound.append(bytes, count, pool)
        if stream.pointee.isBodyChunked { append("\r\n", to: stream) }
        wake(stream)
    }

    /// END_STREAM, with the trailers that stood in the same section.
    func endInbound(_ stream: HTTP2StreamPointer, trailersOf connection: HTTP2ConnectionPointer? = nil) {
        guard !stream.pointee.isRemoteEnded else { return }
        stream.pointee.isRemoteEnded = true
        if stream.pointee.isBodyChunked {
            append("0\r\n", to: stream)
            if let connection, let start = work.pointee.outputBytes {
                var output = HeadOutput(work.pointee.output)
                connection.pointee.head.writeTrailers(from: connection.pointee.headLines, into: &output)
                if !output.isOverflowed { stream.pointee.inbound.append(start, output.count, pool) }
            }
            append("\r\n", to: stream)
        }
        wake(stream)
    }

    private func append(_ text: StaticString, to stream: HTTP2StreamPointer) {
        stream.pointee.inbound.append(text.utf8Start, text.utf8CodeUnitCount, pool)
    }

    /// Its record has something to read.
    func wake(_ stream: HTTP2StreamPointer) {
        transports[Int(stream.pointee.slot)].isReadable = true
        if upstreams.contains(stream.pointee.slot) { return wakeUser(of: stream) }
        enqueue(stream.pointee.slot)
    }

    /// RST_STREAM goes out with the turn's flush.
    func reset(_ connection: HTTP2ConnectionPointer, _ id: Int32, _ code: nghttp2_error_code) {
        guard let session = connection.pointee.session else { return }
        _ = nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, code.rawValue)
        connection.touch()
    }

    /// nghttp2 is through with a stream.
    func streamForgotten(
        _ connection: HTTP2ConnectionPointer, _ id: Int32, _ stream: HTTP2StreamPointer?, isReset: Bool
    ) {
        // Refused by nghttp2 in the middle of its fields: their end will not be told.
        if connection.pointee.headStream == id { releaseFieldSection(connection) }
        if isReset { connection.pointee.abuse.noteReset(limits.http2, nowMilliseconds) }
        guard let stream else { return }
        stream.pointee.isForgotten = true
        guard !stream.pointee.isEndSent || isReset else { return }
        if isReset { counters.add(.http2StreamsReset) }
        transports[Int(stream.pointee.slot)].isFailed = true
        enqueue(stream.pointee.slot)
    }
}

extension UnsafeMutablePointer<HTTP2Connection> {
    /// Keeps one line of the section.
    /// - Returns: false when there are so many that the connection ends.
    func take(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Bool {
        // RFC 9113 §10.5.1: what a section costs is what it would be decoded, whether or not it is kept.
        pointee.headListBytes += name.count + value.count + 32
        guard pointee.headListBytes <= 4 * pointee.headLines.count else {
            pointee.abuse.noteFields()
            return false
        }
        guard pointee.headError == nil, !pointee.isHeadTooLarge else { return true }
        switch pointee.head.add(name: name.span, value: value.span, into: pointee.headLines) {
        case .taken: break
        case .malformed(let error): pointee.headError = error
        case .tooLarge: pointee.isHeadTooLarge = true
        }
        return true
    }
}
