/// RFC 3339 date-times of providers: 0-9 fraction digits, any offset (Microsoft sends 6-7 digits and both
/// forms).
enum Timestamps {
    /// Seconds since 1970, the fraction cut off; nil for anything that is no complete date-time.
    static func seconds(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes.count <= 40, bytes[4] == 0x2d, bytes[7] == 0x2d,
            bytes[10] == 0x54 || bytes[10] == 0x74, bytes[13] == 0x3a, bytes[16] == 0x3a,
            let year = digits(bytes[0..<4]), let month = digits(bytes[5..<7]),
            let day = digits(bytes[8..<10]),
            let hour = digits(bytes[11..<13]), let minute = digits(bytes[14..<16]),
            let second = digits(bytes[17..<19]), hour <= 23, minute <= 59, second <= 60,
            let days = seconds(year: year, month: month, day: day)
        else { return nil }
        var rest = bytes[19...]
        if rest.first == 0x2e {
            let fraction = rest.dropFirst().prefix { (0x30...0x39).contains($0) }
            guard (1...9).contains(fraction.count) else { return nil }
            rest = rest.dropFirst(1 + fraction.count)
        }
        guard let offset = offsetSeconds(rest) else { return nil }
        return days + Int64(hour * 3600 + minute * 60 + second) - offset
    }

    /// Seconds since 1970 of the start of a day in the proleptic Gregorian calendar.
    static func seconds(year: Int, month: Int, day: Int) -> Int64? {
        guard (0...9999).contains(year), (1...12).contains(month), day >= 1 else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard day <= lengths[month - 1] else { return nil }
        // Days from civil (the year begins in March, so the leap day is last).
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return Int64(era * 146_097 + dayOfEra - 719_468) * 86_400
    }

    private static func digits(_ bytes: ArraySlice<UInt8>) -> Int? {
        var value = 0
        for byte in bytes {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + Int(byte - 0x30)
        }
        return value
    }

    private static func offsetSeconds(_ bytes: ArraySlice<UInt8>) -> Int64? {
        let rest = Array(bytes)
        if rest == [0x5a] || rest == [0x7a] { return 0 }
        guard rest.count == 6, rest[0] == 0x2b || rest[0] == 0x2d, rest[3] == 0x3a,
            let hours = digits(rest[1..<3]),
            let minutes = digits(rest[4..<6]), hours <= 23, minutes <= 59
        else { return nil }
        let offset = Int64(hours * 3600 + minutes * 60)
        return rest[0] == 0x2b ? offset : -offset
    }
}
