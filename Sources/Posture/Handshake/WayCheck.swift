import Access
import JSON

/// Whether what an answer says of its way is true, as far as it can be seen (handshake.md 4.3).
enum WayCheck {
    /// The way is one that this gateway offers, and the agent saw our origin exactly where a browser shows it one:
    /// navigations and popups carry none.
    static func verify(_ claims: AssertionClaims, authOrigin: String) throws(PostureRefusal) {
        guard AssertionVerifier.transports.contains(claims.transport) else {
            throw PostureRefusal(
                .statementInvalid, "transport \(claims.transport) is not offered", isAlert: true)
        }
        let hasNoOrigin = claims.origin == nil || claims.origin == .null
        guard claims.transport == "fetch" ? claims.origin == .string(authOrigin) : hasNoOrigin else {
            throw PostureRefusal(
                .originMismatch, "the agent saw another origin by \(claims.transport)", isAlert: true)
        }
    }

    /// An answer that was made for an address came in one, and no other did.
    ///
    /// - Parameter isReturn: it came in the address of a navigation.
    static func verify(_ claims: AssertionClaims, isReturn: Bool) throws(PostureRefusal) {
        guard isReturn == (claims.transport == "navigation") else {
            throw PostureRefusal(
                .statementInvalid, "an answer by \(claims.transport) came in another way", isAlert: true)
        }
    }
}
