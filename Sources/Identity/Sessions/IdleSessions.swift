import Access
public import Store

/// Sessions that end because nobody uses them.
extension Sessions {
    /// Notes are taken this often at most: a session in use is asked about every minute, and each note is a write.
    static func stepSeconds(_ idleSeconds: Int64) -> Int64 { max(60, idleSeconds / 8) }

    private static func usedAtSeconds(_ session: StoredSession) -> Int64 {
        guard case .integer(let seconds)? = session.claims[StoredSession.usedClaim] else {
            return session.createdAtSeconds
        }
        return max(seconds, session.createdAtSeconds)
    }

    /// Whether nobody has used a session for so long. The last use may be one step younger than its note, so
    /// it ends that much later, and never early.
    public static func isIdle(
        _ session: StoredSession, idleSeconds: Int64, atSeconds nowSeconds: Int64
    ) -> Bool {
        nowSeconds - usedAtSeconds(session) >= idleSeconds + stepSeconds(idleSeconds)
    }

    /// When a session ends unless it is asked about before.
    public static func idleEndSeconds(_ session: StoredSession, idleSeconds: Int64) -> Int64 {
        usedAtSeconds(session) + idleSeconds + stepSeconds(idleSeconds)
    }

    /// Until when a use needs no note of its own: the one that is there ends the session late enough.
    public static func useNotedUntilSeconds(_ session: StoredSession, idleSeconds: Int64) -> Int64 {
        usedAtSeconds(session) + stepSeconds(idleSeconds)
    }

    /// Notes that a sign-in is used, because it has got a session below it. That session is judged by its own beginning
    /// until its first note; where it ends before, nothing else would tell of the use.
    func noteUse(ofSignIn global: StoredSession, nowSeconds: Int64) async throws(StoreError) {
        try await change(global.id) { $0.claims[StoredSession.usedClaim] = .integer(nowSeconds) }
    }

    /// Notes that an application session, and so its global session, is being used.
    ///
    /// - Parameter idleSeconds: the shortest time that anything below the global session may be judged by.
    /// - Returns: the session with its note.
    @discardableResult
    public func noteUse(
        of session: StoredSession, idleSeconds: Int64, nowSeconds: Int64
    ) async throws(StoreError) -> StoredSession {
        let age = nowSeconds - Self.usedAtSeconds(session)
        // A note from the future, by a clock that was wrong, would keep the session for ever.
        guard !(0..<Self.stepSeconds(idleSeconds)).contains(age) else { return session }
        if let globalID = session.globalID {
            try await change(globalID) { $0.claims[StoredSession.usedClaim] = .integer(nowSeconds) }
        }
        return try await change(session.id) { $0.claims[StoredSession.usedClaim] = .integer(nowSeconds) }
            ?? session
    }
}
