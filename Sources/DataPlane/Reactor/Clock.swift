import CLinux
import Glibc

/// The two clocks of a reactor, read once per turn: deadlines never jump with the wall clock.
enum Clock {
    /// Nanoseconds since the machine started; comparable between processes of one host.
    static func monotonicNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// Seconds since 1970-01-01 UTC, from the kernel's last tick (4 ms at most ago) because that is cheapest.
    static func wallSeconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &time)
        return Int64(time.tv_sec)
    }

    /// Milliseconds since 1970-01-01 UTC.
    static func wallMilliseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) &* 1_000 &+ Int64(time.tv_nsec) / 1_000_000
    }
}
