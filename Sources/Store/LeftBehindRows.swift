import Foundation
import GRDB

/// The cookies of sessions that ended while others of the same browser live, as rows: to sign out with one of them is
/// to sign the browser out. A row points at one that lives, and goes over to those
/// linked to it when that one ends.
enum LeftBehindRows {
    /// Cookies kept for one session: a browser that signs in and out at a second provider leaves one each time.
    static let perSessionMax = 64

    /// Of the browsers whose sessions are about to be deleted: what was kept with one of them goes over to those that
    /// were linked to it. Its own rows go with it.
    static func handOver(_ ending: [StoredSession], _ db: Database) throws {
        try forEachLeft(ending) { session, id in
            guard session.kind == .global else { return }
            try db.run(
                sql: """
                    INSERT OR IGNORE INTO ended_cookies (token_digest, host, session_id)
                    SELECT kept.token_digest, kept.host, heir.id FROM ended_cookies AS kept
                    JOIN sessions AS heir ON heir.id = ? AND heir.kind = 'global'
                    WHERE kept.session_id = ? ORDER BY kept.sequence
                    """, arguments: [id, session.id])
            if db.changesCount > 0 { try bound(id, db) }
        }
    }

    /// Notes what is left of the browsers whose sessions were just deleted.
    static func note(_ removed: [StoredSession], _ db: Database) throws {
        try forEachLeft(removed) { try note($0, leaving: $1, db) }
    }

    /// Each session that goes, with every sign-in of its browser that stays.
    private static func forEachLeft(
        _ going: [StoredSession], _ body: (StoredSession, _ id: String) throws -> Void
    ) rethrows {
        let gone = Set(going.map(\.id))
        let globals = Dictionary(
            going.filter { $0.kind == .global }.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first }
        )
        for session in going {
            let browser: [String]
            switch session.globalID {
            case nil: browser = session.linkedIDs
            case let id?: browser = globals[id].map(\.linkedIDs) ?? [id]
            }
            for id in browser where !gone.contains(id) { try body(session, id) }
        }
    }

    private static func note(_ session: StoredSession, leaving id: String, _ db: Database) throws {
        // Of several requests side by side the browser keeps either of two cookies.
        for digest in [session.previousTokenDigest, session.tokenDigest].compactMap({ $0 }) {
            try db.run(
                sql: """
                    INSERT OR IGNORE INTO ended_cookies (token_digest, host, session_id)
                    SELECT ?, ?, id FROM sessions WHERE id = ? AND kind = 'global'
                    """, arguments: [Data(digest), session.host, id])
            guard db.changesCount == 1 else { return }
        }
        try bound(id, db)
    }

    /// The last ones of a session stay.
    private static func bound(_ id: String, _ db: Database) throws {
        try db.run(
            sql: """
                DELETE FROM ended_cookies WHERE session_id = ?1 AND sequence <=
                  (SELECT sequence FROM ended_cookies WHERE session_id = ?1
                   ORDER BY sequence DESC LIMIT 1 OFFSET ?2)
                """, arguments: [id, perSessionMax])
    }

    static func find(tokenDigest: [UInt8], host: String, _ db: Database, file: String) throws -> [String] {
        let digest = Data(tokenDigest)
        // Expired, or a bound one whose secret has run out: nobody has removed it yet.
        let row = try db.value(
            String.self, sql: "SELECT id FROM sessions WHERE token_digest = ? AND host = ?",
            arguments: [digest, host])
        if let session = try row.flatMap({ try SessionRows.find(id: $0, db, file: file) }) {
            return session.globalID.map { [$0] } ?? [session.id] + session.linkedIDs
        }
        return try db.values(
            String.self,
            sql: """
                SELECT session_id FROM ended_cookies WHERE token_digest = ? AND host = ? ORDER BY sequence
                """, arguments: [digest, host])
    }
}

/// See `LeftBehindRows`.
extension SQLiteStore {
    /// See `GatewayStore`.
    public func leftBehind(tokenDigest: [UInt8], host: String) async throws(StoreError) -> [String] {
        let file = sessionsFile.path
        return try await sessionsFile.read {
            try LeftBehindRows.find(tokenDigest: tokenDigest, host: host, $0, file: file)
        }
    }
}
