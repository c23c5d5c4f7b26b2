import Access
import Border
import Store

/// Sessions that are decided anew for one reason. What they lose by silence or reload is judged as a whole, before
/// the first of it is cut; everything else goes out as it is found.
struct ChangeBatch: Sendable {
    /// Of what is being decided now.
    var cause: ChangeCause
    var eventNanoseconds: UInt64
    var losses: [Loss] = []
    /// Sessions that lose nothing: told when everything that ends has been told.
    var unchanged: [UnchangedSession] = []
    /// Of those that were told before the end: touched meanwhile, to be decided again.
    var again: Set<String> = []

    /// One that waits for the judgement. Of verdicts only their ids: a batch may be everybody.
    struct Loss: Sendable {
        var decided: DecidedSession
        var supposed: SupposedLoss
        var cause: ChangeCause
        var verdicts: VerdictIDs
    }

    /// Devices are decided many at once; each session's loss is its own device's.
    func cause(of decided: DecidedSession) -> ChangeCause {
        switch cause {
        case .device(let id): .device(decided.record.device ?? id)
        case .claims, .deviceCheck, .proofExpired, .stepUp, .key, .reload, .renewal, .request, .release: cause
        }
    }
}

/// A session that was decided anew and keeps what it had, or gets more.
struct UnchangedSession: Sendable {
    var decided: DecidedSession
    var record: SessionRecord

    init(_ decided: DecidedSession, _ record: SessionRecord) {
        self.decided = decided
        self.record = record
        // Thousands may wait.
        self.decided.device = nil
    }
}

/// What a new decision of a batch means for a session.
enum BatchOutcome: Sendable {
    /// It is judged with the rest of the batch.
    case waits
    case same(SessionRecord)
    case less(SessionRecord)
}

/// Which verdicts stood behind a decision and the one before it, for the log.
struct VerdictIDs: Sendable {
    var old: [String]
    var new: [String]

    init(_ before: [Verdict], _ device: DeviceFacts?) {
        old = before.map(\.id).sorted()
        new = (device?.verdicts ?? []).map(\.id).sorted()
    }
}

extension DecidedSession {
    /// What reactors are told of the session.
    func effects(_ record: SessionRecord, nowSeconds: Int64) -> [Revocation.Effect] {
        if let use { return [.replace(record.bounded(to: use, of: session))] }
        // A parallel tab may still hold the token before the last rotation: its cached record changes too.
        guard let previous = session.previousTokenDigest, let until = session.previousUntilSeconds,
            nowSeconds < until
        else { return [.replace(record.bounded(to: session.tokenDigest, of: session))] }
        return [
            .replace(record.bounded(to: session.tokenDigest, of: session)),
            .replace(record.bounded(to: previous, of: session)),
        ]
    }
}
