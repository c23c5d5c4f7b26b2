import COpenSSL

/// `Gatepost-Service-Token: gps_<16 hexadecimal digits>.<43 base64url characters>`: an id that is no secret, and 256
/// bits that are.
enum ServiceToken {
    static let fieldName: StaticString = "gatepost-service-token"
    static let textBytes = 64

    /// What the token is known by at one host. The whole text goes in, so one wrong byte anywhere is another token; the
    /// look-up goes by the digest, so how long it takes says nothing of the secret.
    ///
    /// - Precondition: `text` has `textBytes`.
    static func digest(_ text: Span<UInt8>, host: [UInt8]) -> Token {
        precondition(text.count == textBytes, "token of \(text.count) bytes")
        var input = Array("gatepost service token\n".utf8)
        text.withUnsafeBytes { input.append(contentsOf: $0) }
        var first = [UInt8](repeating: 0, count: 32)
        _ = SHA256(input, input.count, &first)
        OPENSSL_cleanse(&input, input.count)
        return Token(sha256: first + host)
    }
}

extension Token {
    /// SHA-256 of bytes. Not for the way of every request.
    init(sha256 bytes: [UInt8]) {
        var digest = [UInt8](repeating: 0, count: 32)
        _ = SHA256(bytes, bytes.count, &digest)
        self = Token(digest) ?? Token(0, 0, 0, 0)
    }

    /// The 32 bytes.
    var bytes: [UInt8] { [a, b, c, d].flatMap { word in withUnsafeBytes(of: word) { Array($0) } } }
}

/// The token that a connection's last request came with, and the record it stood for: clients repeat it, and comparing
/// 64 bytes replaces two digests. Compares all of them, wherever they differ.
final class ServiceTokenMemo {
    private var words = InlineArray<8, UInt64>(repeating: 0)
    let session: Handle

    /// - Precondition: `text` is one whole token.
    init(_ text: Span<UInt8>, _ session: Handle) {
        precondition(text.count == ServiceToken.textBytes, "token of \(text.count) bytes")
        self.session = session
        text.withUnsafeBytes { raw in
            for index in 0..<8 {
                words[index] = raw.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self)
            }
        }
    }

    deinit {
        for index in 0..<8 { words[index] = 0 }
    }

    func equals(_ text: Span<UInt8>) -> Bool {
        guard text.count == ServiceToken.textBytes else { return false }
        return text.withUnsafeBytes { raw in
            var difference: UInt64 = 0
            for index in 0..<8 {
                difference |= words[index] ^ raw.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self)
            }
            return difference == 0
        }
    }
}
