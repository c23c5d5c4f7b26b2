public import Access
import Foundation
import GRDB

/// One verdict of an integration as the store keeps it.
public struct VerdictRow: Sendable, Hashable {
    /// The provider's own id of the device.
    public var nativeID: String
    /// The verdict.
    public var record: PackedVerdict

    /// Makes a row.
    public init(nativeID: String, record: PackedVerdict) {
        self.nativeID = nativeID
        self.record = record
    }

    /// Packs a verdict.
    public init(_ verdict: Verdict) {
        self.init(nativeID: verdict.nativeID, record: PackedVerdict(verdict))
    }
}

extension GatewayStore {
    /// Verdicts read or written at a time: a big synchronisation leaves gaps for everybody else.
    public static var verdictsPerStep: Int { 1_000 }

    /// Every verdict of one integration, by native id.
    public func verdicts(integration: String) async throws(StoreError) -> [Verdict] {
        var all: [Verdict] = []
        var after: String?
        while true {
            let rows = try await verdictRows(of: integration, after: after, limit: Self.verdictsPerStep)
            all += rows.compactMap { $0.record.unpacked(integration: integration) }
            guard rows.count == Self.verdictsPerStep else { return all }
            after = rows.last?.nativeID
        }
    }
}

/// Verdicts as rows of bytes, and synchronisation states.
enum VerdictRows {
    /// A bound text ends at its first NUL (`sqlite3_bind_text` without a length): what stands behind one would make
    /// it another record's name.
    static func isName(_ nativeID: String) -> Bool { !nativeID.utf8.contains(0) }

    static func upsert(_ rows: [VerdictRow], of integration: String, _ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: "INSERT OR REPLACE INTO verdict_records (integration, native_id, record) VALUES (?, ?, ?)")
        for row in rows {
            try statement.execute(arguments: [integration, row.nativeID, Data(row.record.bytes)])
        }
    }

    static func list(
        of integration: String, after: String?, limit: Int, _ db: Database, file: String
    ) throws -> [VerdictRow] {
        let rows = try Row.fetchCursor(
            db.cachedStatement(
                sql: """
                    SELECT native_id, record FROM verdict_records
                    WHERE integration = ? AND native_id \(after == nil ? ">=" : ">") ? ORDER BY native_id LIMIT ?
                    """),
            arguments: [integration, after ?? "", limit])
        var list: [VerdictRow] = []
        while let row = try rows.next() { list.append(try read(row, file: file)) }
        return list
    }

    static func row(
        of integration: String, nativeID: String, _ db: Database, file: String
    ) throws -> VerdictRow? {
        guard isName(nativeID) else { return nil }
        return try Row.fetchOne(
            db.cachedStatement(
                sql: """
                    SELECT native_id, record FROM verdict_records WHERE integration = ? AND native_id = ?
                    """),
            arguments: [integration, nativeID]
        ).map { try read($0, file: file) }
    }

    private static func read(_ row: Row, file: String) throws -> VerdictRow {
        let bytes: [UInt8] = try row.withUnsafeData(atIndex: 1) { $0.map { Array($0) } ?? [] }
        guard let record = PackedVerdict(bytes: bytes) else {
            throw StoreError(
                .malformedRow, file: file, what: "column verdict_records.record of a row cannot be read",
                remedy: StoreError.corruptRemedy)
        }
        return VerdictRow(nativeID: row[0], record: record)
    }

    static func remove(_ nativeIDs: [String], of integration: String, _ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: "DELETE FROM verdict_records WHERE integration = ? AND native_id = ?")
        for id in nativeIDs where isName(id) { try statement.execute(arguments: [integration, id]) }
    }

    static func upsert(_ state: SyncState, _ db: Database) throws {
        try db.run(
            sql:
                "INSERT OR REPLACE INTO sync_states (integration, completed_at, delta_link) VALUES (?, ?, ?)",
            arguments: [state.integration, state.completedAtSeconds, state.deltaLink])
    }

    static func state(_ integration: String, _ db: Database) throws -> SyncState? {
        let sql = "SELECT completed_at, delta_link FROM sync_states WHERE integration = ?"
        return try db.row(sql: sql, arguments: [integration]).map {
            SyncState(
                integration: integration, completedAtSeconds: $0["completed_at"], deltaLink: $0["delta_link"])
        }
    }
}
