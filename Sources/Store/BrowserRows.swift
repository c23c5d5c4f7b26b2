import Access
import GRDB

/// Which sign-ins are one browser's, as rows: by what those under way knew it by (`StoredSession.browserClaim`). Claims
/// say it, too; whoever signs in must not have to read them all.
enum BrowserRows {
    /// Brings the index to what a session's claims say now.
    static func index(_ session: StoredSession, before: StoredSession?, _ db: Database) throws {
        guard session.kind == .global else { return }
        let names = session.browserNames
        if before?.browserNames ?? [] == names { return }
        if before != nil {
            try db.run(sql: "DELETE FROM browser_names WHERE session_id = ?", arguments: [session.id])
        }
        for name in names {
            try db.run(
                sql: "INSERT OR IGNORE INTO browser_names (name, session_id) VALUES (?, ?)",
                arguments: [name, session.id])
        }
    }

    /// The other sign-ins that share a name with this one, or whose id is one of its names; newest first.
    static func sharing(_ id: String, _ db: Database) throws -> [String] {
        try db.values(
            String.self,
            sql: """
                SELECT id FROM sessions WHERE kind = 'global' AND id <> ?1 AND id IN (
                  SELECT other.session_id FROM browser_names AS own
                  JOIN browser_names AS other ON other.name = own.name WHERE own.session_id = ?1
                  UNION SELECT name FROM browser_names WHERE session_id = ?1
                  UNION SELECT session_id FROM browser_names WHERE name = ?1)
                ORDER BY created_at DESC, id
                """, arguments: [id])
    }

    /// Every sign-in of the browsers that these are of, those in front and each once; what is gone is left out.
    static func all(from ids: [String], _ db: Database, file: String) throws -> [StoredSession] {
        var found: [StoredSession] = []
        var (next, known) = (ids, Set<String>())
        var place = 0
        while place < next.count {
            let id = next[place]
            place += 1
            guard known.insert(id).inserted, let session = try SessionRows.find(id: id, db, file: file),
                session.kind == .global
            else { continue }
            found.append(session)
            next += session.linkedIDs
            next += try sharing(id, db)
        }
        return found
    }

    static func link(
        _ id: String, with others: [String], _ db: Database, file: String
    ) throws -> [StoredSession] {
        guard let session = try SessionRows.find(id: id, db, file: file), session.kind == .global else {
            return []
        }
        let own = others + session.linkedIDs + (try sharing(id, db))
        let browser = try all(from: own.filter { $0 != id }, db, file: file).filter { $0.id != id }
        let kept = browser.prefix(StoredSession.linkedMax)
        let ids = kept.map(\.id)
        try link(session, to: ids, db, file: file)
        for other in kept {
            let known = other.linkedIDs.filter { ids.contains($0) }
            let further = ids.filter { $0 != other.id && !known.contains($0) }
            try link(other, to: [id] + known + further, db, file: file)
        }
        return try SessionRows.remove(ids: browser.dropFirst(ids.count).map(\.id), db, file: file)
    }

    static func signOut(
        _ ids: [String], names: [String], atSeconds: Int64, _ db: Database, file: String
    ) throws -> SignedOutSessions {
        let browser = try all(from: ids, db, file: file)
        let own = browser.map(\.id)
        try EndingRows.noteSignOut(
            ofBrowsers: Set(names + own + browser.flatMap(\.browserNames)).sorted(), atSeconds: atSeconds, db)
        let refreshes = try RefreshRows.find(sessionIDs: own, db)
        return SignedOutSessions(
            sessions: try SessionRows.remove(ids: own, db, file: file), refreshes: refreshes)
    }

    private static func link(_ session: StoredSession, to ids: [String], _ db: Database, file: String) throws
    {
        var changed = session
        changed.claims[StoredSession.linkedClaim] = ids.isEmpty ? nil : .list(ids)
        guard changed != session else { return }
        guard try SessionRows.replace(session, with: changed, db, file: file) else {
            preconditionFailure("a session changed inside of a transaction")
        }
    }
}

/// See `BrowserRows`.
extension SQLiteStore {
    /// See `GatewayStore`.
    public func signOut(
        _ ids: [String], names: [String], atSeconds: Int64
    ) async throws(StoreError) -> SignedOutSessions {
        let file = sessionsFile.path
        return try await sessionsFile.write {
            try BrowserRows.signOut(ids, names: names, atSeconds: atSeconds, $0, file: file)
        }
    }

    /// See `GatewayStore`.
    public func linkBrowser(
        of id: String, with others: [String]
    ) async throws(StoreError) -> [StoredSession] {
        let file = sessionsFile.path
        if others.isEmpty {
            // The way of most: nobody else is there, and nothing is to be written.
            let found = try await sessionsFile.read(isShort: true) { try BrowserRows.sharing(id, $0) }
            if found.isEmpty { return [] }
        }
        return try await sessionsFile.write { try BrowserRows.link(id, with: others, $0, file: file) }
    }
}
