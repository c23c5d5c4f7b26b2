import GRDB

/// Devices, verdicts and audit.
extension SQLiteStore {
    /// See `GatewayStore`.
    public func upsert(_ device: StoredDevice) async throws(StoreError) {
        let file = sessionsFile.path
        try await sessionsFile.write { try DeviceRows.upsert(device, $0, file: file) }
    }

    /// See `GatewayStore`.
    public func upsert(_ device: StoredDevice, superseding deviceID: String) async throws(StoreError) {
        let file = sessionsFile.path
        try await sessionsFile.write {
            try DeviceRows.upsert(device, superseding: deviceID, $0, file: file)
        }
    }

    /// See `GatewayStore`.
    public func device(id: String) async throws(StoreError) -> StoredDevice? {
        let file = sessionsFile.path
        return try await sessionsFile.read(isShort: true) { try DeviceRows.find(id: id, $0, file: file) }
    }

    /// See `GatewayStore`.
    public func device(pinnedKind: String, value: String) async throws(StoreError) -> StoredDevice? {
        let file = sessionsFile.path
        return try await sessionsFile.read {
            try DeviceRows.find(pinnedKind: pinnedKind, value: value, $0, file: file)
        }
    }

    /// See `GatewayStore`.
    public func devices() async throws(StoreError) -> [StoredDevice] {
        let file = sessionsFile.path
        return try await sessionsFile.read { try DeviceRows.all($0, file: file) }
    }

    /// See `GatewayStore`.
    public func insert(_ token: EnrollmentToken) async throws(StoreError) {
        try await sessionsFile.write { try DeviceRows.insert(token, $0) }
    }

    /// See `GatewayStore`.
    public func enrollmentToken(
        digest: [UInt8], nowSeconds: Int64
    ) async throws(StoreError) -> EnrollmentToken? {
        try await sessionsFile.read {
            try DeviceRows.find(tokenDigest: digest, nowSeconds: nowSeconds, $0)
        }
    }

    /// See `GatewayStore`.
    public func redeem(
        enrollmentTokenDigest: [UInt8], nowSeconds: Int64
    ) async throws(StoreError) -> EnrollmentToken? {
        try await sessionsFile.write {
            try DeviceRows.redeem(enrollmentTokenDigest, nowSeconds: nowSeconds, $0)
        }
    }

    /// See `GatewayStore`.
    public func upsert(_ rows: [VerdictRow], of integration: String) async throws(StoreError) {
        guard !rows.isEmpty else { return }
        guard rows.allSatisfy({ VerdictRows.isName($0.nativeID) }) else {
            throw StoreError(
                .conflict, file: verdictsFile.path,
                what: "integration \(integration): a device's id has a NUL byte and would be another one's",
                remedy: "look for that device at the provider; nothing of this answer was kept")
        }
        try await verdictsFile.write { try VerdictRows.upsert(rows, of: integration, $0) }
    }

    /// See `GatewayStore`.
    public func verdictRows(
        of integration: String, after: String?, limit: Int
    ) async throws(StoreError) -> [VerdictRow] {
        let file = verdictsFile.path
        return try await verdictsFile.read {
            try VerdictRows.list(of: integration, after: after, limit: limit, $0, file: file)
        }
    }

    /// See `GatewayStore`.
    public func verdictRow(
        of integration: String, nativeID: String
    ) async throws(StoreError) -> VerdictRow? {
        let file = verdictsFile.path
        return try await verdictsFile.read {
            try VerdictRows.row(of: integration, nativeID: nativeID, $0, file: file)
        }
    }

    /// See `GatewayStore`.
    public func removeVerdicts(_ nativeIDs: [String], of integration: String) async throws(StoreError) {
        guard !nativeIDs.isEmpty else { return }
        try await verdictsFile.write { try VerdictRows.remove(nativeIDs, of: integration, $0) }
    }

    /// See `GatewayStore`.
    public func syncState(integration: String) async throws(StoreError) -> SyncState? {
        try await verdictsFile.read { try VerdictRows.state(integration, $0) }
    }

    /// See `GatewayStore`.
    public func upsert(_ state: SyncState) async throws(StoreError) {
        try await verdictsFile.write { try VerdictRows.upsert(state, $0) }
    }

    /// See `GatewayStore`.
    public func appendAudit(kind: String, atSeconds: Int64, json: String) async throws(StoreError) {
        try await auditFile.write { db in
            try db.run(
                sql: "INSERT INTO audit (kind, at, record) VALUES (?, ?, ?)",
                arguments: [kind, atSeconds, json])
        }
    }

    /// See `GatewayStore`.
    public func audit(limit: Int) async throws(StoreError) -> [AuditRecord] {
        let bounded = min(max(limit, 1), Self.listingMax)
        return try await auditFile.read { db in
            let sql = "SELECT sequence, kind, at, record FROM audit ORDER BY sequence DESC LIMIT ?"
            return try Row.fetchAll(db, sql: sql, arguments: [bounded]).map {
                AuditRecord(
                    sequence: $0["sequence"], kind: $0["kind"], atSeconds: $0["at"], json: $0["record"])
            }
        }
    }
}
