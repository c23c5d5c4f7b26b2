import Border

/// The revocations that this reactor applied last, to judge records that were loaded before them.
///
/// Without it a race resurrects sessions: a record is read from the store, then its session is revoked and
/// the revocation overtakes the record on its own lane.
struct RecentRevocations {
    private static let kept = 1_024
    private var ring: [Revocation] = []
    private var next = 0
    /// The highest sequence applied, 0 before the first.
    private(set) var newest: UInt64 = 0
    /// Up to here nothing is remembered any more.
    private var forgottenUpTo: UInt64 = 0

    mutating func append(_ revocation: Revocation) {
        newest = max(newest, revocation.sequence)
        if ring.count < Self.kept {
            ring.append(revocation)
        } else {
            forgottenUpTo = max(forgottenUpTo, ring[next].sequence)
            ring[next] = revocation
            next = (next + 1) % Self.kept
        }
    }

    /// Whether a later revocation touches the record, or may have: then it must be pulled again.
    func makesStale(_ record: SessionRecord) -> Bool {
        if record.sequence >= newest { return false }
        if record.sequence < forgottenUpTo { return true }
        return ring.contains { $0.sequence > record.sequence && Self.touches($0.effect, record) }
    }

    private static func touches(_ effect: Revocation.Effect, _ record: SessionRecord) -> Bool {
        switch effect {
        case .endSession(let session): session == record.session
        case .endPerson(let person): person == record.person
        case .endDevice(let device): device == record.device
        case .endApplication(let application): application == record.application
        case .revokeCertificate: false
        case .replace(let newer): newer.tokenDigest == record.tokenDigest
        }
    }
}
