import GRDB

/// Refresh tokens, in the file of the sessions: one transaction changes both.
extension SQLiteStore {
    /// See `RefreshStore`.
    public func keep(_ refresh: StoredRefresh) async throws(StoreError) {
        let file = sessionsFile.path
        try await sessionsFile.write { try RefreshRows.keep(refresh, $0, file: file) }
    }

    /// See `RefreshStore`.
    public func refresh(sessionID: String) async throws(StoreError) -> StoredRefresh? {
        try await sessionsFile.read(isShort: true) { try RefreshRows.find(sessionID: sessionID, $0) }
    }

    /// See `RefreshStore`.
    public func refreshes(sessionIDs: [String]) async throws(StoreError) -> [StoredRefresh] {
        guard !sessionIDs.isEmpty else { return [] }
        return try await sessionsFile.read { try RefreshRows.find(sessionIDs: sessionIDs, $0) }
    }

    /// See `RefreshStore`.
    public func dueRefreshes(
        of provider: String, nowSeconds: Int64, latestSeconds: Int64, limit: Int
    ) async throws(StoreError) -> [StoredRefresh] {
        try await sessionsFile.read {
            try RefreshRows.due(
                of: provider, nowSeconds: nowSeconds, latestSeconds: latestSeconds, limit: limit, $0)
        }
    }

    /// See `RefreshStore`.
    public func overdueRefreshes(
        of provider: String, failingSinceSeconds: Int64, restingSinceSeconds: Int64, dueSinceSeconds: Int64,
        limit: Int
    ) async throws(StoreError) -> [StoredRefresh] {
        try await sessionsFile.read {
            try RefreshRows.overdue(
                of: provider, failingSinceSeconds: failingSinceSeconds,
                restingSinceSeconds: restingSinceSeconds, dueSinceSeconds: dueSinceSeconds, limit: limit, $0)
        }
    }

    /// See `RefreshStore`.
    public func replace(
        _ old: StoredRefresh, with new: StoredRefresh, sessions: [SessionChange]
    ) async throws(StoreError) -> RefreshReplacement {
        let file = sessionsFile.path
        return try await sessionsFile.write {
            try RefreshRows.replace(old, with: new, sessions: sessions, $0, file: file)
        }
    }

    /// See `RefreshStore`.
    public func end(refreshing refresh: StoredRefresh) async throws(StoreError) -> [StoredSession] {
        let file = sessionsFile.path
        return try await sessionsFile.write { try RefreshRows.end(refresh, $0, file: file) }
    }

    /// See `RefreshStore`.
    public func removeRefresh(sessionID: String) async throws(StoreError) {
        try await sessionsFile.write { try RefreshRows.remove(sessionID: sessionID, $0) }
    }

    /// See `RefreshStore`.
    public func wake(refreshesOf sessionIDs: [String], atSeconds: Int64) async throws(StoreError) {
        guard !sessionIDs.isEmpty else { return }
        try await sessionsFile.write { try RefreshRows.wake(sessionIDs, atSeconds: atSeconds, $0) }
    }

    /// See `RefreshStore`.
    public func refreshTallies() async throws(StoreError) -> [String: RefreshTally] {
        try await sessionsFile.read { try RefreshRows.tallies($0) }
    }
}
