import Border

@testable import DataPlane

/// The control plane of a simulation: it knows the sessions, ends some, and answers soon, late, twice or never.
final class SimulatedControl {
    struct Session {
        /// The turn before the one whose beginning applies the revocation.
        var endedInTurn: Int?
        /// A new record took its place that opens nothing.
        var isRefused = false
        /// Whoever asks is told of the end.
        var isTold = false
    }

    private unowned let world: Simulation
    let inbox: Inbox
    let mailbox: ControlInbox
    private(set) var sessions = [Session](repeating: Session(), count: Int(ModelRequest.Cookies.count))
    private(set) var sequence: UInt64 = 0
    private var numbers: [[UInt8]: UInt8] = [:]
    private static let digests = (0..<ModelRequest.Cookies.count).map { Facts.digest($0) }

    init(_ world: Simulation) throws {
        self.world = world
        inbox = try Inbox(capacity: 64)
        mailbox = try ControlInbox(capacity: world.profile.controlMisbehaves ? 4 : 256)
        for (number, digest) in Self.digests.enumerated() { numbers[digest] = UInt8(number) }
    }

    /// Reads what the reactor asked in its last turn.
    func work() {
        sendLate()
        if world.profile.controlMisbehaves, world.kernel.random.chance(60) { return }
        while let message = mailbox.receive() {
            switch message {
            case .pullSession(let ticket, let digest, let application):
                answerSession(ticket, digest, application)
            case .request(let request): answer(request)
            case .renew(let digest, let application): renew(digest, application)
            case .pullService(let ticket, _, _), .pullBearer(let ticket, _, _, _),
                .pullMachine(let ticket, _, _), .pullCertified(let ticket, _, _, _):
                send(.session(ticket, nil))
            case .cut, .upstream: break
            }
        }
    }

    private func record(_ number: UInt8, _ application: String) -> SessionRecord? {
        let session = sessions[Int(number)]
        guard !session.isTold || session.isRefused else { return nil }
        let now = Int64((world.kernel.wallNanoseconds + world.kernel.nowNanoseconds) / 1_000_000_000)
        let until = world.profile.hasShortRecords ? now + 15 : Facts.farSeconds
        var record = Facts.record(
            number, sequence: sequence, application: application, allowed: !session.isTold,
            validUntil: until)
        record.device = "device-\(number)"
        return record
    }

    private func answerSession(_ ticket: Ticket, _ digest: [UInt8], _ application: String) {
        guard let number = numbers[digest] else {
            return world.kernel.fault("a token that nobody has is asked for")
        }
        // As the store has it now; what changes on the way the reactor must find out.
        let found = record(number, application)
        if world.profile.controlMisbehaves, world.kernel.random.chance(15) {
            return deliver(.sessionUnavailable(ticket))
        }
        deliver(.session(ticket, found))
    }

    private func answer(_ request: ControlRequest) {
        let id = request.fields.first { $0.name == "x-sim" }.flatMap { Int($0.value) } ?? -1
        guard let asked = world.requests[id], asked.kind == .reserved, request.purpose == .reserved else {
            return world.kernel.fault("the control plane is asked about request \(id), which is not its own")
        }
        if request.body != asked.requestBody { world.kernel.fault("reserved \(id) has another body") }
        deliver(
            .response(
                ControlResponse(
                    ticket: request.ticket, status: 200, fields: [Field("X-Sim", "\(id)")],
                    body: asked.responseBody)))
    }

    private func renew(_ digest: [UInt8], _ application: String) {
        guard let number = numbers[digest], let record = record(number, application) else { return }
        sequence += 1
        inbox.send(Revocation(sequence: sequence, eventNanoseconds: 0, effect: .replace(record)))
    }

    private func deliver(_ message: ToReactor) {
        let kernel = world.kernel
        guard world.profile.controlMisbehaves else {
            return kernel.after(kernel.random.delay()) { self.send(message) }
        }
        if kernel.random.chance(10) { return }
        for _ in 0..<(kernel.random.chance(15) ? 2 : 1) {
            // Longer than anything waits.
            let late = kernel.random.chance(10) ? UInt64(20_000_000_000) : 0
            kernel.after(late + kernel.random.delay()) { self.send(message) }
        }
    }

    /// Revocations that the reactor has not applied yet.
    func waiting(_ reactor: Reactor) -> UInt64 { sequence - reactor.counters.value(.revocations) }

    func revokeNobody() {
        sequence += 1
        inbox.send(Revocation(sequence: sequence, eventNanoseconds: 0, effect: .endSession("nobody")))
    }

    func send(_ message: ToReactor) { _ = inbox.send(message) }

    /// Ends a session, or all that it opens.
    func revoke(_ number: UInt8) {
        guard sessions[Int(number)].endedInTurn == nil else { return }
        sequence += 1
        // A harness that withholds one, or has it late, must notice that.
        let isLate = world.profile.withholdsRevocations || world.profile.revocationsLateTurns > 0
        sessions[Int(number)].endedInTurn = world.kernel.turn
        sessions[Int(number)].isTold = true
        let effect: Revocation.Effect
        switch world.kernel.random.below(4) {
        case 0: effect = .endSession("session-\(number)")
        case 1: effect = .endPerson("issuer person-\(number)")
        case 2: effect = .endDevice("device-\(number)")
        default:
            sessions[Int(number)].isRefused = true
            guard let record = record(number, "wiki") else { return }
            effect = .replace(record)
        }
        let revocation = Revocation(
            sequence: sequence, eventNanoseconds: world.kernel.nowNanoseconds, effect: effect)
        guard isLate else { return inbox.send(revocation) }
        sessions[Int(number)].isTold = false
        guard !world.profile.withholdsRevocations else { return }
        late.append((world.kernel.turn + world.profile.revocationsLateTurns, number, revocation))
    }

    private var late: [(turn: Int, number: UInt8, revocation: Revocation)] = []

    /// Before the turn that begins now.
    private func sendLate() {
        while let first = late.first, first.turn <= world.kernel.turn {
            late.removeFirst()
            sessions[Int(first.number)].isTold = true
            inbox.send(first.revocation)
        }
    }
}
