import Access
import JSON
import Store

/// Somebody or something that a transmitter is to tell about, where it tells about nobody by itself
/// (Shared Signals 1.0 §8.1.3, `default_subjects: NONE`).
enum StreamSubject: Sendable, Hashable {
    case person(issuer: ExactKey, subject: ExactKey)
    /// By everything that providers call it; never empty.
    case device([DeviceKey])

    /// As `subject` of a request has it (RFC 9493).
    var document: JSONValue {
        switch self {
        case .person(let issuer, let subject):
            return ["format": "iss_sub", "iss": .string(issuer.text), "sub": .string(subject.text)]
        case .device(let keys):
            let names: [JSONValue] = keys.map { ["format": "opaque", "id": .string($0.value)] }
            let device: JSONValue =
                names.count == 1 ? names[0] : ["format": "aliases", "identifiers": .array(names)]
            return ["format": "complex", "device": device]
        }
    }
}

/// Which subjects a stream has, and which are to be added and removed. A value; the stream makes the calls.
struct StreamSubjects: Sendable {
    /// Of one stream; whoever comes after them is not told about, which is shown.
    static let countMax = 10_000
    /// Calls in one round of `SignalStream.tickSeconds`.
    static let callsMax = 100
    /// A subject that the transmitter does not know is offered again after this.
    static let refusedSeconds: Int64 = 86_400

    private var added: Set<StreamSubject> = []
    private var refused: [StreamSubject: Int64] = [:]
    private var wanted: [StreamSubject] = []
    private var beyond = 0

    /// What is shown of it.
    var status: SignalSubjectStatus {
        let waiting = wanted.count { !added.contains($0) && refused[$0] == nil }
        return SignalSubjectStatus(
            added: added.count, waiting: waiting, unknown: wanted.count { refused[$0] != nil },
            beyondMaximum: beyond)
    }

    /// - Parameter subjects: without doubles, the most important first.
    mutating func want(_ subjects: [StreamSubject], nowSeconds: Int64) {
        wanted = Array(subjects.prefix(Self.countMax))
        beyond = subjects.count - wanted.count
        let kept = Set(wanted)
        // The clock may have jumped back.
        refused = refused.filter {
            kept.contains($0.key) && (0..<Self.refusedSeconds).contains(nowSeconds - $0.value)
        }
    }

    /// What is to be done next. First whoever is wanted no more, so that a stream never has more than `countMax`.
    func next() -> [(subject: StreamSubject, isAddition: Bool)] {
        let kept = Set(wanted)
        let leaving = added.filter { !kept.contains($0) }.prefix(Self.callsMax)
            .map { (subject: $0, isAddition: false) }
        let coming = wanted.lazy.filter { !added.contains($0) && refused[$0] == nil }
        return leaving
            + coming.prefix(Self.callsMax - leaving.count).map { (subject: $0, isAddition: true) }
    }

    mutating func note(added subject: StreamSubject) {
        added.insert(subject)
        refused[subject] = nil
    }

    mutating func note(removed subject: StreamSubject) { added.remove(subject) }
    mutating func note(refused subject: StreamSubject, nowSeconds: Int64) { refused[subject] = nowSeconds }
}

extension SignalStream {
    /// Tells a transmitter that tells about nobody by itself whom to tell about: some in each round, and nobody while
    /// it asks us to wait. After a start everybody is added again, which does no harm twice; who was removed
    /// meanwhile stays there, and what comes about them is counted as `unmapped-subject`.
    ///
    /// - Parameter everybody: people and devices that are known here, the most important first.
    func keepSubjects(_ everybody: @Sendable () async -> [StreamSubject]) async {
        // What is wrong with a transmitter that cannot be read, `keepUp` has said.
        guard let stream = configuration, let known = try? await transmitter.discover() else { return }
        guard known.defaultSubjects == .nobody else {
            status.subjects = nil
            return
        }
        if subjects?.streamID != stream.id { subjects = (stream.id, StreamSubjects()) }
        guard known.addSubjectURL != nil else {
            status.subjects = SignalSubjectStatus(isImpossible: true)
            return
        }
        let wanted = await everybody()
        subjects?.of.want(wanted, nowSeconds: clock.nowSeconds())
        status.subjects = subjects?.of.status
        let begun = generation
        for (subject, isAddition) in subjects?.of.next() ?? [] {
            let failure = await change(subject, of: stream.id, isAddition: isAddition)
            // Somebody else's stream by now, or other secrets: it is begun anew.
            guard begun == generation, subjects?.streamID == stream.id else { return }
            status.subjects = subjects?.of.status
            guard let failure else { continue }
            status.subjects?.failure = "\(failure.kind.rawValue): \(failure.what)"
            return
        }
    }

    /// - Returns: what keeps others from being changed as well.
    private func change(
        _ subject: StreamSubject, of streamID: String, isAddition: Bool
    ) async -> ConnectorFailure? {
        do throws(ConnectorFailure) {
            if isAddition {
                try await transmitter.add(subject, to: streamID)
                subjects?.of.note(added: subject)
            } else {
                try await transmitter.remove(subject, from: streamID)
                subjects?.of.note(removed: subject)
            }
            return nil
        } catch {
            // 400 and 404 are about this one: a transmitter need not know everybody, nor every format.
            guard error.kind == .notFound || error.kind == .malformedResponse else { return error }
            if isAddition {
                subjects?.of.note(refused: subject, nowSeconds: clock.nowSeconds())
            } else {
                subjects?.of.note(removed: subject)
            }
            return nil
        }
    }
}

/// Somebody who is signed in, as the identity provider names them.
public struct SignedInPerson: Sendable, Hashable {
    /// `iss` of the identity provider.
    public var issuer: String
    /// `sub` there.
    public var subject: String

    /// Takes the members as they are.
    public init(issuer: String, subject: String) {
        self.issuer = issuer
        self.subject = subject
    }
}

extension PostureService {
    /// Who is signed in now: transmitters that tell about nobody by themselves are told of them first. Once a minute.
    public func note(openPeople people: Set<SignedInPerson>) { openPeople = people }

    /// Whom streams are to tell about: people who are signed in, devices with open sessions, then everybody who has a
    /// device here and every device.
    func streamSubjects() -> [StreamSubject] {
        var found: [StreamSubject] = []
        var seen: Set<StreamSubject> = []
        func add(_ subject: StreamSubject) {
            if seen.insert(subject).inserted { found.append(subject) }
        }
        func add(device: StoredDevice) {
            let keys = directory.keys(of: device.id).filter { $0.kind.isPinned }
            if !keys.isEmpty { add(.device(keys)) }
        }
        for person in openPeople.sorted(by: { ($0.issuer, $0.subject) < ($1.issuer, $1.subject) }) {
            add(.person(issuer: ExactKey(person.issuer), subject: ExactKey(person.subject)))
        }
        let devices = directory.all.filter { !$0.isRevoked }
        for device in devices where schedule.isOpen(device.id) { add(device: device) }
        for device in devices {
            add(.person(issuer: ExactKey(device.ownerIssuer), subject: ExactKey(device.ownerSubject)))
        }
        for device in devices { add(device: device) }
        return found
    }
}
