/// Durable state, as the control plane sees it. When a call returns, what it wrote survives a killed process;
/// sessions, nonces, devices and audit also survive a power cut.
///
/// Every call throws `StoreError`; a call that throws has written nothing.
public protocol GatewayStore: RefreshStore {
    // Sessions

    /// Keeps a new session. An application session whose global session is gone is refused
    /// (`.globalSessionGone`), so that a sign-out cannot be overtaken by a sign-in that was under way.
    func insert(_ session: StoredSession) async throws(StoreError)
    /// The session with this token digest: the current one, or the previous one while `nowSeconds <
    /// previousUntilSeconds`. An expired session (`expiresAtSeconds <= nowSeconds`) is not found, and a bound
    /// one not by a current secret that has run out (`binding.secretUntilSeconds <= nowSeconds`).
    func session(tokenDigest: [UInt8], nowSeconds: Int64) async throws(StoreError) -> StoredSession?
    /// The session with this id, expired or not.
    func session(id: String) async throws(StoreError) -> StoredSession?
    /// The newest sessions first, at most `limit` (1…100,000).
    func sessions(_ query: SessionQuery, limit: Int) async throws(StoreError) -> [StoredSession]
    /// Replaces a session by a changed one of the same id, when it still is exactly as it was read; false when
    /// somebody else has changed or ended it meanwhile. It is never brought back.
    func replace(_ old: StoredSession, with new: StoredSession) async throws(StoreError) -> Bool
    /// Ends sessions. Ending a global session ends its application sessions in the same transaction.
    /// - Returns: everything that was ended, to be revoked on the data plane.
    @discardableResult func remove(sessionIDs: [String]) async throws(StoreError) -> [StoredSession]
    /// Which global sessions a browser still has whose cookie is of a session that has ended, or has expired: those
    /// that were linked to it, or the one that it was under. Known until the last of them ends; of one of them, for
    /// the 64 cookies that ended last.
    ///
    /// - Parameter host: of the session that ended.
    func leftBehind(tokenDigest: [UInt8], host: String) async throws(StoreError) -> [String]
    /// Makes all global sessions of one browser know of each other (`StoredSession.linkedIDs`): this one, `others`,
    /// those that share one of its names (`StoredSession.browserNames`) or have it as their id, and what is linked to
    /// any of these. All in one transaction: of two that are made at the same moment the later finds the earlier.
    ///
    /// - Parameter others: in front; those found by names follow, the newest first.
    /// - Returns: what was ended, beyond `StoredSession.linkedMax`: a session that signing out would miss must not be
    ///   left behind.
    func linkBrowser(of id: String, with others: [String]) async throws(StoreError) -> [StoredSession]
    /// True exactly once per digest, however many callers ask at the same moment, also after a restart.
    func consumeNonce(_ digest: [UInt8], expiresAtSeconds: Int64) async throws(StoreError) -> Bool
    /// Forgets expired sessions, nonces and enrolment tokens.
    /// - Returns: the ids of the sessions that were forgotten.
    @discardableResult func removeExpired(nowSeconds: Int64) async throws(StoreError) -> [String]

    // Endings

    /// Ends every sign-in of a scope with what is below it, and remembers for an hour that it was ended, all in one
    /// transaction: a sign-in under way is either ended by it or finds by `lastEnding` that it is.
    ///
    /// - Parameter nonce: used up in the same transaction.
    /// - Returns: nil when the nonce was used before; then nothing is changed.
    func end(_ scope: EndingScope, atSeconds: Int64, once nonce: OneTime?) async throws(StoreError)
        -> EndedSessions?
    /// Remembers for an hour that sign-ins of these names were ended. What there is of them is the caller's to end, and
    /// afterwards: then a sign-in under way is either found by the caller or finds this by `lastEnding`.
    func noteEnding(of names: SignInNames, atSeconds: Int64) async throws(StoreError)
    /// Remembers for an hour that a browser was signed out, by what its sign-ins under way know it by. What there is of
    /// it is the caller's to end, and afterwards, as with `noteEnding`. No sign-in that begins later takes such a name.
    func noteSignOut(ofBrowsers names: [String], atSeconds: Int64) async throws(StoreError)
    /// Signs a browser out, in one transaction: these global sessions, and as with `linkBrowser` the others of their
    /// browser, end with what is below them, and their ids and names are remembered as with `noteSignOut`.
    ///
    /// - Parameter names: further ones, of what may have ended by itself meanwhile.
    func signOut(_ ids: [String], names: [String], atSeconds: Int64) async throws(StoreError)
        -> SignedOutSessions
    /// Whether the browser that is known by this name was signed out within the last hour.
    func isSignedOut(browser name: String) async throws(StoreError) -> Bool
    /// The number of the last sign-out of a browser that is known by one of these names, as endings are counted;
    /// nil: none within the last hour.
    func lastSignOut(ofBrowsers names: [String]) async throws(StoreError) -> Int64?
    /// When something last ended that this sign-in belongs to; nil: nothing within the last hour.
    func lastEnding(of session: StoredSession) async throws(StoreError) -> LastEnding?
    /// How many endings were noted so far, forgotten ones included: what is noted later has a higher number.
    func endingCount() async throws(StoreError) -> Int64
    /// The number of the last ending that is no longer remembered; 0: none. What began before it may have been meant.
    /// Only a clock that jumps makes this later than anything under way: what was noted since a refresh was asked that
    /// has no answer yet is remembered for longer, among the last 100,000.
    func forgottenEndings() async throws(StoreError) -> Int64
    /// Dates endings that were noted by a clock that has gone back since as of now: nobody can sign in past them until
    /// then. Up to `EndingsAhead.toleranceSeconds` ahead of now they stay.
    ///
    /// - Returns: what there was of them; nil: nothing.
    func settleEndings(nowSeconds: Int64) async throws(StoreError) -> EndingsAhead?
    /// How many would end with the sessions of a query, of those that have not expired.
    func count(_ query: SessionQuery, nowSeconds: Int64) async throws(StoreError) -> SessionCount
    /// The providers that sessions come from.
    func sessionMakers() async throws(StoreError) -> [SessionMaker]

    // Keys that sessions are bound to

    /// Binds a session to a key: both are kept in one step, the session as `replace` would.
    ///
    /// - Returns: false when the session has changed or ended meanwhile, or has a key already; then nothing is
    ///   kept.
    func bind(_ old: StoredSession, as new: StoredSession, to key: SessionKey) async throws(StoreError)
        -> Bool
    /// The key of a session; it ends with the session.
    func sessionKey(sessionID: String) async throws(StoreError) -> SessionKey?

    // Devices

    /// Keeps a device. A revoked device stays revoked and gives its pinned ids back, and a counter never goes
    /// back; a pinned id that belongs to another device is refused (`.conflict`).
    func upsert(_ device: StoredDevice) async throws(StoreError)
    /// Keeps `device` in the place of an older one of the same owner: in one transaction that one is revoked
    /// for good and gives its pinned ids back. Refused (`.conflict`) when it is gone, was revoked before or
    /// belongs to somebody else.
    func upsert(_ device: StoredDevice, superseding deviceID: String) async throws(StoreError)
    /// The device with this id.
    func device(id: String) async throws(StoreError) -> StoredDevice?
    /// The one device to which this provider id is pinned.
    func device(pinnedKind: String, value: String) async throws(StoreError) -> StoredDevice?
    /// All devices, by id.
    func devices() async throws(StoreError) -> [StoredDevice]
    /// Keeps a new enrolment token.
    func insert(_ token: EnrollmentToken) async throws(StoreError)
    /// An enrolment token that is still good, without using it up.
    func enrollmentToken(digest: [UInt8], nowSeconds: Int64) async throws(StoreError) -> EnrollmentToken?
    /// Uses up an enrolment token: the token exactly once and only while `nowSeconds < expiresAtSeconds`.
    func redeem(enrollmentTokenDigest: [UInt8], nowSeconds: Int64) async throws(StoreError)
        -> EnrollmentToken?

    // Persons

    /// Notes which account a subject of this issuer is; later notes win.
    /// - Returns: every subject of the issuer that is the same account, the one that was seen first in front.
    @discardableResult
    func link(issuer: String, subject: String, account: String) async throws(StoreError) -> [String]
    /// Every subject of the issuer that is the same account as this one, the one that was seen first in front; only
    /// `subject` itself where nothing is known.
    func subjects(issuer: String, subject: String) async throws(StoreError) -> [String]

    // Revoked certificates

    /// Serial numbers of device certificates that were revoked by themselves.
    func revokedSerials() async throws(StoreError) -> [String]
    /// Keeps one for good.
    func revoke(serialHex: String, atSeconds: Int64) async throws(StoreError)
    /// What named revoked devices and names no other one since.
    func revokedPins() async throws(StoreError) -> [RevokedPin]

    /// The newest revocation list of each issuer that any integration has used.
    func revocationLists() async throws(StoreError) -> [StoredRevocationList]
    /// Keeps these lists of an integration, and none of its others.
    func keep(_ lists: [StoredRevocationList], of integration: String) async throws(StoreError)

    // Management servers' statements

    /// How new the newest statement of each device is, seconds since 1970.
    func statementTimes() async throws(StoreError) -> [String: Int64]
    /// Keeps it, unless a newer one is known. Forgotten when it is a day old.
    func noteStatement(ofDevice id: String, issuedAtSeconds: Int64) async throws(StoreError)

    // Service tokens

    /// All of them, by name and age.
    func serviceTokens() async throws(StoreError) -> [StoredServiceToken]
    /// Keeps tokens in one transaction; of one that is there only its end and its last use change.
    func upsert(_ tokens: [StoredServiceToken]) async throws(StoreError)
    /// Notes when tokens were last used; one that is gone stays gone.
    func noteUse(ofServiceTokens used: [String: Int64]) async throws(StoreError)
    /// Ends tokens; those that are not there are none.
    func removeServiceTokens(ids: [String]) async throws(StoreError)

    // Verdicts

    /// Keeps verdicts of one integration; one per native id, the later call wins.
    func upsert(_ rows: [VerdictRow], of integration: String) async throws(StoreError)
    /// Verdicts of one integration by native id (as bytes), from the one behind `after` on, at most `limit`.
    func verdictRows(of integration: String, after: String?, limit: Int) async throws(StoreError)
        -> [VerdictRow]
    /// The verdict of one native id, compared by its bytes; nil: there is none.
    func verdictRow(of integration: String, nativeID: String) async throws(StoreError) -> VerdictRow?
    /// Forgets the verdicts of these native ids, where they exist.
    func removeVerdicts(_ nativeIDs: [String], of integration: String) async throws(StoreError)
    /// How far the synchronisation of this integration got; nil before the first one.
    func syncState(integration: String) async throws(StoreError) -> SyncState?
    /// Keeps the state after an incremental synchronisation.
    func upsert(_ state: SyncState) async throws(StoreError)

    // Audit

    /// Appends one record; `json` is one JSON object.
    func appendAudit(kind: String, atSeconds: Int64, json: String) async throws(StoreError)
    /// The newest records first, at most `limit` (1…100,000).
    func audit(limit: Int) async throws(StoreError) -> [AuditRecord]
}
