import Access

/// `strategy` and `warn-until` of a rule: what comes of a device that does not meet it.
enum RuleStrategy {
    static let names: Set<String> = ["strategy", "warn-until"]
    static let keys: [KeySpec] = [
        .optional(
            "strategy", .choice(CheckStrategy.Effect.allCases.map(\.rawValue)),
            "When the rule does not hold: the policy does not match, nothing but a count, the device is at most "
                + "`partial`, or it is `denied`.",
            standard: "`require`", example: "partial"),
        .optional(
            "warn-until", .text, "Until this day (UTC) the rule only reports; then its `strategy` holds.",
            standard: "it holds at once", example: "2027-03-01"),
    ]

    /// nil when something is wrong with it (reported).
    static func read(_ reader: SectionReader, _ result: DeviceClass?) -> CheckStrategy? {
        let word = reader.choice("strategy")
        guard word != nil || !reader.has("strategy") else { return nil }
        let effect = word.flatMap(CheckStrategy.Effect.init(rawValue:)) ?? .require
        // Elsewhere a rule finds bad devices: a rule that "only reports" would find more of them.
        if let result, result != .compliant {
            for name in names.sorted() {
                reader.ineffective(
                    name, because: "only policies whose result is compliant have strategies", "remove it")
            }
        }
        if effect == .report {
            reader.ineffective(
                "warn-until", because: "the strategy is report", "name the strategy that follows")
        }
        guard let text = reader.text("warn-until") else {
            return reader.has("warn-until") ? nil : CheckStrategy(effect)
        }
        guard let seconds = CalendarDay.seconds(text) else {
            reader.problem(
                "warn-until", "\"\(text)\" is no day", "write year, month and day, for example 2027-03-01")
            return nil
        }
        return CheckStrategy(effect, warnsUntilSeconds: seconds)
    }
}

/// Days of the Gregorian calendar as seconds since 1970-01-01T00:00:00Z.
enum CalendarDay {
    /// The first second of `YYYY-MM-DD` in UTC, 1970 to 9999; nil for what is no such day.
    static func seconds(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count == 10, bytes[4] == 0x2d, bytes[7] == 0x2d,
            let year = number(bytes[0..<4]), let month = number(bytes[5..<7]),
            let day = number(bytes[8..<10]),
            year >= 1970, (1...12).contains(month), day >= 1, day <= length(ofMonth: month, year)
        else { return nil }
        let before = (1970..<year).reduce(0) { $0 + (isLeap($1) ? 366 : 365) }
        let inYear = (1..<month).reduce(0) { $0 + length(ofMonth: $1, year) }
        return Int64(before + inYear + day - 1) * 86_400
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    private static func isLeap(_ year: Int) -> Bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    private static func length(ofMonth month: Int, _ year: Int) -> Int {
        if month == 2 { return isLeap(year) ? 29 : 28 }
        return [4, 6, 9, 11].contains(month) ? 30 : 31
    }
}
