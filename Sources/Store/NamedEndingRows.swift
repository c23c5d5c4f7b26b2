import Access
import GRDB

/// What was ended lately by names from outside, among the rows of `endings`: one row for each name that sign-ins are
/// looked for by, and in it the other names that have to fit as well.
enum NamedEndingRows {
    /// What the sign-in is looked for by.
    private struct Key {
        var kind: String
        var owner: String
        /// It names a person: of their sign-in it may be unknown what else it is called.
        var isPerson = false

        static func person(_ issuer: String, _ subject: String) throws -> Key {
            Key(kind: "named-person", owner: try JSONColumn.text([issuer, subject]), isPerson: true)
        }
        static func address(_ email: String) -> Key {
            Key(kind: "named-address", owner: email, isPerson: true)
        }
        static func session(_ sid: String) -> Key { Key(kind: "named-session", owner: sid) }
        static func token(_ token: SignInNames.Token) throws -> Key {
            Key(kind: "named-token", owner: try JSONColumn.text([token.issuer, token.id]))
        }
        static func tenant(_ tid: String) -> Key { Key(kind: "named-tenant", owner: tid) }
    }

    static func note(_ names: SignInNames, atSeconds: Int64, _ db: Database) throws {
        let (keys, others) = try keys(of: names, db)
        let text = try JSONColumn.text(others)
        for key in keys {
            try EndingRows.note(kind: key.kind, owner: key.owner, name: text, atSeconds: atSeconds, db)
        }
    }

    /// When something last ended that this sign-in is meant by.
    static func last(of session: StoredSession, _ db: Database, file: String) throws -> LastEnding? {
        var last: LastEnding?
        for key in try keys(of: session, db) {
            let rows = try db.rows(
                sql: "SELECT name, at, number FROM endings WHERE kind = ? AND owner = ?",
                arguments: [key.kind, key.owner])
            for row in rows {
                let others: SignInNames = try JSONColumn.value(row[0], "name", file: file)
                if others.covers(session, isKnown: key.isPerson) {
                    last = LastEnding(atSeconds: row[1], number: row[2]).orLater(last)
                }
            }
        }
        return last
    }

    /// The narrowest kind that is given, and what has to fit beside it.
    private static func keys(
        of names: SignInNames, _ db: Database
    ) throws -> (keys: [Key], others: SignInNames) {
        var others = names
        others.persons = []
        if !names.persons.isEmpty {
            let keys = try names.persons.flatMap { person -> [Key] in
                switch person {
                case .identity(let issuer, let subject):
                    return try PersonRows.subjects(issuer: issuer, subject: subject, db).map {
                        try .person(issuer, $0)
                    }
                case .email(let email): return [.address(email)]
                }
            }
            return (keys, others)
        }
        // Either of the two kinds is enough, so neither has to fit beside the other.
        (others.sessions, others.tokens) = ([], [])
        let keys = try names.sessions.map(Key.session) + names.tokens.map(Key.token)
        if !keys.isEmpty { return (keys, others) }
        others.tenants = []
        return (names.tenants.map(Key.tenant), others)
    }

    /// A person who was ended by one name may come by another, which is linked to it only now: by all of them.
    private static func keys(of session: StoredSession, _ db: Database) throws -> [Key] {
        let subjects = try PersonRows.subjects(issuer: session.issuer, subject: session.subject, db)
        var keys = try subjects.map { try Key.person(session.issuer, $0) }
        if !ExactText.contains(subjects, session.subject) {
            keys.append(try .person(session.issuer, session.subject))
        }
        if let email = session.email { keys.append(.address(email)) }
        if let sid = session.providerSessionID { keys.append(.session(sid)) }
        keys += try session.tokenIDs.map { try .token(.init(issuer: session.issuer, id: $0)) }
        if let tenant = session.tenantID { keys.append(.tenant(tenant)) }
        return keys
    }
}

/// Endings by names from outside.
extension SQLiteStore {
    /// See `GatewayStore`.
    public func noteEnding(of names: SignInNames, atSeconds: Int64) async throws(StoreError) {
        try await sessionsFile.write { try NamedEndingRows.note(names, atSeconds: atSeconds, $0) }
    }
}
