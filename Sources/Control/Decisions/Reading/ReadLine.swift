import Access
import Border
import Foundation
import JSON
import Signatures

/// What one line of a decision log says, read without knowing any line before it: lines can be read side by side, and
/// what they say together is found out in their order.
///
/// The lines of inputs are taken as bytes: their digests are those of the bytes that stand there, and a tool that wrote
/// them anew with other spaces or another order is found out.
enum ReadLine: Sendable {
    /// Its bytes are what their digest names; whether they are this policy is looked at once for each identity.
    case policy(identity: String, value: [UInt8])
    /// No facts: the person was erased.
    case person(digest: String, pseudonym: String, facts: LoggedInput<PersonFacts>?)
    case device(digest: String, LoggedInput<DeviceFacts>)
    case verdict(digest: String, LoggedInput<Verdict>)
    case decision(LoggedInput<LoggedDecision>, line: JSONValue)
    /// No confirmation: it lacks what every one has, and fits no decision.
    case confirmed(DecisionID, renewals: Int64, LoggedConfirmation?, line: JSONValue)
    case event(JSONValue)
    /// What is wrong with the line itself.
    case problem(String)
    /// The last line has no end; whether what is there of it begins like one of ours.
    case partial(isLine: Bool)

    /// Every line begins so.
    static let prefix = Array("{\"kind\":\"".utf8)
    static let noLine = "is no line of a decision log"
    private static let otherBytesMax = 1 << 20

    /// - Parameters:
    ///   - decoder: reads the values of inputs.
    ///   - keepsLine: decisions and confirmations bring the line that they were read from; null otherwise.
    ///   - recognizes: what is word for word as this program writes it is not read as JSON. The same comes of it.
    init(_ line: LineFeed.Line, _ decoder: JSONDecoder, keepsLine: Bool, recognizes: Bool = true) {
        switch line {
        case .line(let bytes):
            if recognizes, let known = try? ReadLine(asWritten: bytes, keepsLine: keepsLine) {
                self = known
            } else {
                self.init(bytes, decoder, keepsLine)
            }
        case .tooLong: self = .problem("longer than \(DecisionFile.lineBytesMax) bytes")
        case .partial(let first): self = .partial(isLine: zip(first, Self.prefix).allSatisfy { $0 == $1 })
        }
    }

    /// - Parameter line: without its end.
    private init(_ line: [UInt8], _ decoder: JSONDecoder, _ keepsLine: Bool) {
        guard line.starts(with: Self.prefix),
            let end = line.dropFirst(Self.prefix.count).firstIndex(of: 0x22)
        else {
            self = .problem(Self.noLine)
            return
        }
        let kind = String(decoding: line[Self.prefix.count..<end], as: UTF8.self)
        do {
            switch kind {
            case "policy": self = try Self.policy(InputLine(line))
            case "person": self = try Self.person(InputLine(line), decoder)
            case "device":
                let input = try InputLine(line)
                self = .device(
                    digest: try input.checkedDigest(),
                    LoggedInput(try decoder.decode(DeviceFacts.self, from: Data(input.value))))
            case "verdict":
                let input = try InputLine(line)
                self = .verdict(
                    digest: try input.checkedDigest(),
                    LoggedInput(try decoder.decode(Verdict.self, from: Data(input.value))))
            case _: self = Self.other(line, kind, keepsLine)
            }
        } catch let damaged as Damaged {
            self = .problem(damaged.what)
        } catch {
            self = .problem("the value cannot be read")
        }
    }

    private static func policy(_ input: InputLine) throws -> ReadLine {
        _ = try input.checkedDigest()
        guard let identity = input.head["identity"]?.string else {
            throw Damaged(what: "a policy without identity")
        }
        return .policy(identity: identity, value: Array(input.value))
    }

    private static func person(_ input: InputLine, _ decoder: JSONDecoder) throws -> ReadLine {
        guard let digest = input.head["digest"]?.string, let pseudonym = input.head["person"]?.string else {
            throw Damaged(what: "a person without a name")
        }
        // Erasing keeps the line's length, so that it can be done while the file is being written.
        let isErased =
            input.value.starts(with: Array("null".utf8)) && input.value.dropFirst(4).allSatisfy { $0 == 0x20 }
        let facts = isErased ? nil : try decoder.decode(PersonFacts.self, from: Data(input.value))
        return .person(digest: digest, pseudonym: pseudonym, facts: facts.map { LoggedInput($0) })
    }

    private static func other(_ bytes: [UInt8], _ kind: String, _ keepsLine: Bool) -> ReadLine {
        let value: JSONValue
        do {
            value = try JSONValue(
                parsing: bytes,
                limits: JSONLimits(bytesMax: Self.otherBytesMax, depthMax: 16, membersMax: 100_000))
        } catch {
            return .problem("\(error)")
        }
        switch kind {
        case "decision":
            guard let decision = LoggedDecision(value) else { return .problem("a decision lacks a member") }
            return .decision(LoggedInput(decision), line: keepsLine ? value : .null)
        case "confirmed":
            guard let id = value["id"]?.string.flatMap(DecisionID.init),
                let renewals = value["renewals"]?.integer, LoggedDecision.renewals.contains(renewals)
            else { return .problem("a confirmation lacks a member") }
            return .confirmed(
                id, renewals: renewals, LoggedConfirmation(value), line: keepsLine ? value : .null)
        case "file" where value["version"]?.integer != DecisionLines.version:
            return .problem("the file is of a version that this program does not know")
        case _: return .event(value)
        }
    }

    /// A policy's line, read to its end.
    ///
    /// - Throws: when it is not the policy that `identity` names.
    static func policy(_ identity: String, _ value: [UInt8]) throws -> PolicySnapshot {
        let policy = try PolicyText.decoded(value)
        let hash = Digest.sha256(policy.contentBytes).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
        guard policy.identity == identity, hash == identity else {
            throw Damaged(what: "the policy is not the one that its identity names")
        }
        return policy
    }

    struct Damaged: Error { var what: String }
}

/// A line that holds an input: members before the value, and the value's own bytes.
struct InputLine {
    /// The value begins within so many.
    static let headBytesMax = 1_024

    fileprivate var head: JSONValue
    fileprivate var value: ArraySlice<UInt8>

    fileprivate init(_ line: [UInt8]) throws {
        let mark = Array(",\"value\":".utf8)
        let noValue = ReadLine.Damaged(what: "an input without a value")
        guard line.last == UInt8(ascii: "}"), line.count > mark.count else { throw noValue }
        let last = min(line.count - mark.count, Self.headBytesMax)
        guard let at = (0..<last).first(where: { line[$0..<($0 + mark.count)].elementsEqual(mark) }),
            let head = try? JSONValue(parsing: line[..<at] + [UInt8(ascii: "}")])
        else { throw noValue }
        self.head = head
        value = line[(at + mark.count)...].dropLast()
    }

    fileprivate func checkedDigest() throws -> String {
        guard let digest = head["digest"]?.string, digest == DecisionLines.digest(Array(value)) else {
            throw ReadLine.Damaged(what: "the content is not what its digest names")
        }
        return digest
    }
}
