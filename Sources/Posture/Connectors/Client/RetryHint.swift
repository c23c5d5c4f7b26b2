import Foundation

/// How long a provider wants us to wait (providers.md 1.1).
enum RetryHint {
    static let secondsMin: Int64 = 1
    static let secondsMax: Int64 = 3600

    /// Above this a number is a point in time and no duration; above the next one it is in milliseconds.
    static let epochFrom: Int64 = 1_000_000_000
    static let millisecondsFrom: Int64 = 100_000_000_000

    /// A hint as seconds, as HTTP-date, or as a point in time in seconds or milliseconds, clamped to 1 s...1 h.
    /// Negative, zero or unreadable counts as absent.
    static func seconds(_ field: String?, nowSeconds: Int64) -> Int64? {
        guard let field else { return nil }
        let text = field.trimmingCharacters(in: .whitespaces)
        let seconds: Int64
        if let number = Int64(text) {
            if number >= millisecondsFrom {
                seconds = number / 1_000 - nowSeconds
            } else {
                seconds = number >= epochFrom ? number - nowSeconds : number
            }
        } else if let date = httpDate(text) {
            seconds = date - nowSeconds
        } else {
            return nil
        }
        return seconds > 0 ? min(max(seconds, secondsMin), secondsMax) : nil
    }

    /// IMF-fixdate (RFC 9110 §5.6.7) as seconds since 1970; the two obsolete forms are not read.
    static func httpDate(_ text: String) -> Int64? {
        let parts = text.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", let day = Int(parts[1]), let year = Int(parts[3]),
            let month = months.firstIndex(of: String(parts[2]))
        else { return nil }
        let time = parts[4].split(separator: ":", omittingEmptySubsequences: false).map { Int($0) ?? -1 }
        guard time.count == 3, (0...23).contains(time[0]), (0...59).contains(time[1]),
            (0...60).contains(time[2])
        else { return nil }
        return Timestamps.seconds(year: year, month: month + 1, day: day).map {
            $0 + Int64(time[0] * 3600 + time[1] * 60 + time[2])
        }
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Exponential back-off with full jitter: base 1 s, cap 5 min.
    static func backOff(attempt: Int, random: Double) -> Double {
        let ceiling = min(300, Double(1 << min(attempt, 9)))
        return max(0.05, ceiling * random)
    }
}
