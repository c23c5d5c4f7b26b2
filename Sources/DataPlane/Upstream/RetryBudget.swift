/// How many repetitions an application's requests may cause: one for every five requests, and a few a second where
/// there are hardly any. Without it a failing application would get a multiple of its load just when it can bear it
/// least.
struct RetryBudget {
    private static let requestsPerRetry: UInt64 = 5
    private static let retriesPerSecond: UInt64 = 3
    /// In fifths of a repetition.
    private static let savedMax: UInt64 = 20 * requestsPerRetry

    private var saved = savedMax / 2
    private var requestsSeen: UInt64 = 0
    private var seenAtMilliseconds: UInt64 = 0

    /// - Parameters:
    ///   - requests: forwarded so far, ever growing.
    ///   - now: milliseconds of the caller's clock.
    /// - Returns: false when there is none left.
    mutating func take(requests: UInt64, at now: UInt64) -> Bool {
        let elapsed = now >= seenAtMilliseconds ? min(now - seenAtMilliseconds, 60_000) : 0
        let byTime = elapsed * Self.retriesPerSecond * Self.requestsPerRetry / 1_000
        // Time that was too short for a whole part is kept for the next look.
        if byTime > 0 || now < seenAtMilliseconds { seenAtMilliseconds = now }
        saved = min(Self.savedMax, saved + min(Self.savedMax, requests &- requestsSeen) + byTime)
        requestsSeen = requests
        guard saved >= Self.requestsPerRetry else { return false }
        saved -= Self.requestsPerRetry
        return true
    }
}
