import Foundation
import GRDB

/// A list of revoked certificates whose signature was checked before it was kept.
public struct StoredRevocationList: Sendable, Hashable {
    /// The configured integration.
    public var integration: String
    /// What stands for the authority that signed it.
    public var issuer: [UInt8]
    /// cRLNumber, big-endian without leading zeros; nil: it has none.
    public var number: [UInt8]?
    /// When it was made, since 1970.
    public var thisUpdateSeconds: Int64
    /// From then on it says nothing.
    public var nextUpdateSeconds: Int64
    /// Serial numbers in hexadecimal, as certificates' own.
    public var serials: [String]

    /// Takes the members as they are.
    public init(
        integration: String, issuer: [UInt8], number: [UInt8]?, thisUpdateSeconds: Int64,
        nextUpdateSeconds: Int64, serials: [String]
    ) {
        self.integration = integration
        self.issuer = issuer
        self.number = number
        self.thisUpdateSeconds = thisUpdateSeconds
        self.nextUpdateSeconds = nextUpdateSeconds
        self.serials = serials
    }

    static let table = """
        CREATE TABLE revocation_lists (
          integration TEXT NOT NULL,
          issuer BLOB NOT NULL,
          number BLOB,
          this_update INTEGER NOT NULL,
          next_update INTEGER NOT NULL,
          serials TEXT NOT NULL,
          PRIMARY KEY (integration, issuer)
        ) STRICT;
        """
}

/// Beside the sessions: what a list took stays taken over a restart, whatever became of its file.
extension SQLiteStore {
    /// See `GatewayStore`.
    public func revocationLists() async throws(StoreError) -> [StoredRevocationList] {
        try await sessionsFile.read { db in
            let rows = try Row.fetchAll(
                db, sql: "SELECT * FROM revocation_lists ORDER BY integration, this_update, issuer")
            return rows.map { row in
                StoredRevocationList(
                    integration: row["integration"], issuer: Array(row["issuer"] as Data),
                    number: (row["number"] as Data?).map { Array($0) },
                    thisUpdateSeconds: row["this_update"], nextUpdateSeconds: row["next_update"],
                    serials: (row["serials"] as String).split(separator: "\n").map(String.init))
            }
        }
    }

    /// See `GatewayStore`.
    public func keep(_ lists: [StoredRevocationList], of integration: String) async throws(StoreError) {
        try await sessionsFile.write { db in
            try db.execute(
                sql: "DELETE FROM revocation_lists WHERE integration = ?", arguments: [integration])
            for list in lists {
                try db.execute(
                    sql: """
                        INSERT INTO revocation_lists
                          (integration, issuer, number, this_update, next_update, serials)
                        VALUES (?, ?, ?, ?, ?, ?)
                        """,
                    arguments: [
                        integration, Data(list.issuer), list.number.map { Data($0) }, list.thisUpdateSeconds,
                        list.nextUpdateSeconds, list.serials.joined(separator: "\n"),
                    ])
            }
        }
    }
}
