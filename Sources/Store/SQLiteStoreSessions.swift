import Foundation
import GRDB

/// Sessions, nonces and what expires.
extension SQLiteStore {
    /// Sessions forgotten in one transaction, so that a sign-out never waits for a long clean-up.
    static let expiredBatchMax = 1_000

    /// See `GatewayStore`.
    public func insert(_ session: StoredSession) async throws(StoreError) {
        let file = sessionsFile.path
        try await sessionsFile.write { try SessionRows.insert(session, $0, file: file) }
    }

    /// See `GatewayStore`.
    public func session(tokenDigest: [UInt8], nowSeconds: Int64) async throws(StoreError) -> StoredSession? {
        let file = sessionsFile.path
        return try await sessionsFile.read(isShort: true) {
            try SessionRows.find(tokenDigest: tokenDigest, nowSeconds: nowSeconds, $0, file: file)
        }
    }

    /// See `GatewayStore`.
    public func session(id: String) async throws(StoreError) -> StoredSession? {
        let file = sessionsFile.path
        return try await sessionsFile.read(isShort: true) { try SessionRows.find(id: id, $0, file: file) }
    }

    /// See `GatewayStore`.
    public func sessions(_ query: SessionQuery, limit: Int) async throws(StoreError) -> [StoredSession] {
        let file = sessionsFile.path
        let bounded = min(max(limit, 1), Self.listingMax)
        return try await sessionsFile.read(isShort: query.isShort) {
            try SessionRows.list(query, limit: bounded, $0, file: file)
        }
    }

    /// See `GatewayStore`.
    public func replace(_ old: StoredSession, with new: StoredSession) async throws(StoreError) -> Bool {
        let file = sessionsFile.path
        return try await sessionsFile.write { try SessionRows.replace(old, with: new, $0, file: file) }
    }

    /// See `GatewayStore`.
    @discardableResult
    public func remove(sessionIDs: [String]) async throws(StoreError) -> [StoredSession] {
        guard !sessionIDs.isEmpty else { return [] }
        let file = sessionsFile.path
        return try await sessionsFile.write { try SessionRows.remove(ids: sessionIDs, $0, file: file) }
    }

    /// See `GatewayStore`.
    public func consumeNonce(_ digest: [UInt8], expiresAtSeconds: Int64) async throws(StoreError) -> Bool {
        try await sessionsFile.write { db in
            try db.run(
                sql: "INSERT OR IGNORE INTO nonces (digest, expires_at) VALUES (?, ?)",
                arguments: [Data(digest), expiresAtSeconds])
            return db.changesCount == 1
        }
    }

    /// See `GatewayStore`.
    @discardableResult
    public func removeExpired(nowSeconds: Int64) async throws(StoreError) -> [String] {
        let file = sessionsFile.path
        var removed: [String] = []
        while true {
            let some = try await sessionsFile.write { db in
                let ids = try SessionRows.expired(nowSeconds: nowSeconds, limit: Self.expiredBatchMax, db)
                return try SessionRows.remove(ids: ids, db, file: file).map(\.id)
            }
            removed += some
            if some.isEmpty { break }
        }
        try await sessionsFile.write { db in
            // Strictly before: in the second in which it expires a nonce may still be under examination.
            try db.run(sql: "DELETE FROM nonces WHERE expires_at < ?", arguments: [nowSeconds])
            try db.run(
                sql: "DELETE FROM enrollment_tokens WHERE expires_at <= ?", arguments: [nowSeconds])
            try EndingRows.forget(nowSeconds: nowSeconds, db)
            try db.run(
                sql: "DELETE FROM statement_times WHERE issued_at <= ?",
                arguments: [nowSeconds - Self.statementSeconds])
        }
        return removed
    }
}

extension SessionQuery {
    /// Whether it can only be about few sessions: those of one sign-in, or some by their ids.
    fileprivate var isShort: Bool {
        switch self {
        case .global: true
        case .ids(let ids): ids.count <= 64
        case .all, .person, .email, .device, .globals, .devices, .provider, .application: false
        }
    }
}
