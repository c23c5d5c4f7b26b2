import Synchronization

/// Questions of block pages that are being held. Each takes one of the places in which requests wait for the control
/// plane, so they are few, and few per session: sign-ins and look-ups must always find a place.
final class HeldQuestions: Sendable {
    static let perSessionMax = 2

    private struct State {
        var total = 0
        var bySession: [String: Int] = [:]
    }
    private let state = Mutex(State())

    /// - Parameter max: questions held at once, of everybody.
    /// - Returns: whether this one may be held; then `leave` must follow.
    func enter(_ session: String, max: Int) -> Bool {
        state.withLock { state in
            let own = state.bySession[session] ?? 0
            guard state.total < max, own < Self.perSessionMax else { return false }
            state.total += 1
            state.bySession[session] = own + 1
            return true
        }
    }

    func leave(_ session: String) {
        state.withLock { state in
            state.total -= 1
            let own = (state.bySession[session] ?? 1) - 1
            state.bySession[session] = own > 0 ? own : nil
        }
    }

    var count: Int { state.withLock { $0.total } }
}
