/// When a provider is asked again: arithmetic alone, clock and chance are given.
enum RefreshTimes {
    /// However short an access token lives, nobody is asked more often.
    static let secondsMin: Int64 = 60
    /// Part of every wait by which it may be shorter: who signed in together is not asked together.
    static let jitter = 0.1
    static let retrySecondsMin: Int64 = 5
    static let retrySecondsMax: Int64 = 300
    /// A session counts as used for at least so long after its last use: reactors ask about once a minute.
    static let useSecondsMin: Int64 = 180

    /// After a success: the configured time, or ahead of the access token's end when that comes first.
    static func next(
        everySeconds: Int64, expiresInSeconds: Int64?, nowSeconds: Int64, random: Double
    ) -> Int64 {
        var wait = everySeconds
        if let life = expiresInSeconds { wait = min(wait, max(secondsMin, life - max(30, life / 10))) }
        return nowSeconds + jittered(wait, random)
    }

    /// After the `count`th failure in a row: soon at first, because an answer that was lost on the way is
    /// best asked for while the provider still takes the token before.
    static func retry(count: Int64, everySeconds: Int64, nowSeconds: Int64, random: Double) -> Int64 {
        let doubled = retrySecondsMin << min(max(count - 1, 0), 10)
        let wait = min(doubled, retrySecondsMax, everySeconds)
        return nowSeconds + max(1, wait - Int64(Double(wait) * 0.5 * random))
    }

    /// An appointment further away than this was made before the clock jumped back, or under another configuration.
    static func latest(everySeconds: Int64, nowSeconds: Int64) -> Int64 {
        nowSeconds + max(everySeconds, retrySecondsMax)
    }

    private static func jittered(_ seconds: Int64, _ random: Double) -> Int64 {
        max(1, seconds - Int64(Double(seconds) * jitter * random))
    }
}

/// How one provider takes it. While it fails, one session at a time tries it, ever more rarely, whatever the number of
/// those that wait: an outage costs neither a storm at its end nor a write for every session.
struct ProviderPace: Sendable {
    /// Requests to one provider at a time.
    static let runningMax = 16

    private(set) var failures: Int64 = 0
    private(set) var failingSinceSeconds: Int64?
    /// When its last failure was heard, of those since then.
    private(set) var lastFailureSeconds: Int64?
    private(set) var failure: RefreshFailure?
    private(set) var lastSuccessSeconds: Int64?
    private var notBeforeSeconds: Int64 = 0
    /// When an administrator was told last.
    private var toldAtSeconds: Int64?

    static let tellAgainSeconds: Int64 = 300

    /// How many more may begin now.
    func room(running: Int, nowSeconds: Int64) -> Int {
        guard !isPaused(nowSeconds) else { return 0 }
        return failures == 0 ? max(0, Self.runningMax - running) : (running == 0 ? 1 : 0)
    }

    /// A pause longer than any is left over from before the clock jumped back.
    func isPaused(_ nowSeconds: Int64) -> Bool {
        (1...RetryAfter.secondsMax).contains(notBeforeSeconds - nowSeconds)
    }

    mutating func succeeded(nowSeconds: Int64) -> Bool {
        defer { self = ProviderPace(lastSuccessSeconds: nowSeconds) }
        return failures > 0
    }

    init() {}
    private init(lastSuccessSeconds: Int64) { self.lastSuccessSeconds = lastSuccessSeconds }

    /// However long it wants to be left alone: when the grace is over it is asked before anybody is given up, and from
    /// then on often enough for the others.
    ///
    /// - Returns: whether this is to be told.
    mutating func failed(
        _ failure: RefreshFailure, graceSeconds: Int64, nowSeconds: Int64, random: Double
    ) -> Bool {
        let isNew = self.failure?.word != failure.word
        self.failure = failure
        let since = failingSinceSeconds ?? nowSeconds
        failingSinceSeconds = since
        lastFailureSeconds = nowSeconds
        // Those that were on their way together are one failure.
        if !isPaused(nowSeconds) {
            failures += 1
            notBeforeSeconds = RefreshTimes.retry(
                count: failures, everySeconds: RefreshTimes.retrySecondsMax, nowSeconds: nowSeconds,
                random: random)
        }
        if case .unavailable(let unavailable) = failure, let wanted = unavailable.retryAfterSeconds {
            notBeforeSeconds = max(notBeforeSeconds, nowSeconds + wanted)
        }
        let graceEndSeconds = since + graceSeconds
        notBeforeSeconds = min(
            notBeforeSeconds,
            nowSeconds < graceEndSeconds ? graceEndSeconds : nowSeconds + RefreshTimes.retrySecondsMax)
        let isQuiet = toldAtSeconds.map { (0..<Self.tellAgainSeconds).contains(nowSeconds - $0) } ?? false
        guard isNew || !isQuiet else { return false }
        toldAtSeconds = nowSeconds
        return true
    }
}
