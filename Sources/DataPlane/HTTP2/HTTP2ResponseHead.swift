import CNghttp2
import Glibc

/// A response head as the stages write it → HEADERS (RFC 9113 §8.3.2). It is the gateway's own text, whole when it is
/// seen; what came from an application in it was parsed and checked before.
extension Reactor {
    /// Hands over what was written to a stream since the last flush.
    func submit(_ stream: HTTP2StreamPointer, _ session: OpaquePointer) {
        stream.pointee.isTouched = false
        guard !stream.pointee.isForgotten else { return }
        while !stream.pointee.isHeadSubmitted {
            guard submitHead(stream, session) else { return }
        }
        guard stream.pointee.isDeferred else { return }
        stream.pointee.isDeferred = false
        _ = nghttp2_session_resume_data(session, stream.pointee.id)
    }

    /// - Returns: false when there is none, or it could not be handed over.
    private func submitHead(_ stream: HTTP2StreamPointer, _ session: OpaquePointer) -> Bool {
        let transport = transports + Int(stream.pointee.slot)
        let waiting = transport.pointee.pending.bytes
        guard let start = waiting.baseAddress, let (end, lines) = Self.head(waiting) else { return false }
        let most = (lines + 1) * MemoryLayout<nghttp2_nv>.stride
        let (block, size) = pool.pointee.take(atLeast: most)
        defer { pool.pointee.giveBack(block, size: size) }
        let fields = UnsafeMutableRawPointer(block).bindMemory(to: nghttp2_nv.self, capacity: lines + 1)
        // Names are folded where they stand: the text is ours, and is dropped below.
        let count = read(UnsafeMutablePointer(mutating: start), end, into: fields, stream)
        let status = start + 9
        let isInterim = status[0] == UInt8(ascii: "1") && !stream.pointee.isHeadSubmitted
        let id = stream.pointee.id
        let result: Int32
        if isInterim {
            result = nghttp2_submit_headers(session, 0, id, nil, fields, count, nil)
        } else if stream.pointee.isEnded, end == waiting.count {
            result = nghttp2_submit_response(session, id, fields, count, nil)
            stream.pointee.isEndSent = true
            stream.pointee.hasProgress = true
        } else {
            var body = HTTP2Callbacks.body
            result = nghttp2_submit_response(session, id, fields, count, &body)
        }
        transport.pointee.pending.consume(end, pool)
        if result != 0 { transport.pointee.isFailed = true }
        // Behind a head that left alone its relay may have stopped, and no frame of a body will tell that it left.
        if result != 0 || !stream.pointee.isEnded { enqueue(stream.pointee.slot) }
        return result == 0
    }

    /// Where the first head ends, behind its empty line, and how many lines it has.
    static func head(_ bytes: UnsafeBufferPointer<UInt8>) -> (end: Int, lines: Int)? {
        guard bytes.count >= 16 else { return nil }
        var lines = 0
        var index = 12
        while index + 1 < bytes.count {
            if bytes[index] == 13, bytes[index + 1] == 10 {
                lines += 1
                if index + 3 < bytes.count, bytes[index + 2] == 13, bytes[index + 3] == 10 {
                    return (index + 4, lines)
                }
                index += 1
            }
            index += 1
        }
        return nil
    }

    private func read(
        _ text: UnsafeMutablePointer<UInt8>, _ end: Int, into fields: UnsafeMutablePointer<nghttp2_nv>,
        _ stream: HTTP2StreamPointer
    ) -> Int {
        let status = text + 9
        if status[0] == UInt8(ascii: "1"), status[1] == UInt8(ascii: "0"), status[2] == UInt8(ascii: "1") {
            // RFC 8441 §5: 200 says what 101 says elsewhere.
            status[0] = UInt8(ascii: "2")
            status[2] = UInt8(ascii: "0")
        }
        stream.pointee.isHeadSubmitted = status[0] != UInt8(ascii: "1")
        fields.initialize(to: Self.field(Self.statusName, status, 3))
        var count = 1
        var index = 12
        while index < end, text[index] != 10 { index += 1 }
        index += 1
        var lines = HTTP2FieldLines(text, from: index, to: end)
        while let field = lines.next() {
            if Self.isOf(field, "transfer-encoding") { stream.pointee.isResponseChunked = true }
            if Self.endsHere(field) { continue }
            if stream.pointee.isTunnel, Self.isOf(field, "sec-websocket-accept") { continue }
            (fields + count).initialize(to: field)
            count += 1
        }
        return count
    }

    private static let statusName: StaticString = ":status"

    static func field(
        _ name: StaticString, _ value: UnsafeMutablePointer<UInt8>, _ count: Int
    ) -> nghttp2_nv {
        nghttp2_nv(
            name: UnsafeMutablePointer(mutating: name.utf8Start), value: value,
            namelen: name.utf8CodeUnitCount, valuelen: count, flags: 0)
    }

    /// RFC 9113 §8.2.2: they steer a connection that this is none of.
    static func endsHere(_ field: nghttp2_nv) -> Bool {
        isOf(field, "connection") || isOf(field, "keep-alive") || isOf(field, "upgrade")
            || isOf(field, "transfer-encoding") || isOf(field, "proxy-connection")
    }

    static func isOf(_ field: nghttp2_nv, _ word: StaticString) -> Bool {
        isOf(field.name, field.namelen, word)
    }

    static func isOf(_ name: UnsafePointer<UInt8>, _ count: Int, _ word: StaticString) -> Bool {
        count == word.utf8CodeUnitCount && memcmp(name, word.utf8Start, count) == 0
    }

    // MARK: Trailers

    /// - Returns: whether there were any; they end the stream then.
    func submitTrailers(_ stream: HTTP2StreamPointer, _ session: OpaquePointer) -> Bool {
        let waiting = stream.pointee.trailers.bytes
        guard let start = waiting.baseAddress, !waiting.isEmpty else { return false }
        var lines = 0
        for index in waiting.indices where waiting[index] == 10 { lines += 1 }
        let (block, size) = pool.pointee.take(atLeast: lines * MemoryLayout<nghttp2_nv>.stride)
        defer {
            pool.pointee.giveBack(block, size: size)
            stream.pointee.trailers.release(pool)
        }
        let fields = UnsafeMutableRawPointer(block).bindMemory(to: nghttp2_nv.self, capacity: lines)
        var text = HTTP2FieldLines(UnsafeMutablePointer(mutating: start), from: 0, to: waiting.count)
        var count = 0
        while count < lines, let field = text.next() {
            (fields + count).initialize(to: field)
            count += 1
        }
        return count > 0 && nghttp2_submit_trailer(session, stream.pointee.id, fields, count) == 0
    }
}

extension UnsafeMutablePointer<HTTP2Connection> {
    func submitTrailers(of stream: HTTP2StreamPointer) -> Bool {
        guard let session = pointee.session else { return false }
        return pointee.reactor._withUnsafeGuaranteedRef { $0.submitTrailers(stream, session) }
    }
}

extension HTTP2Stream {
    /// All of the body is in what waits.
    var isBodyWhole: Bool { isResponseChunked ? responseChunks.isEnded : isEnded }
}
