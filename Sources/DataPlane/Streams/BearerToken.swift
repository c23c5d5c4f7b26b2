import COpenSSL

/// `Authorization: Bearer <JWT>` (RFC 6750 §2.1), looked at only as far as its shape: what has another one
/// costs nobody a question.
enum BearerToken {
    /// Longer ones are none.
    static let bytesMax = 8_192

    enum Reading: Equatable {
        /// Another scheme.
        case other
        case malformed
        /// A compact JWS begins here and goes on to the end.
        case token(start: Int)
    }

    /// - Parameter value: a field value without surrounding white space.
    static func read(_ value: Span<UInt8>) -> Reading {
        let scheme: StaticString = "bearer"
        let length = scheme.utf8CodeUnitCount
        guard value.count >= length else { return .other }
        for index in 0..<length where value[index] | 0x20 != scheme.utf8Start[index] { return .other }
        guard value.count > length else { return .malformed }
        // A longer word is another scheme; whatever else may end the word here is no space (RFC 9110 §11.4).
        guard value[length] == 0x20 else { return isTokenByte(value[length]) ? .other : .malformed }
        var start = length
        while start < value.count, value[start] == 0x20 { start += 1 }
        return isCompact(value, from: start) ? .token(start: start) : .malformed
    }

    /// Three parts of base64url, of which the first begins as every JSON object does.
    private static func isCompact(_ value: Span<UInt8>, from start: Int) -> Bool {
        guard start < value.count, value.count - start <= bytesMax, value[start] == UInt8(ascii: "e") else {
            return false
        }
        var (dots, partStart) = (0, start)
        for index in start..<value.count {
            if value[index] == UInt8(ascii: ".") {
                guard index > partStart, dots < 2 else { return false }
                (dots, partStart) = (dots + 1, index + 1)
            } else if !isBase64URL(value[index]) {
                return false
            }
        }
        return dots == 2 && partStart < value.count
    }

    private static func isBase64URL(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }

    /// What may stand in the name of a scheme (RFC 9110 §5.6.2).
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        isBase64URL(byte) || "!#$%&'*+.^`|~".utf8.contains(byte)
    }

    /// What a token is known by at one host: another at every host, as with service tokens.
    static func digest(_ text: Span<UInt8>, host: [UInt8]) -> Token {
        var input = Array("gatepost bearer token\n".utf8)
        text.withUnsafeBytes { input.append(contentsOf: $0) }
        var first = [UInt8](repeating: 0, count: 32)
        _ = SHA256(input, input.count, &first)
        OPENSSL_cleanse(&input, input.count)
        return Token(sha256: first + host)
    }
}

/// The token that a connection's last request came with, and the record it stood for: clients repeat it, and
/// comparing it replaces two digests. Compares all of it, wherever it differs.
final class BearerTokenMemo {
    private var bytes: [UInt8]
    let session: Handle

    init(_ text: Span<UInt8>, _ session: Handle) {
        bytes = text.withUnsafeBytes { Array($0) }
        self.session = session
    }

    deinit { OPENSSL_cleanse(&bytes, bytes.count) }

    func equals(_ text: Span<UInt8>) -> Bool {
        guard text.count == bytes.count else { return false }
        var difference: UInt8 = 0
        text.withUnsafeBytes { text in
            bytes.withUnsafeBytes { known in
                for index in 0..<text.count { difference |= known[index] ^ text[index] }
            }
        }
        return difference == 0
    }
}
