import Access
import Border
import DataPlane
import Dispatch
import Foundation
import Glibc
import JSON
import Synchronization

/// The control process as the data process sees it: there, or about to be there again.
///
/// While nobody is there questions wait: here, and then in the reactors' queue. What was asked and not answered when
/// one went is asked again of the next where asking twice changes nothing; else it is answered with 503.
final class ControlLink: Sendable {
    /// Questions that wait here for the next control process.
    static let heldMax = 8_192
    /// How long an answer may wait for a reactor's full lane.
    private static let waitMilliseconds = 2_000

    /// What the first configuration is given to; afterwards the engine takes them by itself.
    typealias Starter = @Sendable (GatewaySnapshot) throws -> DataPlaneEngine

    private struct State {
        var engine: DataPlaneEngine?
        var revision: UInt64 = 0
        /// The highest revocation handed to the reactors, of any control process.
        var sequence: UInt64 = 0
        var connection: Connection?
        var held: [ToControl] = []
        var asked: [Ticket: ToControl] = [:]
        var records = KnownRecords()
    }

    private final class Connection: Sendable {
        let messages: BorderSocket
        let revocations: BorderSocket
        /// The highest revocation of this control process that the reactors have.
        let delivered = Atomic<UInt64>(0)
        let isOpen = Atomic<Bool>(true)
        let isPaused = Atomic<Bool>(false)
        let readers = DispatchGroup()
        /// Answers and questions come from several threads; a frame is written whole.
        private let writing = Mutex(())

        init(messages: Int32, revocations: Int32) {
            self.messages = BorderSocket(adopting: messages)
            self.revocations = BorderSocket(adopting: revocations)
        }

        func end() {
            isOpen.store(false, ordering: .sequentiallyConsistent)
            messages.end()
            revocations.end()
        }

        func send(_ value: FromData) -> Bool {
            guard let frame = try? Frames.frame(value, bytesMax: Frames.bytesMaxFromData) else { return true }
            return writing.withLock { _ in messages.send(frame) }
        }
    }

    private let state = Mutex(State())
    private let inbox: ControlInbox
    private let start: Starter
    private let started = DispatchSemaphore(value: 0)
    /// One control process after the other, in the order in which they came.
    private let connecting = DispatchQueue(label: "gatepost.connecting")

    init(inbox: ControlInbox, start: @escaping Starter) {
        self.inbox = inbox
        self.start = start
        Thread.detachNewThread { [self] in
            while true { forward() }
        }
    }

    /// Waits for the first configuration, and returns what it started.
    func firstEngine() -> DataPlaneEngine? {
        started.wait()
        return state.withLock { $0.engine }
    }

    var engine: DataPlaneEngine? { state.withLock { $0.engine } }

    // MARK: one control process after the other

    func connect(messages: Int32, revocations: Int32) {
        let connection = Connection(messages: messages, revocations: revocations)
        connecting.async { [self] in
            // What the last one said comes first: the new one numbers on from there.
            if let last = state.withLock({ $0.connection }) {
                last.end()
                last.readers.wait()
            }
            read(connection) { try self.readRevocations(connection) }
            read(connection) { try self.readMessages(connection) }
            greet(connection)
            state.withLock { $0.connection = connection }
        }
    }

    private func read(_ connection: Connection, _ body: @escaping @Sendable () throws -> Void) {
        connection.readers.enter()
        Thread.detachNewThread { [self] in
            do {
                try body()
            } catch {
                ConfigurationFile.report("gatepost: the control process said what is no value: \(error)")
            }
            connection.end()
            abandonAsked(connection)
            connection.readers.leave()
        }
    }

    private func greet(_ connection: Connection) {
        let now = Int64(Date().timeIntervalSince1970)
        let (sequence, revision, known) = state.withLock { state in
            state.records.forgetEnded(nowSeconds: now)
            return (state.sequence, state.revision, state.records.all)
        }
        guard connection.send(.greeting(BorderGreeting())),
            connection.send(.state(sequence: sequence, revision: revision))
        else { return }
        for start in stride(from: 0, to: known.count, by: 1_000) {
            let end = min(start + 1_000, known.count)
            guard connection.send(.known(Array(known[start..<end]), isLast: end == known.count)) else {
                return
            }
        }
    }

    // MARK: to the control process

    /// Sends the next question, or keeps it.
    private func forward() {
        let open = state.withLock { state in
            state.connection.flatMap {
                $0.isOpen.load(ordering: .acquiring) && !$0.isPaused.load(ordering: .acquiring) ? $0 : nil
            }
        }
        guard let open else {
            keepQuestions()
            usleep(2_000)
            return
        }
        let held = state.withLock { state in
            defer { state.held = [] }
            return state.held
        }
        for message in held { ask(message, open) }
        guard inbox.wait(timeoutMilliseconds: 50) else { return }
        while open.isOpen.load(ordering: .acquiring), !open.isPaused.load(ordering: .acquiring),
            let message = inbox.receive()
        {
            ask(message, open)
        }
    }

    private func ask(_ message: ToControl, _ connection: Connection) {
        if let ticket = message.ticket { state.withLock { $0.asked[ticket] = message } }
        guard !connection.send(.message(message)) else { return }
        // It did not go out whole, so nobody has begun to answer it.
        connection.end()
        let isOurs = message.ticket.map { ticket in
            state.withLock { $0.asked.removeValue(forKey: ticket) != nil }
        }
        if isOurs ?? true { hold(message) }
    }

    private func hold(_ message: ToControl) {
        state.withLock { state in
            if state.held.count < Self.heldMax { state.held.append(message) }
        }
    }

    /// Nobody is there to ask. A page that may be shown is shown; the rest waits for its own deadline at most.
    private func keepQuestions() {
        while state.withLock({ $0.held.count < Self.heldMax }), let message = inbox.receive() {
            if case .request(let request) = message, request.purpose == .recheck {
                deliver(.proceed(request.ticket), to: request.ticket.reactor)
            } else {
                hold(message)
            }
        }
    }

    /// The control process went with these questions unanswered.
    private func abandonAsked(_ connection: Connection) {
        let asked = state.withLock { state in
            guard state.connection === connection else { return [Ticket: ToControl]() }
            defer { state.asked = [:] }
            return state.asked
        }
        for (ticket, message) in asked {
            guard case .request(let request) = message else {
                hold(message)
                continue
            }
            switch request.purpose {
            case .recheck: deliver(.proceed(ticket), to: ticket.reactor)
            // Pages, which change nothing when they are made twice.
            case .signIn, .refused: hold(message)
            case .reserved, .keepForm: deliver(.response(Self.unavailable(request)), to: ticket.reactor)
            }
        }
    }

    private static func unavailable(_ request: ControlRequest) -> ControlResponse {
        let text = "The sign-in service is being restarted; try again in a moment.\n"
        return ControlResponse(
            ticket: request.ticket, status: 503,
            fields: [
                Field("Content-Type", "text/plain; charset=utf-8"), Field("Cache-Control", "no-store"),
                Field("Retry-After", "2"),
            ], body: Array(text.utf8), reason: .controlPlaneUnavailable)
    }

    // MARK: from the control process

    private func readRevocations(_ connection: Connection) throws {
        try connection.revocations.readFrames(bytesMax: Frames.bytesMaxFromControl) { bytes in
            let revocation = try BinaryDecoding.value(Revocation.self, from: bytes)
            // What is open is cut first; what is remembered of it can wait.
            state.withLock(\.engine)?.revoke(revocation)
            state.withLock { state in
                state.records.apply(revocation.effect, nowSeconds: Int64(time(nil)))
                state.sequence = max(state.sequence, revocation.sequence)
            }
            connection.delivered.store(revocation.sequence, ordering: .releasing)
            return true
        }
    }

    private func readMessages(_ connection: Connection) throws {
        var isGreeted = false
        var isTolerant = false
        try connection.messages.readFrames(bytesMax: Frames.bytesMaxFromControl) { bytes in
            let value = try BinaryDecoding.value(ToData.self, from: bytes, isTolerant: isTolerant)
            if case .greeting(let greeting) = value {
                isTolerant = greeting.newest > BorderVersion.current
                isGreeted = BorderVersion.common(with: greeting) != nil
                return isGreeted
            }
            guard isGreeted else { return false }
            return take(value, connection)
        }
    }

    private func take(_ value: ToData, _ connection: Connection) -> Bool {
        switch value {
        case .greeting: return true
        case .configure(let number, let snapshot):
            return connection.send(.configured(number: number, failure: configure(snapshot)))
        case .message(let message, let reactor, let after):
            while connection.delivered.load(ordering: .acquiring) < after,
                connection.isOpen.load(ordering: .acquiring)
            { usleep(100) }
            guard connection.delivered.load(ordering: .acquiring) >= after else { return false }
            note(message)
            deliver(message, to: reactor)
            return true
        case .statusAsked(let number):
            guard let engine = state.withLock({ $0.engine }) else { return true }
            return connection.send(
                .status(number: number, StatusOfReactors(engine.metrics()).value.serialized()))
        case .pause:
            connection.isPaused.store(true, ordering: .sequentiallyConsistent)
            return connection.send(.paused)
        }
    }

    private func note(_ message: ToReactor) {
        state.withLock { state in
            if let ticket = message.ticket { state.asked[ticket] = nil }
            if case .session(_, let record?) = message {
                state.records.keep(record, nowSeconds: Int64(time(nil)))
            }
        }
    }

    private func deliver(_ message: ToReactor, to reactor: UInt16) {
        guard let engine = state.withLock({ $0.engine }), Int(reactor) < engine.reactorCount else { return }
        for _ in 0..<Self.waitMilliseconds {
            if engine.send(message, to: Int(reactor)) { return }
            usleep(1_000)
        }
    }

    /// - Returns: what is wrong with it; nil: it is in force.
    private func configure(_ snapshot: GatewaySnapshot) -> String? {
        do {
            if let engine = state.withLock({ $0.engine }) {
                while try !engine.broadcast(configuration: snapshot) { usleep(1_000) }
            } else {
                let engine = try start(snapshot)
                state.withLock { $0.engine = engine }
                started.signal()
            }
            state.withLock { $0.revision = snapshot.revision }
            return nil
        } catch {
            if state.withLock({ $0.engine == nil }) { started.signal() }
            return "\(error)"
        }
    }
}
