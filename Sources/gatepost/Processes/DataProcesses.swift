import Border
import Control
import Dispatch
import Foundation
import Glibc
import JSON
import Synchronization

/// The data processes as the control process sees them: one, and while one takes the place of another, two.
final class DataProcesses: Reactors {
    /// Bytes that may wait for a data process. Revocations have a lane of their own, and their sender waits.
    private static let laneBytesMax = 64 << 20
    private static let configureMilliseconds = 10_000
    private static let statusMilliseconds = 500

    /// What a data process says, for whoever composes the control plane.
    enum News: Sendable {
        /// It is about to be told everything: no revocation may be numbered up to `sequence` from here on.
        case joins(sequence: UInt64, revision: UInt64)
        case asks(ToControl)
        case knows([KnownRecord])
    }

    final class Life: Sendable {
        let number: UInt8
        let socket: BorderSocket
        let messages: OutLane
        let revocations: OutLane
        /// Whom to read revocations for; kept so that it is not closed before.
        let revocationSocket: BorderSocket

        init(number: UInt8, messages: BorderSocket, revocations: BorderSocket) {
            self.number = number
            socket = messages
            revocationSocket = revocations
            self.messages = OutLane(messages, bytesMax: laneBytesMax)
            self.revocations = OutLane(revocations, bytesMax: laneBytesMax)
        }

        func end() {
            messages.end()
            revocations.end()
            socket.end()
            revocationSocket.end()
        }
    }

    private struct Joined {
        let life: Life
        /// The last revocation that was handed to its lane.
        var revoked: UInt64 = 0
        /// Requests that wait for an answer of ours.
        var waiting: Set<Ticket> = []
        var isPaused = false
    }

    private struct State {
        var lives: [UInt8: Joined] = [:]
        var lastNumber: UInt64 = 0
        var asked: [UInt64: (life: UInt8, answered: @Sendable (FromData?) -> Void)] = [:]
        var processes = JSONValue.null
        var configured: GatewaySnapshot?
    }
    private let state = Mutex(State())
    private let news: @Sendable (News) -> Void
    private let snapshot: LockedValue<(@Sendable () -> GatewaySnapshot)?> = LockedValue(nil)

    init(news: @escaping @Sendable (News) -> Void) { self.news = news }

    /// From now on whoever joins gets this configuration, and everything that is sent.
    func serve(_ snapshot: @escaping @Sendable () -> GatewaySnapshot) { self.snapshot.set(snapshot) }

    /// What the supervisor knows of the processes.
    func note(processes: JSONValue) { state.withLock { $0.processes = processes } }

    var liveCount: Int { state.withLock { $0.lives.count } }

    // MARK: what the control plane sends

    func send(_ message: ToReactor, to reactor: Int) async {
        let number = Tickets.life(ofReactor: reactor)
        defer { if let ticket = message.ticket { settle(ticket, of: number) } }
        for _ in 0..<Lanes.waitMilliseconds {
            guard let sent = offer(message.unmarked, to: number, reactor: UInt16(reactor & 0xff)) else {
                return
            }
            if sent { return }
            try? await Task.sleep(for: .milliseconds(1))
        }
    }

    /// - Returns: nil: there is no such process any more; false: its lane is full.
    private func offer(_ message: ToReactor, to number: UInt8, reactor: UInt16) -> Bool? {
        guard let joined = state.withLock({ $0.lives[number] }) else { return nil }
        let value = ToData.message(message, reactor: reactor, after: joined.revoked)
        guard let frame = try? Frames.frame(value, bytesMax: Frames.bytesMaxFromControl) else { return nil }
        return joined.life.messages.append(frame)
    }

    func revoke(_ revocation: Revocation) {
        guard let frame = try? Frames.frame(revocation, bytesMax: Frames.bytesMaxFromControl) else { return }
        // Noted before a message can be numbered after it; the caller keeps the order of revocations.
        let lives = state.withLock { state in
            for number in state.lives.keys { state.lives[number]?.revoked = revocation.sequence }
            return state.lives.values.map(\.life)
        }
        for life in lives { life.revocations.appendWaiting(frame) }
    }

    func configure(_ snapshot: GatewaySnapshot) async throws(ControlFailure) {
        let lives = state.withLock { $0.lives.values.map(\.life) }
        guard !lives.isEmpty else {
            throw ControlFailure(what: "the data process is being started; try again in a moment")
        }
        for life in lives {
            let answer = await ask(life, Self.configureMilliseconds) { .configure(number: $0, snapshot) }
            switch answer {
            case .configured(_, let failure?): throw ControlFailure(what: failure)
            case .configured: continue
            case nil where state.withLock({ $0.lives[life.number] == nil }):
                // It ended meanwhile; its successor is given what is in force when it joins.
                continue
            default:
                throw ControlFailure(what: "the data process did not answer; the old configuration stays")
            }
        }
        state.withLock { $0.configured = snapshot }
    }

    func status() -> JSONValue {
        let (lives, processes) = state.withLock { state in
            (state.lives.values.map(\.life).sorted { $0.number < $1.number }, state.processes)
        }
        var value = JSONObject()
        for life in lives {
            let done = DispatchSemaphore(value: 0)
            let found = LockedValue<JSONValue?>(nil)
            ask(life, { .statusAsked(number: $0) }) { answer in
                if case .status(_, let bytes) = answer { found.set(try? JSONValue(parsing: bytes)) }
                done.signal()
            }
            _ = done.wait(timeout: .now() + .milliseconds(Self.statusMilliseconds))
            if let object = found.get()?.object { value = object }
        }
        value["processes"] = processes
        return .object(value)
    }

    // MARK: questions to a data process

    private func ask(
        _ life: Life, _ milliseconds: Int, _ question: @escaping @Sendable (UInt64) -> ToData
    ) async -> FromData? {
        await withCheckedContinuation { continuation in
            let isAnswered = LockedValue(false)
            let once: @Sendable (FromData?) -> Void = { answer in
                var isFirst = false
                isAnswered.change {
                    isFirst = !$0
                    $0 = true
                }
                if isFirst { continuation.resume(returning: answer) }
            }
            ask(life, question, once)
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { once(nil) }
        }
    }

    private func ask(
        _ life: Life, _ question: (UInt64) -> ToData, _ answered: @escaping @Sendable (FromData?) -> Void
    ) {
        let number = state.withLock { state in
            state.lastNumber += 1
            state.asked[state.lastNumber] = (life.number, answered)
            return state.lastNumber
        }
        guard let frame = try? Frames.frame(question(number), bytesMax: Frames.bytesMaxFromControl) else {
            return answer(number, nil)
        }
        life.messages.appendWaiting(frame)
    }

    private func answer(_ number: UInt64, _ value: FromData?) {
        state.withLock { $0.asked.removeValue(forKey: number) }?.answered(value)
    }

    // MARK: lives

    /// Serves one data process from its greeting to its end, on threads of its own.
    func join(number: UInt8, messages: Int32, revocations: Int32) {
        let life = Life(
            number: number, messages: BorderSocket(adopting: messages),
            revocations: BorderSocket(adopting: revocations))
        Thread.detachNewThread { [self] in
            do {
                try follow(life)
            } catch {
                ConfigurationFile.report("gatepost: the data process said what is no value: \(error)")
            }
            life.end()
            let unanswered = state.withLock { state in
                if state.lives[number]?.life === life { state.lives[number] = nil }
                return state.asked.filter { $0.value.life == number }.map(\.key)
            }
            for number in unanswered { answer(number, nil) }
        }
    }

    private func follow(_ life: Life) throws {
        var version: UInt8?
        var isTolerant = false
        try life.socket.readFrames(bytesMax: Frames.bytesMaxFromData) { bytes in
            let value = try BinaryDecoding.value(FromData.self, from: bytes, isTolerant: isTolerant)
            if case .greeting(let greeting) = value {
                version = BorderVersion.common(with: greeting)
                isTolerant = greeting.newest > BorderVersion.current
                let own = try Frames.frame(
                    ToData.greeting(BorderGreeting()), bytesMax: Frames.bytesMaxFromControl)
                return life.messages.append(own) && version != nil
            }
            guard version != nil else { return false }
            take(value, from: life)
            return true
        }
    }

    private func take(_ value: FromData, from life: Life) {
        switch value {
        case .greeting: return
        case .state(let sequence, let revision):
            news(.joins(sequence: sequence, revision: revision))
            enter(life)
        case .known(let records, _): news(.knows(records))
        case .message(let message):
            let marked = message.marked(life: life.number)
            if let ticket = marked.ticket {
                state.withLock { _ = $0.lives[life.number]?.waiting.insert(ticket) }
            }
            news(.asks(marked))
        case .configured(let number, _), .status(let number, _): answer(number, value)
        case .paused: state.withLock { $0.lives[life.number]?.isPaused = true }
        }
    }

    /// From here on every revocation and every configuration reaches it; the first one now.
    private func enter(_ life: Life) {
        while snapshot.get() == nil { usleep(1_000) }
        state.withLock { $0.lives[life.number] = Joined(life: life) }
        guard let current = snapshot.get()?() else { return }
        let last = state.withLock { $0.configured }
        let newest = last.map { $0.revision > current.revision ? $0 : current } ?? current
        ask(life, { .configure(number: $0, newest) }) { answer in
            guard case .configured(_, let failure?) = answer else { return }
            ConfigurationFile.report("gatepost: the data process does not take the configuration: \(failure)")
        }
    }

    private func settle(_ ticket: Ticket, of number: UInt8) {
        state.withLock { _ = $0.lives[number]?.waiting.remove(Tickets.mark(ticket, life: number)) }
    }

    /// Asks every data process to keep its questions for the next control process, and waits until what was asked is
    /// answered, at most so long.
    func pause(milliseconds: Int) {
        if let frame = try? Frames.frame(ToData.pause, bytesMax: Frames.bytesMaxFromControl) {
            for life in state.withLock({ $0.lives.values.map(\.life) }) { _ = life.messages.append(frame) }
        }
        for _ in 0..<milliseconds {
            let isDone = state.withLock { $0.lives.values.allSatisfy { $0.isPaused && $0.waiting.isEmpty } }
            if isDone { break }
            usleep(1_000)
        }
        // What was answered last is still on its way through the lane's thread.
        usleep(20_000)
    }
}
