public import Access
public import Border
import Foundation
import Glibc
public import JSON

/// Reads the files of a decision log, line by line. What one line has wrong costs that line and is told.
public struct DecisionFile {
    /// Bytes of one line; a policy of thousands of applications stays below.
    public static let lineBytesMax = 64 << 20

    /// What one line is.
    public enum Item: Sendable {
        case decision(LoggedMoment)
        /// The decision as it was confirmed, and how many renewals came to the same.
        case confirmed(LoggedMoment, renewals: Int64)
        /// Renewals of a decision of an earlier file, on their way when that file ended.
        case confirmedElsewhere(renewals: Int64)
        /// Any other line: `file`, `change`, `cut`, `integration`, `shadow`, `lost`, or one of a later version.
        case event(JSONValue)
        /// `file:line: what is wrong`.
        case problem(String)
        /// The last line has no end: its writer was stopped in the middle.
        case truncated
        /// A decision that stood there before, word for word.
        case doubled(DecisionID)
    }

    /// By identity; of all files read so far.
    private var known: [String: LoggedPolicy] = [:]
    /// The one that was asked for last: files have few, and decisions of one stand beside each other.
    private var lastPolicy: LoggedPolicy?
    /// No facts: the person was erased.
    private var persons: [String: LoggedInput<PersonFacts>?] = [:]
    private var devices: [String: LoggedInput<DeviceFacts>] = [:]
    private var verdicts: [String: LoggedInput<Verdict>] = [:]
    private var decisions: [DecisionID: LoggedInput<LoggedDecision>] = [:]
    /// Lines and bytes of one piece: it is read on one core, before what its lines say together is found out.
    private let pieceLinesMax: Int
    private let pieceBytesMax = 2 << 20
    static let pieceLines = 2_048
    /// Pieces that are read while one is taken: what one core alone does leaves the others something to do.
    private static let piecesAheadMax = max(4, 2 * coreCount)
    private let keepsLines: Bool
    private let recognizes: Bool

    /// A reader that knows nothing yet.
    public init() { self.init(pieceLinesMax: Self.pieceLines) }

    /// - Parameters:
    ///   - pieceLinesMax: lines of one piece; smaller ones for whoever wants to see their seams.
    ///   - keepsLines: `line` is asked for.
    ///   - recognizes: see `ReadLine`.
    init(pieceLinesMax: Int, keepsLines: Bool = true, recognizes: Bool = true) {
        self.pieceLinesMax = pieceLinesMax
        self.keepsLines = keepsLines
        self.recognizes = recognizes
    }

    /// By identity; of all files read so far.
    public var policies: [String: PolicySnapshot] { known.mapValues(\.snapshot) }
    /// Email addresses by pseudonym, of the file read last; without persons who were erased.
    public private(set) var emails: [String: String] = [:]
    /// The line that is being visited; null where lines are not kept, but for events.
    public private(set) var line = JSONValue.null

    /// Reads one file to its end. Inputs of an earlier file but policies are forgotten: every file stands alone.
    ///
    /// - Throws: `ControlFailure` when it cannot be read at all.
    public mutating func read(
        _ path: String, _ visit: (Item, inout DecisionFile) -> Void
    ) throws(ControlFailure) {
        var place = Place()
        try read(path, from: &place, visit)
    }

    /// How far a file was read.
    public struct Place: Sendable, Hashable {
        var byte = 0
        var line = 0
        /// The beginning.
        public init() {}
    }

    /// Reads on in a file that may have grown; from its beginning everything that was read of others but policies is
    /// forgotten.
    ///
    /// - Throws: `ControlFailure` when it cannot be read at all.
    public mutating func read(
        _ path: String, from place: inout Place, _ visit: (Item, inout DecisionFile) -> Void
    ) throws(ControlFailure) {
        if place.byte == 0 { forgetFile() }
        var feed = try LineFeed(path, from: place.byte, lineBytesMax: Self.lineBytesMax)
        var ahead: [InBackground<[(ReadLine, end: Int)]>] = []
        var isAtEnd = false
        var failure: ControlFailure?
        while true {
            while !isAtEnd, failure == nil, ahead.count < Self.piecesAheadMax {
                do throws(ControlFailure) {
                    let piece = try Self.piece(&feed, linesMax: pieceLinesMax, bytesMax: pieceBytesMax)
                    isAtEnd = piece.isEmpty
                    if !isAtEnd {
                        ahead.append(
                            InBackground { [keepsLines, recognizes] in
                                Self.read(piece, keepsLines, recognizes)
                            })
                    }
                } catch {
                    // What was read before it comes first.
                    failure = error
                }
            }
            guard !ahead.isEmpty else {
                if let failure { throw failure }
                return
            }
            for (line, end) in ahead.removeFirst().wait() {
                guard take(line, endingAt: end, of: path, &place, visit) else { return }
            }
        }
    }

    /// Forgets everything that was read but policies.
    mutating func forgetFile() {
        // To take apart what a day's file says takes a tenth of a second, for which nothing else need wait.
        let (persons, devices, verdicts, decisions) = (persons, devices, verdicts, decisions)
        _ = InBackground { _ = (persons, devices, verdicts, decisions) }
        self.persons = [:]
        self.devices = [:]
        self.verdicts = [:]
        self.decisions = [:]
        emails = [:]
    }

    private static func read(
        _ piece: [(LineFeed.Line, end: Int)], _ keepsLines: Bool, _ recognizes: Bool
    ) -> [(ReadLine, end: Int)] {
        let decoder = JSONDecoder()
        return piece.map { line, end in
            (ReadLine(line, decoder, keepsLine: keepsLines, recognizes: recognizes), end: end)
        }
    }

    /// The next lines, and where each ends in the file; none at its end.
    private static func piece(
        _ feed: inout LineFeed, linesMax: Int, bytesMax: Int
    ) throws(ControlFailure) -> [(LineFeed.Line, end: Int)] {
        var lines: [(LineFeed.Line, end: Int)] = []
        let begin = feed.offset
        do throws(ControlFailure) {
            while lines.count < linesMax, feed.offset - begin < bytesMax, let line = try feed.next() {
                lines.append((line, feed.offset))
            }
        } catch {
            // What was read before counts; the next call meets the failure again.
            guard !lines.isEmpty else { throw error }
        }
        return lines
    }

    /// - Returns: false at the file's last line without an end.
    private mutating func take(
        _ line: ReadLine, endingAt end: Int, of path: String, _ place: inout Place,
        _ visit: (Item, inout DecisionFile) -> Void
    ) -> Bool {
        if case .partial(let isLine) = line {
            // What stopped in the middle began as a line; another file did not, and is no empty log.
            visit(
                isLine ? .truncated : .problem("\(path):\(place.line + 1): \(ReadLine.noLine)"), &self)
            return false
        }
        place.byte = end
        place.line += 1
        switch take(line) {
        case .problem(let what): visit(.problem("\(path):\(place.line): \(what)"), &self)
        case .some(let item): visit(item, &self)
        case nil: break
        }
        return true
    }

    /// Takes lines in their order; nil for an input that was taken in.
    private mutating func take(_ read: ReadLine) -> Item? {
        switch read {
        case .policy(let identity, let value): return takePolicy(identity, value)
        case .person(let digest, let pseudonym, let facts):
            persons[digest] = .some(facts)
            if let email = facts?.content.email { emails[pseudonym] = email }
        case .device(let digest, let facts): devices[digest] = facts
        case .verdict(let digest, let verdict): verdicts[digest] = verdict
        case .decision(let decision, let line):
            self.line = line
            return take(decision)
        case .confirmed(let id, let renewals, let confirmation, let line):
            self.line = line
            guard let known = decisions[id] else { return .confirmedElsewhere(renewals: renewals) }
            guard let moment = confirmation.flatMap({ LoggedMoment(known, confirmedBy: $0) }) else {
                return .problem("does not fit the decision that it confirms")
            }
            return .confirmed(moment, renewals: renewals)
        case .event(let line):
            self.line = line
            return .event(line)
        case .problem(let what): return .problem(what)
        case .partial: return .truncated
        }
        return nil
    }

    private mutating func take(_ decision: LoggedInput<LoggedDecision>) -> Item {
        let id = decision.content.id
        if let known = decisions[id]?.content {
            return known.result == decision.content.result && known.atSeconds == decision.content.atSeconds
                ? .doubled(id) : .problem("decision \(id.text) stands there twice")
        }
        decisions[id] = decision
        return .decision(LoggedMoment(decision))
    }

    private mutating func takePolicy(_ identity: String, _ value: [UInt8]) -> Item? {
        if known[identity] != nil { return nil }
        do {
            known[identity] = LoggedPolicy(try ReadLine.policy(identity, value), number: known.count)
            return nil
        } catch {
            return .problem((error as? ReadLine.Damaged)?.what ?? "the value cannot be read")
        }
    }

    /// Everything that a decision was made of.
    public mutating func inputs(of moment: LoggedMoment) throws(MissingInput) -> DecisionInputs {
        try sources(of: moment).inputs(of: moment)
    }

    /// Where that stands: to be asked before the next line is taken.
    mutating func sources(of moment: LoggedMoment) throws(MissingInput) -> InputSources {
        let decision = moment.made.content
        guard let policy = policy(decision.policy) else { throw .missing("policy \(decision.policy)") }
        let person = try decision.service == nil ? personFacts(of: decision) : nil
        guard let digest = decision.deviceFacts else {
            return InputSources(policy: policy, person: person, device: nil, verdicts: [])
        }
        guard let device = devices[digest] else { throw .missing("device \(digest)") }
        var found: [LoggedInput<Verdict>] = []
        found.reserveCapacity(decision.verdicts.count)
        for reference in decision.verdicts {
            guard let verdict = verdicts[reference.digest] else {
                throw .missing("verdict \(reference.digest)")
            }
            found.append(verdict)
        }
        return InputSources(policy: policy, person: person, device: device, verdicts: found)
    }

    private mutating func policy(_ identity: String) -> LoggedPolicy? {
        if let lastPolicy, lastPolicy.snapshot.identity == identity { return lastPolicy }
        lastPolicy = known[identity]
        return lastPolicy
    }

    private func personFacts(
        of decision: LoggedDecision
    ) throws(MissingInput) -> LoggedInput<PersonFacts> {
        guard let person = persons[decision.personFacts] else {
            throw .missing("person \(decision.personFacts)")
        }
        guard let facts = person else { throw .erased }
        return facts
    }
}
