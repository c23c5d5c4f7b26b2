/// A rate per origin: 5 a second, bursts of 10 (handshake.md M3). Time is a parameter.
struct TokenBucket: Sendable {
    static let perSecond: Int64 = 5
    static let burst: Int64 = 10

    private var thousandths = TokenBucket.burst * 1000
    private var filledAtMilliseconds: Int64?

    mutating func take(nowMilliseconds: Int64) -> Bool {
        if let before = filledAtMilliseconds, nowMilliseconds > before {
            let elapsed = min(nowMilliseconds - before, 60_000)
            thousandths = min(Self.burst * 1000, thousandths + elapsed * Self.perSecond)
        }
        filledAtMilliseconds = nowMilliseconds
        guard thousandths >= 1000 else { return false }
        thousandths -= 1000
        return true
    }
}
