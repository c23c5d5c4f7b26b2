import CNghttp2
import Glibc
import HTTP

/// A request head as the stages write it → HEADERS (RFC 9113 §8.3.1). It is the gateway's own text, whole when it is
/// seen; what came from a client in it was parsed, judged and checked before.
extension Reactor {
    private static let methodName: StaticString = ":method"
    private static let schemeName: StaticString = ":scheme"
    private static let authorityName: StaticString = ":authority"
    private static let pathName: StaticString = ":path"

    /// Hands over what was written to a stream since the last flush.
    func submitRequest(_ stream: HTTP2StreamPointer, _ session: OpaquePointer) {
        stream.pointee.isTouched = false
        let upstream = upstreams[stream.pointee.slot]
        guard !stream.pointee.isForgotten, upstream.pointee.phase == .streaming else { return }
        let user = upstream.pointee.downstream
        // The framing of a request with a length says nothing at its end: the relay knows.
        stream.pointee.isEnded = user < 0 || downstreams[user].pointee.exchange.isRequestComplete
        if !stream.pointee.isHeadSubmitted { submitHead(of: stream, session) }
        guard stream.pointee.isDeferred else { return }
        stream.pointee.isDeferred = false
        _ = nghttp2_session_resume_data(session, stream.pointee.id)
    }

    private func submitHead(of stream: HTTP2StreamPointer, _ session: OpaquePointer) {
        let transport = transports + Int(stream.pointee.slot)
        let waiting = transport.pointee.pending.bytes
        guard let start = waiting.baseAddress, let (end, lines) = Self.head(waiting) else { return }
        // One for each line but the first, which is three; Host stays one.
        let most = lines + 3
        let (block, size) = pool.pointee.take(atLeast: most * MemoryLayout<nghttp2_nv>.stride)
        defer { pool.pointee.giveBack(block, size: size) }
        let fields = UnsafeMutableRawPointer(block).bindMemory(to: nghttp2_nv.self, capacity: most)
        // Names are folded where they stand: the text is ours, and is dropped below.
        let count = read(UnsafeMutablePointer(mutating: start), end, into: fields, stream)
        let isWhole = stream.pointee.isEnded && end == waiting.count
        var body = HTTP2Callbacks.body
        let id =
            isWhole
            ? nghttp2_submit_request(session, nil, fields, count, nil, stream)
            : nghttp2_submit_request(session, nil, fields, count, &body, stream)
        transport.pointee.pending.consume(end, pool)
        stream.pointee.isHeadSubmitted = true
        guard id > 0 else {
            // Out of memory, or of numbers for streams: this connection takes no more.
            upstreams[stream.pointee.slot].pointee.ending = .refused
            stream.pointee.connection.pointee.asking?.saidGoaway = true
            return failed(stream)
        }
        stream.pointee.id = id
        stream.pointee.isEndSent = isWhole
        stream.pointee.connection.pointee.asking?.streamsBegun += 1
    }

    /// - Returns: how many fields there are.
    private func read(
        _ text: UnsafeMutablePointer<UInt8>, _ end: Int, into fields: UnsafeMutablePointer<nghttp2_nv>,
        _ stream: HTTP2StreamPointer
    ) -> Int {
        let isTLS = upstreams[stream.pointee.slot].pointee.endpoint.tls != nil
        var index = 0
        while text[index] != 32 { index += 1 }
        let method = index
        index += 1
        while text[index] != 32 { index += 1 }
        let scheme: StaticString = isTLS ? "https" : "http"
        fields.initialize(to: Self.field(Self.methodName, text, method))
        (fields + 1).initialize(
            to: Self.field(
                Self.schemeName, UnsafeMutablePointer(mutating: scheme.utf8Start), scheme.utf8CodeUnitCount))
        (fields + 2).initialize(to: Self.field(Self.pathName, text + method + 1, index - method - 1))
        var count = 3
        while text[index] != 10 { index += 1 }
        index += 1
        while index < end, text[index] != 13 {
            let name = text + index
            var length = 0
            while index < end, text[index] != UInt8(ascii: ":") {
                if text[index] &- 65 < 26 { text[index] |= 0x20 }
                index += 1
                length += 1
            }
            index += 1
            while index < end, text[index] == 32 { index += 1 }
            let value = text + index
            var bytes = 0
            while index < end, text[index] != 13 {
                index += 1
                bytes += 1
            }
            index += 2
            if Self.isOf(name, length, "transfer-encoding") { stream.pointee.isResponseChunked = true }
            if Self.endsHere(name, length) { continue }
            guard !Self.isOf(name, length, "host") else {
                // Pseudo-fields come first (RFC 9113 §8.3): the line there changes places.
                if count > 3 { (fields + count).initialize(to: (fields + 3).pointee) }
                (fields + 3).initialize(to: Self.field(Self.authorityName, value, bytes))
                count += 1
                continue
            }
            (fields + count).initialize(
                to: nghttp2_nv(
                    name: name, value: value, namelen: length, valuelen: bytes,
                    flags: Self.flags(name, length)))
            count += 1
        }
        return count
    }

    /// What differs with every request, or is a secret, is not worth a place in the table of the connection.
    private static func flags(_ name: UnsafeMutablePointer<UInt8>, _ length: Int) -> UInt8 {
        let isFresh =
            isOf(name, length, "traceparent") || isOf(name, length, "gatepost-request-id")
            || isOf(name, length, "authorization") || isOf(name, length, "cookie")
        return UInt8((isFresh ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE).rawValue)
    }
}
