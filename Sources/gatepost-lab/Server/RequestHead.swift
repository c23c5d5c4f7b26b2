/// A request line and its fields, read strictly: what is ambiguous is refused, nothing is repaired.

/// Why a head was refused, with the status to answer.
struct HeadRefusal: Error, Equatable {
    var status: Int
    var what: String
}

struct RequestHead {
    enum Body: Equatable { case none, length(Int64), chunked }

    static let bytesMax = 32 << 10
    static let fieldsMax = 100

    let method: String
    /// The target as sent, beginning with "/".
    let target: String
    /// In the order sent, names in lower case.
    let fields: [(name: String, value: String)]
    let body: Body

    /// `bytes` end with the empty line.
    init(parsing bytes: [UInt8]) throws(HeadRefusal) {
        var lines = try Self.lines(of: bytes)
        guard !lines.isEmpty else { throw HeadRefusal(status: 400, what: "empty head") }
        let words = lines.removeFirst().split(separator: 0x20, omittingEmptySubsequences: false)
        guard words.count == 3 else { throw HeadRefusal(status: 400, what: "request line needs three words") }
        guard words[2].elementsEqual("HTTP/1.1".utf8) else {
            throw HeadRefusal(status: 505, what: "not HTTP/1.1")
        }
        guard Self.isToken(words[0]), words[0].count <= 20 else {
            throw HeadRefusal(status: 400, what: "method")
        }
        guard words[1].first == UInt8(ascii: "/"), words[1].allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw HeadRefusal(status: 400, what: "target is not in origin form")
        }
        guard lines.count <= Self.fieldsMax else { throw HeadRefusal(status: 431, what: "too many fields") }
        var fields: [(name: String, value: String)] = []
        for line in lines { fields.append(try Self.field(line)) }
        guard fields.filter({ $0.name == "host" }).count == 1 else {
            throw HeadRefusal(status: 400, what: "exactly one Host field is needed")
        }
        method = String(decoding: words[0], as: UTF8.self)
        target = String(decoding: words[1], as: UTF8.self)
        self.fields = fields
        body = try Self.body(of: fields)
    }

    private static func lines(of bytes: [UInt8]) throws(HeadRefusal) -> [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        var begin = 0
        for index in bytes.indices {
            switch bytes[index] {
            case 13:
                guard index + 1 < bytes.count, bytes[index + 1] == 10 else {
                    throw HeadRefusal(status: 400, what: "bare CR")
                }
            case 10:
                guard index > 0, bytes[index - 1] == 13 else {
                    throw HeadRefusal(status: 400, what: "bare LF")
                }
                lines.append(bytes[begin..<index - 1])
                begin = index + 1
            case 0: throw HeadRefusal(status: 400, what: "NUL")
            default: break
            }
        }
        while lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }

    private static func field(_ line: ArraySlice<UInt8>) throws(HeadRefusal) -> (name: String, value: String)
    {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), isToken(line[..<colon]) else {
            throw HeadRefusal(status: 400, what: "field name")
        }
        var value = line[(colon + 1)...]
        while let byte = value.first, byte == 0x20 || byte == 0x09 { value = value.dropFirst() }
        while let byte = value.last, byte == 0x20 || byte == 0x09 { value = value.dropLast() }
        guard value.allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7f) }) else {
            throw HeadRefusal(status: 400, what: "control byte in a field value")
        }
        let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
        return (name, String(decoding: value, as: UTF8.self))
    }

    private static func body(of fields: [(name: String, value: String)]) throws(HeadRefusal) -> Body {
        let lengths = fields.filter { $0.name == "content-length" }
        let encodings = fields.filter { $0.name == "transfer-encoding" }
        if encodings.isEmpty {
            guard let length = lengths.first else { return .none }
            guard lengths.count == 1, !length.value.isEmpty, length.value.count <= 18,
                length.value.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let count = Int64(length.value)
            else { throw HeadRefusal(status: 400, what: "Content-Length") }
            return .length(count)
        }
        // RFC 9112 6.1: both at once is how requests are smuggled.
        guard lengths.isEmpty, encodings.count == 1, encodings[0].value.lowercased() == "chunked" else {
            throw HeadRefusal(status: 400, what: "Transfer-Encoding")
        }
        return .chunked
    }

    static func isToken(_ bytes: some Collection<UInt8>) -> Bool {
        !bytes.isEmpty
            && bytes.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"): true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    /// The first field of that name (lower case).
    func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }

    /// The path as sent, without the query.
    var path: String { String(target.prefix { $0 != "?" }) }

    /// The query as sent, without its question mark.
    var query: String {
        guard let mark = target.firstIndex(of: "?") else { return "" }
        return String(target[target.index(after: mark)...])
    }

    /// True when a list field names the token, case-insensitively.
    func lists(_ token: String, in name: String) -> Bool {
        fields.filter { $0.name == name }.contains { field in
            field.value.split(separator: ",").contains {
                $0.drop { $0 == " " }.lowercased().hasPrefix(token)
            }
        }
    }
}
