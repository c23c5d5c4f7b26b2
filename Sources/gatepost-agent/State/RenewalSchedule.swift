/// When the agent asks its gateway again: event in, answer out, time as a parameter.
///
/// Waiting is counted in time since the start of the machine, which nobody sets and which goes on in a
/// suspended machine: a clock that jumps back for a day must not silence the agent for a day.
struct RenewalSchedule: Sendable {
    /// At the least between two attempts, also after a success: a gateway that speaks of keys that it does
    /// not hand out must not be asked four times a minute.
    static let pauseMilliseconds: Int64 = 300_000
    static let firstRetryMilliseconds: Int64 = 60_000
    static let retryMillisecondsMax: Int64 = 3_600_000

    private(set) var failures = 0
    private(set) var notBeforeMilliseconds: Int64 = .min

    func mayTry(nowMilliseconds: Int64) -> Bool { nowMilliseconds >= notBeforeMilliseconds }

    mutating func succeeded(nowMilliseconds: Int64) {
        failures = 0
        notBeforeMilliseconds = nowMilliseconds + Self.pauseMilliseconds
    }

    /// Doubles the pause up to an hour; half of it is chance, so that a fleet does not come back as one when
    /// its gateway does.
    ///
    /// - Parameter chance: 0 to 1023.
    mutating func failed(nowMilliseconds: Int64, chance: Int64) {
        let doubled = Self.firstRetryMilliseconds << Int64(min(failures, 10))
        let pause = min(doubled, Self.retryMillisecondsMax)
        failures += 1
        notBeforeMilliseconds = nowMilliseconds + pause / 2 + pause / 2 * chance / 1023
    }
}
