import Access

/// What rules of device policies may ask of every provider's verdict.
enum VerdictRules {
    static let keys: [KeySpec] = [
        .optional(
            "setting", .section(table), "One check of the verdict, for example the state of a setting.",
            standard: "not asked", example: "{ name: Passcode, states: [pass] }"),
        .optional(
            "reported-within", .duration(1...2_592_000), "The device reported no longer ago than this.",
            standard: "not asked", example: "1h"),
        .optional(
            "fetched-within", .duration(1...2_592_000), "We fetched the verdict no longer ago than this.",
            standard: "not asked", example: "30m"),
    ]
    static let table = KeyTable(
        "device-policies[].rules[].setting",
        [
            .required("name", .text, "The check's id or title at the provider.", example: "Passcode"),
            states,
        ])
    static let states = KeySpec.required(
        "states", .oneOrMore(.choice(stateWords)), "The states that are accepted.", example: "[pass]")
    static let stateWords = Verdict.Check.State.allCases.map(\.word)

    static func read(_ reader: SectionReader, _ name: String) -> [DeviceRule] {
        var rules: [DeviceRule] = []
        if let inner = reader.section("setting", table),
            let check = inner.text("name"), let states = states(inner)
        {
            rules.append(.setting(integration: name, name: check, states: states))
        }
        let reported = reader.duration("reported-within")
        let fetched = reader.duration("fetched-within")
        if reported != nil || fetched != nil {
            rules.append(
                .verdictAge(integration: name, reportedSecondsMax: reported, fetchedSecondsMax: fetched))
        }
        return rules
    }

    static func states(_ reader: SectionReader) -> [Verdict.Check.State]? {
        ConditionSection.checked(reader.texts("states")) { text in
            reader.choice(text, "states").flatMap { word in
                Verdict.Check.State.allCases.first { $0.word == word }
            }
        }
    }
}

extension Verdict.Check.State {
    /// As configurations write it.
    var word: String {
        switch self {
        case .pass, .fail, .unknown: rawValue
        case .notApplicable: "not-applicable"
        }
    }
}
