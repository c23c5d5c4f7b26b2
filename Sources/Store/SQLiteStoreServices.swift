import Foundation
import GRDB

/// Service tokens, beside the sessions: a revocation survives a power cut as a sign-out does.
extension SQLiteStore {
    /// See `GatewayStore`.
    public func serviceTokens() async throws(StoreError) -> [StoredServiceToken] {
        let file = sessionsFile.path
        return try await sessionsFile.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM service_tokens ORDER BY name, created_at, id").map {
                row in
                guard let id: String = row["id"], let name: String = row["name"],
                    let digest: Data = row["digest"], digest.count == 32,
                    let created: Int64 = row["created_at"], let expires: Int64 = row["expires_at"]
                else {
                    throw StoreError(
                        .malformedRow, file: file, what: "a service token",
                        remedy: "restore the file from a backup")
                }
                return StoredServiceToken(
                    id: id, name: name, digest: Array(digest), createdAtSeconds: created,
                    expiresAtSeconds: expires, lastUsedAtSeconds: row["last_used_at"])
            }
        }
    }

    /// See `GatewayStore`.
    public func upsert(_ tokens: [StoredServiceToken]) async throws(StoreError) {
        guard !tokens.isEmpty else { return }
        try await sessionsFile.write { db in
            for token in tokens {
                try db.execute(
                    sql: """
                        INSERT INTO service_tokens (id, name, digest, created_at, expires_at, last_used_at)
                        VALUES (?, ?, ?, ?, ?, ?)
                        ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at,
                          last_used_at = excluded.last_used_at
                        """,
                    arguments: [
                        token.id, token.name, Data(token.digest), token.createdAtSeconds,
                        token.expiresAtSeconds, token.lastUsedAtSeconds,
                    ])
            }
        }
    }

    /// See `GatewayStore`.
    public func noteUse(ofServiceTokens used: [String: Int64]) async throws(StoreError) {
        guard !used.isEmpty else { return }
        try await sessionsFile.write { db in
            for (id, seconds) in used {
                try db.execute(
                    sql: "UPDATE service_tokens SET last_used_at = ? WHERE id = ?", arguments: [seconds, id])
            }
        }
    }

    /// See `GatewayStore`.
    public func removeServiceTokens(ids: [String]) async throws(StoreError) {
        guard !ids.isEmpty else { return }
        try await sessionsFile.write { db in
            for id in ids {
                try db.execute(sql: "DELETE FROM service_tokens WHERE id = ?", arguments: [id])
            }
        }
    }
}
