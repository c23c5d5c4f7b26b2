import Access
import Store

/// Sign-ins of one browser in memory, with the store's rules.
extension MemoryStore {
    /// Every sign-in of the browsers that these are of, those in front.
    func browser(from ids: [String]) -> [StoredSession] {
        var found: [StoredSession] = []
        var next = ids
        while !next.isEmpty {
            guard let session = rows[next.removeFirst()], session.kind == .global,
                !found.contains(where: { $0.id == session.id })
            else { continue }
            found.append(session)
            next += session.linkedIDs + sharing(session).map(\.id)
        }
        return found
    }

    private func sharing(_ session: StoredSession) -> [StoredSession] {
        let own = session.browserNames
        return rows.values.filter { other in
            other.kind == .global && other.id != session.id
                && (own.contains(other.id)
                    || other.browserNames.contains { $0 == session.id || own.contains($0) })
        }.sorted { ($1.createdAtSeconds, $0.id) < ($0.createdAtSeconds, $1.id) }
    }

    func signOut(
        _ ids: [String], names: [String], atSeconds: Int64
    ) async throws(StoreError) -> SignedOutSessions {
        try check()
        let browser = browser(from: ids)
        let own = browser.map(\.id)
        try await noteSignOut(ofBrowsers: names + own + browser.flatMap(\.browserNames), atSeconds: atSeconds)
        let refreshes = own.compactMap { refreshRows[$0] }
        return SignedOutSessions(sessions: try await remove(sessionIDs: own), refreshes: refreshes)
    }

    func linkBrowser(of id: String, with others: [String]) async throws(StoreError) -> [StoredSession] {
        try check()
        guard let session = rows[id], session.kind == .global else { return [] }
        let first = others + session.linkedIDs + sharing(session).map(\.id)
        let browser = browser(from: first.filter { $0 != id }).filter { $0.id != id }
        let kept = browser.prefix(StoredSession.linkedMax).map(\.id)
        if !kept.isEmpty { rows[id]?.claims[StoredSession.linkedClaim] = .list(kept) }
        for other in kept {
            let known = rows[other]?.linkedIDs.filter(kept.contains) ?? []
            let further = kept.filter { $0 != other && !known.contains($0) }
            rows[other]?.claims[StoredSession.linkedClaim] = .list([id] + known + further)
        }
        return try await remove(sessionIDs: browser.dropFirst(kept.count).map(\.id))
    }
}
