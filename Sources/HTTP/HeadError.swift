/// The rule of HTTP (or ours) that a message head broke. The connection closes after any of these: after a
/// framing error the next byte's meaning is unknown (RFC 9112 §6.3).
///
/// The raw value is the stable word for logs. From an upstream all of them mean 502.
public enum HeadError: String, Error, Sendable, Hashable, CaseIterable {
    // Lines (RFC 9112 §2.2, §5)
    case bareLineFeed = "bare-line-feed"
    case bareCarriageReturn = "bare-carriage-return"
    case leadingEmptyLines = "leading-empty-lines"
    case headTooLarge = "head-too-large"
    case tooManyFields = "too-many-fields"
    // Request line (RFC 9112 §3)
    case malformedRequestLine = "malformed-request-line"
    case methodTooLong = "method-too-long"
    case methodNotImplemented = "method-not-implemented"
    case malformedVersion = "malformed-version"
    case unsupportedVersion = "unsupported-version"
    case targetTooLong = "target-too-long"
    case invalidTargetByte = "invalid-target-byte"
    case fragmentInTarget = "fragment-in-target"
    case malformedTarget = "malformed-target"
    case asteriskWithoutOptions = "asterisk-without-options"
    case authorityMismatch = "authority-mismatch"
    case schemeMismatch = "scheme-mismatch"
    // Path (RFC 3986 §2.1, §3.3, §6.2; and our refusals)
    case invalidPathByte = "invalid-path-byte"
    case malformedPercentEncoding = "malformed-percent-encoding"
    case dotSegment = "dot-segment"
    case emptySegment = "empty-segment"
    case encodedSeparator = "encoded-separator"
    case encodedControl = "encoded-control"
    case twiceEncoded = "twice-encoded"
    case overlongEncoding = "overlong-encoding"
    // Status line (RFC 9112 §4)
    case malformedStatusLine = "malformed-status-line"
    // Fields (RFC 9110 §5, RFC 9112 §5)
    case emptyFieldName = "empty-field-name"
    case invalidFieldName = "invalid-field-name"
    case whitespaceBeforeColon = "whitespace-before-colon"
    case foldedLine = "folded-line"
    case invalidFieldValue = "invalid-field-value"
    // Host (RFC 9112 §3.2)
    case missingHost = "missing-host"
    case multipleHost = "multiple-host"
    case invalidHost = "invalid-host"
    // Framing (RFC 9112 §6)
    case multipleContentLength = "multiple-content-length"
    case invalidContentLength = "invalid-content-length"
    case contentLengthWithTransferEncoding = "content-length-with-transfer-encoding"
    case multipleTransferEncoding = "multiple-transfer-encoding"
    case invalidTransferEncoding = "invalid-transfer-encoding"
    case unsupportedTransferCoding = "unsupported-transfer-coding"
    case transferEncodingInOldVersion = "transfer-encoding-in-http-1-0"
    case transferEncodingWithoutBody = "transfer-encoding-without-body"
    // Fields that steer the connection (RFC 9110 §7.6.1, §7.8, §10.1.1)
    case invalidConnection = "invalid-connection"
    case connectionNamesProtectedField = "connection-names-protected-field"
    case unsupportedExpectation = "unsupported-expectation"
    case multipleExpectation = "multiple-expectation"
    case invalidUpgrade = "invalid-upgrade"

    /// The status to answer when the broken head came from downstream.
    public var status: Int {
        switch self {
        case .targetTooLong: 414
        case .headTooLarge, .tooManyFields: 431
        case .methodTooLong, .methodNotImplemented, .unsupportedTransferCoding: 501
        case .unsupportedVersion: 505
        case .unsupportedExpectation: 417
        case .bareLineFeed, .bareCarriageReturn, .leadingEmptyLines, .malformedRequestLine, .malformedVersion,
            .invalidTargetByte, .fragmentInTarget, .malformedTarget, .asteriskWithoutOptions,
            .authorityMismatch,
            .schemeMismatch, .invalidPathByte, .malformedPercentEncoding, .dotSegment, .emptySegment,
            .encodedSeparator, .encodedControl, .twiceEncoded, .overlongEncoding, .malformedStatusLine,
            .emptyFieldName, .invalidFieldName, .whitespaceBeforeColon, .foldedLine, .invalidFieldValue,
            .missingHost, .multipleHost, .invalidHost, .multipleContentLength, .invalidContentLength,
            .contentLengthWithTransferEncoding, .multipleTransferEncoding, .invalidTransferEncoding,
            .transferEncodingInOldVersion, .transferEncodingWithoutBody, .invalidConnection,
            .connectionNamesProtectedField, .multipleExpectation, .invalidUpgrade:
            400
        }
    }
}
