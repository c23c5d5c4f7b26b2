import Access
import Border
import JSON
import Posture
import Synchronization

/// Names decisions and puts them on record.
///
/// A renewal that comes to the same from the same inputs keeps the decision's name: every session in use is decided
/// once a minute, and writing each of them would fill a disk with the same line. Such renewals are counted and
/// confirmed by one short line an hour; what a decision came to, and what it was made of, is written when it changes.
final class DecisionRecorder: Sendable {
    /// Sessions remembered; those beyond are written at every renewal, until others are forgotten.
    static let sessionsMax = 500_000
    /// Seconds between two confirmations of one decision.
    static let confirmSeconds: Int64 = 3_600
    /// A session that was not renewed for so long is forgotten: records live for 100 s.
    static let idleSeconds: Int64 = 300

    fileprivate struct Known {
        var id: DecisionID
        var generation: UInt64
        var print: DecisionPrint
        var letsIn: Bool
        var last: Confirmation
        var toldAtSeconds: Int64
    }

    fileprivate struct State {
        var known: [String: Known] = [:]
        var changes: [ChangeScope: ChangeTally] = [:]
    }

    let shadow = ShadowPolicy()
    let reported = ReportedRules()
    let evaluations = EvaluationCount()
    /// nil: switched off; decisions have names all the same.
    let log: DecisionLog?
    private let state = Mutex(State())
    private let count = Atomic<UInt64>(0)

    init(log: DecisionLog?) { self.log = log }

    /// Names a decision and puts it on record. Called beside the requests, for every session record.
    func record(_ made: MadeDecision) -> DecisionID {
        let finding = shadow.find(made)
        reported.note(made)
        let print = DecisionPrint(made, finding)
        let generation = log?.generation ?? 0
        let marks = (made.device?.verdicts ?? []).map(VerdictMark.init)
        return state.withLock { state in
            let old = state.known[made.remembered]
            state.note(made, marks, after: old.map { ($0.letsIn, $0.last.verdicts, $0.print != print) })
            if var known = old, known.print == print, known.generation == generation {
                known.last.atSeconds = made.atSeconds
                known.last.renewals += 1
                known.last.validUntilSeconds = made.residual.validUntilSeconds
                known.last.openUntilSeconds = made.open?.validUntilSeconds
                known.last.verdicts = marks
                if made.atSeconds - known.toldAtSeconds >= Self.confirmSeconds {
                    log?.append(.confirmed(known.last))
                    known.last.renewals = 0
                    known.toldAtSeconds = made.atSeconds
                }
                state.known[made.remembered] = known
                return known.id
            }
            if let old { confirm(old) }
            return state.remember(begin(made, print, marks, finding, generation, after: old), made.remembered)
        }
    }

    private func begin(
        _ made: MadeDecision, _ print: DecisionPrint, _ marks: [VerdictMark], _ finding: ShadowFinding?,
        _ generation: UInt64, after old: Known?
    ) -> Known {
        let id = DecisionID(
            atSeconds: made.atSeconds, sequence: count.add(1, ordering: .relaxed).newValue,
            random: UInt64.random(in: 0...UInt64.max))
        let before = Set(old?.last.verdicts.map(\.id) ?? [])
        let isSignal = marks.contains {
            $0.provider == DeviceSignal.verdictProvider && !before.contains($0.id)
        }
        let cause = old.map { print.cause(after: $0.print, isSignal: isSignal) } ?? .pull
        let isTaken = log?.append(.decision(id, made, cause, finding)) ?? true
        return Known(
            id: id,
            // One that was lost is written again at the next renewal.
            generation: isTaken ? generation : .max, print: print, letsIn: made.residual.outcome.letsIn,
            last: Confirmation(
                id: id, atSeconds: made.atSeconds, renewals: 0,
                validUntilSeconds: made.residual.validUntilSeconds,
                openUntilSeconds: made.open?.validUntilSeconds, verdicts: marks),
            toldAtSeconds: made.atSeconds)
    }

    private func confirm(_ known: Known) {
        if known.last.renewals > 0 { log?.append(.confirmed(known.last)) }
    }

    /// From now on this is the policy in force.
    func begin(_ policy: PolicySnapshot) {
        reported.keep(policy)
        log?.append(.policy(policy))
    }

    /// A line of another kind.
    func note(_ kind: String, atSeconds seconds: Int64, _ members: [(String, JSONValue)]) {
        log?.append(.event(kind: kind, atSeconds: seconds, members))
    }

    /// Once a minute: confirms and forgets the sessions that nobody uses any more, and tells of the shadow policy and
    /// of the rules of `policy` that only report.
    func sweep(under policy: PolicySnapshot, nowSeconds now: Int64) {
        state.withLock { state in
            // Apart first: what changes while it is gone through is copied, all of it.
            let idle = state.known.filter { !(0..<Self.idleSeconds).contains(now - $0.value.last.atSeconds) }
            for (session, known) in idle {
                confirm(known)
                state.known[session] = nil
            }
        }
        if let members = shadow.report(atSeconds: now) { note("shadow", atSeconds: now, members) }
        if let members = reported.report(under: policy, atSeconds: now) {
            note("reported-rules", atSeconds: now, members)
        }
    }

    /// Confirms everything that is not confirmed yet and writes it, for at most 2 s.
    func finish() {
        state.withLock { state in
            for known in state.known.values { confirm(known) }
            state.known = [:]
        }
        guard let log, case let left = log.flush(milliseconds: 2_000), left > 0 else { return }
        EventLog.write("decision-log-unfinished", [("entries_lost", .integer(Int64(left)))])
    }
}

extension DecisionRecorder.State {
    /// - Returns: the name of what is remembered.
    fileprivate mutating func remember(_ new: DecisionRecorder.Known, _ session: String) -> DecisionID {
        if known.count < DecisionRecorder.sessionsMax || known[session] != nil { known[session] = new }
        return new.id
    }

    fileprivate mutating func note(
        _ made: MadeDecision, _ marks: [VerdictMark],
        after old: (letsIn: Bool, verdicts: [VerdictMark], isOther: Bool)?
    ) {
        guard !changes.isEmpty else { return }
        for scope in [ChangeScope.everybody, made.device.map { .device($0.id) }].compactMap({ $0 }) {
            changes[scope]?.note(
                letsIn: made.residual.outcome.letsIn, reason: made.residual.leadingReason, marks, after: old)
        }
    }
}

extension DecisionRecorder {
    /// From now on decisions of `scope` count to one change.
    func changeBegins(_ scope: ChangeScope) {
        // Somebody else may be deciding about the same device: what follows is both's.
        state.withLock { $0.changes[scope] = $0.changes[scope] ?? ChangeTally() }
    }

    /// Writes what a change came to: the state that was found, and what followed.
    func changeEnds(
        _ scope: ChangeScope, _ cause: String, atSeconds seconds: Int64, _ more: [(String, JSONValue)] = []
    ) {
        guard let tally = state.withLock({ $0.changes.removeValue(forKey: scope) }), tally.decided > 0 else {
            return
        }
        var members: [(String, JSONValue)] = [("cause", .string(cause))]
        switch scope {
        case .device(let id): members.append(("device", .string(id)))
        case .everybody: break
        }
        // On everybody's change the verdicts of all devices would be one long line about nothing that changed.
        let counted = tally.members.filter { scope != .everybody || !$0.0.hasPrefix("verdicts_") }
        note("change", atSeconds: seconds, members + more + counted)
    }
}
