import Dispatch
import Synchronization

/// One value behind a lock, and threads that wait until it is as they need it. Nobody looks again and again.
final class Watched<Value: Sendable>: Sendable {
    private struct State {
        var value: Value
        var waiting: [DispatchSemaphore] = []
    }
    private let state: Mutex<State>

    init(_ value: Value) { state = Mutex(State(value: value)) }

    /// Looks at the value, and wakes nobody.
    func look<Found: Sendable>(_ body: (Value) -> Found) -> Found { state.withLock { body($0.value) } }

    /// Changes the value and wakes whoever waits for a change.
    @discardableResult
    func change<Found: Sendable>(_ body: (inout Value) -> Found) -> Found {
        let (found, waiting) = state.withLock { state in
            let found = body(&state.value)
            defer { state.waiting = [] }
            return (found, state.waiting)
        }
        for one in waiting { one.signal() }
        return found
    }

    /// Waits until `body` finds what it looks for; it is asked again after every change.
    ///
    /// - Parameter milliseconds: at most so long, by the monotonic clock; nil: without end.
    /// - Returns: nil: the time passed.
    func wait<Found: Sendable>(milliseconds: Int? = nil, _ body: (inout Value) -> Found?) -> Found? {
        if let found = state.withLock({ body(&$0.value) }) { return found }
        let deadline = milliseconds.map { DispatchTime.now() + .milliseconds($0) } ?? .distantFuture
        // One of its own: a signal that is meant for one must not wake another.
        let news = DispatchSemaphore(value: 0)
        while true {
            let found = state.withLock { state in
                let found = body(&state.value)
                if found == nil { state.waiting.append(news) }
                return found
            }
            if let found { return found }
            guard news.wait(timeout: deadline) == .success else {
                return state.withLock { state in
                    state.waiting.removeAll { $0 === news }
                    return body(&state.value)
                }
            }
        }
    }
}
