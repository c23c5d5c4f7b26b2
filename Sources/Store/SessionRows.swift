import Access
import Foundation
import GRDB

/// Sessions as rows.
enum SessionRows {
    private static let columns = """
        id, kind, token_digest, previous_token_digest, previous_until, global_id, application, host,
        identity_provider, issuer, subject, email, name, groups, claims, id_token, authenticated_at,
        created_at, expires_at, device_id, device_thumbprint, statement,
        key_proven_at, secret_until
        """
    private static let count = 24
    /// Variables in one statement (SQLite, "Limits": 32,766; less keeps the transaction short).
    private static let idsMax = 500
    // Statements differ from session to session, groups and claims from person to person.
    private static let statements = DecodedColumn<AgentStatement>(textsMax: 12_000)
    private static let groups = DecodedColumn<[String]>(textsMax: 12_000)
    private static let claims = DecodedColumn<[String: ClaimValue]>(textsMax: 12_000)

    static func insert(_ session: StoredSession, _ db: Database, file: String) throws {
        if session.kind == .application {
            let isAlive =
                try db.value(
                    Bool.self,
                    sql: "SELECT 1 FROM sessions WHERE id = ? AND kind = 'global' AND expires_at > ?",
                    arguments: [session.globalID, session.createdAtSeconds]) ?? false
            guard isAlive else {
                throw StoreError(
                    .globalSessionGone, file: file,
                    what: "global session \(session.globalID ?? "(none)") has ended", remedy: "sign in again")
            }
        }
        let marks = Array(repeating: "?", count: count).joined(separator: ", ")
        try db.run(
            sql: "INSERT INTO sessions (\(columns)) VALUES (\(marks))", arguments: try arguments(session))
        try EndingRows.index(session, before: nil, db)
        try BrowserRows.index(session, before: nil, db)
    }

    static func replace(
        _ old: StoredSession, with new: StoredSession, _ db: Database, file: String
    ) throws -> Bool {
        precondition(old.id == new.id && old.kind == new.kind, "a session cannot become another one")
        guard try find(id: old.id, db, file: file) == old else { return false }
        let marks = Array(repeating: "?", count: count).joined(separator: ", ")
        try db.run(
            sql: "UPDATE sessions SET (\(columns)) = (\(marks)) WHERE id = ?",
            arguments: try arguments(new) + [new.id])
        guard db.changesCount == 1 else { return false }
        try EndingRows.index(new, before: old, db)
        try BrowserRows.index(new, before: old, db)
        return true
    }

    static func find(tokenDigest: [UInt8], nowSeconds: Int64, _ db: Database, file: String) throws
        -> StoredSession?
    {
        let digest = Data(tokenDigest)
        let row = try db.row(
            sql: """
                SELECT \(columns) FROM sessions
                WHERE token_digest = ? AND expires_at > ? AND (secret_until IS NULL OR secret_until > ?)
                UNION ALL
                SELECT \(columns) FROM sessions
                WHERE previous_token_digest = ? AND previous_until > ? AND expires_at > ?
                LIMIT 1
                """, arguments: [digest, nowSeconds, nowSeconds, digest, nowSeconds, nowSeconds])
        return try row.map { try session($0, file: file) }
    }

    static func find(id: String, _ db: Database, file: String) throws -> StoredSession? {
        try db.row(sql: "SELECT \(columns) FROM sessions WHERE id = ?", arguments: [id])
            .map { try session($0, file: file) }
    }

    /// What follows `WHERE`, and the values in it.
    static func condition(_ query: SessionQuery) throws -> (sql: String, values: [String]) {
        switch query {
        case .all: ("1", [])
        case .global(let id): ("global_id = ?", [id])
        case .person(let issuer, let subject):
            ("issuer = ?1 AND \(PersonRows.condition)", [issuer, subject])
        case .email(let email): ("email = ?", [email])
        case .device(let id): ("device_id = ?", [id])
        case .ids(let ids): ("id \(oneOf)", [try JSONColumn.text(ids)])
        case .globals(let ids): ("global_id \(oneOf)", [try JSONColumn.text(ids)])
        case .devices(let ids): ("device_id \(oneOf)", [try JSONColumn.text(ids)])
        case .provider(let name): ("identity_provider = ?", [name])
        case .application(let name): ("application = ?", [name])
        }
    }

    static func list(_ query: SessionQuery, limit: Int, _ db: Database, file: String) throws
        -> [StoredSession]
    {
        let (condition, values) = try condition(query)
        let sql = "SELECT \(columns) FROM sessions WHERE \(condition) ORDER BY created_at DESC, id LIMIT ?"
        let statement = try db.cachedStatement(sql: sql)
        // Row by row: a listing may be everybody, and each row is large.
        let rows = try Row.fetchCursor(statement, arguments: StatementArguments(values) + [limit])
        var found: [StoredSession] = []
        while let row = try rows.next() { found.append(try session(row, file: file)) }
        return found
    }

    /// A list of any length is one variable, so the statement is prepared once (SQLite, "The json_each() table-valued
    /// function").
    private static let oneOf = "IN (SELECT value FROM json_each(?))"

    /// The sessions and, of the global ones, their application sessions; all of them are deleted.
    static func remove(ids: [String], _ db: Database, file: String) throws -> [StoredSession] {
        var removed: [StoredSession] = []
        for start in stride(from: 0, to: ids.count, by: idsMax) {
            let some = Array(ids[start..<min(start + idsMax, ids.count)])
            let marks = Array(repeating: "?", count: some.count).joined(separator: ", ")
            let condition = "id IN (\(marks)) OR global_id IN (\(marks))"
            // Not prepared: there are as many texts as there are lengths of the list.
            let gone = try Row.fetchAll(
                db, sql: "SELECT \(columns) FROM sessions WHERE \(condition)",
                arguments: StatementArguments(some + some)
            ).map { try session($0, file: file) }
            try LeftBehindRows.handOver(gone, db)
            try db.execute(
                sql: "DELETE FROM sessions WHERE \(condition)", arguments: StatementArguments(some + some))
            try LeftBehindRows.note(gone, db)
            removed += gone
        }
        return removed
    }

    /// At most `limit` sessions whose time has come, with the application sessions of the global ones among
    /// them.
    static func expired(nowSeconds: Int64, limit: Int, _ db: Database) throws -> [String] {
        try db.values(
            String.self, sql: "SELECT id FROM sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
            arguments: [nowSeconds, limit])
    }

    private static func arguments(_ session: StoredSession) throws -> StatementArguments {
        [
            session.id, session.kind.rawValue, Data(session.tokenDigest),
            session.previousTokenDigest.map { Data($0) },
            session.previousUntilSeconds, session.globalID, session.application, session.host,
            session.identityProvider, session.issuer, session.subject, session.email, session.name,
            try JSONColumn.text(session.groups), try JSONColumn.text(session.claims), session.idToken,
            session.authenticatedAtSeconds, session.createdAtSeconds, session.expiresAtSeconds,
            session.deviceID,
            session.deviceThumbprint, try session.statement.map(text),
            session.binding?.provenAtSeconds, session.binding?.secretUntilSeconds,
        ]
    }

    /// A statement is new with every device check, and read right after.
    private static func text(_ statement: AgentStatement) throws -> String {
        let text = try JSONColumn.text(statement)
        statements.remember(statement, as: text)
        return text
    }

    /// Columns by their place in `columns`: looked up by name, two dozen of them cost more than the query.
    private static func session(_ row: Row, file: String) throws -> StoredSession {
        guard let kind = StoredSession.Kind(rawValue: row[1]) else {
            throw StoreError(
                .malformedRow, file: file, what: "a session has an unknown kind",
                remedy: StoreError.corruptRemedy)
        }
        let statement = try (row[21] as String?).map {
            try statements.value($0, "sessions.statement", file: file)
        }
        return StoredSession(
            id: row[0], kind: kind, tokenDigest: [UInt8](row[2] as Data),
            previousTokenDigest: (row[3] as Data?).map { [UInt8]($0) },
            previousUntilSeconds: row[4], globalID: row[5], application: row[6], host: row[7],
            identityProvider: row[8], issuer: row[9], subject: row[10], email: row[11], name: row[12],
            groups: try groups.value(row[13], "sessions.groups", file: file),
            claims: try claims.value(row[14], "sessions.claims", file: file),
            idToken: row[15], authenticatedAtSeconds: row[16], createdAtSeconds: row[17],
            expiresAtSeconds: row[18], deviceID: row[19], deviceThumbprint: row[20], statement: statement,
            binding: SessionBinding(provenAtSeconds: row[22], secretUntilSeconds: row[23]))
    }
}
