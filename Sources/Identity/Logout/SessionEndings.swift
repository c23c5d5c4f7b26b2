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
    /// By our own clock on both sides. In the same second the ending wins. One that is dated ahead counts as
    /// well: it was noted before now, by a clock that has gone back, and whether before the sign-in began
    /// nobody can tell. Once a minute such endings are dated anew (`GatewayStore.settleEndings`), so nobody is
    /// kept out for longer.
    ///
    /// - Parameter known: how many endings there were when it began: later ones count however a clock that has gone
    ///   back meanwhile dates them.
    func ending(
        of session: StoredSession, sinceSeconds began: Int64, beyond known: Int64
    ) async throws(StoreError) -> Int64? {
        guard let last = try await store.lastEnding(of: session) else { return nil }
        return began <= last.atSeconds || known < last.number ? last.atSeconds : nil
    }
}
