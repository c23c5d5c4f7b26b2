/// A rate; per origin 5 a second, bursts of 10 (handshake.md M3). Time is a parameter.
struct TokenBucket: Sendable {
    private let perSecond: Int64
    private let burst: Int64
    private var thousandths: Int64
    private var filledAtMilliseconds: Int64?

    init(perSecond: Int64 = 5, burst: Int64 = 10) {
        self.perSecond = perSecond
        self.burst = burst
        thousandths = burst * 1000
    }

    mutating func take(nowMilliseconds: Int64) -> Bool {
        if let before = filledAtMilliseconds, nowMilliseconds > before {
            let elapsed = min(nowMilliseconds - before, 60_000)
            thousandths = min(burst * 1000, thousandths + elapsed * perSecond)
        }
        filledAtMilliseconds = nowMilliseconds
        guard thousandths >= 1000 else { return false }
        thousandths -= 1000
        return true
    }
}
