import Synchronization

@testable import Posture

/// Time that moves only when a test moves it, or when somebody sleeps.
final class TestClock: Sendable {
    private let state: Mutex<(now: Int64, slept: [Double])>

    init(_ now: Int64) { state = Mutex((now, [])) }

    var now: Int64 {
        get { state.withLock { $0.now } }
        set { state.withLock { $0.now = newValue } }
    }
    var slept: [Double] { state.withLock { $0.slept } }

    var clock: PostureClock {
        PostureClock(
            nowSeconds: { self.now }, monotonicNanoseconds: { UInt64(self.now) * 1_000_000_000 },
            sleep: { seconds in
                self.state.withLock {
                    $0.now += Int64(seconds.rounded(.up))
                    $0.slept.append(seconds)
                }
            })
    }
}
