/// Base64url without padding (RFC 4648 §5), as JOSE uses it (RFC 7515 §2).
public enum Base64URL {
    private static let alphabet = Base64Alphabet(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

    /// The text of `bytes`; a third longer than they are, rounded up to whole characters.
    public static func encode(_ bytes: [UInt8]) -> String { alphabet.encode(bytes) }

    /// The bytes of `text`; nil for padding, white space, another alphabet or bits that no byte uses.
    ///
    /// Every accepted text is the only text of its bytes, so a token cannot be rewritten without being
    /// changed.
    public static func decode(_ text: String) -> [UInt8]? { decode(text.utf8) }

    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? { alphabet.decode(text) }
}

/// Base64 with padding (RFC 4648 §4), as X.509 and HTTP use it.
public enum Base64 {
    private static let alphabet = Base64Alphabet(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

    /// The text of `bytes`, padded with `=` to a multiple of four characters.
    public static func encode(_ bytes: [UInt8]) -> String {
        alphabet.encode(bytes) + String(repeating: "=", count: (3 - bytes.count % 3) % 3)
    }

    /// The bytes of `text`; nil for missing or superfluous padding, white space or bits that no byte uses.
    public static func decode(_ text: String) -> [UInt8]? {
        let padded = Array(text.utf8)
        guard padded.count % 4 == 0 else { return nil }
        let content = padded.prefix { $0 != UInt8(ascii: "=") }
        let padding = padded[content.count...]
        guard padding.count <= 2, padding.allSatisfy({ $0 == UInt8(ascii: "=") }) else { return nil }
        return alphabet.decode(content)
    }
}

/// 64 characters and their way back.
private struct Base64Alphabet {
    private static let none: UInt8 = 0xFF
    private let characters: [UInt8]
    private let values: [UInt8]

    init(_ characters: String) {
        self.characters = Array(characters.utf8)
        var values = [UInt8](repeating: Self.none, count: 256)
        for (value, character) in self.characters.enumerated() { values[Int(character)] = UInt8(value) }
        self.values = values
    }

    func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 4 + 2) / 3)
        var pending: UInt32 = 0
        var bits: UInt32 = 0
        for byte in bytes {
            pending = pending << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                text.append(characters[Int(pending >> bits & 63)])
            }
        }
        if bits > 0 { text.append(characters[Int(pending << (6 - bits) & 63)]) }
        return String(decoding: text, as: UTF8.self)
    }

    func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count * 3 / 4)
        var pending: UInt32 = 0
        var bits: UInt32 = 0
        for character in text {
            let value = values[Int(character)]
            guard value != Self.none else { return nil }
            pending = (pending << 6 | UInt32(value)) & 0xFFFF
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: pending >> bits))
            }
        }
        guard pending & (1 << bits - 1) == 0 else { return nil }
        return bytes
    }
}
