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

    /// Makes a clock of three functions.
    public init(
        nowSeconds: @escaping @Sendable () -> Int64, monotonicNanoseconds: @escaping @Sendable () -> UInt64,
        sleep: @escaping @Sendable (_ seconds: Double) async -> Void
    ) {
        self.nowSeconds = nowSeconds
        self.monotonicNanoseconds = monotonicNanoseconds
        self.sleep = sleep
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
