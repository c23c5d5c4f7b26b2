/// Request methods (RFC 9110 §9). Names are case-sensitive: `get` is `other`.
public enum Method: UInt8, Sendable, CaseIterable {
    case get, head, post, put, delete, options, patch
    /// Any other token; its bytes are `CanonicalRequest.methodRange`.
    case other

    /// RFC 9110 §9.2.2: whether a request may be sent again when a reused connection dies under it.
    public var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options: true
        case .post, .patch, .other: false
        }
    }

    /// The name; empty for `.other`.
    public var name: StaticString {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        case .patch: "PATCH"
        case .other: ""
        }
    }

    /// - Parameters:
    ///   - word: the name as `WordScan.word` gives it.
    ///   - count: its length, without which NULs behind the name would not count.
    init(word: UInt64, count: Int) {
        self =
            switch (count, word) {
            case (3, 0x54_4547): .get
            case (4, 0x5453_4f50): .post
            case (4, 0x4441_4548): .head
            case (3, 0x54_5550): .put
            case (6, 0x4554_454c_4544): .delete
            case (7, 0x53_4e4f_4954_504f): .options
            case (5, 0x48_4354_4150): .patch
            default: .other
            }
    }

    /// - Parameter range: where the method stands in `bytes`; not empty.
    init(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        self =
            range.count > 8
            ? .other
            : Method(
                word: WordScan.word(bytes, at: range.lowerBound, count: range.count), count: range.count)
    }

    /// CONNECT opens a tunnel past every decision, and TRACE would show the client the identity fields that
    /// the gateway adds: neither is spoken here.
    static func isRefused(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        equals(bytes, range, "CONNECT") || equals(bytes, range, "TRACE")
    }

    private static func equals(_ bytes: Span<UInt8>, _ range: Range<Int>, _ name: StaticString) -> Bool {
        guard range.count == name.utf8CodeUnitCount else { return false }
        for index in 0..<range.count where bytes[range.lowerBound + index] != name.utf8Start[index] {
            return false
        }
        return true
    }
}

/// The protocol version of a message: the only ones spoken here are 1.0 and 1.1.
public enum HTTPVersion: UInt8, Sendable {
    case http10, http11
}
