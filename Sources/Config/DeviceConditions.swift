import Access

/// Conditions on what one integration says of the device, beside its class.
enum DeviceConditions {
    static let keys: [KeySpec] = [
        ConditionSection.optional(
            "check", .section(checkTable),
            "One named check passes: a fact of the agent that is `true`, or a check of a verdict.",
            "{ integration: agents, name: disk-encryption }"),
        ConditionSection.optional(
            "setting", .section(settingTable), "A check of a verdict is in one of these states.",
            "{ integration: intune, name: Passcode, states: [pass] }"),
        ConditionSection.optional(
            "score", .section(scoreTable), "Comparison with the provider's score for the device.",
            "{ integration: falcon, is: \">= 60\" }"),
        ConditionSection.optional(
            "risk", .section(riskTable), "Comparison with the provider's risk for the device.",
            "{ integration: defender, is: \"<= low\" }"),
        ConditionSection.optional(
            "verdict-age", .section(ageTable), "How old the provider's verdict may be.",
            "{ integration: intune, reported-within: 4h }"),
        ConditionSection.optional(
            "match", .section(matchTable), "How surely the verdict is about this device.",
            "{ integration: intune, minimum: strong }"),
    ]
    static let names = Set((keys + DeviceProofKeys.conditions).map(\.name) + ["device"])

    private static let integration = KeySpec.required(
        "integration", .text, "A name of `integrations`.", example: "intune")
    private static func table(_ name: String, _ keys: [KeySpec]) -> KeyTable {
        KeyTable("applications.<name>.policies[].include[].\(name)", [integration] + keys)
    }
    static let checkTable = table(
        "check",
        [.required("name", .text, "The fact, or the check's id or title.", example: "disk-encryption")])
    static let settingTable = table(
        "setting",
        [
            .required("name", .text, "The check's id or title at the provider.", example: "Passcode"),
            VerdictRules.states,
        ])
    static let scoreTable = table(
        "score", [.required("is", .text, "One of <, <=, =, >=, > and a number.", example: "\">= 60\"")])
    static let riskTable = table(
        "risk",
        [
            .required(
                "is", .text,
                "Comparison: " + Verdict.Risk.allCases.map { "`\($0.rawValue)`" }.joined(separator: " < ")
                    + ".",
                example: "\"<= low\"")
        ])
    static let ageTable = table(
        "verdict-age",
        [
            ConditionSection.optional(
                "reported-within", .duration(1...2_592_000), "Since the device reported to the provider.",
                "4h"),
            ConditionSection.optional(
                "fetched-within", .duration(1...2_592_000), "Since we fetched the verdict.", "30m"),
        ])
    static let matchTable = table(
        "match",
        [
            .required(
                "minimum", .choice(Verdict.Strength.allCases.map(\.rawValue)),
                "The weakest match that counts.",
                example: "strong")
        ])

    static func read(_ name: String, _ reader: SectionReader) -> Condition? {
        switch name {
        case "check": check(reader)
        case "setting": setting(reader)
        case "score": score(reader)
        case "risk": risk(reader)
        case "verdict-age": age(reader)
        case "match": match(reader)
        case "device-proof": DeviceProofKeys.condition(reader)
        default: nil
        }
    }

    private static func check(_ reader: SectionReader) -> Condition? {
        guard let (inner, name, kind) = section("check", checkTable, reader), let check = inner.text("name")
        else { return nil }
        let isAgent = kind == "endpoint-agent"
        return .check(CheckCondition(integration: name, name: check, isAgent: isAgent))
    }

    private static func setting(_ reader: SectionReader) -> Condition? {
        guard let (inner, name, _) = verdicts("setting", settingTable, reader) else { return nil }
        guard let check = inner.text("name"), let states = VerdictRules.states(inner) else { return nil }
        return .setting(SettingCondition(integration: name, name: check, states: states))
    }

    private static func score(_ reader: SectionReader) -> Condition? {
        guard let (inner, name, kind) = verdicts("score", scoreTable, reader), let text = inner.text("is")
        else { return nil }
        for case .score(let range) in kind.qualifiers {
            return ComparisonText.score(text, range, "is", inner).map {
                .score(ScoreCondition(integration: name, comparison: $0, value: $1))
            }
        }
        inner.problem("integration", "\(kind.title) gives no score", "name an integration that does")
        return nil
    }

    private static func risk(_ reader: SectionReader) -> Condition? {
        guard let (inner, name, kind) = verdicts("risk", riskTable, reader), let text = inner.text("is")
        else { return nil }
        guard kind.qualifiers.contains(.risk) else {
            inner.problem("integration", "\(kind.title) gives no risk", "name an integration that does")
            return nil
        }
        return ComparisonText.risk(text, "is", inner).map {
            .risk(RiskCondition(integration: name, comparison: $0, level: $1))
        }
    }

    private static func age(_ reader: SectionReader) -> Condition? {
        guard let (inner, name, _) = verdicts("verdict-age", ageTable, reader) else { return nil }
        guard inner.has("reported-within") || inner.has("fetched-within") else {
            inner.problem("integration", "asks nothing", "add reported-within or fetched-within")
            return nil
        }
        let reported = inner.duration("reported-within")
        let fetched = inner.duration("fetched-within")
        guard reported != nil || !inner.has("reported-within"), fetched != nil || !inner.has("fetched-within")
        else { return nil }
        return .verdictAge(
            VerdictAgeCondition(
                integration: name, reportedSecondsMax: reported, fetchedSecondsMax: fetched))
    }

    private static func match(_ reader: SectionReader) -> Condition? {
        guard let (inner, name, _) = verdicts("match", matchTable, reader) else { return nil }
        return inner.choice("minimum").flatMap(Verdict.Strength.init(rawValue:)).map {
            .matchStrength(MatchStrengthCondition(integration: name, minimum: $0))
        }
    }

    // Integrations

    /// The section, the integration's name and its provider.
    private static func section(
        _ name: String, _ table: KeyTable, _ reader: SectionReader
    ) -> (SectionReader, String, String)? {
        guard let inner = reader.section(name, table),
            let integration = inner.text("integration")
        else { return nil }
        let known = reader.context.names.integrations
        if let kind = known[integration] { return (inner, integration, kind) }
        let nearest =
            NearestName.of(integration, among: known.keys.sorted()).map { "did you mean \($0)? " } ?? ""
        let all = known.keys.sorted().joined(separator: ", ")
        inner.problem(
            "integration", "no integration is named \(integration)",
            known.isEmpty ? "configure one under integrations" : "\(nearest)name one of \(all)")
        return nil
    }

    /// The same for integrations that give verdicts.
    private static func verdicts(
        _ name: String, _ table: KeyTable, _ reader: SectionReader
    ) -> (SectionReader, String, ProviderKind)? {
        guard let (inner, integration, kind) = section(name, table, reader) else { return nil }
        if let kind = ProviderKind.named(kind) { return (inner, integration, kind) }
        inner.problem(
            "integration", "\(integration) gives no verdicts",
            "use check, or name an integration of a provider")
        return nil
    }
}
