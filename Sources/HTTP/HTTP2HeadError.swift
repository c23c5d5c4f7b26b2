/// The rule of HTTP/2 that a field section broke (RFC 9113 §8.1 to §8.3; RFC 8441 §4): the request is malformed, and
/// its stream is reset. The raw value is the stable word for logs.
public enum HTTP2HeadError: String, Error, Sendable, Hashable, CaseIterable {
    case emptyName = "empty-field-name"
    case invalidName = "invalid-field-name"
    case invalidValue = "invalid-field-value"
    case unknownPseudoField = "unknown-pseudo-field"
    case repeatedPseudoField = "repeated-pseudo-field"
    case latePseudoField = "late-pseudo-field"
    case missingPseudoField = "missing-pseudo-field"
    case forbiddenPseudoField = "forbidden-pseudo-field"
    case invalidPseudoField = "invalid-pseudo-field"
    case connectionField = "connection-specific-field"
    case authorityMismatch = "authority-mismatch"
    case trailerWithoutEnd = "trailer-without-end"
}
