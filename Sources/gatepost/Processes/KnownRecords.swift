import Access
import Border
import Glibc

/// The records that reactors may still use, by the digest of what they are known by.
struct KnownRecords {
    private struct Entry {
        var record: KnownRecord
        var person: String
        var device: String?
        var endsAtSeconds: Int64
    }
    /// Beyond, a record is not remembered: the next control process then learns of its session by a question, and
    /// until then the record ends by itself.
    static let recordsMax = 400_000
    private var entries: [[UInt8]: Entry] = [:]
    /// Looked through for ended ones at this size.
    private var sweepAt = 4_096
    private var sweptAtSeconds: Int64 = 0

    var all: [KnownRecord] { entries.values.map(\.record) }

    mutating func keep(_ record: SessionRecord) {
        if entries[record.tokenDigest] == nil {
            makeRoom(nowSeconds: Int64(time(nil)))
            guard entries.count < Self.recordsMax else { return }
        }
        entries[record.tokenDigest] = Entry(
            record: KnownRecord(record), person: record.person, device: record.device,
            endsAtSeconds: max(record.residual.validUntilSeconds, record.streamsUntilSeconds))
    }

    /// At most once a second: to look through all of them is not for every record.
    private mutating func makeRoom(nowSeconds: Int64) {
        guard entries.count >= sweepAt, nowSeconds != sweptAtSeconds else { return }
        forgetEnded(nowSeconds: nowSeconds)
        sweptAtSeconds = nowSeconds
        sweepAt = min(Self.recordsMax, max(4_096, entries.count * 2))
    }

    mutating func apply(_ effect: Revocation.Effect) {
        switch effect {
        case .endSession(let session): forget { $0.record.session == session }
        case .endPerson(let person): forget { $0.person == person }
        case .endDevice(let device): forget { $0.device == device }
        case .endApplication(let application): forget { $0.record.application == application }
        case .replace(let record): if entries[record.tokenDigest] != nil { keep(record) }
        }
    }

    mutating func forgetEnded(nowSeconds: Int64) { forget { $0.endsAtSeconds <= nowSeconds } }

    private mutating func forget(where isMeant: (Entry) -> Bool) {
        entries = entries.filter { !isMeant($0.value) }
    }
}
