import Access
import Store

/// Sessions and nonces in memory, with the store's rules; it can be told to fail.
actor MemoryStore: GatewayStore {
    var rows: [String: StoredSession] = [:]
    var refreshRows: [String: StoredRefresh] = [:]
    private var nonces: Set<[UInt8]> = []
    private var isBroken = false

    /// Only what ends sessions by their refresh fails.
    var failsEnds = false
    func fail(ends: Bool) { failsEnds = ends }

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
            if row.tokenDigest == tokenDigest {
                return nowSeconds < row.binding?.secretUntilSeconds ?? .max
            }
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
            case .person(let issuer, let subject):
                row.issuer == issuer && names(issuer, subject).contains(row.subject)
            case .email(let email): row.email == email
            case .device(let id): row.deviceID == id
            case .ids(let ids): ids.contains(row.id)
            case .globals(let ids): row.globalID.map(ids.contains) ?? false
            case .devices(let ids): row.deviceID.map(ids.contains) ?? false
            case .provider(let name): row.identityProvider == name
            case .application(let name): row.application == name
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
        for row in gone {
            let global = row.globalID.map { id in gone.first { $0.id == id } } ?? row
            let left = global?.linkedIDs ?? [row.globalID ?? ""]
            for digest in [row.tokenDigest, row.previousTokenDigest ?? []] {
                endedCookies.append((digest, row.host, left.filter { rows[$0] != nil }))
            }
        }
        return gone
    }
    private var endedCookies: [(digest: [UInt8], host: String, left: [String])] = []
    func leftBehind(tokenDigest: [UInt8], host: String) async throws(StoreError) -> [String] {
        try check()
        if let row = rows.values.first(where: { $0.tokenDigest == tokenDigest && $0.host == host }) {
            return row.globalID.map { [$0] } ?? [row.id] + row.linkedIDs
        }
        return endedCookies.filter { $0.digest == tokenDigest && $0.host == host }.flatMap(\.left)
            .filter { rows[$0] != nil }
    }
    func consumeNonce(_ digest: [UInt8], expiresAtSeconds: Int64) async throws(StoreError) -> Bool {
        try check()
        return nonces.insert(digest).inserted
    }

    private var accounts: [(issuer: String, subject: String, account: String)] = []
    func link(issuer: String, subject: String, account: String) async throws(StoreError) -> [String] {
        try check()
        if let at = accounts.firstIndex(where: { $0.issuer == issuer && $0.subject == subject }) {
            accounts[at].account = account
        } else {
            accounts.append((issuer, subject, account))
        }
        return names(issuer, subject)
    }
    func subjects(issuer: String, subject: String) async throws(StoreError) -> [String] {
        try check()
        return names(issuer, subject)
    }
    private func names(_ issuer: String, _ subject: String) -> [String] {
        let own = accounts.first { $0.issuer == issuer && $0.subject == subject }?.account
        let found = accounts.filter { $0.issuer == issuer && $0.account == own }.map(\.subject)
        return found.isEmpty ? [subject] : found
    }

    private var endings: [EndingScope: LastEnding] = [:]
    private var namedEndings: [SignInNames: LastEnding] = [:]
    private var endingNumber: Int64 = 0

    func nextEnding(_ atSeconds: Int64) -> LastEnding {
        endingNumber += 1
        return LastEnding(atSeconds: atSeconds, number: endingNumber)
    }
    func endingCount() async throws(StoreError) -> Int64 {
        try check()
        return endingNumber
    }

    private var signedOutBrowsers: [String: LastEnding] = [:]
    func noteSignOut(ofBrowsers names: [String], atSeconds: Int64) async throws(StoreError) {
        try check()
        for name in names { signedOutBrowsers[name] = nextEnding(atSeconds) }
    }
    func isSignedOut(browser name: String) async throws(StoreError) -> Bool {
        try check()
        return signedOutBrowsers[name] != nil
    }
    func lastSignOut(ofBrowsers names: [String]) async throws(StoreError) -> Int64? {
        try check()
        return names.compactMap { signedOutBrowsers[$0]?.number }.max()
    }

    /// As if the clock had jumped, and the upkeep had been.
    func forgetEndings() {
        (endings, namedEndings, signedOutBrowsers) = ([:], [:], [:])
        forgottenNumber = endingNumber
    }
    private(set) var forgottenNumber: Int64 = 0
    func forgottenEndings() async throws(StoreError) -> Int64 {
        try check()
        return forgottenNumber
    }

    func noteEnding(of names: SignInNames, atSeconds: Int64) async throws(StoreError) {
        try check()
        namedEndings[names] = nextEnding(atSeconds).orLater(namedEndings[names])
    }

    func end(
        _ scope: EndingScope, atSeconds: Int64, once nonce: OneTime?
    ) async throws(StoreError) -> EndedSessions? {
        try check()
        if let nonce, !nonces.insert(nonce.digest).inserted { return nil }
        endings[scope] = nextEnding(atSeconds).orLater(endings[scope])
        let meant = rows.values.filter { row in
            if case .signIn(let id, _, _) = scope, row.id != id { return false }
            return row.kind == .global && covers(scope, row)
        }.map(\.id)
        return EndedSessions(sessions: try await remove(sessionIDs: meant), isComplete: true)
    }

    private func covers(_ scope: EndingScope, _ row: StoredSession) -> Bool {
        switch scope {
        case .providerSession(let provider, let sid, let subject):
            row.identityProvider == provider && (subject.map { $0 == row.subject } ?? true)
                && (row.providerSessionID == sid || (row.providerSessionID == nil && subject != nil))
        case .providerSubject(let provider, let subject):
            row.identityProvider == provider && row.subject == subject
        case .person(let issuer, let subject):
            row.issuer == issuer && names(issuer, subject).contains(row.subject)
        case .provider(let provider): row.identityProvider == provider
        case .issuer(let provider, let issuer):
            row.identityProvider == provider && row.issuer == issuer
        case .signIn(_, let provider, let sid):
            row.identityProvider == provider && row.providerSessionID == sid
        }
    }

    func lastEnding(of session: StoredSession) async throws(StoreError) -> LastEnding? {
        try check()
        let byEveryName = names(session.issuer, session.subject).map { subject in
            var named = session
            named.subject = subject
            return named
        }
        let named = namedEndings.filter { ending in byEveryName.contains { ending.key.covers($0) } }
        let all = endings.filter { covers($0.key, session) }.map(\.value) + named.map(\.value)
        return all.dropFirst().reduce(all.first) { $1.orLater($0) }
    }

    func settleEndings(nowSeconds: Int64) async throws(StoreError) -> EndingsAhead? {
        try check()
        let latest = nowSeconds + EndingsAhead.toleranceSeconds
        let ahead = (Array(endings.values) + Array(namedEndings.values)).map(\.atSeconds).filter {
            $0 > latest
        }
        guard let last = ahead.max() else { return nil }
        func settled(_ ending: LastEnding) -> LastEnding {
            LastEnding(
                atSeconds: ending.atSeconds > latest ? nowSeconds : ending.atSeconds, number: ending.number)
        }
        endings = endings.mapValues(settled)
        namedEndings = namedEndings.mapValues(settled)
        return EndingsAhead(count: ahead.count, seconds: last - nowSeconds)
    }

    func count(_ query: SessionQuery, nowSeconds: Int64) async throws(StoreError) -> SessionCount {
        SessionCount(try await sessions(query, limit: 100_000), liveAtSeconds: nowSeconds)
    }
    func sessionMakers() async throws(StoreError) -> [SessionMaker] {
        Array(Set(rows.values.map { SessionMaker(provider: $0.identityProvider, issuer: $0.issuer) }))
    }

    private var keys: [String: SessionKey] = [:]

    func bind(
        _ old: StoredSession, as new: StoredSession, to key: SessionKey
    ) async throws(StoreError) -> Bool {
        try check()
        guard keys[new.id] == nil, rows[old.id] == old else { return false }
        rows[new.id] = new
        keys[new.id] = key
        return true
    }
    func sessionKey(sessionID: String) async throws(StoreError) -> SessionKey? {
        try check()
        return rows[sessionID] == nil ? nil : keys[sessionID]
    }

    // Not asked by this module.
    func removeExpired(nowSeconds: Int64) async throws(StoreError) -> [String] { [] }
    func upsert(_ device: StoredDevice) async throws(StoreError) {}
    func upsert(_ device: StoredDevice, superseding deviceID: String) async throws(StoreError) {}
    func device(id: String) async throws(StoreError) -> StoredDevice? { nil }
    func device(pinnedKind: String, value: String) async throws(StoreError) -> StoredDevice? { nil }
    func devices() async throws(StoreError) -> [StoredDevice] { [] }
    func insert(_ token: EnrollmentToken) async throws(StoreError) {}
    func enrollmentToken(digest: [UInt8], nowSeconds: Int64) async throws(StoreError) -> EnrollmentToken? {
        nil
    }
    func redeem(enrollmentTokenDigest: [UInt8], nowSeconds: Int64) async throws(StoreError)
        -> EnrollmentToken?
    { nil }
    func upsert(_ rows: [VerdictRow], of integration: String) async throws(StoreError) {}
    func verdictRows(of integration: String, after: String?, limit: Int) async throws(StoreError)
        -> [VerdictRow]
    { [] }
    func verdictRow(of integration: String, nativeID: String) async throws(StoreError) -> VerdictRow? { nil }
    func removeVerdicts(_ nativeIDs: [String], of integration: String) async throws(StoreError) {}
    func syncState(integration: String) async throws(StoreError) -> SyncState? { nil }
    func upsert(_ state: SyncState) async throws(StoreError) {}
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
        statements[id] = max(statements[id] ?? 0, issuedAtSeconds)
    }

    func serviceTokens() async throws(StoreError) -> [StoredServiceToken] { [] }
    func upsert(_ tokens: [StoredServiceToken]) async throws(StoreError) {}
    func noteUse(ofServiceTokens used: [String: Int64]) async throws(StoreError) {}
    func removeServiceTokens(ids: [String]) async throws(StoreError) {}
    func appendAudit(kind: String, atSeconds: Int64, json: String) async throws(StoreError) {}
    func audit(limit: Int) async throws(StoreError) -> [AuditRecord] { [] }
}
