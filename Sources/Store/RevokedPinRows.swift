import GRDB

/// What named a device at a provider until the device was revoked.
public struct RevokedPin: Sendable, Hashable {
    /// As in `StoredDevice.pinnedIDs`.
    public var kind: String
    /// The id itself.
    public var value: String

    /// Takes the members as they are.
    public init(kind: String, value: String) {
        self.kind = kind
        self.value = value
    }

    static let table = """
        CREATE TABLE revoked_pins (
          kind TEXT NOT NULL,
          value TEXT NOT NULL,
          PRIMARY KEY (kind, value)
        ) STRICT, WITHOUT ROWID;
        """

    /// Before the device's pins are taken from it. A device whose place another one took is not meant: its ids are the
    /// other one's.
    static func keep(pinsOf device: String, _ db: Database) throws {
        try db.run(
            sql: """
                INSERT OR IGNORE INTO revoked_pins (kind, value)
                SELECT kind, value FROM device_pins WHERE device_id = ?
                """, arguments: [device])
    }

    /// Another device has it now.
    static func forget(kind: String, value: String, _ db: Database) throws {
        try db.run(
            sql: "DELETE FROM revoked_pins WHERE kind = ? AND value = ?", arguments: [kind, value])
    }
}

extension SQLiteStore {
    /// See `GatewayStore`.
    public func revokedPins() async throws(StoreError) -> [RevokedPin] {
        try await sessionsFile.read { db in
            try Row.fetchAll(db, sql: "SELECT kind, value FROM revoked_pins ORDER BY kind, value")
                .map { RevokedPin(kind: $0[0], value: $0[1]) }
        }
    }
}
