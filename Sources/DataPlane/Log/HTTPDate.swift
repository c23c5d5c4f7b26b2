import HTTP

/// IMF-fixdate (RFC 9110 section 5.6.7) and RFC 3339 without a formatter, a locale or an allocation.
enum HTTPDate {
    struct Parts {
        let year, month, day, hour, minute, second, weekday: Int64

        /// Civil date from days since 1970 (H. Hinnant's algorithm, years from March).
        init(_ seconds: Int64) {
            let days = seconds / 86_400
            let rest = seconds % 86_400
            hour = rest / 3_600
            minute = rest / 60 % 60
            second = rest % 60
            weekday = (days + 4) % 7
            let shifted = days + 719_468
            let era = shifted / 146_097
            let dayOfEra = shifted % 146_097
            let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
            let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
            let marchMonth = (5 * dayOfYear + 2) / 153
            day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
            month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
            year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        }
    }

    static func write(_ seconds: Int64, into output: inout HeadOutput) {
        let parts = Parts(seconds)
        three("SunMonTueWedThuFriSat", parts.weekday, &output)
        output.append(", ")
        two(parts.day, &output)
        output.append(" ")
        three("JanFebMarAprMayJunJulAugSepOctNovDec", parts.month - 1, &output)
        output.append(" ")
        output.append(decimal: parts.year)
        output.append(" ")
        two(parts.hour, &output)
        output.append(":")
        two(parts.minute, &output)
        output.append(":")
        two(parts.second, &output)
        output.append(" GMT")
    }

    /// `2026-01-31T23:59:59.123Z`, 24 bytes.
    static func writeTimestamp(milliseconds: Int64, into output: inout HeadOutput) {
        let parts = Parts(milliseconds / 1_000)
        output.append(decimal: parts.year)
        output.append("-")
        two(parts.month, &output)
        output.append("-")
        two(parts.day, &output)
        output.append("T")
        two(parts.hour, &output)
        output.append(":")
        two(parts.minute, &output)
        output.append(":")
        two(parts.second, &output)
        output.append(".")
        let fraction = milliseconds % 1_000
        output.append(UInt8(48 + fraction / 100))
        two(fraction % 100, &output)
        output.append("Z")
    }

    private static func two(_ value: Int64, _ output: inout HeadOutput) {
        output.append(UInt8(truncatingIfNeeded: 48 + value / 10 % 10))
        output.append(UInt8(truncatingIfNeeded: 48 + value % 10))
    }

    private static func three(_ names: StaticString, _ index: Int64, _ output: inout HeadOutput) {
        for offset in 0..<3 { output.append(names.utf8Start[Int(index) * 3 + offset]) }
    }
}
