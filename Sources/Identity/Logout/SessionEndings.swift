public import Store

/// Ending sessions by what they have in common.
extension Sessions {
    /// Ends a scope, however much it is: what it holds, and sign-ins under way that began before.
    ///
    /// - Parameter ended: told of each part as soon as the store has forgotten it.
    /// - Returns: everything that was ended; nil when `once` was used before, and then nothing was.
    public func end(
        _ scope: EndingScope, once: OneTime? = nil, nowSeconds: Int64,
        ended: @Sendable ([StoredSession]) -> Void
    ) async throws(StoreError) -> [StoredSession]? {
        var once = once
        var all: [StoredSession] = []
        while true {
            guard let some = try await store.end(scope, atSeconds: nowSeconds, once: once) else { return nil }
            ended(some.sessions)
            all += some.sessions
            if some.isComplete { return all }
            once = nil
        }
    }

    /// When something was last ended that a sign-in which began at this second belongs to; nil: it was not, since then.
    ///
    /// By our own clock on both sides. In the same second the ending wins. One noted later than any sign-in
    /// can be under way comes from a clock that was wrong, and says nothing.
    ///
    /// - Parameter until: the end of its time.
    func ending(
        of session: StoredSession, sinceSeconds began: Int64, until end: Int64
    ) async throws(StoreError) -> Int64? {
        guard let last = try await store.lastEnding(of: session) else { return nil }
        return (began...max(began, end)).contains(last) ? last : nil
    }
}
