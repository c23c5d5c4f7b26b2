import Synchronization

/// Waits for work, but never longer than promised.
enum Patience {
    /// What `work` gives, or nil when the time is over first; it then goes on by itself and its outcome is dropped.
    ///
    /// - Parameter pause: returns after that time, earlier when its task is cancelled.
    static func value<Value: Sendable>(
        milliseconds: Int, pause: @escaping @Sendable (_ milliseconds: Int) async -> Void = systemPause,
        of work: @escaping @Sendable () async -> Value
    ) async -> Value? {
        let outcome = Outcome<Value>()
        await wait(milliseconds: milliseconds, pause: pause) { outcome.set(await work()) }
        return outcome.value
    }

    private final class Outcome<Value: Sendable>: Sendable {
        private let held = Mutex<Value?>(nil)
        var value: Value? { held.withLock { $0 } }
        func set(_ value: Value) { held.withLock { $0 = value } }
    }

    /// Returns when `work` has ended or the time is over, whichever is first; the work then goes on by itself.
    ///
    /// Not a task group: that would wait for every child at its end, also for one that does not hear of cancellation.
    static func wait(
        milliseconds: Int, pause: @escaping @Sendable (_ milliseconds: Int) async -> Void = systemPause,
        for work: @escaping @Sendable () async -> Void
    ) async {
        let first = FirstOnly()
        await withCheckedContinuation { continuation in
            first.hold(continuation)
            let alarm = Task {
                await pause(milliseconds)
                first.resume()
            }
            Task {
                await work()
                first.resume()
                // Otherwise every wait that was short leaves one behind that sleeps on.
                alarm.cancel()
            }
        }
    }
}

/// A continuation that is resumed once, by whoever comes first.
private final class FirstOnly: Sendable {
    private let held = Mutex<CheckedContinuation<Void, Never>?>(nil)

    func hold(_ continuation: CheckedContinuation<Void, Never>) { held.withLock { $0 = continuation } }

    func resume() {
        let continuation = held.withLock { held in
            defer { held = nil }
            return held
        }
        continuation?.resume()
    }
}
