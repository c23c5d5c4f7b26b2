import Foundation
import GRDB

/// How providers name sessions, and what was ended lately, as rows.
enum EndingRows {
    /// Sign-ins ended in one transaction: a longer one would keep other sign-outs waiting.
    static let signInsMax = 5_000
    /// So long an ending is remembered: longer than any sign-in can be under way.
    static let rememberedSeconds: Int64 = 3_600
    /// Of the last so many each is remembered for longer where a refresh without an answer has still to see it.
    static let waitingMax: Int64 = 100_000

    // MARK: Provider's names

    /// Brings the index to what a session's claims say now.
    static func index(_ session: StoredSession, before: StoredSession?, _ db: Database) throws {
        guard session.kind == .global else { return }
        let isSame =
            before?.providerSessionID == session.providerSessionID
            && before?.identityProvider == session.identityProvider
        if before != nil, isSame { return }
        try db.run(sql: "DELETE FROM provider_sessions WHERE session_id = ?", arguments: [session.id])
        guard let sid = session.providerSessionID else { return }
        try db.run(
            sql: "INSERT INTO provider_sessions (session_id, provider, sid) VALUES (?, ?, ?)",
            arguments: [session.id, session.identityProvider, sid])
    }

    // MARK: Endings

    static func end(
        _ scope: EndingScope, atSeconds: Int64, once nonce: OneTime?, _ db: Database, file: String
    ) throws -> EndedSessions? {
        if let nonce {
            try db.run(
                sql: "INSERT OR IGNORE INTO nonces (digest, expires_at) VALUES (?, ?)",
                arguments: [Data(nonce.digest), nonce.expiresAtSeconds])
            guard db.changesCount == 1 else { return nil }
        }
        for mark in try Mark.left(by: scope, db) {
            try note(kind: mark.kind, owner: mark.owner, name: mark.name, atSeconds: atSeconds, db)
        }
        let ids = try signIns(scope, db)
        let removed = try SessionRows.remove(ids: ids, db, file: file)
        return EndedSessions(sessions: removed, isComplete: ids.count < signInsMax)
    }

    static func note(
        kind: String, owner: String, name: String, atSeconds: Int64, _ db: Database
    ) throws {
        // Never by the rows that there are: those that are forgotten were counted as well.
        try db.run(sql: "UPDATE ending_counts SET count = count + 1")
        try db.run(
            sql: """
                INSERT INTO endings (kind, owner, name, at, number)
                VALUES (?, ?, ?, ?, (SELECT count FROM ending_counts))
                ON CONFLICT (kind, owner, name)
                DO UPDATE SET at = max(at, excluded.at), number = excluded.number
                """, arguments: [kind, owner, name, atSeconds])
    }

    private static let browserKind = "browser"

    static func noteSignOut(ofBrowsers names: [String], atSeconds: Int64, _ db: Database) throws {
        for name in names {
            try note(kind: browserKind, owner: "", name: name, atSeconds: atSeconds, db)
        }
    }

    static func isSignedOut(browser name: String, _ db: Database) throws -> Bool {
        try db.value(
            Bool.self, sql: "SELECT 1 FROM endings WHERE kind = ? AND owner = '' AND name = ?",
            arguments: [browserKind, name]) ?? false
    }

    static func lastSignOut(ofBrowsers names: [String], _ db: Database) throws -> Int64? {
        try db.value(
            Int64.self,
            sql: """
                SELECT max(number) FROM endings
                WHERE kind = ? AND owner = '' AND name IN (SELECT value FROM json_each(?))
                """, arguments: [browserKind, try JSONColumn.text(names)])
    }

    static func count(_ db: Database) throws -> Int64 {
        try db.value(Int64.self, sql: "SELECT count FROM ending_counts") ?? 0
    }

    static func last(of session: StoredSession, _ db: Database, file: String) throws -> LastEnding? {
        var last = try NamedEndingRows.last(of: session, db, file: file)
        for mark in try Mark.concerning(session, db) {
            let row = try db.row(
                sql: "SELECT at, number FROM endings WHERE kind = ? AND owner = ? AND name = ?",
                arguments: [mark.kind, mark.owner, mark.name])
            if let row { last = LastEnding(atSeconds: row[0], number: row[1]).orLater(last) }
        }
        return last
    }

    /// An ending cannot have been later than now: what is dated so was noted by a clock that has gone back since.
    static func settle(nowSeconds: Int64, _ db: Database) throws -> EndingsAhead? {
        let latest = nowSeconds + EndingsAhead.toleranceSeconds
        let row = try db.row(
            sql: "SELECT count(*), max(at) FROM endings WHERE at > ?", arguments: [latest])
        guard let row, let count: Int = row[0], count > 0, let last: Int64 = row[1] else { return nil }
        try db.run(sql: "UPDATE endings SET at = ? WHERE at > ?", arguments: [nowSeconds, latest])
        return EndingsAhead(count: count, seconds: last - nowSeconds)
    }

    /// Not what a refresh without an answer has still to see, while those are not too many; and the number of the last
    /// one that is forgotten stays: a clock that jumps forward does not take longer than what is under way.
    static func forget(nowSeconds: Int64, _ db: Database) throws {
        let count = try count(db)
        let seen =
            try db.value(
                Int64.self,
                sql: """
                    SELECT coalesce(endings_known, 0) FROM session_refreshes WHERE unanswered_since IS NOT NULL
                    ORDER BY endings_known LIMIT 1
                    """) ?? count
        let (before, last) = (nowSeconds - rememberedSeconds, max(seen, count - waitingMax))
        try db.run(
            sql: """
                UPDATE ending_counts SET forgotten = max(
                  forgotten, coalesce((SELECT max(number) FROM endings WHERE at < ? AND number <= ?), 0))
                """, arguments: [before, last])
        try db.run(sql: "DELETE FROM endings WHERE at < ? AND number <= ?", arguments: [before, last])
    }

    static func forgotten(_ db: Database) throws -> Int64 {
        try db.value(Int64.self, sql: "SELECT forgotten FROM ending_counts") ?? 0
    }

    private static func signIns(_ scope: EndingScope, _ db: Database) throws -> [String] {
        let sql: String
        let arguments: StatementArguments
        switch scope {
        case .providerSession(let provider, let sid, nil):
            sql = "SELECT session_id FROM provider_sessions WHERE provider = ? AND sid = ? LIMIT ?"
            arguments = [provider, sid, signInsMax]
        case .providerSession(let provider, let sid, let subject?):
            sql = """
                SELECT s.id FROM provider_sessions AS p JOIN sessions AS s ON s.id = p.session_id
                WHERE p.provider = ? AND p.sid = ? AND s.subject = ?
                UNION
                SELECT s.id FROM sessions AS s
                WHERE s.identity_provider = ? AND s.subject = ? AND s.kind = 'global' AND NOT EXISTS
                  (SELECT 1 FROM provider_sessions AS p WHERE p.session_id = s.id)
                LIMIT ?
                """
            arguments = [provider, sid, subject, provider, subject, signInsMax]
        case .providerSubject(let provider, let subject):
            sql = """
                SELECT id FROM sessions WHERE identity_provider = ? AND subject = ? AND kind = 'global'
                LIMIT ?
                """
            arguments = [provider, subject, signInsMax]
        case .person(let issuer, let subject):
            sql = """
                SELECT id FROM sessions WHERE issuer = ?1 AND \(PersonRows.condition) AND kind = 'global'
                LIMIT ?3
                """
            arguments = [issuer, subject, signInsMax]
        case .provider(let provider):
            sql = "SELECT id FROM sessions WHERE identity_provider = ? AND kind = 'global' LIMIT ?"
            arguments = [provider, signInsMax]
        case .issuer(let provider, let issuer):
            sql = """
                SELECT id FROM sessions WHERE identity_provider = ? AND issuer = ? AND kind = 'global' LIMIT ?
                """
            arguments = [provider, issuer, signInsMax]
        case .signIn(let id, _, _):
            sql = "SELECT id FROM sessions WHERE id = ? AND kind = 'global'"
            arguments = [id]
        }
        return try db.values(String.self, sql: sql, arguments: arguments)
    }

    // MARK: Counts

    static func count(_ query: SessionQuery, nowSeconds: Int64, _ db: Database) throws -> SessionCount {
        let (condition, values) = try SessionRows.condition(query)
        // What the sign-ins among them take with them ends as well.
        let row = try db.row(
            sql: """
                WITH meant AS MATERIALIZED (SELECT id FROM sessions WHERE \(condition)),
                ended AS (
                  SELECT kind, issuer, subject FROM sessions
                  WHERE expires_at > ?
                    AND (id IN (SELECT id FROM meant) OR global_id IN (SELECT id FROM meant)))
                SELECT count(*) FILTER (WHERE kind = 'global'),
                  count(*) FILTER (WHERE kind = 'application'),
                  (SELECT count(*) FROM (SELECT DISTINCT issuer, subject FROM ended))
                FROM ended
                """, arguments: StatementArguments(values) + [nowSeconds])
        guard let row else { return SessionCount() }
        return SessionCount(signIns: row[0], sessions: row[1], persons: row[2])
    }

    static func makers(_ db: Database) throws -> [SessionMaker] {
        let sql = "SELECT DISTINCT identity_provider, issuer FROM sessions ORDER BY identity_provider, issuer"
        return try Row.fetchAll(db, sql: sql).map { SessionMaker(provider: $0[0], issuer: $0[1]) }
    }

    /// One thing that ended, as sign-ins under way can ask for it.
    private struct Mark {
        var kind: String
        var owner: String
        var name: String

        static func left(by scope: EndingScope, _ db: Database) throws -> [Mark] {
            switch scope {
            case .providerSession(let provider, let sid, let subject):
                var marks = [Mark(kind: "sid", owner: provider, name: sid)]
                if let subject { marks.append(Mark(kind: "unnamed", owner: provider, name: subject)) }
                return marks
            case .providerSubject(let provider, let subject):
                return [Mark(kind: "subject", owner: provider, name: subject)]
            case .person(let issuer, let subject):
                return try PersonRows.subjects(issuer: issuer, subject: subject, db).map {
                    Mark(kind: "person", owner: issuer, name: $0)
                }
            case .provider(let provider): return [Mark(kind: "provider", owner: provider, name: "")]
            case .issuer(let provider, let issuer):
                return [Mark(kind: "issuer", owner: provider, name: issuer)]
            case .signIn(_, let provider, let sid): return [Mark(kind: "sid", owner: provider, name: sid)]
            }
        }

        /// A person who was ended by one name may come by another, which is linked to it only now: by all of them.
        static func concerning(_ session: StoredSession, _ db: Database) throws -> [Mark] {
            let provider = session.identityProvider
            let names = try PersonRows.subjects(issuer: session.issuer, subject: session.subject, db)
            let own =
                session.providerSessionID.map { Mark(kind: "sid", owner: provider, name: $0) }
                ?? Mark(kind: "unnamed", owner: provider, name: session.subject)
            return [
                own, Mark(kind: "subject", owner: provider, name: session.subject),
                Mark(kind: "person", owner: session.issuer, name: session.subject),
                Mark(kind: "provider", owner: provider, name: ""),
                Mark(kind: "issuer", owner: provider, name: session.issuer),
            ] + names.map { Mark(kind: "person", owner: session.issuer, name: $0) }
        }
    }
}

/// Endings beside the sessions that they are about.
extension SQLiteStore {
    /// See `GatewayStore`.
    public func end(
        _ scope: EndingScope, atSeconds: Int64, once nonce: OneTime?
    ) async throws(StoreError) -> EndedSessions? {
        let file = sessionsFile.path
        return try await sessionsFile.write {
            try EndingRows.end(scope, atSeconds: atSeconds, once: nonce, $0, file: file)
        }
    }

    /// See `GatewayStore`.
    public func lastEnding(of session: StoredSession) async throws(StoreError) -> LastEnding? {
        let file = sessionsFile.path
        return try await sessionsFile.read { try EndingRows.last(of: session, $0, file: file) }
    }

    /// See `GatewayStore`.
    public func noteSignOut(ofBrowsers names: [String], atSeconds: Int64) async throws(StoreError) {
        guard !names.isEmpty else { return }
        try await sessionsFile.write {
            try EndingRows.noteSignOut(ofBrowsers: names, atSeconds: atSeconds, $0)
        }
    }

    /// See `GatewayStore`.
    public func isSignedOut(browser name: String) async throws(StoreError) -> Bool {
        try await sessionsFile.read(isShort: true) { try EndingRows.isSignedOut(browser: name, $0) }
    }

    /// See `GatewayStore`.
    public func lastSignOut(ofBrowsers names: [String]) async throws(StoreError) -> Int64? {
        try await sessionsFile.read(isShort: true) { try EndingRows.lastSignOut(ofBrowsers: names, $0) }
    }

    /// See `GatewayStore`.
    public func endingCount() async throws(StoreError) -> Int64 {
        try await sessionsFile.read(isShort: true) { try EndingRows.count($0) }
    }

    /// See `GatewayStore`.
    public func forgottenEndings() async throws(StoreError) -> Int64 {
        try await sessionsFile.read(isShort: true) { try EndingRows.forgotten($0) }
    }

    /// See `GatewayStore`.
    public func settleEndings(nowSeconds: Int64) async throws(StoreError) -> EndingsAhead? {
        try await sessionsFile.write { try EndingRows.settle(nowSeconds: nowSeconds, $0) }
    }

    /// See `GatewayStore`.
    public func count(_ query: SessionQuery, nowSeconds: Int64) async throws(StoreError) -> SessionCount {
        try await sessionsFile.read { try EndingRows.count(query, nowSeconds: nowSeconds, $0) }
    }

    /// See `GatewayStore`.
    public func sessionMakers() async throws(StoreError) -> [SessionMaker] {
        try await sessionsFile.read { try EndingRows.makers($0) }
    }
}
