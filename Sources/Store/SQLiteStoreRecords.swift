public import Access
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
        return try await sessionsFile.read { try DeviceRows.find(id: id, $0, file: file) }
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
    public func redeem(
        enrollmentTokenDigest: [UInt8], nowSeconds: Int64
    ) async throws(StoreError) -> EnrollmentToken? {
        try await sessionsFile.write {
            try DeviceRows.redeem(enrollmentTokenDigest, nowSeconds: nowSeconds, $0)
        }
    }

    /// See `GatewayStore`.
    public func replaceVerdicts(
        of integration: String, with verdicts: [Verdict], state: SyncState
    ) async throws(StoreError) {
        let foreign = verdicts.first { !ExactText.isEqual($0.integration, integration) }?.integration
        precondition(foreign == nil, "a verdict of \(foreign ?? "") in a synchronisation of \(integration)")
        try await verdictsFile.write { db in
            try db.execute(sql: "DELETE FROM verdicts WHERE integration = ?", arguments: [integration])
            try VerdictRows.upsert(verdicts, db)
            try VerdictRows.upsert(state, db)
        }
    }

    /// See `GatewayStore`.
    public func upsert(verdicts: [Verdict]) async throws(StoreError) {
        guard !verdicts.isEmpty else { return }
        try await verdictsFile.write { try VerdictRows.upsert(verdicts, $0) }
    }

    /// See `GatewayStore`.
    public func verdicts(integration: String) async throws(StoreError) -> [Verdict] {
        let file = verdictsFile.path
        return try await verdictsFile.read { try VerdictRows.list(integration: integration, $0, file: file) }
    }

    /// See `GatewayStore`.
    public func allVerdicts() async throws(StoreError) -> [Verdict] {
        let file = verdictsFile.path
        return try await verdictsFile.read { try VerdictRows.list(integration: nil, $0, file: file) }
    }

    /// See `GatewayStore`.
    public func removeVerdict(integration: String, nativeID: String) async throws(StoreError) {
        try await verdictsFile.write { db in
            try db.execute(
                sql: "DELETE FROM verdicts WHERE integration = ? AND native_id = ?",
                arguments: [integration, nativeID])
        }
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
            try db.execute(
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
