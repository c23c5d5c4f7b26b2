// Reading and writing whole documents (RFC 8259).

extension JSONValue {
    /// Parses exactly one JSON document (RFC 8259), with optional white space around it.
    ///
    /// Stricter than the clause allows where two readers could disagree: doubled member names (also when
    /// escapes or canonical equivalence hide it), integers beyond 64 bits and lone surrogates are errors, not
    /// repaired.
    /// - Throws: `JSONError` with the offset and the rule; never a part of the content.
    public init(parsing bytes: [UInt8], limits: JSONLimits = JSONLimits()) throws(JSONError) {
        var parser = JSONParser(bytes, limits: limits)
        self = try parser.document()
    }

    /// The document as UTF-8 without white space, members in their order. Parsing it gives an equal value.
    public func serialized() -> [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes
    }

    /// The document as text; see `serialized()`.
    public func serializedText() -> String { String(decoding: serialized(), as: UTF8.self) }

    func append(to bytes: inout [UInt8]) {
        switch self {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let value): bytes.append(contentsOf: (value ? "true" : "false").utf8)
        case .integer(let value): bytes.append(contentsOf: String(value).utf8)
        case .number(let value): bytes.append(contentsOf: (value.isFinite ? value.description : "null").utf8)
        case .string(let value): JSONText.append(value, to: &bytes)
        case .array(let values):
            bytes.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                value.append(to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let object): object.append(to: &bytes)
        }
    }
}

extension JSONObject {
    /// The object as UTF-8 without white space, members in their order.
    public func serialized() -> [UInt8] { JSONValue.object(self).serialized() }

    func append(to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "{"))
        for (index, member) in members.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            JSONText.append(member.name, to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            member.value.append(to: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
    }
}

/// Strings as JSON writes them.
enum JSONText {
    private static let hex = Array("0123456789abcdef".utf8)

    /// What is done with bytes beyond ASCII.
    enum Encoding {
        /// They are UTF-8 and stay as they are.
        case utf8
        /// Nobody knows: each, and DEL with them, is written as the code point of the same number.
        case unknown
    }

    /// Appends `text` in quotes, escaping only what RFC 8259 §7 demands.
    static func append(_ text: String, to bytes: inout [UInt8]) {
        var text = text
        bytes.append(UInt8(ascii: "\""))
        text.withUTF8 { append($0, .utf8, to: &bytes) }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Appends text without quotes: most needs no escape and is copied in runs.
    static func append(_ text: UnsafeBufferPointer<UInt8>, _ encoding: Encoding, to bytes: inout [UInt8]) {
        var start = 0
        var at = 0
        while at < text.count {
            if text.count - at >= 8,
                isPlain(UnsafeRawPointer(text.baseAddress! + at).loadUnaligned(as: UInt64.self), encoding)
            {
                at += 8
                continue
            }
            let byte = text[at]
            let isEscaped = byte < 0x20 || (encoding == .unknown && byte >= 0x7F)
            if isEscaped || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[start..<at]))
                if isEscaped {
                    appendEscape(byte, to: &bytes)
                } else {
                    bytes.append(UInt8(ascii: "\\"))
                    bytes.append(byte)
                }
                start = at + 1
            }
            at += 1
        }
        bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[start...]))
    }

    /// Whether none of eight bytes needs an escape. May say no where all are plain, never yes where one is not.
    private static func isPlain(_ word: UInt64, _ encoding: Encoding) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        /// A byte that is zero has its highest bit set here.
        func zeros(_ word: UInt64) -> UInt64 { (word &- ones) & ~word }
        var found = zeros(word ^ (ones &* 0x22)) | zeros(word ^ (ones &* 0x5C))
        found |= (word &- ones &* 0x20) & ~word
        if encoding == .unknown { found |= word | zeros(word ^ (ones &* 0x7F)) }
        return found & highs == 0
    }

    /// Appends `byte` as the code point of the same number, in six characters.
    private static func appendEscape(_ byte: UInt8, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "\\u00".utf8)
        bytes.append(hex[Int(byte >> 4)])
        bytes.append(hex[Int(byte & 15)])
    }
}
