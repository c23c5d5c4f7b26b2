import Access
import GRDB

/// Verdicts and synchronisation states as rows. The record is kept whole, as JSON text; the columns beside it
/// are what is asked for.
enum VerdictRows {
    static func upsert(_ verdicts: [Verdict], _ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO verdicts
                  (integration, native_id, state, observed_at, fetched_at, expires_at, record)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """)
        for verdict in verdicts {
            try statement.execute(arguments: [
                verdict.integration, verdict.nativeID, verdict.state.rawValue, verdict.observedAtSeconds,
                verdict.fetchedAtSeconds, verdict.expiresAtSeconds, try JSONColumn.text(verdict),
            ])
        }
    }

    static func list(integration: String?, _ db: Database, file: String) throws -> [Verdict] {
        let condition = integration == nil ? "" : "WHERE integration = ?"
        let arguments = integration.map { StatementArguments([$0]) } ?? StatementArguments()
        let sql = "SELECT record FROM verdicts \(condition) ORDER BY integration, native_id"
        return try String.fetchAll(db, sql: sql, arguments: arguments).map {
            try JSONColumn.value($0, "verdicts.record", file: file)
        }
    }

    static func upsert(_ state: SyncState, _ db: Database) throws {
        try db.execute(
            sql:
                "INSERT OR REPLACE INTO sync_states (integration, completed_at, delta_link) VALUES (?, ?, ?)",
            arguments: [state.integration, state.completedAtSeconds, state.deltaLink])
    }

    static func state(_ integration: String, _ db: Database) throws -> SyncState? {
        let sql = "SELECT completed_at, delta_link FROM sync_states WHERE integration = ?"
        return try Row.fetchOne(db, sql: sql, arguments: [integration]).map {
            SyncState(
                integration: integration, completedAtSeconds: $0["completed_at"], deltaLink: $0["delta_link"])
        }
    }
}
