import Glibc

/// Time as a parameter.
struct AgentClock: Sendable {
    /// Seconds since 1970.
    var nowSeconds: @Sendable () -> Int64
    /// For deadlines and rates: never set back, and it goes on while the machine sleeps.
    var nowMilliseconds: @Sendable () -> Int64

    static let system = AgentClock(
        nowSeconds: { read(CLOCK_REALTIME).seconds },
        nowMilliseconds: {
            let time = read(CLOCK_BOOTTIME)
            return time.seconds * 1000 + time.nanoseconds / 1_000_000
        })

    private static func read(_ clock: clockid_t) -> (seconds: Int64, nanoseconds: Int64) {
        var time = timespec()
        clock_gettime(clock, &time)
        return (Int64(time.tv_sec), Int64(time.tv_nsec))
    }
}
