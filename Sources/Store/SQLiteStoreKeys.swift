import GRDB

/// Keys that sessions are bound to, beside the sessions: both change in one transaction.
extension SQLiteStore {
    /// See `GatewayStore`.
    public func bind(
        _ old: StoredSession, as new: StoredSession, to key: SessionKey
    ) async throws(StoreError) -> Bool {
        precondition(key.sessionID == new.id, "the key is another session's")
        let file = sessionsFile.path
        return try await sessionsFile.write { db in
            let isBound =
                try Bool.fetchOne(
                    db, sql: "SELECT 1 FROM session_keys WHERE session_id = ?", arguments: [key.sessionID])
                ?? false
            guard !isBound, try SessionRows.replace(old, with: new, db, file: file) else { return false }
            try db.execute(
                sql: "INSERT INTO session_keys (session_id, jwk, registered_at) VALUES (?, ?, ?)",
                arguments: [key.sessionID, key.jwk, key.registeredAtSeconds])
            return true
        }
    }

    /// See `GatewayStore`.
    public func sessionKey(sessionID: String) async throws(StoreError) -> SessionKey? {
        try await sessionsFile.read { db in
            try Row.fetchOne(
                db, sql: "SELECT session_id, jwk, registered_at FROM session_keys WHERE session_id = ?",
                arguments: [sessionID]
            ).map { SessionKey(sessionID: $0[0], jwk: $0[1], registeredAtSeconds: $0[2]) }
        }
    }
}
