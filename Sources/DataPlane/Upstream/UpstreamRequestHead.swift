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
    private static let protocolName: StaticString = ":protocol"
    private static let connect: StaticString = "CONNECT"
    private static let webSocket: StaticString = "websocket"

    private static func field(_ name: StaticString, _ value: StaticString) -> nghttp2_nv {
        field(name, UnsafeMutablePointer(mutating: value.utf8Start), value.utf8CodeUnitCount)
    }

    /// Hands over what was written to a stream since the last flush.
    func submitRequest(_ stream: HTTP2StreamPointer, _ session: OpaquePointer) {
        stream.pointee.isTouched = false
        let upstream = upstreams[stream.pointee.slot]
        guard !stream.pointee.isForgotten, upstream.pointee.phase == .streaming else { return }
        let user = upstream.pointee.downstream
        if user >= 0, downstreams[user].pointee.exchange.wantsUpgrade { stream.pointee.isTunnel = true }
        // The framing of a request with a length says nothing at its end: the relay knows. A tunnel ends with its
        // record.
        stream.pointee.isEnded =
            !stream.pointee.isTunnel
            && (user < 0 || downstreams[user].pointee.exchange.isRequestComplete)
        if !stream.pointee.isHeadSubmitted { submitHead(of: stream, session) }
        guard stream.pointee.isDeferred else { return }
        stream.pointee.isDeferred = false
        _ = nghttp2_session_resume_data(session, stream.pointee.id)
    }

    private func submitHead(of stream: HTTP2StreamPointer, _ session: OpaquePointer) {
        let transport = transports + Int(stream.pointee.slot)
        let waiting = transport.pointee.pending.bytes
        guard let start = waiting.baseAddress, let (end, lines) = Self.head(waiting) else { return }
        // One for each line but the first, which is three; Host stays one. A tunnel names its protocol.
        let most = lines + 4
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
        // Behind a head that left alone the relay of the body may have stopped.
        if !isWhole { wakeUser(of: stream) }
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
        if stream.pointee.isTunnel {
            fields.initialize(to: Self.field(Self.methodName, Self.connect))
        } else {
            fields.initialize(to: Self.field(Self.methodName, text, method))
        }
        (fields + 1).initialize(to: Self.field(Self.schemeName, scheme))
        (fields + 2).initialize(to: Self.field(Self.pathName, text + method + 1, index - method - 1))
        var count = 3
        if stream.pointee.isTunnel {
            (fields + 3).initialize(to: Self.field(Self.protocolName, Self.webSocket))
            count = 4
        }
        let pseudo = count
        while text[index] != 10 { index += 1 }
        index += 1
        var lines = HTTP2FieldLines(text, from: index, to: end)
        while var field = lines.next() {
            if Self.isOf(field, "transfer-encoding") { stream.pointee.isResponseChunked = true }
            if Self.endsHere(field) { continue }
            // RFC 8441 §5: no handshake by a key and its digest.
            if stream.pointee.isTunnel, Self.isOf(field, "sec-websocket-key") { continue }
            guard !Self.isOf(field, "host") else {
                // Pseudo-fields come first (RFC 9113 §8.3): the line there changes places.
                if count > pseudo { (fields + count).initialize(to: (fields + pseudo).pointee) }
                (fields + pseudo).initialize(to: Self.field(Self.authorityName, field.value, field.valuelen))
                count += 1
                continue
            }
            field.flags = Self.flags(field)
            (fields + count).initialize(to: field)
            count += 1
        }
        return count
    }

    /// What differs with every request, or is a secret, is not worth a place in the table of the connection.
    private static func flags(_ field: nghttp2_nv) -> UInt8 {
        let isFresh =
            isOf(field, "traceparent") || isOf(field, "gatepost-request-id")
            || isOf(field, "authorization") || isOf(field, "cookie")
        return UInt8((isFresh ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE).rawValue)
    }
}
