import GRDB

/// Which subjects of one issuer are one person: two registrations of one tenant get two `sub` for everybody.
///
/// Rows stay: a device that was enrolled years ago still belongs to the person who enrolled it, by whichever
/// registration they sign in today. There is one for each person and registration.
enum PersonRows {
    /// More subjects than any tenant has registrations of ours.
    static let subjectsMax = 32

    /// `subject` is the second variable itself, or whatever else is known as the same account. One list, so that
    /// the index on issuer and subject is used for all of it.
    static let condition = """
        subject IN (SELECT ?2 UNION SELECT other.subject FROM person_accounts AS own
          JOIN person_accounts AS other ON other.issuer = own.issuer AND other.account = own.account
          WHERE own.issuer = ?1 AND own.subject = ?2)
        """

    static func link(issuer: String, subject: String, account: String, _ db: Database) throws {
        // Written only when it says something new: this happens at every sign-in.
        try db.run(
            sql: """
                INSERT INTO person_accounts (issuer, subject, account) VALUES (?, ?, ?)
                ON CONFLICT (issuer, subject) DO UPDATE SET account = excluded.account
                WHERE account <> excluded.account
                """, arguments: [issuer, subject, account])
    }

    static func subjects(issuer: String, subject: String, _ db: Database) throws -> [String] {
        let found = try db.values(
            String.self,
            sql: """
                SELECT subject FROM person_accounts WHERE issuer = ?1 AND \(condition)
                ORDER BY sequence LIMIT \(subjectsMax)
                """, arguments: [issuer, subject])
        return found.isEmpty ? [subject] : found
    }
}

extension SQLiteStore {
    /// See `GatewayStore`.
    @discardableResult
    public func link(issuer: String, subject: String, account: String) async throws(StoreError) -> [String] {
        try await sessionsFile.write { db in
            try PersonRows.link(issuer: issuer, subject: subject, account: account, db)
            return try PersonRows.subjects(issuer: issuer, subject: subject, db)
        }
    }

    /// See `GatewayStore`.
    public func subjects(issuer: String, subject: String) async throws(StoreError) -> [String] {
        try await sessionsFile.read(isShort: true) {
            try PersonRows.subjects(issuer: issuer, subject: subject, $0)
        }
    }
}
