import GRDB

/// Refresh tokens as rows, beside the sessions: a foreign key lets them go with their session, whatever ended it.
enum RefreshRows {
    private static let columns = """
        session_id, identity_provider, sealed_token, due_at, refreshed_at, unanswered_since,
        endings_known, failing_since, failure, failure_count
        """
    private static let marks = Array(repeating: "?", count: 10).joined(separator: ", ")

    static func keep(_ refresh: StoredRefresh, _ db: Database, file: String) throws {
        let isAlive = try db.value(
            Bool.self, sql: "SELECT 1 FROM sessions WHERE id = ? AND kind = 'global'",
            arguments: [refresh.sessionID])
        guard isAlive == true else {
            throw StoreError(
                .globalSessionGone, file: file, what: "global session \(refresh.sessionID) has ended",
                remedy: "sign in again")
        }
        try db.run(
            sql: "INSERT OR REPLACE INTO session_refreshes (\(columns)) VALUES (\(marks))",
            arguments: arguments(refresh))
    }

    static func find(sessionID: String, _ db: Database) throws -> StoredRefresh? {
        let sql = "SELECT \(columns) FROM session_refreshes WHERE session_id = ?"
        return try Row.fetchOne(db.cachedStatement(sql: sql), arguments: [sessionID]).map(refresh)
    }

    static func find(sessionIDs: [String], _ db: Database) throws -> [StoredRefresh] {
        try db.rows(
            sql: """
                SELECT \(columns) FROM session_refreshes
                WHERE session_id IN (SELECT value FROM json_each(?)) ORDER BY session_id
                """, arguments: [try JSONColumn.text(sessionIDs)]
        ).map(refresh)
    }

    /// Two ranges of one index, each read from its beginning: what is not due is not looked at.
    static func due(
        of provider: String, nowSeconds: Int64, latestSeconds: Int64, limit: Int, _ db: Database
    ) throws -> [StoredRefresh] {
        let past = "SELECT \(columns) FROM session_refreshes WHERE identity_provider = ? AND due_at"
        var found = try Row.fetchAll(
            db.cachedStatement(sql: "\(past) <= ? ORDER BY due_at LIMIT ?"),
            arguments: [provider, nowSeconds, limit]
        ).map(refresh)
        guard found.count < limit, nowSeconds < latestSeconds else { return found }
        found += try Row.fetchAll(
            db.cachedStatement(sql: "\(past) > ? ORDER BY due_at LIMIT ?"),
            arguments: [provider, latestSeconds, limit - found.count]
        ).map(refresh)
        return found
    }

    /// Two indexes, each read from its beginning.
    static func overdue(
        of provider: String, failingSinceSeconds: Int64, restingSinceSeconds: Int64, dueSinceSeconds: Int64,
        limit: Int, _ db: Database
    ) throws -> [StoredRefresh] {
        let some = "SELECT \(columns) FROM session_refreshes WHERE identity_provider = ? AND"
        var found = try Row.fetchAll(
            db.cachedStatement(
                sql: """
                    \(some) failing_since <= ? AND (due_at IS NOT NULL OR failing_since >= ?)
                    ORDER BY failing_since LIMIT ?
                    """), arguments: [provider, failingSinceSeconds, restingSinceSeconds, limit]
        ).map(refresh)
        guard found.count < limit else { return found }
        found += try Row.fetchAll(
            db.cachedStatement(
                sql: "\(some) failing_since IS NULL AND due_at <= ? ORDER BY due_at LIMIT ?"),
            arguments: [provider, dueSinceSeconds, limit - found.count]
        ).map(refresh)
        return found
    }

    static func replace(
        _ old: StoredRefresh, with new: StoredRefresh, sessions: [SessionChange], _ db: Database,
        file: String
    ) throws -> RefreshReplacement {
        precondition(
            old.sessionID == new.sessionID && old.provider == new.provider,
            "a refresh token cannot become another session's")
        guard try find(sessionID: old.sessionID, db) == old else { return .refreshChanged }
        // First all are compared: nothing is written when one differs.
        for change in sessions {
            guard try SessionRows.find(id: change.old.id, db, file: file) == change.old else {
                return .sessionChanged
            }
        }
        for change in sessions where change.isNamedAnew {
            // Whom that was about nobody knows any more.
            let forgotten = LastEnding(atSeconds: 0, number: try EndingRows.forgotten(db))
            if old.mayHaveMissed(forgotten) { return .sessionEnded }
            if let last = try EndingRows.last(of: change.new, db, file: file), old.mayHaveMissed(last) {
                return .sessionEnded
            }
        }
        for change in sessions {
            guard try SessionRows.replace(change.old, with: change.new, db, file: file) else {
                preconditionFailure("a session changed inside of a transaction")
            }
        }
        try db.run(
            sql: """
                UPDATE session_refreshes SET (\(columns)) = (\(marks))
                WHERE session_id = ?
                """, arguments: arguments(new) + [new.sessionID])
        return .done
    }

    static func end(_ refresh: StoredRefresh, _ db: Database, file: String) throws -> [StoredSession] {
        guard try find(sessionID: refresh.sessionID, db) == refresh else { return [] }
        return try SessionRows.remove(ids: [refresh.sessionID], db, file: file)
    }

    static func remove(sessionID: String, _ db: Database) throws {
        try db.run(sql: "DELETE FROM session_refreshes WHERE session_id = ?", arguments: [sessionID])
    }

    static func wake(_ sessionIDs: [String], atSeconds: Int64, _ db: Database) throws {
        try db.run(
            sql: """
                UPDATE session_refreshes SET due_at = ?
                WHERE session_id IN (SELECT value FROM json_each(?)) AND due_at IS NULL
                """, arguments: [atSeconds, try JSONColumn.text(sessionIDs)])
    }

    static func tallies(_ db: Database) throws -> [String: RefreshTally] {
        let rows = try db.rows(
            sql: """
                SELECT identity_provider, count(*), count(*) - count(due_at), count(failing_since),
                  min(failing_since)
                FROM session_refreshes GROUP BY identity_provider
                """)
        return Dictionary(
            rows.map { row in
                (
                    row[0] as String,
                    RefreshTally(
                        known: row[1], resting: row[2], failing: row[3], failingSinceSeconds: row[4])
                )
            }, uniquingKeysWith: { first, _ in first })
    }

    private static func arguments(_ refresh: StoredRefresh) -> StatementArguments {
        [
            refresh.sessionID, refresh.provider, refresh.sealedToken, refresh.dueAtSeconds,
            refresh.refreshedAtSeconds, refresh.unansweredSinceSeconds, refresh.endingsKnown,
            refresh.failingSinceSeconds, refresh.failure, refresh.failureCount,
        ]
    }

    private static func refresh(_ row: Row) -> StoredRefresh {
        StoredRefresh(
            sessionID: row[0], provider: row[1], sealedToken: row[2], dueAtSeconds: row[3],
            refreshedAtSeconds: row[4], unansweredSinceSeconds: row[5], endingsKnown: row[6],
            failingSinceSeconds: row[7], failure: row[8], failureCount: row[9])
    }
}
