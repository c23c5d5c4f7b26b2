/// How the body after a head is delimited (RFC 9112 §6.3).
public enum BodyFraming: Sendable, Hashable {
    /// No body bytes follow.
    case none
    /// Exactly this many bytes follow; 0 is allowed.
    case length(Int64)
    /// Chunks follow: `ChunkedDecoder`.
    case chunked
    /// Responses only: everything until the upstream closes.
    case untilClose
}

extension BodyFraming {
    /// Of a request: both fields together, lists and repetitions are refused rather than resolved, because
    /// the next hop may resolve them differently (RFC 9112 §11.2).
    init(requestIn bytes: Span<UInt8>, _ fields: borrowing FieldTable, version: HTTPVersion) throws(HeadError)
    {
        if fields.contains(.transferEncoding) {
            guard !fields.contains(.contentLength) else { throw .contentLengthWithTransferEncoding }
            guard version == .http11 else { throw .transferEncodingInOldVersion }
            try BodyFraming.checkChunked(bytes, fields)
            self = .chunked
        } else if let length = try BodyFraming.contentLength(bytes, fields) {
            self = .length(length)
        } else {
            self = .none
        }
    }

    /// Of a response to `method`. Framing fields where no body can be are refused when they would mean one.
    init(
        responseIn bytes: Span<UInt8>, _ fields: borrowing FieldTable, status: Int, method: Method,
        version: HTTPVersion, length: Int64?
    ) throws(HeadError) {
        let hasTransferEncoding = fields.contains(.transferEncoding)
        if hasTransferEncoding {
            guard !fields.contains(.contentLength) else { throw .contentLengthWithTransferEncoding }
            guard version == .http11 else { throw .transferEncodingInOldVersion }
            try BodyFraming.checkChunked(bytes, fields)
        }
        if status < 200 || status == 204 {
            // RFC 9112 §6.1: MUST NOT be sent; some hop before us may already have taken a body for it.
            guard !hasTransferEncoding else { throw .transferEncodingWithoutBody }
            guard status == 204 || length == nil || length == 0 else { throw .invalidContentLength }
            self = .none
        } else if method == .head || status == 304 {
            self = .none
        } else if hasTransferEncoding {
            self = .chunked
        } else if let length {
            // RFC 9110 §15.3.6: 205 has no content, and says so with a length of zero.
            guard status != 205 || length == 0 else { throw .invalidContentLength }
            self = .length(length)
        } else {
            self = .untilClose
        }
    }

    /// The only Content-Length, nil when there is none (RFC 9110 §8.6: 1*DIGIT and nothing else).
    static func contentLength(_ bytes: Span<UInt8>, _ fields: borrowing FieldTable) throws(HeadError)
        -> Int64?
    {
        guard let value = fields.value(.contentLength) else { return nil }
        guard !fields.isRepeated(.contentLength) else { throw .multipleContentLength }
        guard let length = length(bytes, value.indices) else { throw .invalidContentLength }
        return length
    }

    /// 1*DIGIT, as far as 64 bits go; nil: it is no such number.
    @inline(__always)
    static func length(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int64? {
        guard !range.isEmpty else { return nil }
        var length: Int64 = 0
        for index in range {
            let digit = bytes[index] &- 48
            guard digit < 10 else { return nil }
            if range.count <= 18 {
                length = length &* 10 &+ Int64(digit)  // Below 10^18.
                continue
            }
            let (product, overflowed) = length.multipliedReportingOverflow(by: 10)
            let (sum, carried) = product.addingReportingOverflow(Int64(digit))
            guard !overflowed, !carried else { return nil }
            length = sum
        }
        return length
    }

    /// Exactly one Transfer-Encoding field that is exactly `chunked` (RFC 9112 §6.1).
    private static func checkChunked(_ bytes: Span<UInt8>, _ fields: borrowing FieldTable) throws(HeadError) {
        guard !fields.isRepeated(.transferEncoding) else { throw .multipleTransferEncoding }
        guard let value = fields.value(.transferEncoding) else { return }
        if ByteClass.equalFolded(bytes, value.indices, "chunked") { return }
        // One other coding is "not implemented"; anything that needs interpreting is an attack on somebody's
        // parser.
        guard !value.isEmpty else { throw .invalidTransferEncoding }
        for index in value.indices where !ByteClass.isToken(bytes[index]) { throw .invalidTransferEncoding }
        throw .unsupportedTransferCoding
    }
}
