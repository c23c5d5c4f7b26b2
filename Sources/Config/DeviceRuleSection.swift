import Access

/// `device-policies[].rules[]`: one provider, named by the key that names the integration, and its
/// qualifiers. Every qualifier becomes a rule of its own; all must hold.
struct DeviceRuleSection {
    static let agent = KeyTable(
        "device-policies[].rules[]", kind: "endpoint-agent",
        [
            .required("agent", .text, "An integration of provider `endpoint-agent`.", example: "agents"),
            ProviderKind.Qualifier.managed.spec,
            .optional(
                "last-seen", .duration(60...2_592_000),
                "With `managed: true`: the longest age of the last check-in.",
                standard: "the integration's `max-last-seen`", example: "7d"),
            .optional(
                "facts", .facts,
                "Facts of the signed statement and the values that are accepted; numbers and versions also by "
                    + "comparison (`<`, `<=`, `=`, `>=`, `>`).",
                standard: "not asked",
                example: "{ disk-encryption: true, kernel-version: \">= 6.1\", patch-age-days: \"<= 14\" }"),
            .optional(
                "minimum-version", .text, "The oldest agent that is accepted.", standard: "not asked",
                example: "\"1.4\""),
            .optional(
                "minimum-key", .choice(AgentStatement.KeyLevel.allCases.map(\.rawValue)),
                "How well the device key must be kept.", standard: "not asked", example: "attested"),
        ])
    static let tags = KeyTable(
        "device-policies[].rules[].tags",
        [
            .optional(
                "matches-any", .list(.text), "At least one of these.", standard: "not asked",
                example: "[compliant, in-grace]"),
            .optional(
                "matches-all", .list(.text), "Every one of these.", standard: "not asked",
                example: "[compliant, registered]"),
        ])
    static let tables =
        ProviderKind.all.map { kind in
            KeyTable(
                kind.ruleTable.title, kind: kind.name,
                kind.ruleTable.keys + VerdictRules.keys + RuleStrategy.keys)
        } + [KeyTable(agent.title, kind: agent.kind, agent.keys + RuleStrategy.keys)]
    /// For the schema: the keys of all kinds.
    static let anyTable = KeyTable(
        "device-policies[].rules[]",
        tables.flatMap(\.keys).reduce(into: [KeySpec]()) { keys, key in
            if !keys.contains(where: { $0.name == key.name }) { keys.append(key) }
        }
        .map { key in
            var key = key
            key.isRequired = false
            return key
        })

    let path: String
    let context: ReadContext
    let platform: Platform?
    /// Of the policy; nil when that is wrong.
    let result: DeviceClass?

    func read(
        _ node: ConfigNode, _ integrations: [String: String]
    ) -> [(rule: DeviceRule, strategy: CheckStrategy)] {
        let sources = Self.tables.compactMap { $0.keys.first?.name }
        let named = sources.filter { node.child($0) != nil }
        guard case .mapping = node.content, named.count == 1,
            let table = Self.tables.first(where: { $0.keys[0].name == named[0] })
        else {
            context.diagnostics.problem(
                node.place, path, "must name exactly one of \(sources.joined(separator: ", "))",
                "write for example { intune: <integration>, tags: { matches-any: [compliant] } }")
            return []
        }
        guard let reader = SectionReader(node, table, path: path, context) else { return [] }
        checkPlatform(reader, table)
        guard let name = reader.text(named[0]) else { return [] }
        checkReference(reader, named[0], name, table.kind ?? named[0], integrations)
        let strategy = RuleStrategy.read(reader, result)
        if reader.presentNames.count(where: { !RuleStrategy.names.contains($0) }) == 1 {
            reader.problem(
                named[0], "asks nothing",
                "add one of \(table.keys.dropFirst().map(\.name).joined(separator: ", "))")
            return []
        }
        let rules =
            table.kind.flatMap(ProviderKind.named).map {
                providerRules($0, reader, name) + VerdictRules.read(reader, name)
            } ?? agentRules(reader, name)
        return strategy.map { strategy in rules.map { ($0, strategy) } } ?? []
    }

    // Checks

    private func checkPlatform(_ reader: SectionReader, _ table: KeyTable) {
        guard let platform, let kind = table.kind else { return }
        let supported = ProviderKind.named(kind)?.platforms ?? [.windows, .macos, .linux]
        guard !supported.contains(platform) else { return }
        let names = supported.map(\.rawValue).joined(separator: ", ")
        reader.problem(
            table.keys[0].name, "\(kind) knows nothing of platform \(platform.rawValue)",
            "use it for \(names)")
    }

    private func checkReference(
        _ reader: SectionReader, _ key: String, _ name: String, _ kind: String,
        _ integrations: [String: String]
    ) {
        let fitting = integrations.filter { $0.value == kind }.keys.sorted()
        let remedy =
            fitting.isEmpty
            ? "configure one under integrations" : "name one of \(fitting.joined(separator: ", "))"
        guard let found = integrations[name] else {
            reader.problem(key, "no integration is named \(name)", remedy)
            return
        }
        if found != kind { reader.problem(key, "integration \(name) is no \(kind) but \(found)", remedy) }
    }

    // Rules

    private func providerRules(_ kind: ProviderKind, _ reader: SectionReader, _ name: String) -> [DeviceRule]
    {
        kind.qualifiers.flatMap { qualifier -> [DeviceRule] in
            switch qualifier {
            case .tags: return tagRules(reader, name)
            case .managed: return reader.flag("managed").map { [.managed(integration: name, $0)] } ?? []
            case .sensorRunning:
                return reader.flag("sensor-running").map { [.sensorRunning(integration: name, $0)] } ?? []
            case .risk:
                return reader.text("risk").flatMap { text in
                    ComparisonText.risk(text, "risk", reader).map {
                        [.risk(integration: name, comparison: $0, value: $1)]
                    }
                } ?? []
            case .score(let range):
                return reader.text("score").flatMap { text in
                    ComparisonText.score(text, range, "score", reader).map {
                        [.score(integration: name, comparison: $0, value: $1)]
                    }
                } ?? []
            }
        }
    }

    private func tagRules(_ reader: SectionReader, _ name: String) -> [DeviceRule] {
        guard let tags = reader.section("tags", Self.tags) else { return [] }
        if !tags.has("matches-any") && !tags.has("matches-all") {
            reader.problem("tags", "asks nothing", "add matches-any or matches-all")
        }
        let any = tags.texts("matches-any")
        let all = tags.texts("matches-all")
        return (any.map { [.tags(integration: name, matchesAll: false, values: $0)] } ?? [])
            + (all.map { [.tags(integration: name, matchesAll: true, values: $0)] } ?? [])
    }

    private func agentRules(_ reader: SectionReader, _ name: String) -> [DeviceRule] {
        var rules: [DeviceRule] = []
        let isManaged = reader.flag("managed")
        if isManaged == false {
            reader.problem(
                "managed", "cannot be false: an agent only proves that a device is managed", "remove the rule"
            )
        }
        if isManaged != true {
            reader.ineffective("last-seen", because: "managed is not true", "add managed: true")
        }
        let lastSeen = reader.duration("last-seen")
        if isManaged == true {
            rules.append(
                .agentManaged(integration: name, lastSeenSecondsMax: lastSeen ?? Self.fromIntegration))
        }
        rules += facts(reader, name)
        if let version = EndpointAgentSection.version("minimum-version", reader) {
            rules.append(.agentVersion(integration: name, minimum: version))
        }
        if let level = reader.choice("minimum-key").flatMap(AgentStatement.KeyLevel.init(rawValue:)) {
            rules.append(.agentKey(integration: name, minimum: level))
        }
        return rules
    }

    /// Stands for "the integration's max-last-seen" until all integrations are read.
    static let fromIntegration: Int64 = -1

    private func facts(_ reader: SectionReader, _ name: String) -> [DeviceRule] {
        guard let node = reader.node("facts") else { return [] }
        guard case .mapping(let entries) = node.content, !entries.isEmpty else {
            reader.problem(
                "facts", "must be a mapping of facts to values", "write for example { firewall: true }")
            return []
        }
        return entries.compactMap { entry in
            guard RootSection.isName(entry.name) else {
                reader.problem(
                    "facts.\(entry.name)", at: entry.place, "is not the name of a fact",
                    "use lower-case letters, digits and hyphens, for example disk-encryption")
                return nil
            }
            if let text = entry.value.scalarText, FactComparison.isComparison(text) {
                return FactComparison.read(text, entry, reader).map {
                    .agentFactIs(integration: name, name: entry.name, comparison: $0, value: $1)
                }
            }
            let values = ClaimValues.read(entry.value, reader, "facts.\(entry.name)")
            return values.isEmpty ? nil : .agentFact(integration: name, name: entry.name, values: values)
        }
    }
}
