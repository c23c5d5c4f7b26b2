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

    /// Appends `text` in quotes, escaping only what RFC 8259 §7 demands.
    static func append(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 { append(byte, to: &bytes) }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Appends one byte of a UTF-8 string.
    static func append(_ byte: UInt8, to bytes: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            bytes.append(UInt8(ascii: "\\"))
            bytes.append(byte)
        case 0x00...0x1F: appendEscape(byte, to: &bytes)
        default: bytes.append(byte)
        }
    }

    /// Appends `byte` as the code point of the same number, in six characters.
    static func appendEscape(_ byte: UInt8, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "\\u00".utf8)
        bytes.append(hex[Int(byte >> 4)])
        bytes.append(hex[Int(byte & 15)])
    }
}
