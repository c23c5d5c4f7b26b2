public import Access
public import Border
import Foundation
import Glibc
public import JSON
import Signatures

/// Reads the files of a decision log, line by line. What one line has wrong costs that line and is told.
///
/// The lines of inputs are taken as bytes: their digests are those of the bytes that stand there, and a tool that wrote
/// them anew with other spaces or another order is found out.
public struct DecisionFile {
    /// Bytes of one line; a policy of thousands of applications stays below.
    public static let lineBytesMax = 64 << 20
    private static let otherBytesMax = 1 << 20
    /// Every line begins so.
    private static let prefix = Array("{\"kind\":\"".utf8)
    private static let noLine = "is no line of a decision log"

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
    private var persons: [String: (pseudonym: String, facts: PersonFacts?)] = [:]
    private var devices: [String: DeviceFacts] = [:]
    private var verdicts: [String: Verdict] = [:]
    private var decisions: [DecisionID: LoggedDecision] = [:]
    private let decoder = JSONDecoder()

    /// A reader that knows nothing yet.
    public init() {}

    /// Email addresses by pseudonym, of the file read last; without persons who were erased.
    public private(set) var emails: [String: String] = [:]
    /// The line that is being visited; null for inputs.
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
        while let line = try feed.next() {
            let item: Item?
            switch line {
            case .partial(let first):
                // What stopped in the middle began as a line; another file did not, and is no empty log.
                guard zip(first, Self.prefix).allSatisfy({ $0 == $1 }) else {
                    return visit(.problem("\(path):\(place.line + 1): \(Self.noLine)"), &self)
                }
                return visit(.truncated, &self)
            case .tooLong: item = .problem("longer than \(Self.lineBytesMax) bytes")
            case .line(let bytes): item = take(bytes)
            }
            place.byte = feed.offset
            place.line += 1
            switch item {
            case .problem(let what): visit(.problem("\(path):\(place.line): \(what)"), &self)
            case .some(let item): visit(item, &self)
            case nil: break
            }
        }
    }

    /// One line without its end; nil for an input that was taken in.
    mutating func take(_ line: [UInt8]) -> Item? {
        guard line.starts(with: Self.prefix),
            let end = line.dropFirst(Self.prefix.count).firstIndex(of: 0x22)
        else { return .problem(Self.noLine) }
        switch String(decoding: line[Self.prefix.count..<end], as: UTF8.self) {
        case "policy": return input(line) { try $0.takePolicy($1, $2) }
        case "person": return input(line) { try $0.takePerson($1, $2) }
        case "device":
            return input(line) { reader, head, value in
                let digest = try Self.checked(head, value)
                reader.devices[digest] = try reader.decoder.decode(DeviceFacts.self, from: Data(value))
            }
        case "verdict":
            return input(line) { reader, head, value in
                let digest = try Self.checked(head, value)
                reader.verdicts[digest] = try reader.decoder.decode(Verdict.self, from: Data(value))
            }
        case let kind: return other(line, kind)
        }
    }

    private mutating func other(_ bytes: [UInt8], _ kind: String) -> Item {
        let value: JSONValue
        do {
            value = try JSONValue(
                parsing: bytes,
                limits: JSONLimits(bytesMax: Self.otherBytesMax, depthMax: 16, membersMax: 100_000))
        } catch {
            return .problem("\(error)")
        }
        line = value
        switch kind {
        case "decision":
            guard let decision = LoggedDecision(value) else { return .problem("a decision lacks a member") }
            if let known = decisions[decision.id] {
                return known.result == decision.result && known.atSeconds == decision.atSeconds
                    ? .doubled(decision.id) : .problem("decision \(decision.id.text) stands there twice")
            }
            decisions[decision.id] = decision
            return .decision(decision)
        case "confirmed":
            guard let id = value["id"]?.string.flatMap(DecisionID.init),
                let renewals = value["renewals"]?.integer, LoggedDecision.renewals.contains(renewals)
            else { return .problem("a confirmation lacks a member") }
            guard let known = decisions[id] else { return .confirmedElsewhere(renewals: renewals) }
            guard let (decision, renewals) = known.confirmed(by: value) else {
                return .problem("does not fit the decision that it confirms")
            }
            return .confirmed(decision, renewals: renewals)
        case "file" where value["version"]?.integer != DecisionLines.version:
            return .problem("the file is of a version that this program does not know")
        case _: return .event(value)
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

// Lines of inputs.
extension DecisionFile {
    private struct Damaged: Error { var what: String }

    private mutating func input(
        _ line: [UInt8], _ take: (inout DecisionFile, JSONValue, [UInt8]) throws -> Void
    ) -> Item? {
        guard let (head, value) = Self.split(line) else { return .problem("an input without a value") }
        do {
            try take(&self, head, value)
            return nil
        } catch let damaged as Damaged {
            return .problem(damaged.what)
        } catch {
            return .problem("the value cannot be read")
        }
    }

    /// Members before the value, and the value's own bytes.
    private static func split(_ line: [UInt8]) -> (JSONValue, [UInt8])? {
        let mark = Array(",\"value\":".utf8)
        let headBytesMax = 1_024
        guard line.last == UInt8(ascii: "}"), line.count > mark.count else { return nil }
        let last = min(line.count - mark.count, headBytesMax)
        guard let at = (0..<last).first(where: { line[$0..<($0 + mark.count)].elementsEqual(mark) }),
            let head = try? JSONValue(parsing: line[..<at] + [UInt8(ascii: "}")])
        else { return nil }
        return (head, Array(line[(at + mark.count)...].dropLast()))
    }

    private static func checked(_ head: JSONValue, _ value: [UInt8]) throws -> String {
        guard let digest = head["digest"]?.string, digest == DecisionLines.digest(value) else {
            throw Damaged(what: "the content is not what its digest names")
        }
        return digest
    }

    private mutating func takePolicy(_ head: JSONValue, _ value: [UInt8]) throws {
        _ = try Self.checked(head, value)
        guard let identity = head["identity"]?.string else {
            throw Damaged(what: "a policy without identity")
        }
        if policies[identity] != nil { return }
        let policy = try decoder.decode(PolicySnapshot.self, from: Data(value))
        let hash = Digest.sha256(Array(policy.contentText.utf8)).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
        guard policy.identity == identity, hash == identity else {
            throw Damaged(what: "the policy is not the one that its identity names")
        }
        policies[identity] = policy
    }

    private mutating func takePerson(_ head: JSONValue, _ value: [UInt8]) throws {
        guard let digest = head["digest"]?.string, let pseudonym = head["person"]?.string else {
            throw Damaged(what: "a person without a name")
        }
        // Erasing keeps the line's length, so that it can be done while the file is being written.
        if value.starts(with: Array("null".utf8)), value.dropFirst(4).allSatisfy({ $0 == 0x20 }) {
            persons[digest] = (pseudonym, nil)
        } else {
            let facts = try decoder.decode(PersonFacts.self, from: Data(value))
            persons[digest] = (pseudonym, facts)
            if let email = facts.email { emails[pseudonym] = email }
        }
    }
}
