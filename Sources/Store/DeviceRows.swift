import Access
import Foundation
import GRDB

/// Devices, their pinned provider ids, and enrolment tokens as rows.
enum DeviceRows {
    static func upsert(_ device: StoredDevice, _ db: Database, file: String) throws {
        try db.run(
            sql: """
                INSERT INTO devices (id, owner_issuer, owner_subject, owner_email, platform, key_thumbprint,
                  certificate_serial, enrolled_at, certificate_not_after, counter, is_revoked, superseded_by,
                  key_level, chip_id, is_chip_maker_known)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET
                  owner_issuer = excluded.owner_issuer, owner_subject = excluded.owner_subject,
                  owner_email = excluded.owner_email, platform = excluded.platform,
                  key_thumbprint = excluded.key_thumbprint, certificate_serial = excluded.certificate_serial,
                  enrolled_at = excluded.enrolled_at, certificate_not_after = excluded.certificate_not_after,
                  counter = max(counter, excluded.counter), is_revoked = max(is_revoked, excluded.is_revoked),
                  superseded_by = coalesce(superseded_by, excluded.superseded_by)
                """,
            arguments: [
                device.id, device.ownerIssuer, device.ownerSubject, device.ownerEmail,
                device.platform?.rawValue,
                device.keyThumbprint, device.certificateSerial, device.enrolledAtSeconds,
                device.certificateNotAfterSeconds, device.counter, device.isRevoked, device.supersededBy,
                device.keyLevel.rawValue, device.chipID, device.isChipMakerKnown,
            ])
        // Read back: the row may have been revoked while the caller was writing an older state of it.
        let isRevoked = try db.value(
            Bool.self, sql: "SELECT is_revoked FROM devices WHERE id = ?", arguments: [device.id])
        // A device proves itself again and again, and its ids rarely change.
        if try isRevoked == false && pins(of: device.id, db) == device.pinnedIDs.mapValues(ExactKey.init) {
            return
        }
        if isRevoked == true, device.supersededBy == nil { try RevokedPin.keep(pinsOf: device.id, db) }
        try db.run(sql: "DELETE FROM device_pins WHERE device_id = ?", arguments: [device.id])
        guard isRevoked == false else { return }
        for (kind, value) in device.pinnedIDs.sorted(by: { $0.key < $1.key }) {
            let owner = try db.value(
                String.self, sql: "SELECT device_id FROM device_pins WHERE kind = ? AND value = ?",
                arguments: [kind, value])
            if let owner {
                throw StoreError(
                    .conflict, file: file, what: "\(kind) \(value) is pinned to device \(owner)",
                    remedy: "revoke one of the two devices")
            }
            try db.run(
                sql: "INSERT INTO device_pins (kind, value, device_id) VALUES (?, ?, ?)",
                arguments: [kind, value, device.id])
            try RevokedPin.forget(kind: kind, value: value, db)
        }
    }

    private static func pins(of id: String, _ db: Database) throws -> [String: ExactKey] {
        let rows = try db.rows(
            sql: "SELECT kind, value FROM device_pins WHERE device_id = ?", arguments: [id])
        return Dictionary(
            rows.map { ($0[0] as String, ExactKey($0[1] as String)) }, uniquingKeysWith: { first, _ in first }
        )
    }

    static func upsert(
        _ device: StoredDevice, superseding id: String, _ db: Database, file: String
    ) throws {
        try db.run(
            sql: """
                UPDATE devices SET is_revoked = 1, superseded_by = ?
                WHERE id = ? AND is_revoked = 0 AND owner_issuer = ? AND owner_subject = ?
                """,
            arguments: [device.id, id, device.ownerIssuer, device.ownerSubject])
        guard db.changesCount == 1 else {
            throw StoreError(
                .conflict, file: file, what: "device \(id) is no device of this owner that could be replaced",
                remedy: "revoke it, or enrol again")
        }
        try db.run(sql: "DELETE FROM device_pins WHERE device_id = ?", arguments: [id])
        try upsert(device, db, file: file)
    }

    static func find(id: String, _ db: Database, file: String) throws -> StoredDevice? {
        try db.row(sql: "SELECT * FROM devices WHERE id = ?", arguments: [id])
            .map { try device($0, db, file: file) }
    }

    static func find(pinnedKind: String, value: String, _ db: Database, file: String) throws -> StoredDevice?
    {
        let sql = """
            SELECT devices.* FROM devices JOIN device_pins ON device_pins.device_id = devices.id
            WHERE device_pins.kind = ? AND device_pins.value = ?
            """
        return try db.row(sql: sql, arguments: [pinnedKind, value])
            .map { try device($0, db, file: file) }
    }

    static func all(_ db: Database, file: String) throws -> [StoredDevice] {
        try db.rows(
            sql: "SELECT * FROM devices ORDER BY id LIMIT ?", arguments: [SQLiteStore.listingMax]
        )
        .map { try device($0, db, file: file) }
    }

    private static func device(_ row: Row, _ db: Database, file: String) throws -> StoredDevice {
        let id: String = row["id"]
        let pins = try db.rows(
            sql: "SELECT kind, value FROM device_pins WHERE device_id = ?", arguments: [id])
        let pairs = pins.map { ($0["kind"] as String, $0["value"] as String) }
        let platform: String? = row["platform"]
        let known = platform.flatMap(Platform.init(rawValue:))
        guard platform == nil || known != nil else {
            throw StoreError(
                .malformedRow, file: file, what: "device \(id) has an unknown platform",
                remedy: StoreError.corruptRemedy)
        }
        let level: String = row["key_level"]
        guard let keyLevel = AgentStatement.KeyLevel(rawValue: level) else {
            throw StoreError(
                .malformedRow, file: file, what: "device \(id) has an unknown key level",
                remedy: StoreError.corruptRemedy)
        }
        return StoredDevice(
            id: id, ownerIssuer: row["owner_issuer"], ownerSubject: row["owner_subject"],
            ownerEmail: row["owner_email"], platform: known, keyThumbprint: row["key_thumbprint"],
            certificateSerial: row["certificate_serial"], enrolledAtSeconds: row["enrolled_at"],
            certificateNotAfterSeconds: row["certificate_not_after"],
            pinnedIDs: Dictionary(pairs, uniquingKeysWith: { first, _ in first }), counter: row["counter"],
            isRevoked: row["is_revoked"], supersededBy: row["superseded_by"],
            keyLevel: keyLevel, chipID: row["chip_id"], isChipMakerKnown: row["is_chip_maker_known"])
    }

    // Enrolment tokens

    static func insert(_ token: EnrollmentToken, _ db: Database) throws {
        try db.run(
            sql: """
                INSERT INTO enrollment_tokens (digest, issuer, subject, email, expected_serial, expires_at)
                VALUES (?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                Data(token.tokenDigest), token.issuer, token.subject, token.email, token.expectedSerial,
                token.expiresAtSeconds,
            ])
    }

    static func find(tokenDigest digest: [UInt8], nowSeconds: Int64, _ db: Database) throws
        -> EnrollmentToken?
    {
        let sql = "SELECT * FROM enrollment_tokens WHERE digest = ? AND expires_at > ?"
        return try db.row(sql: sql, arguments: [Data(digest), nowSeconds])
            .map { token($0, digest) }
    }

    static func redeem(_ digest: [UInt8], nowSeconds: Int64, _ db: Database) throws -> EnrollmentToken? {
        let sql = "DELETE FROM enrollment_tokens WHERE digest = ? AND expires_at > ? RETURNING *"
        // Not prepared: a statement that is left before its end would hold its change back.
        guard let row = try Row.fetchOne(db, sql: sql, arguments: [Data(digest), nowSeconds]) else {
            return nil
        }
        return token(row, digest)
    }

    private static func token(_ row: Row, _ digest: [UInt8]) -> EnrollmentToken {
        EnrollmentToken(
            tokenDigest: digest, issuer: row["issuer"], subject: row["subject"], email: row["email"],
            expectedSerial: row["expected_serial"], expiresAtSeconds: row["expires_at"])
    }
}
