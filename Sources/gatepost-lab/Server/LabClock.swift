/// The lab's clock: the machine's, moved by an offset that tests and `POST /lab/clock` set.

import Glibc
import Synchronization

final class LabClock: Sendable {
    private let offsetSeconds = Mutex<Int64>(0)
    private let base: @Sendable () -> Int64

    init(base: @escaping @Sendable () -> Int64 = { Int64(time(nil)) }) { self.base = base }

    var nowSeconds: Int64 { base() + offsetSeconds.withLock { $0 } }

    func setOffset(seconds: Int64) { offsetSeconds.withLock { $0 = seconds } }
}
