import Access
import Border

/// The session records that reactors were given lately: a second reactor, or the next minute's renewal, finds here
/// what the first one waited for.
///
/// A value without a lock of its own: `Revocations` keeps it beside the sequence, so that an entry and the number it
/// is good for change in one step.
struct SessionTable {
    /// Records kept; beyond, those that are due for renewal go first.
    static let recordsMax = 200_000

    private var records: [[UInt8]: SessionRecord] = [:]
    private var digests: [String: Set<[UInt8]>] = [:]
    /// Whose a token was. It outlives a change of the policy: what the token opened may outlive it, too.
    private var owners: [[UInt8]: String] = [:]
    /// Of sessions that are used beside certificates, their names (`SessionRecord.name`).
    private var besides: [String: Set<String>] = [:]
    /// What each session was given last, by its name. It outlives a change of the policy, so that what is
    /// lost by it can be told.
    private(set) var latest: [String: SessionRecord] = [:]

    var count: Int { records.count }

    /// The record of a token, while it needs no renewal.
    func fresh(_ digest: [UInt8], application: String, nowSeconds: Int64) -> SessionRecord? {
        guard let record = records[digest], record.application == application,
            nowSeconds < record.renewAtSeconds,
            nowSeconds < record.residual.validUntilSeconds, nowSeconds < record.expiresAtSeconds
        else { return nil }
        return record
    }

    /// Whether reactors were given a record of the session, on whatever connections.
    func isKnown(_ session: String) -> Bool { latest[session] != nil || besides[session] != nil }

    /// Whose the sessions are that are not over, as their records name them: issuer, space, subject; nil is a
    /// machine's. And their devices.
    ///
    /// Names only, and as often as there are sessions: who sorts them keeps no revocation waiting.
    func openNames(nowSeconds: Int64) -> [(person: String?, device: String?)] {
        var names: [(person: String?, device: String?)] = []
        names.reserveCapacity(latest.count)
        for record in latest.values where nowSeconds < record.expiresAtSeconds {
            names.append((record.client == .person ? record.person : nil, record.device))
        }
        return names
    }

    /// The session that a token belonged to when it was last seen.
    func sessionID(_ digest: [UInt8]) -> String? { owners[digest] }

    mutating func keep(_ record: SessionRecord, nowSeconds: Int64) {
        if records.count >= Self.recordsMax, records[record.tokenDigest] == nil { makeRoom(nowSeconds) }
        enter(record)
    }

    /// A token that reactors know from before.
    mutating func adopt(_ digest: [UInt8], session: String) {
        guard owners[digest] == nil else { return }
        owners[digest] = session
        digests[session, default: []].insert(digest)
    }

    private mutating func enter(_ record: SessionRecord) {
        records[record.tokenDigest] = record
        owners[record.tokenDigest] = record.session
        if digests[record.session, default: []].insert(record.tokenDigest).inserted { forgetOld(record) }
        // Of two that were made side by side the one that knew more counts.
        let name = record.name
        if let last = latest[name] {
            if last.sequence <= record.sequence { latest[name] = record }
        } else if latest.count < Self.recordsMax {
            latest[name] = record
            if record.certificate != nil { besides[record.session, default: []].insert(name) }
        }
    }

    /// Follows a revocation: what it ends or replaces is no longer handed out.
    mutating func apply(_ effect: Revocation.Effect) {
        switch effect {
        case .endSession(let session): forget(session)
        case .endPerson(let person): forget { $0.person == person }
        case .endDevice(let device): forget { $0.device == device }
        case .endApplication(let application): forget { $0.application == application }
        case .revokeCertificate: break
        case .replace(let record): enter(record)
        }
    }

    /// Forgets everything, because the policy that made it is no longer the one in force.
    mutating func removeAll() {
        records = [:]
    }

    /// Secrets that were replaced by newer ones: whatever they opened has its record renewed each minute or two, so one
    /// that was not has nothing open.
    private mutating func forgetOld(_ newest: SessionRecord) {
        for digest in digests[newest.session] ?? [] {
            guard let old = records[digest],
                newest.renewAtSeconds - Self.unusedSeconds > old.renewAtSeconds
            else { continue }
            records[digest] = nil
            owners[digest] = nil
            digests[newest.session]?.remove(digest)
        }
    }

    private static let unusedSeconds: Int64 = 600

    private mutating func forget(_ session: String) {
        latest[session] = nil
        for name in besides.removeValue(forKey: session) ?? [] { latest[name] = nil }
        for digest in digests.removeValue(forKey: session) ?? [] {
            records[digest] = nil
            owners[digest] = nil
        }
    }

    private mutating func forget(where isMeant: (SessionRecord) -> Bool) {
        let known =
            records.values.filter(isMeant).map(\.session) + latest.values.filter(isMeant).map(\.session)
        for session in Set(known) { forget(session) }
    }

    /// Room for many at a time: looking at all of them is paid for by as many new ones.
    private mutating func makeRoom(_ nowSeconds: Int64) {
        forget { $0.renewAtSeconds <= nowSeconds }
        let left = records.count - (Self.recordsMax - Self.recordsMax / 16)
        guard left > 0 else { return }
        // Everybody is active: some lose a short cut, nobody a session.
        for session in records.values.prefix(left).map(\.session) { forget(session) }
    }
}
