import Access
import Border
import Foundation
import JSON
import Signatures

/// One thing that goes into the decision log.
enum DecisionEntry: Sendable {
    /// In force from now on; every file begins with it.
    case policy(PolicySnapshot)
    case decision(DecisionID, MadeDecision, DecisionCause, ShadowFinding?)
    case confirmed(Confirmation)
    /// A line of its own kind that names no inputs.
    case event(kind: String, atSeconds: Int64, [(String, JSONValue)])
}

/// Renewals of a decision that came to the same: the last of them stands for all.
struct Confirmation: Sendable {
    var id: DecisionID
    var atSeconds: Int64
    /// Renewals since the decision or the confirmation before.
    var renewals: Int
    var validUntilSeconds: Int64
    var openUntilSeconds: Int64?
    /// In the order of the decision's verdicts.
    var verdicts: [VerdictMark]
}

/// Writes entries as the lines of one file: an input once, before the first decision that names it.
///
/// Inputs are named by content: 16 bytes of SHA-256 over their canonical JSON (sorted members, no floats).
/// What is said of a person is named by a *keyed* digest, and persons by a pseudonym made with the same key,
/// so that a file in which a person's line was erased says nothing of them, not even to somebody who guesses.
struct DecisionLines {
    static let version: Int64 = 1

    private let key: [UInt8]
    private var written: Set<String> = []
    private var bytes: [UInt8] = []

    init(key: [UInt8]) { self.key = key }

    /// Bytes of the lines that were not taken yet.
    var count: Int64 { Int64(bytes.count) }

    /// The lines that were written since the last call.
    mutating func take() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    /// A file's first line.
    mutating func begin(number: Int, atSeconds: Int64) {
        line([
            ("kind", "file"), ("version", .integer(Self.version)), ("number", .integer(Int64(number))),
            ("at", .integer(atSeconds)),
        ])
    }

    /// - Throws: never in practice; a fact that JSON cannot hold loses its line.
    mutating func write(_ entry: DecisionEntry) throws {
        switch entry {
        case .policy(let policy): try write(policy)
        case .decision(let id, let made, let cause, let finding): try write(id, made, cause, finding)
        case .confirmed(let confirmation): write(confirmation)
        case .event(let kind, let seconds, let members):
            line([("kind", .string(kind)), ("at", .integer(seconds))] + members)
        }
    }

    private mutating func write(_ policy: PolicySnapshot) throws {
        guard written.insert("policy " + policy.identity).inserted else { return }
        let value = try Self.encoded(policy)
        input(
            [
                ("kind", "policy"), ("identity", .string(policy.identity)),
                ("digest", .string(Self.digest(value))),
            ], value)
    }

    private mutating func write(
        _ id: DecisionID, _ made: MadeDecision, _ cause: DecisionCause, _ finding: ShadowFinding?
    ) throws {
        try write(made.policy)
        let client = try write(clientOf: made)
        let device = try made.device.map { try write($0) }
        let verdicts = try made.device?.verdicts.map { verdict in
            let digest = try write(verdict)
            return Self.reference(VerdictMark(verdict), state: verdict.state, digest)
        }
        var members: [(String, JSONValue)] = [
            ("kind", "decision"), ("id", .string(id.text)), ("at", .integer(made.atSeconds)),
            ("application", .string(made.application)), ("cause", .string(cause.rawValue)),
            ("session", .string(made.sessionID)),
        ]
        members += client
        if let device, let id = made.device?.id {
            members += [
                ("device", .string(id)), ("device_facts", .string(device)),
                ("verdicts", .array(verdicts ?? [])),
            ]
        }
        members += Self.outcome(of: made)
        if let finding {
            members.append(("shadow", .string(finding.word.rawValue)))
            if finding.word != .agrees {
                members += [
                    ("shadow_policy", .string(finding.policy)),
                    ("shadow_outcome", .string(finding.outcome.rawValue)),
                    ("shadow_reason", .string(finding.reason.rawValue)),
                ]
            }
        }
        line(members)
    }

    /// A service is nobody: its name is the administrator's own, and stands in the line itself.
    private mutating func write(clientOf made: MadeDecision) throws -> [(String, JSONValue)] {
        guard let session = made.session else {
            guard let service = made.service else { return [] }
            return [
                ("service", .string(service.name)), ("service_id", .string(service.id)),
                ("expires_at", .integer(service.expiresAtSeconds)),
            ] + (service.token.map { [("token", $0.logged)] } ?? [])
        }
        let pseudonym = self.pseudonym(issuer: session.person.issuer, subject: session.person.subject)
        let person = try write(session.person, pseudonym)
        let proven = session.keyProvenAtSeconds.map { [("key_proven_at", JSONValue.integer($0))] } ?? []
        return [
            ("identity_provider", .string(session.identityProvider)),
            ("created_at", .integer(session.createdAtSeconds)),
            ("expires_at", .integer(session.expiresAtSeconds)), ("person", .string(pseudonym)),
            ("person_facts", .string(person)),
        ] + proven
    }

    private static func outcome(of made: MadeDecision) -> [(String, JSONValue)] {
        var members: [(String, JSONValue)] = [
            ("policy", .string(made.policy.identity)),
            ("outcome", .string(made.residual.outcome.rawValue)),
            ("reason", .string(made.residual.leadingReason.rawValue)),
            ("matched", .array(made.residual.policies.map { .string($0.name) })),
        ]
        if let result = made.deviceResult {
            members.append(("class", .string(result.deviceClass.rawValue)))
            if let policy = result.policyName { members.append(("device_policy", .string(policy))) }
            if !result.warnings.isEmpty {
                members.append(("warnings", .array(result.warnings.map(\.logged))))
            }
        }
        members += [
            ("result", .string(digest(of: made.residual))),
            ("valid_until", .integer(made.residual.validUntilSeconds)),
        ]
        if let open = made.open {
            members += [
                ("open_result", .string(digest(of: open))), ("open_until", .integer(open.validUntilSeconds)),
            ]
        }
        return members
    }

    private mutating func write(_ confirmation: Confirmation) {
        var members: [(String, JSONValue)] = [
            ("kind", "confirmed"), ("id", .string(confirmation.id.text)),
            ("at", .integer(confirmation.atSeconds)), ("renewals", .integer(Int64(confirmation.renewals))),
            ("valid_until", .integer(confirmation.validUntilSeconds)),
        ]
        if let until = confirmation.openUntilSeconds { members.append(("open_until", .integer(until))) }
        if !confirmation.verdicts.isEmpty {
            let marks = confirmation.verdicts.map { Self.reference($0, state: nil, nil) }
            members.append(("verdicts", .array(marks)))
        }
        line(members)
    }

    // Inputs

    private mutating func write(_ person: PersonFacts, _ pseudonym: String) throws -> String {
        var content = person
        // For pages only, never compared: what decides nothing is not on record.
        content.name = nil
        let value = try Self.encoded(content)
        let digest = Self.hex(Digest.hmacSHA256(key: key, Array("facts".utf8) + value))
        guard written.insert("person " + digest).inserted else { return digest }
        input(
            [("kind", "person"), ("person", .string(pseudonym)), ("digest", .string(digest))], value)
        return digest
    }

    private mutating func write(_ device: DeviceFacts) throws -> String {
        var content = device
        content.verdicts = []
        // Whose device it is, is personal: what a decision asks is only whether it is the same person's.
        if let issuer = device.ownerIssuer, let subject = device.ownerSubject {
            content.ownerIssuer = Pseudonym.issuer
            content.ownerSubject = pseudonym(issuer: issuer, subject: subject)
        } else {
            content.ownerIssuer = nil
            content.ownerSubject = nil
        }
        return try write("device", content)
    }

    private mutating func write(_ verdict: Verdict) throws -> String {
        try write("verdict", verdict.withoutTimes)
    }

    private mutating func write(_ kind: String, _ content: some Encodable) throws -> String {
        let value = try Self.encoded(content)
        let digest = Self.digest(value)
        guard written.insert("\(kind) \(digest)").inserted else { return digest }
        input([("kind", .string(kind)), ("digest", .string(digest))], value)
        return digest
    }

    private func pseudonym(issuer: String, subject: String) -> String {
        Pseudonym.text(key: key, issuer: issuer, subject: subject)
    }

    private static func reference(
        _ mark: VerdictMark, state: Verdict.State?, _ digest: String?
    ) -> JSONValue {
        var members: [(String, JSONValue)] = [("id", .string(mark.id))]
        if let digest { members.append(("digest", .string(digest))) }
        if digest != nil { members.append(("integration", .string(mark.integration))) }
        if let state { members.append(("state", .string(state.rawValue))) }
        members += [
            ("observed_at", .integer(mark.observedAtSeconds)),
            ("fetched_at", .integer(mark.fetchedAtSeconds)),
            ("expires_at", .integer(mark.expiresAtSeconds)),
        ]
        if let seconds = mark.assessedAtSeconds { members.append(("assessed_at", .integer(seconds))) }
        if let seconds = mark.graceUntilSeconds { members.append(("grace_until", .integer(seconds))) }
        if digest != nil, let call = mark.provenance { members += call.members }
        return .object(JSONObject(members))
    }

    // Bytes

    private mutating func line(_ members: [(String, JSONValue)]) {
        bytes += JSONObject(members).serialized()
        bytes.append(0x0a)
    }

    /// The value stands last, so that its bytes can be hashed as they are.
    private mutating func input(_ members: [(String, JSONValue)], _ value: [UInt8]) {
        bytes += JSONObject(members).serialized().dropLast()
        bytes += Array(",\"value\":".utf8) + value + Array("}\n".utf8)
    }

    static func encoded(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }

    /// 32 hex digits: half of SHA-256.
    static func digest(_ bytes: [UInt8]) -> String { hex(Digest.sha256(bytes)) }

    /// What a residual comes to, in 32 hex digits.
    static func digest(of residual: Residual) -> String { digest(residual.contentBytes) }

    static func hex(_ bytes: [UInt8]) -> String {
        let digits: StaticString = "0123456789abcdef"
        return String(unsafeUninitializedCapacity: 32) { text in
            var count = 0
            for byte in bytes.prefix(16) {
                text[count] = digits.utf8Start[Int(byte >> 4)]
                text[count + 1] = digits.utf8Start[Int(byte & 15)]
                count += 2
            }
            return count
        }
    }
}

/// Names for persons that only the holder of the key can make.
enum Pseudonym {
    /// The issuer of owners in device lines; their subject is the pseudonym.
    static let issuer = "pseudonym"

    static func text(key: [UInt8], issuer: String, subject: String) -> String {
        // With the length of the first part: no two pairs read alike.
        let named = Array("person \(issuer.utf8.count) \(issuer)\(subject)".utf8)
        return DecisionLines.hex(Digest.hmacSHA256(key: key, named))
    }
}
