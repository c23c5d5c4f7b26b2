import Foundation
import Glibc
import Synchronization

/// How late this machine lets a thread run that wants to. What it keeps from the runner it keeps from the agent as
/// well, so that a duration says something about an agent only where the witness was on time.
enum MachineWitness {
    /// From this sum on a duration is not judged.
    static let busyMilliseconds: Int64 = 200
    private static let stepMilliseconds: Int32 = 20

    /// Runs `body` beside a thread that only wakes up again and again.
    ///
    /// - Returns: the body's result, and by how many milliseconds the thread was late in all.
    static func watch<Value>(_ clock: AgentClock, _ body: () -> Value) -> (Value, lateMilliseconds: Int64) {
        let seen = Seen()
        let group = DispatchGroup()
        group.enter()
        Thread.detachNewThread {
            while !seen.isOver.withLock({ $0 }) {
                let began = clock.nowMilliseconds()
                poll(nil, 0, stepMilliseconds)
                // One millisecond is the clock's own grain.
                let late = clock.nowMilliseconds() - began - Int64(stepMilliseconds) - 1
                if late > 0 { seen.late.withLock { $0 += late } }
            }
            group.leave()
        }
        let value = body()
        seen.isOver.withLock { $0 = true }
        group.wait()
        return (value, seen.late.withLock { $0 })
    }

    private final class Seen: Sendable {
        let isOver = Mutex(false)
        let late = Mutex<Int64>(0)
    }
}
