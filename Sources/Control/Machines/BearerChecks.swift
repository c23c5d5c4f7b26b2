import Access
import Border
import Synchronization

/// Checks of bearer tokens that nobody has seen before: one for each token however many ask, few at once, and
/// none for a token that was refused just now.
final class BearerChecks: Sendable {
    enum Outcome: Sendable {
        case machine(Machine)
        case refused
        /// The issuer's keys cannot be had, or too many are being checked: nobody can say whether it counts.
        case unavailable(Reason)
    }

    /// More are answered 503: tokens that are known already need no check.
    static let atOnceMax = 64
    static let refusedMax = 8_192
    /// Short, because what is refused now may count then: a key may be new, or a clock ahead.
    static let refusedSeconds: Int64 = 10

    private struct State {
        var running: [[UInt8]: Running] = [:]
        var refused: [[UInt8]: Int64] = [:]
        /// A policy that names another issuer was loaded meanwhile: what was refused before says nothing.
        var generation = 0
        var toldAtSeconds: Int64?
        var untold = 0
    }
    private struct Running {
        var task: Task<Outcome, Never>
        var generation: Int
    }
    private let state = Mutex(State())
    private let verified = Atomic<Int>(0)
    /// Signatures that were verified so far.
    var verifiedCount: Int { verified.load(ordering: .relaxed) }

    private enum Turn {
        case join(Task<Outcome, Never>, generation: Int)
        case known(Outcome)
    }

    func outcome(
        of digest: [UInt8], nowSeconds: Int64, check: @escaping @Sendable () async -> Outcome
    ) async -> Outcome {
        let turn = state.withLock { state -> Turn in
            // By a clock that was set back it would last until that is made good.
            if let until = state.refused[digest], (1...Self.refusedSeconds).contains(until - nowSeconds) {
                return .known(.refused)
            }
            // One that was begun before a reload reads the token by rules that are no longer in force.
            if let running = state.running[digest], running.generation == state.generation {
                return .join(running.task, generation: running.generation)
            }
            guard state.running.count < Self.atOnceMax else { return .known(.unavailable(.overloaded)) }
            // A task of its own: a client that goes away must not end the check for the others.
            let task = Task(priority: .userInitiated) { await check() }
            state.running[digest] = Running(task: task, generation: state.generation)
            return .join(task, generation: state.generation)
        }
        switch turn {
        case .known(let outcome): return outcome
        case .join(let task, let generation):
            let outcome = await task.value
            settle(digest, task, outcome, generation, nowSeconds)
            return outcome
        }
    }

    private func settle(
        _ digest: [UInt8], _ task: Task<Outcome, Never>, _ outcome: Outcome, _ generation: Int,
        _ nowSeconds: Int64
    ) {
        state.withLock { state in
            guard state.running[digest]?.task == task else { return }
            state.running[digest] = nil
            guard case .refused = outcome, state.generation == generation else { return }
            if state.refused.count >= Self.refusedMax {
                state.refused = state.refused.filter { nowSeconds < $0.value }
            }
            // A flood of different ones: remembering any of them helps nobody.
            if state.refused.count >= Self.refusedMax { state.refused = [:] }
            state.refused[digest] = nowSeconds + Self.refusedSeconds
        }
    }

    /// A signature is about to be verified.
    func noteVerification() { verified.add(1, ordering: .relaxed) }

    func forgetRefused() {
        state.withLock { state in
            state.refused = [:]
            state.generation += 1
        }
    }

    /// Whether a refusal is to be told in the event log, which a flood must not fill: one a second.
    ///
    /// - Returns: how many were not told since the last one; nil: not this one either.
    func tellsRefusal(nowSeconds: Int64) -> Int? {
        state.withLock { state in
            if state.toldAtSeconds == nowSeconds {
                state.untold += 1
                return nil
            }
            defer { state.untold = 0 }
            state.toldAtSeconds = nowSeconds
            return state.untold
        }
    }
}
