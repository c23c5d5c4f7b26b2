import Access
import Store

/// The part of durable state that posture uses, in memory, able to fail on purpose.
actor MemoryStore: GatewayStore {
    var nonces: Set<[UInt8]> = []
    var stored: [String: StoredDevice] = [:]
    var tokens: [[UInt8]: EnrollmentToken] = [:]
    var kept: [String: Verdict] = [:]
    var states: [String: SyncState] = [:]
    var records: [AuditRecord] = []
    var failsDeviceWrites = false

    func failDeviceWrites(_ fails: Bool) { failsDeviceWrites = fails }
    func auditKinds() -> [String] { records.map(\.kind) }

    func insert(_ session: StoredSession) async throws(StoreError) {}
    func session(tokenDigest: [UInt8], nowSeconds: Int64) async throws(StoreError) -> StoredSession? { nil }
    func session(id: String) async throws(StoreError) -> StoredSession? { nil }
    func sessions(_ query: SessionQuery, limit: Int) async throws(StoreError) -> [StoredSession] { [] }
    func replace(_ old: StoredSession, with new: StoredSession) async throws(StoreError) -> Bool { false }
    func remove(sessionIDs: [String]) async throws(StoreError) -> [StoredSession] { [] }
    func removeExpired(nowSeconds: Int64) async throws(StoreError) -> [String] { [] }

    func consumeNonce(_ digest: [UInt8], expiresAtSeconds: Int64) async throws(StoreError) -> Bool {
        nonces.insert(digest).inserted
    }

    func upsert(_ device: StoredDevice) async throws(StoreError) {
        guard !failsDeviceWrites else {
            throw StoreError(.full, file: "sessions.sqlite", what: "disk full", remedy: "make room")
        }
        stored[device.id] = device
    }
    func upsert(_ device: StoredDevice, superseding deviceID: String) async throws(StoreError) {
        try await upsert(device)
        stored[deviceID]?.isRevoked = true
        stored[deviceID]?.supersededBy = device.id
        stored[deviceID]?.pinnedIDs = [:]
    }
    func device(id: String) async throws(StoreError) -> StoredDevice? { stored[id] }
    func device(pinnedKind: String, value: String) async throws(StoreError) -> StoredDevice? {
        stored.values.first { $0.pinnedIDs[pinnedKind] == value }
    }
    func devices() async throws(StoreError) -> [StoredDevice] { stored.values.sorted { $0.id < $1.id } }
    func insert(_ token: EnrollmentToken) async throws(StoreError) { tokens[token.tokenDigest] = token }
    func redeem(enrollmentTokenDigest: [UInt8], nowSeconds: Int64) async throws(StoreError)
        -> EnrollmentToken?
    {
        guard let token = tokens.removeValue(forKey: enrollmentTokenDigest) else { return nil }
        return nowSeconds < token.expiresAtSeconds ? token : nil
    }

    func replaceVerdicts(of integration: String, with verdicts: [Verdict], state: SyncState)
        async throws(StoreError)
    {
        kept = kept.filter { $0.value.integration != integration }
        for verdict in verdicts { kept["\(verdict.integration)/\(verdict.nativeID)"] = verdict }
        states[integration] = state
    }
    func upsert(verdicts: [Verdict]) async throws(StoreError) {
        for verdict in verdicts { kept["\(verdict.integration)/\(verdict.nativeID)"] = verdict }
    }
    func verdicts(integration: String) async throws(StoreError) -> [Verdict] {
        kept.values.filter { $0.integration == integration }
    }
    func allVerdicts() async throws(StoreError) -> [Verdict] { Array(kept.values) }
    func removeVerdict(integration: String, nativeID: String) async throws(StoreError) {
        kept["\(integration)/\(nativeID)"] = nil
    }
    func syncState(integration: String) async throws(StoreError) -> SyncState? { states[integration] }
    func upsert(_ state: SyncState) async throws(StoreError) { states[state.integration] = state }

    func appendAudit(kind: String, atSeconds: Int64, json: String) async throws(StoreError) {
        records.append(
            AuditRecord(sequence: Int64(records.count), kind: kind, atSeconds: atSeconds, json: json))
    }
    func audit(limit: Int) async throws(StoreError) -> [AuditRecord] { Array(records.suffix(limit)) }
}
