import Foundation
import GRDB

/// When statements about devices were made, beside the devices: what one took back stays taken back over a restart.
extension SQLiteStore {
    /// A statement's longest life: an older one than this has ended by itself.
    static let statementSeconds: Int64 = 86_400

    /// See `GatewayStore`.
    public func statementTimes() async throws(StoreError) -> [String: Int64] {
        try await sessionsFile.read { db in
            let rows = try Row.fetchAll(db, sql: "SELECT device, issued_at FROM statement_times")
            return Dictionary(
                rows.map { ($0["device"] as String, $0["issued_at"] as Int64) },
                uniquingKeysWith: { first, _ in first })
        }
    }

    /// See `GatewayStore`.
    public func noteStatement(ofDevice id: String, issuedAtSeconds: Int64) async throws(StoreError) {
        try await sessionsFile.write { db in
            try db.run(
                sql: """
                    INSERT INTO statement_times (device, issued_at) VALUES (?, ?)
                    ON CONFLICT (device) DO UPDATE SET issued_at = max(issued_at, excluded.issued_at)
                    """,
                arguments: [id, issuedAtSeconds])
        }
    }
}
