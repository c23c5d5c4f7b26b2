import Access

/// `device-policies[]` and `device-defaults`: what makes a device compliant, partial or denied.
enum DevicePoliciesSection {
    static let messageCharactersMax = 256

    static let table = KeyTable(
        "device-policies[]",
        [
            .required("name", .text, "Unique; stands in explanations.", example: "healthy-mac"),
            .required(
                "platform", .choice(Platform.allCases.map(\.rawValue)), "The one platform it speaks about.",
                example: "macos"),
            .required(
                "priority", .integer(1...10_000), "The lowest is asked first; unique per platform.",
                example: "10"),
            .required(
                "result", .choice(DeviceClass.allCases.map(\.rawValue).reversed()),
                "The class of a device for which every rule holds.", example: "compliant"),
            .required(
                "rules", .list(.section(DeviceRuleSection.anyTable)), "All must hold.",
                example: "[ { intune: intune, tags: { matches-any: [compliant] } } ]"),
            .optional(
                "on-unknown", .choice(OnUnknown.allCases.map(\.rawValue)),
                "What a `denied` policy does while its rules cannot be judged: hold the result at "
                    + "`partial`, deny, or nothing.",
                standard: "`cap`", example: "deny"),
            .optional(
                "message", .text, "Shown to the person; at most \(messageCharactersMax) characters.",
                standard: "none", example: "\"Turn on FileVault.\""),
            .optional(
                "minimum-match", .choice(Verdict.Strength.allCases.map(\.rawValue)),
                "Verdicts that were matched to the device more weakly than this say nothing here.",
                standard: "`weak`", example: "strong"),
        ])
    static let defaultsTable = KeyTable(
        "device-defaults",
        [
            .optional(
                "no-match", .choice(["partial", "denied"]),
                "A device of a known platform that no policy matches.",
                standard: "`partial`", example: "denied"),
            .optional(
                "unsupported", .choice(["partial", "denied"]), "A device whose platform is not known.",
                standard: "`partial`", example: "denied"),
        ])

    static func read(_ root: SectionReader, integrations: [String: String]) -> [DevicePolicy] {
        guard let items = root.items("device-policies") else { return [] }
        var policies: [DevicePolicy] = []
        var names: [String: Place] = [:]
        var priorities: [String: String] = [:]
        for (index, item) in items.enumerated() {
            let path = "device-policies[\(index)]"
            guard let reader = SectionReader(item, table, path: path, root.context) else { continue }
            let policy = read(reader, integrations)
            if let name = reader.text("name") {
                if let first = names[name] {
                    reader.problem(
                        "name", "\"\(name)\" is the name of \(first.file):\(first.line) too", "rename one")
                }
                names[name] = names[name] ?? reader.place(of: "name")
            }
            checkPriority(reader, path, &priorities)
            if let policy { policies.append(policy) }
        }
        // The order that they are asked in; the content hash then does not change when lines are moved.
        return policies.sorted { ($0.platform.rawValue, $0.priority) < ($1.platform.rawValue, $1.priority) }
    }

    /// Also of policies with other problems: the slot is taken as it is written.
    private static func checkPriority(
        _ reader: SectionReader, _ path: String, _ taken: inout [String: String]
    ) {
        guard let platform = reader.node("platform")?.scalarText,
            let priority = reader.node("priority")?.scalarText
        else { return }
        let name = reader.node("name")?.scalarText ?? path
        let slot = "\(platform) \(priority)"
        if let other = taken[slot] {
            reader.problem(
                "priority", "\(priority) is the priority of \(other) too",
                "give each policy of \(platform) its own")
        }
        taken[slot] = taken[slot] ?? name
    }

    private static func read(_ reader: SectionReader, _ integrations: [String: String]) -> DevicePolicy? {
        let name = reader.text("name")
        let platform = reader.choice("platform").flatMap(Platform.init(rawValue:))
        let priority = reader.integer("priority")
        let result = reader.choice("result").flatMap(DeviceClass.init(rawValue:))
        let onUnknown = reader.choice("on-unknown").flatMap(OnUnknown.init(rawValue:))
        let message = reader.text("message")
        if let message, message.count > messageCharactersMax {
            reader.problem(
                "message", "has \(message.count) characters", "use at most \(messageCharactersMax)")
        }
        let strength = reader.choice("minimum-match").flatMap(Verdict.Strength.init(rawValue:))
        var rules: [(rule: DeviceRule, strategy: CheckStrategy)] = []
        for (index, item) in (reader.items("rules") ?? []).enumerated() {
            let path = reader.key("rules[\(index)]")
            let rule = DeviceRuleSection(
                path: path, context: reader.context, platform: platform, result: result)
            rules += rule.read(item, integrations)
        }
        let strategies = rules.map(\.strategy)
        if let result, result != .denied, !strategies.contains(where: { $0.effect == .deny }) {
            reader.ineffective(
                "on-unknown", because: "the result is not denied, and no rule's strategy is deny", "remove it"
            )
        }
        if !strategies.isEmpty, strategies.allSatisfy({ $0.effect == .report }) {
            reader.context.diagnostics.warn(
                reader.place(of: "rules"), reader.key("rules"),
                "every rule only reports, so every device of the platform is compliant",
                "give one of them another strategy when the counts allow it")
        }
        guard let name, let platform, let priority, let result, !rules.isEmpty else { return nil }
        return DevicePolicy(
            name: name, platform: platform, priority: Int(priority), rules: rules.map(\.rule), result: result,
            onUnknown: onUnknown ?? .cap, message: message, matchStrengthMin: strength ?? .weak,
            strategies: strategies.contains { $0 != .require } ? strategies : [])
    }

    static func defaults(_ root: SectionReader) -> (noMatch: DeviceClass, unsupported: DeviceClass) {
        guard let node = root.node("device-defaults"),
            let reader = SectionReader(node, defaultsTable, path: "device-defaults", root.context)
        else { return (.partial, .partial) }
        func value(_ name: String) -> DeviceClass {
            reader.choice(name).flatMap(DeviceClass.init(rawValue:)) ?? .partial
        }
        return (value("no-match"), value("unsupported"))
    }
}
