import Store

/// Refresh tokens in memory, with the store's rules.
extension MemoryStore {
    func keep(_ refresh: StoredRefresh) async throws(StoreError) {
        try check()
        guard rows[refresh.sessionID]?.kind == .global else {
            throw StoreError(.globalSessionGone, file: "", what: "gone", remedy: "")
        }
        refreshRows[refresh.sessionID] = refresh
    }
    func refresh(sessionID: String) async throws(StoreError) -> StoredRefresh? {
        try check()
        return refreshRows[sessionID]
    }
    func refreshes(sessionIDs: [String]) async throws(StoreError) -> [StoredRefresh] {
        try check()
        return sessionIDs.compactMap { refreshRows[$0] }
    }
    func dueRefreshes(
        of provider: String, nowSeconds: Int64, latestSeconds: Int64, limit: Int
    ) async throws(StoreError) -> [StoredRefresh] {
        try check()
        let due = refreshRows.values.filter { row in
            guard row.provider == provider, let at = row.dueAtSeconds else { return false }
            return at <= nowSeconds || at > latestSeconds
        }
        let sorted = due.sorted {
            ($0.dueAtSeconds ?? 0, $0.sessionID) < ($1.dueAtSeconds ?? 0, $1.sessionID)
        }
        return Array(sorted.prefix(limit))
    }
    func overdueRefreshes(
        of provider: String, failingSinceSeconds: Int64, restingSinceSeconds: Int64, dueSinceSeconds: Int64,
        limit: Int
    ) async throws(StoreError) -> [StoredRefresh] {
        try check()
        let overdue = refreshRows.values.filter { row in
            guard row.provider == provider else { return false }
            if let since = row.failingSinceSeconds {
                return since <= failingSinceSeconds
                    && (row.dueAtSeconds != nil || since >= restingSinceSeconds)
            }
            return row.dueAtSeconds.map { $0 <= dueSinceSeconds } ?? false
        }
        return Array(overdue.prefix(limit))
    }
    func replace(
        _ old: StoredRefresh, with new: StoredRefresh, sessions: [SessionChange]
    ) async throws(StoreError) -> RefreshReplacement {
        try check()
        guard refreshRows[old.sessionID] == old else { return .refreshChanged }
        guard sessions.allSatisfy({ rows[$0.old.id] == $0.old }) else { return .sessionChanged }
        for change in sessions where change.isNamedAnew {
            if old.mayHaveMissed(LastEnding(atSeconds: 0, number: forgottenNumber)) { return .sessionEnded }
            if let last = try await lastEnding(of: change.new), old.mayHaveMissed(last) {
                return .sessionEnded
            }
        }
        for change in sessions { rows[change.old.id] = change.new }
        refreshRows[old.sessionID] = new
        return .done
    }
    func end(refreshing refresh: StoredRefresh) async throws(StoreError) -> [StoredSession] {
        try check()
        if failsEnds { throw StoreError(.full, file: "", what: "disk full", remedy: "make room") }
        guard refreshRows[refresh.sessionID] == refresh else { return [] }
        return try await remove(sessionIDs: [refresh.sessionID])
    }
    func removeRefresh(sessionID: String) async throws(StoreError) {
        try check()
        refreshRows[sessionID] = nil
    }
    func wake(refreshesOf sessionIDs: [String], atSeconds: Int64) async throws(StoreError) {
        try check()
        for id in sessionIDs where refreshRows[id] != nil && refreshRows[id]?.dueAtSeconds == nil {
            refreshRows[id]?.dueAtSeconds = atSeconds
        }
    }
    func refreshTallies() async throws(StoreError) -> [String: RefreshTally] {
        try check()
        return Dictionary(grouping: refreshRows.values, by: \.provider).mapValues { rows in
            RefreshTally(
                known: rows.count, resting: rows.count { $0.dueAtSeconds == nil },
                failing: rows.count { $0.failingSinceSeconds != nil },
                failingSinceSeconds: rows.compactMap(\.failingSinceSeconds).min())
        }
    }
}
