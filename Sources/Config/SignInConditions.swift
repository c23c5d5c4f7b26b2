import Access

/// Conditions on how and when somebody signed in, and on the time of the request.
enum SignInConditions {
    static let keys: [KeySpec] = [
        ConditionSection.optional(
            "acr", .oneOrMore(.text), "The sign-in reached one of these contexts (claims `acr` and `acrs`).",
            "[c1, phr]"),
        ConditionSection.optional(
            "amr", .oneOrMore(.text), "The sign-in used one of these methods (claim `amr`).", "[mfa, hwk]"),
        ConditionSection.optional(
            "authenticated-within", .duration(60...2_592_000),
            "The person proved who they are no longer ago than this.", "1h"),
        ConditionSection.optional(
            "key-bound", .flag, "The session is bound to a key of the browser; written `key-bound: true`.",
            "true"),
        ConditionSection.optional(
            "time", .section(timeTable), "The time is in a weekly window of a fixed offset from UTC.",
            "{ days: [mon, tue], from: \"08:00\", until: \"18:00\", offset: \"+01:00\" }"),
        ConditionSection.optional(
            "until", .text, "The day (UTC) has not begun: for exceptions that end by themselves.",
            "2027-06-30"),
    ]
    static let timeTable = KeyTable(
        "applications.<name>.policies[].include[].time",
        [
            ConditionSection.optional(
                "days", .oneOrMore(.choice(TimeCondition.Weekday.allCases.map(\.rawValue))),
                "Days of the week; without it every day.", "[mon, tue, wed, thu, fri]"),
            .required("from", .text, "The first minute, 00:00 to 23:59.", example: "\"08:00\""),
            .required("until", .text, "The minute after the last, 00:01 to 24:00.", example: "\"18:00\""),
            .required(
                "offset", .text, "Offset from UTC, -14:00 to +14:00; it does not change with the seasons.",
                example: "\"+01:00\""),
        ])

    static func read(_ name: String, _ reader: SectionReader) -> Condition? {
        switch name {
        case "acr":
            reader.texts(name).map { .authenticationContext(AuthenticationContextCondition(values: $0)) }
        case "amr":
            reader.texts(name).map { .authenticationMethod(AuthenticationMethodCondition(methods: $0)) }
        case "authenticated-within":
            reader.duration(name).map { .authenticatedWithin(AuthenticatedWithinCondition(secondsMax: $0)) }
        case "key-bound": keyBound(reader)
        case "time": time(reader)
        case "until": until(reader)
        default: nil
        }
    }

    private static func keyBound(_ reader: SectionReader) -> Condition? {
        guard let flag = reader.flag("key-bound") else { return nil }
        if flag { return .keyBound(KeyBoundCondition()) }
        reader.problem("key-bound", "false is no condition", "put key-bound: true into exclude")
        return nil
    }

    private static func time(_ reader: SectionReader) -> Condition? {
        guard let inner = reader.section("time", timeTable) else { return nil }
        let days: [TimeCondition.Weekday]? =
            inner.has("days")
            ? ConditionSection.checked(inner.texts("days")) { text in
                inner.choice(text, "days").flatMap(TimeCondition.Weekday.init(rawValue:))
            } : TimeCondition.Weekday.allCases
        let from = minute("from", inner, 0...1_439)
        let until = minute("until", inner, 1...1_440)
        guard let days, let from, let until, let offset = offset(inner) else { return nil }
        guard from < until else {
            inner.problem(
                "until", "is not after from", "write two conditions for a window that crosses midnight")
            return nil
        }
        return .time(
            TimeCondition(days: days, fromMinute: from, untilMinute: until, offsetMinutes: offset))
    }

    private static func until(_ reader: SectionReader) -> Condition? {
        guard let text = reader.text("until") else { return nil }
        if let seconds = CalendarDay.seconds(text) { return .until(UntilCondition(seconds: seconds)) }
        reader.problem(
            "until", "\"\(text)\" is no day", "write year, month and day, for example 2027-06-30")
        return nil
    }

    private static func minute(_ name: String, _ reader: SectionReader, _ range: ClosedRange<Int>) -> Int? {
        guard let text = reader.text(name) else { return nil }
        if let minute = clock(text), range.contains(minute) { return minute }
        reader.problem(
            name, "\"\(text)\" is no time of day", "write hours and minutes, for example \"08:00\"")
        return nil
    }

    private static func offset(_ reader: SectionReader) -> Int? {
        guard let text = reader.text("offset") else { return nil }
        if let sign = text.first, sign == "+" || sign == "-", let minutes = clock(String(text.dropFirst())),
            minutes <= 840
        {
            return sign == "-" ? -minutes : minutes
        }
        reader.problem(
            "offset", "\"\(text)\" is no offset from UTC", "write a sign, hours and minutes: \"+01:00\"")
        return nil
    }

    /// `HH:MM` up to 24:00 as minutes.
    private static func clock(_ text: String) -> Int? {
        let bytes = Array(text.utf8)
        guard bytes.count == 5, bytes[2] == 0x3a else { return nil }
        let digits = [bytes[0], bytes[1], bytes[3], bytes[4]]
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let numbers = digits.map { Int($0 - 0x30) }
        let (hours, minutes) = (numbers[0] * 10 + numbers[1], numbers[2] * 10 + numbers[3])
        return minutes < 60 && hours * 60 + minutes <= 1_440 ? hours * 60 + minutes : nil
    }
}
