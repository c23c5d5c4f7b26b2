/// Reads one document, recursing once per level; every step consumes bytes or throws.
struct JSONParser {
    private let bytes: [UInt8]
    private let limits: JSONLimits
    private var at = 0
    private var depth = 0
    private var values = 0

    init(_ bytes: [UInt8], limits: JSONLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    mutating func document() throws(JSONError) -> JSONValue {
        guard bytes.count <= limits.bytesMax else {
            throw JSONError(
                offset: limits.bytesMax, what: "the document is longer than \(limits.bytesMax) bytes")
        }
        skipWhitespace()
        let value = try value()
        skipWhitespace()
        guard at == bytes.count else { throw error("bytes follow the document") }
        return value
    }

    private mutating func value() throws(JSONError) -> JSONValue {
        values += 1
        guard values <= limits.membersMax else { throw error("more than \(limits.membersMax) values") }
        guard let first = peek else { throw error("the document ends where a value is expected") }
        switch first {
        case UInt8(ascii: "{"): return .object(try object())
        case UInt8(ascii: "["): return .array(try array())
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw error("no value starts with this byte")
        }
    }

    private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for index in 0..<word.utf8CodeUnitCount {
            guard peek == word.utf8Start[index] else { throw error("only true, false and null are words") }
            at += 1
        }
        return value
    }

    private mutating func enter() throws(JSONError) {
        depth += 1
        guard depth <= limits.depthMax else { throw error("more than \(limits.depthMax) levels") }
        at += 1
        skipWhitespace()
    }

    private mutating func array() throws(JSONError) -> [JSONValue] {
        try enter()
        defer { depth -= 1 }
        var elements: [JSONValue] = []
        if take(UInt8(ascii: "]")) { return elements }
        while true {
            elements.append(try value())
            skipWhitespace()
            if take(UInt8(ascii: "]")) { return elements }
            guard take(UInt8(ascii: ",")) else { throw error("an array goes on with , or ]") }
            skipWhitespace()
        }
    }

    private mutating func object() throws(JSONError) -> JSONObject {
        try enter()
        defer { depth -= 1 }
        var members: [(name: String, value: JSONValue)] = []
        var names: Set<String> = []
        if take(UInt8(ascii: "}")) { return JSONObject() }
        while true {
            guard peek == UInt8(ascii: "\"") else { throw error("a member starts with its name in quotes") }
            let start = at
            let name = try string()
            guard insert(name, into: &names, after: members) else {
                throw JSONError(offset: start, what: "a member is doubled")
            }
            skipWhitespace()
            guard take(UInt8(ascii: ":")) else { throw error("a colon follows a member's name") }
            skipWhitespace()
            members.append((name, try value()))
            skipWhitespace()
            if take(UInt8(ascii: "}")) { return JSONObject(distinct: members) }
            guard take(UInt8(ascii: ",")) else { throw error("an object goes on with , or }") }
            skipWhitespace()
        }
    }

    /// False when `name` was there before. Names that are only canonically equivalent count as equal too: a
    /// Swift dictionary made of them would lose one, and which one is not for an attacker to choose.
    private func insert(
        _ name: String, into names: inout Set<String>, after members: [(name: String, value: JSONValue)]
    ) -> Bool {
        let linearMax = 12
        if members.count < linearMax { return !members.contains { $0.name == name } }
        if names.isEmpty { names.formUnion(members.lazy.map(\.name)) }
        return names.insert(name).inserted
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = at
        let isNegative = take(UInt8(ascii: "-"))
        guard let first = peek, isDigit(first) else { throw error("a digit is expected") }
        at += 1
        if first == UInt8(ascii: "0") {
            if let next = peek, isDigit(next) { throw error("a number has no leading zero") }
        } else {
            skipDigits()
        }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            try digits()
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isInteger = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        let textBytesMax = 128
        guard at - start <= textBytesMax else { throw error("a number is longer than \(textBytesMax) bytes") }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        if isInteger {
            // Minus zero is no integer: as one it would be read back as plain zero.
            if isNegative && first == UInt8(ascii: "0") { return .number(-0.0) }
            guard let value = Int64(text) else { throw error("an integer does not fit into 64 bits") }
            return .integer(value)
        }
        guard let value = Double(text), value.isFinite else { throw error("a number is too large") }
        return .number(value)
    }

    private mutating func digits() throws(JSONError) {
        guard let first = peek, isDigit(first) else { throw error("a digit is expected") }
        skipDigits()
    }

    private mutating func skipDigits() {
        while let byte = peek, isDigit(byte) { at += 1 }
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private mutating func skipWhitespace() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { at += 1 }
    }

    private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        at += 1
        return true
    }

    private func error(_ what: String) -> JSONError { JSONError(offset: at, what: what) }
}

// Strings (RFC 8259 §7).
extension JSONParser {
    private mutating func string() throws(JSONError) -> String {
        at += 1
        let start = at
        while let byte = peek, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 {
            at += 1
        }
        if peek == UInt8(ascii: "\"") {
            let text = String(validating: bytes[start..<at], as: UTF8.self)
            guard let text else { throw JSONError(offset: start, what: "a string is not UTF-8") }
            at += 1
            return text
        }
        return try escapedString(from: start)
    }

    private mutating func escapedString(from start: Int) throws(JSONError) -> String {
        var text = Array(bytes[start..<at])
        while let byte = peek {
            at += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: text, as: UTF8.self) else {
                    throw JSONError(offset: start, what: "a string is not UTF-8")
                }
                return text
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0x00...0x1F: throw JSONError(offset: at - 1, what: "a control character is not escaped")
            default: text.append(byte)
            }
        }
        throw error("the document ends within a string")
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        guard let byte = peek else { throw error("the document ends within a string") }
        at += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text.append(contentsOf: Array(String(Character(try escapedScalar())).utf8))
        default: throw JSONError(offset: at - 1, what: "this escape does not exist")
        }
    }

    private mutating func escapedScalar() throws(JSONError) -> Unicode.Scalar {
        let start = at - 2
        let first = try fourHexDigits()
        if let scalar = Unicode.Scalar(first) { return scalar }
        let loneSurrogate = JSONError(offset: start, what: "half of a surrogate pair stands alone")
        guard (0xD800...0xDBFF).contains(first), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
            throw loneSurrogate
        }
        let second = try fourHexDigits()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(
                0x10000 + ((UInt32(first) - 0xD800) << 10) + (UInt32(second) - 0xDC00))
        else { throw loneSurrogate }
        return scalar
    }

    private mutating func fourHexDigits() throws(JSONError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = peek, let digit = Self.hexDigit(byte) else {
                throw error("four hex digits follow \\u")
            }
            value = value << 4 | digit
            at += 1
        }
        return value
    }

    private static func hexDigit(_ byte: UInt8) -> UInt16? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt16(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt16(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt16(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}
