import Access
import COpenSSL
import HTTP

/// Opening a WebSocket: who may ask, and whether the application's answer is one to this very request.
extension Reactor {
    /// - Returns: nil when the request to open one may go on.
    @inline(never)
    func refuseUpgrade(_ slot: Int32) -> Step? {
        guard isUpgradeAllowed(slot) else { return refuse(slot, 403, .originNotAllowed) }
        let head = downstreams[slot].pointee.input.bytes.span
        // RFC 6455 §4.2.1-5: without a key nobody could tell an answer of the application from somebody's echo.
        guard let key = work.pointee.fields.onlyValue(.secWebSocketKey),
            WebSocketAccept.isKey(head.extracting(key.indices))
        else { return refuse(slot, 400, .requestMalformed) }
        return nil
    }

    /// Browsers name the page that opens a WebSocket, and cookies go along whoever opened it: only our own
    /// pages and listed ones may. Programs that are no browser send no Origin.
    private func isUpgradeAllowed(_ slot: Int32) -> Bool {
        guard work.pointee.fields.contains(.origin) else { return true }
        return allowedOrigin(slot) != nil
    }

    /// Whether a 101 is the application's word that it speaks WebSocket (RFC 6455 §4.1): it names the
    /// protocol, and it has answered the key. A server that was talked into a 101, or a cache that repeats
    /// one, has not; a tunnel through it would carry requests that nobody decides.
    func isRealUpgrade(_ slot: Int32, _ head: Span<UInt8>) -> Bool {
        guard let upgrade = work.pointee.responseFields.onlyValue(.upgrade),
            contains("websocket", in: head.extracting(upgrade.indices), wholly: true),
            let connection = work.pointee.responseFields.onlyValue(.connection),
            contains("upgrade", in: head.extracting(connection.indices), wholly: true),
            let accept = work.pointee.responseFields.value(named: "sec-websocket-accept", in: head),
            !work.pointee.responseFields.isRepeated(named: "sec-websocket-accept", in: head)
        else { return false }
        guard let expected = expectedAccept(slot) else { return false }
        return Plan.equal(expected.span, head.extracting(accept.indices))
    }

    /// What answers the key of a request whose head still lies in the connection's input.
    func expectedAccept(_ slot: Int32) -> [UInt8]? {
        let sent = downstreams[slot].pointee.input.bytes.span
        let outcome = work.pointee.requestParser.parse(
            sent, options: [.allowsEncodedSlash, .allowsEmptySegments], into: &work.pointee.fields,
            scratch: &work.pointee.scratch)
        guard case .head = outcome, let key = work.pointee.fields.onlyValue(.secWebSocketKey) else {
            return nil
        }
        return WebSocketAccept.value(of: sent.extracting(key.indices))
    }
}

/// The answer to a WebSocket's key (RFC 6455 §4.2.2).
enum WebSocketAccept {
    private static let keyBytes = 24
    private static let suffix: StaticString = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    private static let alphabet: StaticString =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    /// Sixteen bytes in base64: 22 digits and two signs of equality.
    static func isKey(_ key: Span<UInt8>) -> Bool {
        guard key.count == keyBytes, key[22] == UInt8(ascii: "="), key[23] == UInt8(ascii: "=") else {
            return false
        }
        for index in 0..<22 where !isDigit(key[index]) { return false }
        return true
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        for index in 0..<64 where alphabet.utf8Start[index] == byte { return true }
        return false
    }

    /// SHA-1 of key and suffix in base64; SHA-1 is the protocol's word, and protects nothing here.
    static func value(of key: Span<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        for index in key.indices { bytes.append(key[index]) }
        bytes += UnsafeBufferPointer(start: suffix.utf8Start, count: suffix.utf8CodeUnitCount)
        var digest = [UInt8](repeating: 0, count: 21)
        _ = SHA1(bytes, bytes.count, &digest)
        var text: [UInt8] = []
        for start in stride(from: 0, to: 21, by: 3) {
            let bits =
                UInt32(digest[start]) << 16 | UInt32(digest[start + 1]) << 8 | UInt32(digest[start + 2])
            for shift in [18, 12, 6, 0] as [UInt32] {
                text.append(alphabet.utf8Start[Int(bits >> shift & 63)])
            }
        }
        // Twenty bytes are 27 digits; the one that stands for the filling is a sign of equality.
        text[27] = UInt8(ascii: "=")
        return text
    }
}
