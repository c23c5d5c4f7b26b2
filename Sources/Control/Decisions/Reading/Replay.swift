public import Access
import Border
import Foundation
import JSON

/// Decides a decision log again: bit for bit as it was, or by a candidate policy.
public struct Replay {
    /// A decision that came to something else than the log says.
    public struct Difference: Sendable {
        public var decision: LoggedDecision
        /// What differs, in words, and the explanation of what it comes to now.
        public var text: String
    }

    /// Who would get something else by the candidate.
    public struct Change: Sendable, Hashable {
        public var word: String
        public var application: String
        public var person: String
        public var device: String?
        public var before: String
        public var after: String
    }

    /// What was counted.
    public struct Counts: Sendable, Hashable {
        /// Decisions that the gateway made, renewals included.
        public var decisions: Int64 = 0
        /// Decided here: renewals from equal inputs count once.
        public var decided: Int64 = 0
        public var different: Int64 = 0
        public var erased: Int64 = 0
        public var missing: Int64 = 0
        /// Renewals whose decision stands in an earlier file; the decision was compared there.
        public var elsewhere: Int64 = 0
        public var doubled: Int64 = 0
        public var malformed: Int64 = 0
        public var truncatedFiles: Int64 = 0
        /// Entries that the gateway could not write, by its own word.
        public var lost: Int64 = 0
        public var files: Int64 = 0
    }

    /// Differences and problems kept for printing; the counts go on.
    public static let listedMax = 100

    public private(set) var counts = Counts()
    public private(set) var differences: [Difference] = []
    public private(set) var problems: [String] = []
    /// By the candidate, in decisions.
    public private(set) var changes: [Change: Int64] = [:]
    /// Seconds of all cores spent deciding, without reading.
    public private(set) var decidingSeconds = 0.0
    /// Who is behind a pseudonym.
    public private(set) var emails: [String: String] = [:]
    /// What requests were decided by; kept only where requests follow.
    var residuals: [String: RequestReplay.Pair] = [:]
    private var reader: DecisionFile
    private let candidate: PolicySnapshot?
    private let candidatePlaces: ApplicationIndex?
    private let keepsResiduals: Bool
    /// What is decided next, side by side.
    private var pending: [Pending] = []
    private let pendingMax: Int

    /// - Parameters:
    ///   - candidate: nil only compares with the log.
    ///   - keepsResiduals: requests are to be decided afterwards.
    public init(candidate: PolicySnapshot?, keepsResiduals: Bool = false) {
        self.init(candidate: candidate, keepsResiduals: keepsResiduals, piecesMax: 8_192)
    }

    /// - Parameter piecesMax: lines that are read, and decisions that are decided, side by side.
    init(candidate: PolicySnapshot?, keepsResiduals: Bool = false, piecesMax: Int) {
        self.candidate = candidate
        self.keepsResiduals = keepsResiduals
        candidatePlaces = candidate.map(ApplicationIndex.init)
        reader = DecisionFile(pieceLinesMax: piecesMax, keepsLines: false)
        pendingMax = piecesMax
    }

    /// Whether the log is whole and says what deciding again says.
    public var isEqual: Bool { counts.different == 0 && counts.missing == 0 && counts.malformed == 0 }

    var policies: [String: PolicySnapshot] { reader.policies }
    var candidatePolicy: PolicySnapshot? { candidate }

    /// Decides one file again.
    ///
    /// - Throws: `ControlFailure` when it cannot be read.
    public mutating func add(_ path: String) throws(ControlFailure) {
        counts.files += 1
        var reader = self.reader
        defer { self.reader = reader }
        // Also what stands before a place that cannot be read.
        defer { decideAll() }
        try reader.read(path) { item, reader in take(item, reader) }
        emails.merge(reader.emails) { $1 }
    }

    private mutating func take(_ item: DecisionFile.Item, _ reader: DecisionFile) {
        switch item {
        case .decision(let decision):
            counts.decisions += 1
            decide(decision, reader, times: 1)
        case .confirmed(let decision, let renewals):
            counts.decisions += renewals
            decide(decision, reader, times: renewals)
        case .confirmedElsewhere(let renewals):
            counts.decisions += renewals
            counts.elsewhere += renewals
        case .event(let value):
            if value["kind"]?.string == "lost" { counts.lost &+= value["entries"]?.integer ?? 0 }
        case .problem(let what):
            counts.malformed += 1
            list(what)
        case .truncated: counts.truncatedFiles += 1
        case .doubled: counts.doubled += 1
        }
    }

    private mutating func list(_ problem: String) {
        if problems.count < Self.listedMax { problems.append(Table.printable(problem)) }
    }

    /// Notes what is to be decided, with what is known of its inputs now.
    private mutating func decide(_ decision: LoggedDecision, _ reader: DecisionFile, times: Int64) {
        do throws(MissingInput) {
            let inputs = try reader.inputs(of: decision)
            pending.append(
                Pending(
                    decision: decision, inputs: inputs,
                    application: reader.places[decision.policy]?.application(
                        named: decision.application, in: inputs.policy), times: times))
        } catch {
            switch error {
            case .erased: counts.erased += 1
            case .missing(let what):
                counts.missing += 1
                list("decision \(decision.id.text): its \(what) is not in the file")
            }
        }
        if pending.count >= pendingMax { decideAll() }
    }

    private mutating func decideAll() {
        let keepsAll = keepsResiduals || candidate != nil
        let all = pending
        pending = []
        let findings = onAllCores(all) { [candidate, candidatePlaces] part in
            part.map { pending in
                pending.decided(
                    candidate: candidate.map { policy in
                        let name = pending.decision.application
                        return (policy, candidatePlaces?.application(named: name, in: policy))
                    }, keepsAll: keepsAll)
            }
        }
        for (pending, finding) in zip(all, findings) { take(pending, finding) }
    }

    private mutating func take(_ pending: Pending, _ finding: Finding) {
        let decision = pending.decision
        decidingSeconds += finding.seconds
        counts.decided += 1
        if !finding.isEqual {
            counts.different += 1
            if differences.count < Self.listedMax {
                differences.append(
                    Difference(
                        decision: decision, text: pending.inputs.text(finding.residual, for: decision)))
            }
        }
        guard let residual = finding.residual else { return }
        if keepsResiduals {
            residuals[decision.id.text] = RequestReplay.Pair(
                live: residual, candidate: finding.candidate, person: decision.person,
                device: decision.device)
        }
        if let other = finding.candidate {
            note(decision, live: residual, candidate: other, times: pending.times)
        }
    }

    private mutating func note(
        _ decision: LoggedDecision, live: Residual, candidate: Residual, times: Int64
    ) {
        let word = ShadowFinding.word(live: live, candidate: candidate)
        guard word != .agrees else { return }
        let change = Change(
            word: word.rawValue, application: decision.application, person: decision.person,
            device: decision.device, before: live.words, after: candidate.words)
        changes[change, default: 0] += times
    }
}

/// One decision of the log that waits to be decided.
private struct Pending: Sendable {
    var decision: LoggedDecision
    var inputs: DecisionInputs
    /// nil: the policy has no such application.
    var application: Application?
    var times: Int64

    /// - Parameters:
    ///   - candidate: a policy, and the application in it.
    ///   - keepsAll: the residual is looked at afterwards also when it is the one in the log.
    func decided(candidate: (PolicySnapshot, Application?)?, keepsAll: Bool) -> Finding {
        let began = monotonicNanoseconds()
        let residual = application.map(inputs.residual)
        let isEqual = residual.map(isLogged) ?? false && isOpenLogged
        let other = candidate.map { policy, application in
            application.map(inputs.under(policy).residual) ?? .nowhere(policy)
        }
        return Finding(
            isEqual: isEqual, residual: keepsAll || !isEqual ? residual : nil, candidate: other,
            seconds: Double(monotonicNanoseconds() - began) / 1e9)
    }

    /// The words as well: they are what people read in the log.
    private func isLogged(_ residual: Residual) -> Bool {
        DecisionLines.digest(of: residual) == decision.result
            && residual.validUntilSeconds == decision.validUntilSeconds
            && residual.outcome.rawValue == decision.outcome
            && residual.leadingReason.rawValue == decision.reason
    }

    private var isOpenLogged: Bool {
        guard let logged = decision.openResult else { return true }
        let open = application.map(inputs.open.residual)
        return open.map { DecisionLines.digest(of: $0) } == logged
            && open?.validUntilSeconds == decision.openUntilSeconds
    }
}

/// What it came to.
private struct Finding: Sendable {
    var isEqual: Bool
    /// nil: the policy has no such application, or nobody asks.
    var residual: Residual?
    var candidate: Residual?
    var seconds: Double
}

extension Residual {
    fileprivate var words: String { "\(outcome.rawValue) (\(leadingReason.rawValue))" }

    fileprivate static func nowhere(_ policy: PolicySnapshot) -> Residual { ShadowPolicy.nowhere(policy) }
}

extension DecisionInputs {
    /// - Parameter application: of `policy`.
    func residual(for application: Application) -> Residual {
        policy.residual(of: session, device, service: service, for: application, atSeconds: atSeconds)
    }

    /// The same for what is already open.
    var open: DecisionInputs {
        var inputs = self
        inputs.device = device?.forWhatIsOpen
        return inputs
    }

    func under(_ policy: PolicySnapshot) -> DecisionInputs {
        var inputs = self
        inputs.policy = policy
        return inputs
    }

    fileprivate func text(_ residual: Residual?, for decision: LoggedDecision) -> String {
        let logged =
            "decision \(decision.id.text) at \(decision.atSeconds), \(decision.application): logged "
            + "\(decision.outcome) (\(decision.reason)), result \(decision.result), "
            + "valid until \(decision.validUntilSeconds)"
        guard let residual, let application = policy.application(named: decision.application) else {
            return "\(logged); the logged policy has no such application"
        }
        let record = policy.explain(
            session, device, service: service, for: application, atSeconds: atSeconds)
        let explained = ExplainText(
            record: record, user: session?.person.email ?? decision.person, isSignedIn: residual.isSignedIn,
            nowSeconds: atSeconds)
        return "\(logged)\ndecided again: \(residual.words), result \(DecisionLines.digest(of: residual)), "
            + "valid until \(residual.validUntilSeconds)\n\(explained.text)"
    }
}
