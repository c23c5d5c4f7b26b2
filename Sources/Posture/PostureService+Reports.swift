import Access

extension PostureService {
    /// The words of one device check's page that count. A page has a handful of states, and each is told once.
    public static let reportsMax = 16

    /// Uses up the nonce of an answer that came with no session or with a foreign one: whoever carries an
    /// answer to another browser has spoilt it (handshake.md 5, relay by navigation).
    ///
    /// - Returns: whether there was a live one.
    public func discard(assertion: String) -> Bool {
        guard assertion.utf8.count <= AssertionClaims.bytesMax,
            let nonce = try? AssertionClaims.nonce(ofUnverified: assertion)
        else { return false }
        return (try? nonces.consume(nonce, nowSeconds: clock.nowSeconds())) != nil
    }

    /// Notes that the page of a device check says something of itself. Nothing is decided by it.
    ///
    /// - Returns: the application that the check is for.
    /// - Throws: `session-mismatch` when the check is not this session's, `rate-limited` when it says too much.
    public func report(transaction: String, globalSession: String) throws(PostureRefusal) -> String {
        let found = try transactions.find(
            transaction, globalSession: globalSession, nowSeconds: clock.nowSeconds())
        guard transactions.report(transaction, max: Self.reportsMax) else {
            throw PostureRefusal(.rateLimited, "the page of a device check says too much")
        }
        return found.application
    }
}
