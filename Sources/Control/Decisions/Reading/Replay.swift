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
    private let candidate: PendingDecision.Candidate?
    private let keepsResiduals: Bool
    /// What is decided next, side by side.
    private var pending: [PendingDecision] = []
    private let pendingMax: Int

    /// - Parameters:
    ///   - candidate: nil only compares with the log.
    ///   - keepsResiduals: requests are to be decided afterwards.
    public init(candidate: PolicySnapshot?, keepsResiduals: Bool = false) {
        self.init(
            candidate: candidate, keepsResiduals: keepsResiduals, pieceLinesMax: DecisionFile.pieceLines,
            pendingMax: 8_192)
    }

    /// - Parameters:
    ///   - pieceLinesMax: lines that are read in one go.
    ///   - pendingMax: decisions that are decided side by side.
    ///   - recognizes: see `ReadLine`.
    init(
        candidate: PolicySnapshot?, keepsResiduals: Bool = false, pieceLinesMax: Int, pendingMax: Int,
        recognizes: Bool = true
    ) {
        self.candidate = candidate.map { PendingDecision.Candidate($0) }
        self.keepsResiduals = keepsResiduals
        reader = DecisionFile(
            pieceLinesMax: pieceLinesMax, keepsLines: false, recognizes: recognizes)
        self.pendingMax = pendingMax
    }

    /// Whether the log is whole and says what deciding again says.
    public var isEqual: Bool { counts.different == 0 && counts.missing == 0 && counts.malformed == 0 }

    var policies: [String: PolicySnapshot] { reader.policies }
    var candidatePolicy: PolicySnapshot? { candidate?.policy }

    /// Decides one file again.
    ///
    /// - Throws: `ControlFailure` when it cannot be read.
    public mutating func add(_ path: String) throws(ControlFailure) {
        counts.files += 1
        var reader = self.reader
        defer { self.reader = reader }
        // What is decided while the next is read; nil: nothing.
        var deciding: DecisionBatch?
        // Also what stands before a place that cannot be read.
        defer {
            decideAll(&deciding)
            decideAll(&deciding)
        }
        try reader.read(path) { item, reader in take(item, &reader, &deciding) }
        emails.merge(reader.emails) { $1 }
        reader.forgetFile()
    }

    private mutating func take(
        _ item: DecisionFile.Item, _ reader: inout DecisionFile, _ deciding: inout DecisionBatch?
    ) {
        switch item {
        case .decision(let moment):
            counts.decisions += 1
            note(moment, &reader, times: 1)
        case .confirmed(let moment, let renewals):
            counts.decisions += renewals
            note(moment, &reader, times: renewals)
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
        if pending.count >= pendingMax { decideAll(&deciding) }
    }

    private mutating func list(_ problem: String) {
        if problems.count < Self.listedMax { problems.append(Table.printable(problem)) }
    }

    /// Notes what is to be decided, with what is known of its inputs now.
    private mutating func note(_ moment: LoggedMoment, _ reader: inout DecisionFile, times: Int64) {
        do throws(MissingInput) {
            let sources = try reader.sources(of: moment)
            let place = sources.policy.places.place(of: moment.made.content.application)
            pending.append(
                PendingDecision(moment: moment, sources: sources, place: place, times: times))
        } catch {
            switch error {
            case .erased: counts.erased += 1
            case .missing(let what):
                counts.missing += 1
                list("decision \(moment.made.content.id.text): its \(what) is not in the file")
            }
        }
    }

    /// Begins with what is pending, and only then waits for what was begun before: the cores always have something.
    private mutating func decideAll(_ deciding: inout DecisionBatch?) {
        var next: DecisionBatch?
        if !pending.isEmpty {
            next = DecisionBatch(
                pending, candidate: candidate, keepsAll: keepsResiduals || candidate != nil)
            pending = []
        }
        if let done = deciding.take() { done.wait { take($0, $1) } }
        deciding = next
    }

    private mutating func take(_ pending: PendingDecision, _ finding: PendingDecision.Finding) {
        decidingSeconds += finding.seconds
        counts.decided += 1
        if !finding.isEqual {
            counts.different += 1
            if differences.count < Self.listedMax {
                let decision = pending.moment.decision
                differences.append(
                    Difference(
                        decision: decision, text: pending.inputs.text(finding.residual, for: decision)))
            }
        }
        guard let residual = finding.residual else { return }
        let decision = pending.moment.made.content
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

extension Residual {
    fileprivate var words: String { "\(outcome.rawValue) (\(leadingReason.rawValue))" }
}

extension DecisionInputs {
    /// - Parameter application: of `policy`.
    func assess(for application: Application) -> Assessment {
        policy.assess(session, device, service: service, for: application, atSeconds: atSeconds)
    }

    /// The same for what is already open.
    var open: DecisionInputs {
        var inputs = self
        inputs.device = device?.forWhatIsOpen
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
