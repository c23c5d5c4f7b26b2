import Synchronization

/// Wakes the block pages that wait for their way to open. Waiters are bounded; one too many is answered at once.
final class Changes: Sendable {
    static let waitersMax = 2_000

    private struct State {
        var nextID: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }
    private let state = Mutex(State())

    /// How many wait now.
    var waiting: Int { state.withLock { $0.waiters.count } }

    /// Something that a decision may depend on has changed.
    func announce() {
        let all = state.withLock { state in
            let all = Array(state.waiters.values)
            state.waiters = [:]
            return all
        }
        for waiter in all { waiter.resume() }
    }

    /// Returns at the next change, or after `seconds`.
    func wait(seconds: Int) async {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        await withCheckedContinuation { continuation in
            let isFull = state.withLock { state in
                guard state.waiters.count < Self.waitersMax else { return true }
                state.waiters[id] = continuation
                return false
            }
            guard !isFull else { return continuation.resume() }
            // Only now: an alarm that rings before the waiter is entered would wake nobody.
            Task { [self] in
                try? await Task.sleep(for: .seconds(seconds))
                release(id)
            }
        }
    }

    private func release(_ id: UInt64) {
        state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
    }
}
