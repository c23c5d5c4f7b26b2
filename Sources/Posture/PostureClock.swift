import Foundation
import Glibc

/// Time as a parameter: tests hand in a virtual one and never sleep.
public struct PostureClock: Sendable {
    /// Seconds since 1970-01-01T00:00:00Z.
    public var nowSeconds: @Sendable () -> Int64
    /// Monotonic nanoseconds of this host: event-to-cut is measured with them.
    public var monotonicNanoseconds: @Sendable () -> UInt64
    /// Waits this many seconds; returns early, without an error, when the task is cancelled.
    public var sleep: @Sendable (_ seconds: Double) async -> Void
    /// As `sleep`, for something else to be over first. A virtual clock that jumps over sleeps lets deadlines
    /// pass only when it is moved.
    public var deadline: @Sendable (_ seconds: Double) async -> Void

    /// Makes a clock of its functions.
    ///
    /// - Parameter deadline: nil: `sleep`.
    public init(
        nowSeconds: @escaping @Sendable () -> Int64, monotonicNanoseconds: @escaping @Sendable () -> UInt64,
        sleep: @escaping @Sendable (_ seconds: Double) async -> Void,
        deadline: (@Sendable (_ seconds: Double) async -> Void)? = nil
    ) {
        self.nowSeconds = nowSeconds
        self.monotonicNanoseconds = monotonicNanoseconds
        self.sleep = sleep
        self.deadline = deadline ?? sleep
    }

    /// The answer of `work`, or nil when it took longer than `seconds`; it is then cancelled. Work that does
    /// not heed its cancellation is waited for.
    func within<Value: Sendable>(
        _ seconds: Double, _ work: @escaping @Sendable () async -> Value
    ) async -> Value? {
        let deadline = deadline
        return await withTaskGroup(of: Value?.self) { group in
            group.addTask { await work() }
            group.addTask {
                await deadline(seconds)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }

    /// The host's clocks.
    public static let system = PostureClock(
        nowSeconds: { Int64(Date().timeIntervalSince1970.rounded(.down)) },
        monotonicNanoseconds: {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        },
        sleep: { seconds in try? await Task.sleep(for: .milliseconds(Int64(seconds * 1000))) })
}
