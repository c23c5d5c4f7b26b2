import Access
import Store

/// The part of durable state that posture uses, in memory, able to fail on purpose.
actor MemoryStore: GatewayStore {
    var nonces: Set<[UInt8]> = []
    var stored: [String: StoredDevice] = [:]
    var tokens: [[UInt8]: EnrollmentToken] = [:]
    var kept: [String: [String: PackedVerdict]] = [:]
    var states: [String: SyncState] = [:]
    var records: [AuditRecord] = []
    var failsDeviceWrites = false
    var failsVerdictReads = false
    var failsVerdictWrites = false
    var holdsNextWrite = false
    var heldWrite: CheckedContinuation<Void, Never>?
    private var holdsLists = false
    private var heldLists: [CheckedContinuation<Void, Never>] = []
    private var listWaiters: [CheckedContinuation<Void, Never>] = []
    private var holdsSingleRead = false
    private var heldSingleRead: CheckedContinuation<Void, Never>?
    private var singleReadWaiters: [CheckedContinuation<Void, Never>] = []
    /// Rows of verdicts that were read by themselves.
    private(set) var singleReads = 0

    func failDeviceWrites(_ fails: Bool) { failsDeviceWrites = fails }
    func failVerdictReads(_ fails: Bool) { failsVerdictReads = fails }
    func failVerdictWrites(_ fails: Bool) { failsVerdictWrites = fails }
    /// The next write of verdicts waits, and fails when it is let go.
    func holdNextVerdictWrite() { holdsNextWrite = true }
    func letGoOfWrite() { heldWrite?.resume() }
    /// From now on no list of verdicts is read to its end.
    func holdLists() { holdsLists = true }
    func untilListIsHeld() async {
        guard heldLists.isEmpty else { return }
        await withCheckedContinuation { listWaiters.append($0) }
    }
    func letGoOfLists() {
        holdsLists = false
        for list in heldLists { list.resume() }
        heldLists = []
    }
    /// The next row that is read by itself is as it was, and comes late.
    func holdNextSingleRead() { holdsSingleRead = true }
    func letGoOfSingleRead() { heldSingleRead?.resume() }
    func untilSingleReadIsHeld() async {
        guard heldSingleRead == nil else { return }
        await withCheckedContinuation { singleReadWaiters.append($0) }
    }
    func keep(_ rows: [VerdictRow], of integration: String) {
        for row in rows { kept[integration, default: [:]][row.nativeID] = row.record }
    }
    func auditKinds() -> [String] { records.map(\.kind) }

    func insert(_ session: StoredSession) async throws(StoreError) {}
    func session(tokenDigest: [UInt8], nowSeconds: Int64) async throws(StoreError) -> StoredSession? { nil }
    func session(id: String) async throws(StoreError) -> StoredSession? { nil }
    func sessions(_ query: SessionQuery, limit: Int) async throws(StoreError) -> [StoredSession] { [] }
    func replace(_ old: StoredSession, with new: StoredSession) async throws(StoreError) -> Bool { false }
    func remove(sessionIDs: [String]) async throws(StoreError) -> [StoredSession] { [] }
    func bind(
        _ old: StoredSession, as new: StoredSession, to key: SessionKey
    ) async throws(StoreError) -> Bool { false }
    func sessionKey(sessionID: String) async throws(StoreError) -> SessionKey? { nil }
    func leftBehind(tokenDigest: [UInt8], host: String) async throws(StoreError) -> [String] { [] }
    func removeExpired(nowSeconds: Int64) async throws(StoreError) -> [String] { [] }
    func end(_ scope: EndingScope, atSeconds: Int64, once nonce: OneTime?) async throws(StoreError)
        -> EndedSessions?
    { EndedSessions(sessions: [], isComplete: true) }
    func noteEnding(of names: SignInNames, atSeconds: Int64) async throws(StoreError) {}
    func lastEnding(of session: StoredSession) async throws(StoreError) -> LastEnding? { nil }
    func noteSignOut(ofBrowsers names: [String], atSeconds: Int64) async throws(StoreError) {}
    func signOut(
        _ ids: [String], names: [String], atSeconds: Int64
    ) async throws(StoreError) -> SignedOutSessions { SignedOutSessions(sessions: [], refreshes: []) }
    func isSignedOut(browser name: String) async throws(StoreError) -> Bool { false }
    func lastSignOut(ofBrowsers names: [String]) async throws(StoreError) -> Int64? { nil }
    func linkBrowser(of id: String, with others: [String]) async throws(StoreError) -> [StoredSession] { [] }
    func endingCount() async throws(StoreError) -> Int64 { 0 }
    func forgottenEndings() async throws(StoreError) -> Int64 { 0 }
    func settleEndings(nowSeconds: Int64) async throws(StoreError) -> EndingsAhead? { nil }
    func count(_ query: SessionQuery, nowSeconds: Int64) async throws(StoreError) -> SessionCount {
        SessionCount()
    }
    func sessionMakers() async throws(StoreError) -> [SessionMaker] { [] }

    func keep(_ refresh: StoredRefresh) async throws(StoreError) {}
    func refresh(sessionID: String) async throws(StoreError) -> StoredRefresh? { nil }
    func refreshes(sessionIDs: [String]) async throws(StoreError) -> [StoredRefresh] { [] }
    func dueRefreshes(
        of provider: String, nowSeconds: Int64, latestSeconds: Int64, limit: Int
    ) async throws(StoreError) -> [StoredRefresh] { [] }
    func overdueRefreshes(
        of provider: String, failingSinceSeconds: Int64, restingSinceSeconds: Int64, dueSinceSeconds: Int64,
        limit: Int
    ) async throws(StoreError) -> [StoredRefresh] { [] }
    func replace(
        _ old: StoredRefresh, with new: StoredRefresh, sessions: [SessionChange]
    ) async throws(StoreError) -> RefreshReplacement { .refreshChanged }
    func end(refreshing refresh: StoredRefresh) async throws(StoreError) -> [StoredSession] { [] }
    func removeRefresh(sessionID: String) async throws(StoreError) {}
    func wake(refreshesOf sessionIDs: [String], atSeconds: Int64) async throws(StoreError) {}
    func refreshTallies() async throws(StoreError) -> [String: RefreshTally] { [:] }

    func consumeNonce(_ digest: [UInt8], expiresAtSeconds: Int64) async throws(StoreError) -> Bool {
        nonces.insert(digest).inserted
    }

    func upsert(_ device: StoredDevice) async throws(StoreError) {
        guard !failsDeviceWrites else {
            throw StoreError(.full, file: "sessions.sqlite", what: "disk full", remedy: "make room")
        }
        let former = stored[device.id]?.pinnedIDs ?? [:]
        if device.isRevoked, device.supersededBy == nil {
            pinsOfRevoked.formUnion(former.map { RevokedPin(kind: $0.key, value: $0.value) })
        }
        pinsOfRevoked.subtract(device.pinnedIDs.map { RevokedPin(kind: $0.key, value: $0.value) })
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
    func enrollmentToken(digest: [UInt8], nowSeconds: Int64) async throws(StoreError) -> EnrollmentToken? {
        tokens[digest].flatMap { nowSeconds < $0.expiresAtSeconds ? $0 : nil }
    }
    func redeem(enrollmentTokenDigest: [UInt8], nowSeconds: Int64) async throws(StoreError)
        -> EnrollmentToken?
    {
        guard let token = tokens.removeValue(forKey: enrollmentTokenDigest) else { return nil }
        return nowSeconds < token.expiresAtSeconds ? token : nil
    }

    func upsert(_ rows: [VerdictRow], of integration: String) async throws(StoreError) {
        guard !failsVerdictWrites else {
            throw StoreError(.full, file: "verdicts.sqlite", what: "disk full", remedy: "make room")
        }
        if holdsNextWrite {
            holdsNextWrite = false
            await withCheckedContinuation { heldWrite = $0 }
            throw StoreError(.full, file: "verdicts.sqlite", what: "disk full", remedy: "make room")
        }
        for row in rows { kept[integration, default: [:]][row.nativeID] = row.record }
    }
    func verdictRows(of integration: String, after: String?, limit: Int) async throws(StoreError)
        -> [VerdictRow]
    {
        guard !failsVerdictReads else {
            throw StoreError(.malformedRow, file: "verdicts.sqlite", what: "a row", remedy: "restore it")
        }
        if holdsLists {
            await withCheckedContinuation {
                heldLists.append($0)
                for waiter in listWaiters { waiter.resume() }
                listWaiters = []
            }
        }
        let rows = (kept[integration] ?? [:]).map { VerdictRow(nativeID: $0.key, record: $0.value) }
        return Array(
            rows.sorted { $0.nativeID < $1.nativeID }.filter { row in after.map { row.nativeID > $0 } ?? true
            }
            .prefix(limit))
    }
    func verdictRow(of integration: String, nativeID: String) async throws(StoreError) -> VerdictRow? {
        guard !failsVerdictReads else {
            throw StoreError(.malformedRow, file: "verdicts.sqlite", what: "a row", remedy: "restore it")
        }
        singleReads += 1
        let row = kept[integration]?[nativeID].map { VerdictRow(nativeID: nativeID, record: $0) }
        if holdsSingleRead {
            holdsSingleRead = false
            await withCheckedContinuation {
                heldSingleRead = $0
                for waiter in singleReadWaiters { waiter.resume() }
                singleReadWaiters = []
            }
        }
        return row
    }
    func removeVerdicts(_ nativeIDs: [String], of integration: String) async throws(StoreError) {
        for id in nativeIDs { kept[integration]?[id] = nil }
    }
    func syncState(integration: String) async throws(StoreError) -> SyncState? { states[integration] }
    func upsert(_ state: SyncState) async throws(StoreError) { states[state.integration] = state }

    private var accounts: [(issuer: String, subject: String, account: String)] = []
    func link(issuer: String, subject: String, account: String) async throws(StoreError) -> [String] {
        if let at = accounts.firstIndex(where: { $0.issuer == issuer && $0.subject == subject }) {
            accounts[at].account = account
        } else {
            accounts.append((issuer, subject, account))
        }
        return names(issuer, subject)
    }
    func subjects(issuer: String, subject: String) async throws(StoreError) -> [String] {
        return names(issuer, subject)
    }
    private func names(_ issuer: String, _ subject: String) -> [String] {
        let own = accounts.first { $0.issuer == issuer && $0.subject == subject }?.account
        let found = accounts.filter { $0.issuer == issuer && $0.account == own }.map(\.subject)
        return found.isEmpty ? [subject] : found
    }

    private var serials: Set<String> = []
    func revokedSerials() async throws(StoreError) -> [String] { serials.sorted() }
    func revoke(serialHex: String, atSeconds: Int64) async throws(StoreError) { serials.insert(serialHex) }
    func revokedPins() async throws(StoreError) -> [RevokedPin] {
        pinsOfRevoked.sorted { $0.value < $1.value }
    }
    private var pinsOfRevoked: Set<RevokedPin> = []

    private var lists: [StoredRevocationList] = []
    func revocationLists() async throws(StoreError) -> [StoredRevocationList] { lists }
    func keep(_ lists: [StoredRevocationList], of integration: String) async throws(StoreError) {
        self.lists = self.lists.filter { $0.integration != integration } + lists
    }

    private var statements: [String: Int64] = [:]
    func statementTimes() async throws(StoreError) -> [String: Int64] { statements }
    func noteStatement(ofDevice id: String, issuedAtSeconds: Int64) async throws(StoreError) {
        guard !failsDeviceWrites else {
            throw StoreError(.full, file: "memory", what: "full on purpose", remedy: "none")
        }
        statements[id] = max(statements[id] ?? 0, issuedAtSeconds)
    }

    func serviceTokens() async throws(StoreError) -> [StoredServiceToken] { [] }
    func upsert(_ tokens: [StoredServiceToken]) async throws(StoreError) {}
    func noteUse(ofServiceTokens used: [String: Int64]) async throws(StoreError) {}
    func removeServiceTokens(ids: [String]) async throws(StoreError) {}
    func appendAudit(kind: String, atSeconds: Int64, json: String) async throws(StoreError) {
        records.append(
            AuditRecord(sequence: Int64(records.count), kind: kind, atSeconds: atSeconds, json: json))
    }
    func audit(limit: Int) async throws(StoreError) -> [AuditRecord] { Array(records.suffix(limit)) }
}
