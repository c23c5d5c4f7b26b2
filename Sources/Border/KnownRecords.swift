import Access

/// The records that reactors may still use, by the digest of what they are known by.
///
/// What ends them names a session, a person, a device or an application, and thousands may end one after the other:
/// each finds its own without a look at the rest.
public struct KnownRecords: Sendable {
    private struct Entry {
        var record: KnownRecord
        var person: String
        var device: String?
        var endsAtSeconds: Int64
    }

    /// Digests by a name that their records have.
    private struct Index {
        private var digests: [ExactKey: Set<[UInt8]>] = [:]

        subscript(name: String) -> Set<[UInt8]> { digests[ExactKey(name)] ?? [] }

        mutating func insert(_ digest: [UInt8], _ name: String) {
            digests[ExactKey(name), default: []].insert(digest)
        }

        mutating func remove(_ digest: [UInt8], _ name: String) {
            let key = ExactKey(name)
            digests[key]?.remove(digest)
            if digests[key]?.isEmpty == true { digests[key] = nil }
        }
    }

    /// Beyond, a record is not remembered: the next control process then learns of its session by a question, and
    /// until then the record ends by itself.
    public static let recordsMax = 400_000
    private var entries: [[UInt8]: Entry] = [:]
    private var sessions = Index()
    private var persons = Index()
    private var devices = Index()
    private var applications = Index()
    /// Looked through for ended ones at this size.
    private var sweepAt = 4_096
    private var sweptAtSeconds: Int64 = 0

    public init() {}

    /// How many are known.
    public var count: Int { entries.count }

    /// Every one, in no order.
    public var all: [KnownRecord] { entries.values.map(\.record) }

    /// Takes a record that reactors were given, in the place of the one that was known by the same digest.
    ///
    /// - Parameter nowSeconds: since 1970; now and then those that have ended are forgotten.
    public mutating func keep(_ record: SessionRecord, nowSeconds: Int64) {
        // What it was known under before may be another device's.
        forget([record.tokenDigest])
        makeRoom(nowSeconds: nowSeconds)
        guard entries.count < Self.recordsMax else { return }
        let entry = Entry(
            record: KnownRecord(record), person: record.person, device: record.device,
            endsAtSeconds: max(record.residual.validUntilSeconds, record.streamsUntilSeconds))
        entries[record.tokenDigest] = entry
        sessions.insert(record.tokenDigest, entry.record.session)
        persons.insert(record.tokenDigest, entry.person)
        applications.insert(record.tokenDigest, entry.record.application)
        if let device = entry.device { devices.insert(record.tokenDigest, device) }
    }

    /// At most once a second: to look through all of them is not for every record.
    private mutating func makeRoom(nowSeconds: Int64) {
        guard entries.count >= sweepAt, nowSeconds != sweptAtSeconds else { return }
        forgetEnded(nowSeconds: nowSeconds)
        sweptAtSeconds = nowSeconds
        sweepAt = min(Self.recordsMax, max(4_096, entries.count * 2))
    }

    /// Forgets what a revocation ends, and takes what it replaces.
    public mutating func apply(_ effect: Revocation.Effect, nowSeconds: Int64) {
        switch effect {
        case .endSession(let session): forget(sessions[session])
        case .endPerson(let person): forget(persons[person])
        case .endDevice(let device): forget(devices[device])
        case .endApplication(let application): forget(applications[application])
        // Sessions that it opened are ended by themselves.
        case .revokeCertificate: break
        case .replace(let record):
            if entries[record.tokenDigest] != nil { keep(record, nowSeconds: nowSeconds) }
            // What is open under an earlier secret of the session goes on with it.
            for digest in sessions[record.session] where digest != record.tokenDigest {
                guard let known = entries[digest]?.endsAtSeconds else { continue }
                entries[digest]?.endsAtSeconds = max(known, record.streamsUntilSeconds)
            }
        }
    }

    /// Forgets what no reactor may use any more.
    public mutating func forgetEnded(nowSeconds: Int64) {
        forget(Set(entries.lazy.filter { $0.value.endsAtSeconds <= nowSeconds }.map(\.key)))
    }

    private mutating func forget(_ digests: Set<[UInt8]>) {
        for digest in digests {
            guard let gone = entries.removeValue(forKey: digest) else { continue }
            sessions.remove(digest, gone.record.session)
            persons.remove(digest, gone.person)
            applications.remove(digest, gone.record.application)
            if let device = gone.device { devices.remove(digest, device) }
        }
    }
}
