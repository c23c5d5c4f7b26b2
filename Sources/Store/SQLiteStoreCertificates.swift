import Foundation
import GRDB

/// Revoked certificates, beside the sessions: a revocation survives a power cut as a sign-out does.
extension SQLiteStore {
    /// See `GatewayStore`.
    public func revokedSerials() async throws(StoreError) -> [String] {
        try await sessionsFile.read { db in
            try String.fetchAll(db, sql: "SELECT serial FROM revoked_certificates ORDER BY serial")
        }
    }

    /// See `GatewayStore`.
    public func revoke(serialHex: String, atSeconds: Int64) async throws(StoreError) {
        try await sessionsFile.write { db in
            try db.execute(
                sql: "INSERT INTO revoked_certificates (serial, at) VALUES (?, ?) ON CONFLICT DO NOTHING",
                arguments: [serialHex, atSeconds])
        }
    }
}
