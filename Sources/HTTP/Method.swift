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

    /// - Parameter range: where the method stands in `bytes`; not empty.
    init(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        let candidate: Method
        switch (range.count, bytes[range.lowerBound]) {
        case (3, 0x47): candidate = .get
        case (3, 0x50): candidate = .put
        case (4, 0x48): candidate = .head
        case (4, 0x50): candidate = .post
        case (5, 0x50): candidate = .patch
        case (6, 0x44): candidate = .delete
        case (7, 0x4f): candidate = .options
        default: candidate = .other
        }
        self = candidate != .other && Method.equals(bytes, range, candidate.name) ? candidate : .other
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
