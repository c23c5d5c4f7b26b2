import Border
import Control
import Dispatch
import Foundation
import JSON

/// The data processes as the control process sees them: one, and while one takes the place of another, two.
final class DataProcesses: Reactors {
    private static let configureMilliseconds = 10_000
    private static let statusMilliseconds = 500

    /// What a data process says, for whoever composes the control plane.
    enum News: Sendable {
        /// It is about to be told everything: no revocation may be numbered up to `sequence` from here on.
        case joins(sequence: UInt64, revision: UInt64)
        case asks(ToControl)
        case knows([KnownRecord])
        /// Of these the store has a session: they are decided anew.
        case lives([KnownRecord])
    }

    struct State {
        var lives: [UInt8: JoinedLife] = [:]
        var lastNumber: UInt64 = 0
        var asked: [UInt64: (life: DataLife, answered: @Sendable (FromData?) -> Void)] = [:]
        var processes = JSONValue.null
        var configured: GatewaySnapshot?
        /// Whoever joins waits until it is known which configuration is in force.
        var isConfiguring = false
        var snapshot: (@Sendable () -> GatewaySnapshot)?
    }
    let state = Watched(State())
    let news: @Sendable (News) -> Void
    private let broken: @Sendable (UInt8, BorderBreach) -> Void
    private let patienceMilliseconds: Int

    /// - Parameters:
    ///   - patienceMilliseconds: that a data process may leave what it is sent unread once its lanes are full.
    ///   - broken: told of a data process that says what none may say, or does not read; it has to end.
    init(
        patienceMilliseconds: Int = 30_000, news: @escaping @Sendable (News) -> Void,
        broken: @escaping @Sendable (UInt8, BorderBreach) -> Void
    ) {
        self.patienceMilliseconds = patienceMilliseconds
        self.news = news
        self.broken = broken
    }

    /// From now on whoever joins gets this configuration, and everything that is sent.
    func serve(_ snapshot: @escaping @Sendable () -> GatewaySnapshot) {
        state.change { $0.snapshot = snapshot }
    }

    /// What the supervisor knows of the processes.
    func note(processes: JSONValue) { state.change { $0.processes = processes } }

    var liveCount: Int { state.look { $0.lives.count } }

    // MARK: what the control plane sends

    func send(_ message: ToReactor, to reactor: Int) async {
        let number = Tickets.life(ofReactor: reactor)
        let joined = state.look { $0.lives[number] }
        if let joined {
            let value = ToData.message(
                message.unmarked, reactor: UInt16(reactor & 0xff), after: joined.revoked)
            if let frame = try? Frames.frame(value, bytesMax: Frames.bytesMaxFromControl) {
                _ = await joined.life.messages.appendLater(frame, milliseconds: Lanes.waitMilliseconds)
            }
        }
        guard let ticket = message.ticket else { return }
        // After the frame is in its lane: whoever waits until nobody waits has then everything to write.
        state.change { $0.lives[number]?.waiting.remove(Tickets.mark(ticket, life: number)) }
    }

    func revoke(_ revocation: Revocation) {
        guard let frame = try? Frames.frame(revocation, bytesMax: Frames.bytesMaxFromControl) else { return }
        // Noted before a message can be numbered after it; the caller keeps the order of revocations.
        let lives = state.change { state in
            for number in state.lives.keys { state.lives[number]?.revoked = revocation.sequence }
            return state.lives.values.map(\.life)
        }
        for life in lives where !life.revocations.appendWaiting(frame) {
            // The caller holds what every decision needs: one that does not read must not hold up the others.
            breach(life, BorderBreach("it does not read its revocations"))
        }
    }

    func configure(_ snapshot: GatewaySnapshot) async throws(ControlFailure) {
        let lives = state.change { state in
            state.isConfiguring = true
            return state.lives.values.map(\.life)
        }
        do throws(ControlFailure) {
            try await configure(snapshot, lives)
        } catch {
            state.change { $0.isConfiguring = false }
            throw error
        }
        state.change { state in
            state.isConfiguring = false
            state.configured = snapshot
        }
    }

    private func configure(_ snapshot: GatewaySnapshot, _ lives: [DataLife]) async throws(ControlFailure) {
        guard !lives.isEmpty else {
            throw ControlFailure(what: "the data process is being started; try again in a moment")
        }
        for life in lives {
            let answer = await ask(life, Self.configureMilliseconds) { .configure(number: $0, snapshot) }
            switch answer {
            case .configured(_, let failure?): throw ControlFailure(what: failure)
            case .configured: continue
            case nil where state.look({ $0.lives[life.number] == nil }):
                // It ended meanwhile; its successor is given what is in force when it joins.
                continue
            default:
                throw ControlFailure(what: "the data process did not answer; the old configuration stays")
            }
        }
    }

    func status() -> JSONValue {
        let (lives, processes) = state.look { state in
            (state.lives.values.map(\.life).sorted { $0.number < $1.number }, state.processes)
        }
        var value = JSONObject()
        for life in lives {
            let found = Watched<FromData??>(nil)
            ask(life, { .statusAsked(number: $0) }) { answer in found.change { $0 = .some(answer) } }
            let answer = found.wait(milliseconds: Self.statusMilliseconds) { $0 }
            if case .status(_, let bytes)?? = answer, let object = try? JSONValue(parsing: bytes).object {
                value = object
            }
        }
        value["processes"] = processes
        value["control_version"] = .string(Gatepost.versionText)
        return .object(value)
    }

    // MARK: questions to a data process

    private func ask(
        _ life: DataLife, _ milliseconds: Int, _ question: @escaping @Sendable (UInt64) -> ToData
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

    func ask(
        _ life: DataLife, _ question: (UInt64) -> ToData, _ answered: @escaping @Sendable (FromData?) -> Void
    ) {
        let number = state.change { state in
            state.lastNumber += 1
            state.asked[state.lastNumber] = (life, answered)
            return state.lastNumber
        }
        guard let frame = try? Frames.frame(question(number), bytesMax: Frames.bytesMaxFromControl) else {
            return answer(number, nil)
        }
        guard life.messages.appendWaiting(frame) else {
            return breach(life, BorderBreach("it does not read what it is told"))
        }
    }

    func answer(_ number: UInt64, _ value: FromData?) {
        state.change { $0.asked.removeValue(forKey: number) }?.answered(value)
    }

    // MARK: lives

    /// Serves one data process from its greeting to its end, on threads of its own.
    func join(number: UInt8, messages: Int32, revocations: Int32) {
        let life = DataLife(
            number: number, messages: BorderSocket(adopting: messages),
            revocations: BorderSocket(adopting: revocations), patienceMilliseconds: patienceMilliseconds)
        Thread.detachNewThread { [self] in
            do {
                try follow(life)
            } catch {
                breach(life, error as? BorderBreach ?? BorderBreach("it said what is no value: \(error)"))
            }
            life.end()
            leave(life)
        }
    }

    private func leave(_ life: DataLife) {
        let unanswered = state.change { state in
            // Another connection of the same process may have taken the place of this one.
            if state.lives[life.number]?.life === life { state.lives[life.number] = nil }
            return state.asked.filter { $0.value.life === life }.map(\.key)
        }
        for number in unanswered { answer(number, nil) }
    }

    /// Both processes live, so nobody but the supervisor can mend it.
    func breach(_ life: DataLife, _ breach: BorderBreach) {
        life.end()
        leave(life)
        broken(life.number, breach)
    }
}
