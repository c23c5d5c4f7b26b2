/// Why a security event token is not taken, in the words that its transmitter understands.
public struct SignalRefusal: Error, Sendable, Hashable {
    /// Registered codes of RFC 8935 §2.4, and `invalid_state` of Shared Signals 1.0 §8.1.4.2.
    public enum Code: String, Sendable, CaseIterable {
        case invalidRequest = "invalid_request"
        case invalidKey = "invalid_key"
        case invalidIssuer = "invalid_issuer"
        case invalidAudience = "invalid_audience"
        case authenticationFailed = "authentication_failed"
        case accessDenied = "access_denied"
        case invalidState = "invalid_state"
    }
    /// The word of `err`.
    public var code: Code
    /// The sentence of `description`: names the rule that was broken, never a value of ours.
    public var what: String

    /// Makes a refusal.
    public init(_ code: Code, _ what: String) {
        self.code = code
        self.what = what
    }
}
