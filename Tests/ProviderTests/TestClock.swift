import Synchronization

@testable import Posture
@testable import gatepost_lab

/// One time for a connector and for the emulator that it asks: it moves when a test moves it, or when
/// somebody sleeps.
final class TestClock: Sendable {
    /// 2026-02-02T02:40:00Z.
    static let start: Int64 = 1_770_000_000

    private let state = Mutex<(now: Int64, slept: [Double])>((start, []))

    var now: Int64 {
        get { state.withLock { $0.now } }
        set { state.withLock { $0.now = newValue } }
    }
    /// Seconds of each sleep, in order.
    var slept: [Double] { state.withLock { $0.slept } }

    /// Jumps over sleeps; deadlines never pass.
    var posture: PostureClock {
        PostureClock(
            nowSeconds: { self.now }, monotonicNanoseconds: { UInt64(self.now) * 1_000_000_000 },
            sleep: { seconds in
                self.state.withLock {
                    $0.now += Int64(seconds.rounded(.up))
                    $0.slept.append(seconds)
                }
            },
            deadline: { _ in
                // Ends with its task only.
                let (never, _) = AsyncStream<Never>.makeStream()
                for await _ in never {}
            })
    }

    var lab: LabClock { LabClock(base: { self.now }) }
}
