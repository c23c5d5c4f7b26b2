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
        case decision(LoggedDecision)
        /// The decision as it was confirmed, and how many renewals came to the same.
        case confirmed(LoggedDecision, renewals: Int64)
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
    public private(set) var policies: [String: PolicySnapshot] = [:]
    /// Where the applications of each stand in it.
    private(set) var places: [String: ApplicationIndex] = [:]
    private var persons: [String: (pseudonym: String, facts: PersonFacts?)] = [:]
    private var devices: [String: DeviceFacts] = [:]
    private var verdicts: [String: Verdict] = [:]
    private var decisions: [DecisionID: LoggedDecision] = [:]
    /// Lines and bytes of them that are read side by side before what they say together is found out.
    private let pieceLinesMax: Int
    private let pieceBytesMax = 8 << 20
    /// Pieces that are read while one is taken: what one core alone does, a policy of a thousand applications above
    /// all, leaves the others something to do.
    private static let piecesAheadMax = 4
    private let keepsLines: Bool

    /// A reader that knows nothing yet.
    public init() { self.init(pieceLinesMax: 8_192) }

    /// - Parameters:
    ///   - pieceLinesMax: lines of one piece; smaller ones for whoever wants to see their seams.
    ///   - keepsLines: `line` is asked for.
    init(pieceLinesMax: Int = 8_192, keepsLines: Bool = true) {
        self.pieceLinesMax = pieceLinesMax
        self.keepsLines = keepsLines
    }

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
        if place.byte == 0 {
            persons = [:]
            devices = [:]
            verdicts = [:]
            decisions = [:]
            emails = [:]
        }
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
                        ahead.append(InBackground { [keepsLines] in Self.read(piece, keepsLines) })
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

    private static func read(
        _ piece: [(LineFeed.Line, end: Int)], _ keepsLines: Bool
    ) -> [(ReadLine, end: Int)] {
        onAllCores(piece) { part in
            let decoder = JSONDecoder()
            return part.map { line, end in
                (ReadLine(line, decoder, keepsLine: keepsLines), end: end)
            }
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
            persons[digest] = (pseudonym, facts)
            if let email = facts?.email { emails[pseudonym] = email }
        case .device(let digest, let facts): devices[digest] = facts
        case .verdict(let digest, let verdict): verdicts[digest] = verdict
        case .decision(let decision, let line):
            self.line = line
            return take(decision)
        case .confirmed(let id, let renewals, let confirmation, let line):
            self.line = line
            guard let known = decisions[id] else { return .confirmedElsewhere(renewals: renewals) }
            guard let decision = confirmation.flatMap(known.confirmed) else {
                return .problem("does not fit the decision that it confirms")
            }
            return .confirmed(decision, renewals: renewals)
        case .event(let line):
            self.line = line
            return .event(line)
        case .problem(let what): return .problem(what)
        case .partial: return .truncated
        }
        return nil
    }

    private mutating func take(_ decision: LoggedDecision) -> Item {
        if let known = decisions[decision.id] {
            return known.result == decision.result && known.atSeconds == decision.atSeconds
                ? .doubled(decision.id) : .problem("decision \(decision.id.text) stands there twice")
        }
        decisions[decision.id] = decision
        return .decision(decision)
    }

    private mutating func takePolicy(_ identity: String, _ value: [UInt8]) -> Item? {
        if policies[identity] != nil { return nil }
        do {
            let policy = try ReadLine.policy(identity, value)
            policies[identity] = policy
            places[identity] = ApplicationIndex(policy)
            return nil
        } catch {
            return .problem((error as? ReadLine.Damaged)?.what ?? "the value cannot be read")
        }
    }

    /// Everything that a decision was made of.
    public func inputs(of decision: LoggedDecision) throws(MissingInput) -> DecisionInputs {
        guard let policy = policies[decision.policy] else { throw .missing("policy \(decision.policy)") }
        let facts = try decision.service == nil ? personFacts(of: decision) : nil
        var inputs = DecisionInputs(
            session: facts.map {
                SessionFacts(
                    id: decision.session, identityProvider: decision.identityProvider, person: $0,
                    createdAtSeconds: decision.createdAtSeconds, expiresAtSeconds: decision.expiresAtSeconds,
                    keyProvenAtSeconds: decision.keyProvenAtSeconds)
            }, service: decision.service, device: nil, policy: policy, atSeconds: decision.atSeconds)
        guard let digest = decision.deviceFacts else { return inputs }
        guard var device = devices[digest] else { throw .missing("device \(digest)") }
        if let facts, device.ownerIssuer == Pseudonym.issuer, device.ownerSubject == decision.person {
            device.ownerIssuer = facts.issuer
            device.ownerSubject = facts.subject
        }
        for reference in decision.verdicts {
            guard var verdict = verdicts[reference.digest] else {
                throw .missing("verdict \(reference.digest)")
            }
            verdict.id = reference.id
            verdict.observedAtSeconds = reference.observedAtSeconds
            verdict.assessedAtSeconds = reference.assessedAtSeconds
            verdict.fetchedAtSeconds = reference.fetchedAtSeconds
            verdict.expiresAtSeconds = reference.expiresAtSeconds
            verdict.graceUntilSeconds = reference.graceUntilSeconds
            device.verdicts.append(verdict)
        }
        inputs.device = device
        return inputs
    }

    private func personFacts(of decision: LoggedDecision) throws(MissingInput) -> PersonFacts {
        guard let person = persons[decision.personFacts] else {
            throw .missing("person \(decision.personFacts)")
        }
        guard let facts = person.facts else { throw .erased }
        return facts
    }
}
