import Access
import Store

/// Sessions and nonces in memory, with the store's rules; it can be told to fail.
actor MemoryStore: GatewayStore {
    var rows: [String: StoredSession] = [:]
    var refreshRows: [String: StoredRefresh] = [:]
    private var nonces: Set<[UInt8]> = []
    private var isBroken = false

    func breakDown(_ isBroken: Bool = true) { self.isBroken = isBroken }

    func check() throws(StoreError) {
        if isBroken {
            throw StoreError(.full, file: "sessions.sqlite", what: "disk full", remedy: "make room")
        }
    }

    func insert(_ session: StoredSession) async throws(StoreError) {
        try check()
        if let global = session.globalID, rows[global] == nil {
            throw StoreError(.globalSessionGone, file: "", what: "gone", remedy: "")
        }
        rows[session.id] = session
    }
    func session(tokenDigest: [UInt8], nowSeconds: Int64) async throws(StoreError) -> StoredSession? {
        try check()
        return rows.values.first { row in
            guard nowSeconds < row.expiresAtSeconds else { return false }
            if row.tokenDigest == tokenDigest { return true }
            return row.previousTokenDigest == tokenDigest && nowSeconds < row.previousUntilSeconds ?? 0
        }
    }
    func session(id: String) async throws(StoreError) -> StoredSession? {
        try check()
        return rows[id]
    }
    func sessions(_ query: SessionQuery, limit: Int) async throws(StoreError) -> [StoredSession] {
        try check()
        let found = rows.values.filter { row in
            switch query {
            case .all: true
            case .global(let id): row.globalID == id
            case .person(let issuer, let subject): row.issuer == issuer && row.subject == subject
            case .email(let email): row.email == email
            case .device(let id): row.deviceID == id
            case .ids(let ids): ids.contains(row.id)
            case .globals(let ids): row.globalID.map(ids.contains) ?? false
            case .devices(let ids): row.deviceID.map(ids.contains) ?? false
            }
        }
        return Array(found.sorted { $0.createdAtSeconds > $1.createdAtSeconds }.prefix(limit))
    }
    func replace(_ old: StoredSession, with new: StoredSession) async throws(StoreError) -> Bool {
        try check()
        guard rows[old.id] == old else { return false }
        rows[old.id] = new
        return true
    }
    func remove(sessionIDs: [String]) async throws(StoreError) -> [StoredSession] {
        try check()
        let gone = rows.values.filter { sessionIDs.contains($0.id) || sessionIDs.contains($0.globalID ?? "") }
        for row in gone {
            rows[row.id] = nil
            refreshRows[row.id] = nil
        }
        return gone
    }
    func consumeNonce(_ digest: [UInt8], expiresAtSeconds: Int64) async throws(StoreError) -> Bool {
        try check()
        return nonces.insert(digest).inserted
    }

    // Not asked by this module.
    func removeExpired(nowSeconds: Int64) async throws(StoreError) -> [String] { [] }
    func upsert(_ device: StoredDevice) async throws(StoreError) {}
    func upsert(_ device: StoredDevice, superseding deviceID: String) async throws(StoreError) {}
    func device(id: String) async throws(StoreError) -> StoredDevice? { nil }
    func device(pinnedKind: String, value: String) async throws(StoreError) -> StoredDevice? { nil }
    func devices() async throws(StoreError) -> [StoredDevice] { [] }
    func insert(_ token: EnrollmentToken) async throws(StoreError) {}
    func redeem(enrollmentTokenDigest: [UInt8], nowSeconds: Int64) async throws(StoreError)
        -> EnrollmentToken?
    { nil }
    func upsert(_ rows: [VerdictRow], of integration: String) async throws(StoreError) {}
    func verdictRows(of integration: String, after: String?, limit: Int) async throws(StoreError)
        -> [VerdictRow]
    { [] }
    func removeVerdicts(_ nativeIDs: [String], of integration: String) async throws(StoreError) {}
    func syncState(integration: String) async throws(StoreError) -> SyncState? { nil }
    func upsert(_ state: SyncState) async throws(StoreError) {}
    func serviceTokens() async throws(StoreError) -> [StoredServiceToken] { [] }
    func upsert(_ tokens: [StoredServiceToken]) async throws(StoreError) {}
    func noteUse(ofServiceTokens used: [String: Int64]) async throws(StoreError) {}
    func removeServiceTokens(ids: [String]) async throws(StoreError) {}
    func appendAudit(kind: String, atSeconds: Int64, json: String) async throws(StoreError) {}
    func audit(limit: Int) async throws(StoreError) -> [AuditRecord] { [] }
}
