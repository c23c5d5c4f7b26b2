import Foundation
import Synchronization

/// Many clients at the same moment.
enum Crowd {
    /// Runs `body` on as many threads and waits for all of them.
    static func send<Value: Sendable>(
        _ count: Int, _ body: @escaping @Sendable (Int) -> Value
    ) -> [Value] {
        let gate = DispatchGroup()
        let results = Results<Value>()
        for index in 0..<count {
            gate.enter()
            let thread = Thread {
                let value = body(index)
                results.values.withLock { $0.append(value) }
                gate.leave()
            }
            thread.stackSize = 512 << 10
            thread.start()
        }
        gate.wait()
        return results.values.withLock { $0 }
    }

    private final class Results<Value: Sendable>: Sendable {
        let values = Mutex<[Value]>([])
    }
}
