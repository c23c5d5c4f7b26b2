import Synchronization

/// When sign-ins were used last, as reactors tell it: in memory, because it decides only whether a refresh rests.
///
/// A sign-in that is not here has rested, or the gateway was started anew: its next use makes its refresh due.
public final class SessionUses: Sendable {
    /// Beyond, everything is forgotten: the next uses enter themselves again.
    static let sessionsMax = 200_000

    private struct State {
        var lastSeconds: [String: Int64] = [:]
        var waking: Set<String> = []
    }
    private let state = Mutex(State())

    /// Somebody uses a session below this global session.
    public func note(_ globalID: String, nowSeconds: Int64) {
        state.withLock { state in
            if state.lastSeconds.count >= Self.sessionsMax { state.lastSeconds = [:] }
            if state.lastSeconds.updateValue(nowSeconds, forKey: globalID) == nil {
                state.waking.insert(globalID)
            }
        }
    }

    /// Whether it was used within these seconds. A use in the future, by a clock that has jumped back, is one.
    func isUsed(_ globalID: String, withinSeconds seconds: Int64, nowSeconds: Int64) -> Bool {
        state.withLock { state in state.lastSeconds[globalID].map { nowSeconds - $0 < seconds } ?? false }
    }

    /// Begins a rest.
    func forget(_ globalID: String) { state.withLock { $0.lastSeconds[globalID] = nil } }

    /// Ends a rest that was overtaken by a use.
    func wakeIfUsed(_ globalID: String) {
        state.withLock { state in
            if state.lastSeconds[globalID] != nil { state.waking.insert(globalID) }
        }
    }

    /// Those whose refresh has to be made due, at most `limit`.
    func takeWaking(limit: Int) -> [String] {
        state.withLock { state in
            let some = Array(state.waking.prefix(limit))
            state.waking.subtract(some)
            return some
        }
    }

    /// They could not be made due.
    func wakeAgain(_ globalIDs: [String]) { state.withLock { $0.waking.formUnion(globalIDs) } }

    /// Forgets uses of long ago.
    func sweep(beforeSeconds: Int64) {
        state.withLock { state in state.lastSeconds = state.lastSeconds.filter { $0.value >= beforeSeconds } }
    }
}
