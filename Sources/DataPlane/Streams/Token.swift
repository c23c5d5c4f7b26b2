import COpenSSL
import HTTP

/// 32 bytes as four words: a cookie's secret, or its SHA-256.
struct Token: Hashable {
    var a: UInt64
    var b: UInt64
    var c: UInt64
    var d: UInt64

    init(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) {
        self.a = a
        self.b = b
        self.c = c
        self.d = d
    }

    /// nil unless there are exactly 32 bytes.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self = bytes.withUnsafeBytes { raw in
            Token(
                raw.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
                raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
                raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
                raw.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
        }
    }
}

/// The value of `__Host-gatepost`: version 1, key id, secret of 32 bytes, MAC of 8; base64url without
/// padding.
struct SessionCookie {
    static let textBytes = 56
    static let bytes = 42
    static let version: UInt8 = 1

    /// The 42 bytes; a tuple-free fixed block so that nothing is allocated.
    private var block = InlineArray<42, UInt8>(repeating: 0)

    /// nil unless the text is exactly one well-formed cookie of this version. The MAC is not looked at.
    init?(_ text: Span<UInt8>) {
        guard text.count == Self.textBytes else { return nil }
        let values = Self.digitValues
        var seen: UInt32 = 0
        for group in 0..<(Self.textBytes / 4) {
            let first = UInt32(values[Int(text[4 * group])])
            let second = UInt32(values[Int(text[4 * group + 1])])
            let third = UInt32(values[Int(text[4 * group + 2])])
            let fourth = UInt32(values[Int(text[4 * group + 3])])
            seen |= first | second | third | fourth
            let bits = first << 18 | second << 12 | third << 6 | fourth
            block[3 * group] = UInt8(truncatingIfNeeded: bits >> 16)
            block[3 * group + 1] = UInt8(truncatingIfNeeded: bits >> 8)
            block[3 * group + 2] = UInt8(truncatingIfNeeded: bits)
        }
        guard seen & UInt32(Self.noDigit) == 0, block[0] == Self.version else { return nil }
    }

    var keyID: UInt8 { block[1] }

    /// The secret, which is what a session is known by.
    var secret: Token {
        withUnsafeBytes(of: block) { raw in
            Token(
                raw.loadUnaligned(fromByteOffset: 2, as: UInt64.self),
                raw.loadUnaligned(fromByteOffset: 10, as: UInt64.self),
                raw.loadUnaligned(fromByteOffset: 18, as: UInt64.self),
                raw.loadUnaligned(fromByteOffset: 26, as: UInt64.self))
        }
    }

    /// Whether the MAC is right under `key`: forgeries die here without a look-up. It never authenticates.
    func isGenuine(under key: [UInt8]) -> Bool {
        var expected = InlineArray<32, UInt8>(repeating: 0)
        var length: UInt32 = 0
        return withUnsafeBytes(of: block) { block in
            withUnsafeMutableBytes(of: &expected) { expected in
                let input = block.baseAddress?.assumingMemoryBound(to: UInt8.self)
                let output = expected.baseAddress?.assumingMemoryBound(to: UInt8.self)
                guard let input, HMAC(EVP_sha256(), key, Int32(key.count), input, 34, output, &length) != nil
                else { return false }
                return CRYPTO_memcmp(input + 34, output, 8) == 0
            }
        }
    }

    /// SHA-256 of the secret.
    var digest: [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        withUnsafeBytes(of: block) { block in
            guard let input = block.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
            _ = SHA256(input + 2, 32, &digest)
        }
        return digest
    }

    /// No value of a digit has this bit.
    private static var noDigit: UInt8 { 0x40 }

    /// The value of each byte as a base64url digit, `noDigit` for the others.
    // Not Sendable because it is a pointer; written once before anybody can read it, never freed.
    nonisolated(unsafe) private static let digitValues: UnsafePointer<UInt8> = {
        let values = UnsafeMutablePointer<UInt8>.allocate(capacity: 256)
        for byte in UInt8.min...UInt8.max { values[Int(byte)] = value(of: byte) ?? noDigit }
        return UnsafePointer(values)
    }()

    private static func value(of byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
