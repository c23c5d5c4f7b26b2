import Synchronization

@testable import Posture

/// Time that moves only when a test moves it, or when somebody sleeps. Deadlines pass only when it is moved.
final class TestClock: Sendable {
    private struct State {
        var now: Int64
        var slept: [Double] = []
        var nextID = 0
        var alarms: [Int: (at: Int64, waiter: CheckedContinuation<Void, Never>)] = [:]

        /// Takes the alarms that are due; they are rung without the lock.
        mutating func takeDue() -> [CheckedContinuation<Void, Never>] {
            let due = alarms.filter { $0.value.at <= now }
            for id in due.keys { alarms[id] = nil }
            return due.map(\.value.waiter)
        }
    }
    private let state: Mutex<State>

    init(_ now: Int64) { state = Mutex(State(now: now)) }

    var now: Int64 {
        get { state.withLock { $0.now } }
        set { move { $0.now = newValue } }
    }
    var slept: [Double] { state.withLock { $0.slept } }
    /// How many deadlines are set now.
    var deadlines: Int { state.withLock { $0.alarms.count } }

    private func move(_ change: (inout State) -> Void) {
        let due = state.withLock { state in
            change(&state)
            return state.takeDue()
        }
        for waiter in due { waiter.resume() }
    }

    /// Jumps over sleeps.
    var clock: PostureClock {
        PostureClock(
            nowSeconds: { self.now }, monotonicNanoseconds: { UInt64(self.now) * 1_000_000_000 },
            sleep: { seconds in
                self.move {
                    $0.now += Int64(seconds.rounded(.up))
                    $0.slept.append(seconds)
                }
            }, deadline: { await self.alarm($0) })
    }

    /// Sleeps, too, end only when the clock is moved: for loops that would otherwise run away.
    var standing: PostureClock {
        PostureClock(
            nowSeconds: { self.now }, monotonicNanoseconds: { UInt64(self.now) * 1_000_000_000 },
            sleep: { await self.alarm($0) })
    }

    private func alarm(_ seconds: Double) async {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let isOver = state.withLock { state in
                    guard !Task.isCancelled else { return true }
                    state.alarms[id] = (state.now + Int64(seconds.rounded(.up)), waiter)
                    return false
                }
                if isOver { waiter.resume() }
            }
        } onCancel: {
            state.withLock { $0.alarms.removeValue(forKey: id)?.waiter }?.resume()
        }
    }
}
