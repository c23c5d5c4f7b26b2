/// Form and query parameters (application/x-www-form-urlencoded), percent-decoded strictly.

struct Parameters {
    static let countMax = 64

    private(set) var pairs: [(name: String, value: String)] = []

    /// nil for a broken escape, invalid UTF-8, too many parameters, or a doubled name (OAuth 2.0, RFC 6749
    /// 3.1: parameters must not be included more than once).
    init?(parsing text: String) {
        for part in text.split(separator: "&") {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let first = halves.first, let name = Self.decode(first),
                let value = halves.count == 2 ? Self.decode(halves[1]) : "",
                pairs.count < Self.countMax, !pairs.contains(where: { $0.name == name })
            else { return nil }
            pairs.append((name, value))
        }
    }

    init?(parsing bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        self.init(parsing: text)
    }

    subscript(_ name: String) -> String? { pairs.first { $0.name == name }?.value }

    /// The same parameters without one of them.
    func removing(_ name: String) -> Parameters {
        var copy = self
        copy.pairs.removeAll { $0.name == name }
        return copy
    }

    static func decode(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(0x20)
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit)
                else {
                    return nil
                }
                bytes.append(high << 4 | low)
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// Everything but RFC 3986's unreserved characters as `%XX`.
    static func encode(_ text: String) -> String {
        let hex = Array("0123456789ABCDEF")
        var result = ""
        for byte in text.utf8 {
            let character = Character(UnicodeScalar(byte))
            if byte < 0x80, character.isLetter || character.isNumber || "-._~".contains(character) {
                result.append(character)
            } else {
                result += "%\(hex[Int(byte >> 4)])\(hex[Int(byte & 15)])"
            }
        }
        return result
    }

    static func encode(_ pairs: [(String, String)]) -> String {
        pairs.map { "\(encode($0.0))=\(encode($0.1))" }.joined(separator: "&")
    }
}
