import JSON
import Testing

/// One row of RFC 8259: its clause, the bytes and what they mean, or nil where they are refused.
struct JSONCase: Sendable, CustomTestStringConvertible {
    let clause: String
    let bytes: [UInt8]
    let expected: JSONValue?

    init(_ clause: String, _ text: String, _ expected: JSONValue?) {
        self.init(clause, bytes: Array(text.utf8), expected)
    }

    init(_ clause: String, bytes: [UInt8], _ expected: JSONValue?) {
        self.clause = clause
        self.bytes = bytes
        self.expected = expected
    }

    var testDescription: String { "\(clause): \(String(decoding: bytes, as: UTF8.self).debugDescription)" }
}

@Suite("RFC 8259, in the order of the document")
struct JSONConformanceTests {
    static let accepted: [JSONCase] = [
        .init("§2 white space around every token", " \t\r\n{ \"a\" : [ 1 , 2 ] } \n", ["a": [1, 2]]),
        .init("§2 any value is a document", "\"text\"", "text"),
        .init("§3 literals", "[true,false,null]", [true, false, nil]),
        .init("§4 empty object", "{}", [:]),
        .init("§4 order is kept, equality ignores it", "{\"b\":1,\"a\":2}", ["a": 2, "b": 1]),
        .init("§4 the empty name is a name", "{\"\":1}", ["": 1]),
        .init("§5 empty array", "[ ]", []),
        .init("§6 zero", "0", 0),
        .init("§6 minus zero is no integer", "-0", .number(-0.0)),
        .init("§6 largest 64-bit integer", "9223372036854775807", .integer(.max)),
        .init("§6 smallest 64-bit integer", "-9223372036854775808", .integer(.min)),
        .init("§6 fraction", "-1.25", .number(-1.25)),
        .init("§6 a fraction makes a number", "1.0", .number(1)),
        .init("§6 exponents", "[1e2,1E+2,1e-2]", [.number(100), .number(100), .number(0.01)]),
        .init("§6 largest double", "1.7976931348623157e308", .number(.greatestFiniteMagnitude)),
        .init("§6 too small becomes zero", "1e-400", .number(0)),
        .init("§7 the short escapes", #""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"),
        .init("§7 escapes in either case", #""\u00e9\u00E9""#, "\u{E9}\u{E9}"),
        .init("§7 a surrogate pair", #""\uD834\udd1e""#, "\u{1D11E}"),
        .init("§7 an escaped zero", #""a\u0000b""#, "a\u{0}b"),
        .init("§7 delete and separators stand unescaped", "\"\u{7F}\u{2028}\"", "\u{7F}\u{2028}"),
        .init("§8.1 UTF-8 of every length", "\"$\u{A2}\u{20AC}\u{1F600}\"", "$\u{A2}\u{20AC}\u{1F600}"),
    ]

    static let refused: [JSONCase] = [
        .init("§2 nothing", "", nil),
        .init("§2 white space only", " \n", nil),
        .init("§2 bytes behind the document", "1 1", nil),
        .init("§2 a second document", "{}{}", nil),
        .init("§2 a zero byte behind it", bytes: Array("{}".utf8) + [0], nil),
        .init("§2 white space of other kinds", "\u{B}1", nil),
        .init("§2 no-break space", "\u{A0}1", nil),
        .init("§3 other case", "True", nil),
        .init("§3 cut literal", "tru", nil),
        .init("§3 longer literal", "nulll", nil),
        .init("§3 NaN", "NaN", nil),
        .init("§3 comment", "/* */1", nil),
        .init("§4 no quotes", "{a:1}", nil),
        .init("§4 single quotes", "{'a':1}", nil),
        .init("§4 trailing comma", "{\"a\":1,}", nil),
        .init("§4 leading comma", "{,\"a\":1}", nil),
        .init("§4 no colon", "{\"a\" 1}", nil),
        .init("§4 no value", "{\"a\":}", nil),
        .init("§4 no comma", "{\"a\":1 \"b\":2}", nil),
        .init("§4 wrong closing", "{\"a\":1]", nil),
        .init("§4 doubled member", "{\"alg\":\"none\",\"alg\":\"ES256\"}", nil),
        .init("§4 doubled in between", "{\"a\":1,\"b\":2,\"a\":1}", nil),
        .init("§4 doubled by an escape", #"{"alg":1,"\u0061lg":2}"#, nil),
        .init("§4 doubled by a surrogate pair", "{\"\u{1F600}\":1,\"\\ud83d\\ude00\":2}", nil),
        .init("§4 doubled by canonical equivalence", "{\"\u{E9}\":1,\"e\u{301}\":2}", nil),
        .init("§4 doubled deep inside", "[{\"a\":{\"x\":1,\"x\":1}}]", nil),
        .init("§5 trailing comma", "[1,]", nil),
        .init("§5 leading comma", "[,1]", nil),
        .init("§5 no comma", "[1 2]", nil),
        .init("§5 wrong closing", "[1}", nil),
        .init("§6 leading zero", "01", nil),
        .init("§6 leading zero behind the sign", "-01", nil),
        .init("§6 plus", "+1", nil),
        .init("§6 sign only", "-", nil),
        .init("§6 no digit before the point", ".5", nil),
        .init("§6 no digit behind the point", "1.", nil),
        .init("§6 no digit in the exponent", "1e", nil),
        .init("§6 only a sign in the exponent", "1e+", nil),
        .init("§6 hexadecimal", "0x10", nil),
        .init("§6 one past the largest integer", "9223372036854775808", nil),
        .init("§6 one past the smallest integer", "-9223372036854775809", nil),
        .init("§6 too large for a double", "1e309", nil),
        .init("§6 Infinity", "Infinity", nil),
        .init("§6 other digits", "\u{661}", nil),
        .init("§7 not closed", "\"abc", nil),
        .init("§7 a line feed", "\"a\nb\"", nil),
        .init("§7 a zero byte", bytes: [0x22, 0x00, 0x22], nil),
        .init("§7 the last control character", bytes: [0x22, 0x1F, 0x22], nil),
        .init("§7 unknown escape", #""\x41""#, nil),
        .init("§7 escape in upper case", #""\N""#, nil),
        .init("§7 three hex digits", #""\u123""#, nil),
        .init("§7 no hex digit", #""\u12g4""#, nil),
        .init("§7 a sign among hex digits", #""\u+123""#, nil),
        .init("§8.2 high surrogate alone", #""\ud800""#, nil),
        .init("§8.2 low surrogate alone", #""\udc00""#, nil),
        .init("§8.2 two high surrogates", #""\ud800\ud800""#, nil),
        .init("§8.2 surrogates in the wrong order", #""\udc00\ud800""#, nil),
        .init("§8.2 high surrogate and a letter", #""\ud800a""#, nil),
        .init("§8.2 high surrogate and another escape", #""\ud800\n""#, nil),
        .init("§8.1 byte order mark", bytes: [0xEF, 0xBB, 0xBF, 0x31], nil),
        .init("§8.1 overlong slash", bytes: [0x22, 0xC0, 0xAF, 0x22], nil),
        .init("§8.1 overlong in three bytes", bytes: [0x22, 0xE0, 0x80, 0xAF, 0x22], nil),
        .init("§8.1 surrogate in UTF-8", bytes: [0x22, 0xED, 0xA0, 0x80, 0x22], nil),
        .init("§8.1 beyond U+10FFFF", bytes: [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], nil),
        .init("§8.1 continuation alone", bytes: [0x22, 0x80, 0x22], nil),
        .init("§8.1 cut sequence", bytes: [0x22, 0xE2, 0x82, 0x22], nil),
        .init("§8.1 cut sequence behind an escape", bytes: [0x22, 0x5C, 0x6E, 0xE2, 0x82, 0x22], nil),
        .init("§8.1 invalid in a name", bytes: [0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D], nil),
        .init("§8.1 UTF-16", bytes: [0x7B, 0x00, 0x7D, 0x00], nil),
    ]

    @Test(arguments: accepted) func `what the clause allows is read`(row: JSONCase) throws {
        let value = try JSONValue(parsing: row.bytes)
        #expect(value == row.expected)
        #expect(try JSONValue(parsing: value.serialized()) == value)
    }

    @Test(arguments: refused) func `what the clause forbids, or leaves to the reader, is refused`(
        row: JSONCase
    ) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: row.bytes) }
    }

    @Test(arguments: accepted.filter { [0x7B, 0x5B, 0x22].contains($0.bytes.first { $0 > 0x20 } ?? 0) })
    func `every strict prefix of a document in brackets or quotes is refused`(row: JSONCase) {
        let end = row.bytes.lastIndex { $0 > 0x20 } ?? 0
        for count in 0..<end {
            #expect(throws: JSONError.self, "\(count) bytes") {
                try JSONValue(parsing: Array(row.bytes[..<count]))
            }
        }
    }

    @Test func `an error names the offset and never the content`() {
        #expect(throws: JSONError(offset: 13, what: "a member is doubled")) {
            try JSONValue(parsing: Array(#"{"secret":1, "secret":2}"#.utf8))
        }
    }
}
