/// The handshake of RFC 6455 towards an application, for clients whose own protocol has none (RFC 8441 §5).
enum WebSocketKey {
    private static let alphabet: StaticString =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    /// Writes a fresh `Sec-WebSocket-Key` of the two numbers; whoever answers is asked for its digest
    /// (`WebSocketAccept`).
    static func make(_ key: inout InlineArray<24, UInt8>, high: UInt64, low: UInt64) {
        var nonce = InlineArray<16, UInt8>(repeating: 0)
        for index in 0..<8 {
            nonce[index] = UInt8(truncatingIfNeeded: high >> UInt64(8 * index))
            nonce[8 + index] = UInt8(truncatingIfNeeded: low >> UInt64(8 * index))
        }
        var target = key.mutableSpan
        encode(nonce.span, into: &target)
    }

    /// Base64 (RFC 4648 §4).
    private static func encode(_ bytes: Span<UInt8>, into text: inout MutableSpan<UInt8>) {
        var at = 0
        var index = 0
        while index < bytes.count {
            let left = bytes.count - index
            let word =
                UInt32(bytes[index]) << 16 | (left > 1 ? UInt32(bytes[index + 1]) << 8 : 0)
                | (left > 2 ? UInt32(bytes[index + 2]) : 0)
            for part in 0..<4 {
                let digit = Int(word >> UInt32(18 - 6 * part)) & 63
                text[at + part] = part <= left ? alphabet.utf8Start[digit] : UInt8(ascii: "=")
            }
            at += 4
            index += 3
        }
    }
}
