import Access

/// `facts` and `checks` of an `endpoint-agent`: what its agents are asked for.
///
/// A check is only named here. What it does stands in a file of the machine, which its own administrator
/// writes: no gateway can make an agent run anything.
enum AgentFactsKeys {
    static let checksMax = 32
    static let factsMax = 32
    static let remedyCharactersMax = 300
    static let checkNameBytesMax = 40
    /// The fact that carries a check's result, before its name. No fact of the agent itself begins so.
    static let checkPrefix = "check-"

    static let facts = KeySpec.optional(
        "facts", .list(.text),
        "Facts that agents are asked for beside `platform` and `device-ids`. What a machine does not permit "
            + "stays unknown.",
        standard: "all that agents know", example: "[disk-encryption, firewall, os-version]")
    static let checks = KeySpec.optional(
        "checks", .named(checkTable),
        "Custom checks that agents are asked for, at most \(checksMax); each is the fact `check-<name>`. "
            + "What a check does is defined on the machine, in `/etc/gatepost-agent/facts.json`.",
        standard: "none", example: "{ auditd: { remedy: \"Run: systemctl start auditd\" } }")
    static let checkTable = KeyTable(
        "integrations.<name>.checks.<name>",
        [
            .required(
                "remedy", .text,
                "What people read where the check fails; at most \(remedyCharactersMax) characters.",
                example: "\"Run: systemctl start auditd\"")
        ])

    /// The wanted facts (nil: all) and the remedies of checks by their names.
    static func read(_ reader: SectionReader) -> (facts: [String]?, checks: [String: String]) {
        (facts(reader), checks(reader))
    }

    private static func facts(_ reader: SectionReader) -> [String]? {
        guard let names = reader.texts("facts") else { return nil }
        for name in names where !RootSection.isName(name) || name.hasPrefix(checkPrefix) {
            reader.problem(
                "facts", "\"\(name)\" is not the name of a fact",
                "use names such as disk-encryption; name custom checks under checks")
        }
        if names.count > factsMax {
            reader.problem("facts", "has \(names.count) names", "use at most \(factsMax), or remove the key")
        }
        return names
    }

    private static func checks(_ reader: SectionReader) -> [String: String] {
        guard let node = reader.node("checks") else { return [:] }
        guard case .mapping(let entries) = node.content, !entries.isEmpty else {
            reader.problem(
                "checks", "must be a mapping of names to sections", "write for example \(checks.example)")
            return [:]
        }
        if entries.count > checksMax {
            reader.problem("checks", "has \(entries.count) checks", "use at most \(checksMax)")
        }
        var remedies: [String: String] = [:]
        for entry in entries {
            let key = "checks.\(entry.name)"
            guard RootSection.isName(entry.name), entry.name.utf8.count <= checkNameBytesMax else {
                reader.problem(
                    key, at: entry.place, "is not a name of a check",
                    "use 1 to \(checkNameBytesMax) lower-case letters, digits and hyphens, a letter first")
                continue
            }
            guard let section = SectionReader(entry.value, checkTable, path: reader.key(key), reader.context),
                let remedy = section.text("remedy")
            else { continue }
            if remedy.count > remedyCharactersMax {
                section.problem(
                    "remedy", "has \(remedy.count) characters", "use at most \(remedyCharactersMax)")
            }
            remedies[entry.name] = remedy
        }
        return remedies
    }

    /// A fact that agents are never asked for is never known, so a rule about it holds for nobody.
    static func warnOfUnasked(
        _ policies: [DevicePolicy], _ integrations: [IntegrationSettings], _ root: SectionReader
    ) {
        var warned: Set<String> = []
        for (integration, fact) in policies.flatMap(\.rules).compactMap(asked) {
            guard
                case .endpointAgent(let agent)? = integrations.first(where: { $0.name == integration })?.kind,
                !agent.asks(for: fact), warned.insert("\(integration) \(fact)").inserted
            else { continue }
            let remedy =
                fact.hasPrefix(checkPrefix)
                ? "name it under integrations.\(integration).checks"
                : "add it to integrations.\(integration).facts"
            root.context.diagnostics.warn(
                root.place(of: "device-policies"), "device-policies",
                "agents of \(integration) are not asked for \(fact), so no device meets the rule", remedy)
        }
    }

    private static func asked(_ rule: DeviceRule) -> (String, String)? {
        switch rule {
        case .agentFact(let integration, let name, _), .agentFactIs(let integration, let name, _, _):
            (integration, name)
        case .tags, .score, .risk, .sensorRunning, .managed, .agentManaged, .agentVersion, .agentKey,
            .setting,
            .verdictAge, .matchStrength, .provenBy:
            nil
        }
    }
}

extension EndpointAgentSettings {
    /// Whether agents are asked for a fact at all. Without a list of facts they are asked for all but checks.
    public func asks(for fact: String) -> Bool {
        if fact.hasPrefix(AgentFactsKeys.checkPrefix) {
            return checkRemedies[String(fact.dropFirst(AgentFactsKeys.checkPrefix.count))] != nil
        }
        return wantedFacts?.contains(fact) ?? true
    }
}

extension ConfigSnapshot {
    /// What people read where a custom check fails: by integration, then by fact.
    public var checkRemedies: [String: [String: String]] {
        var remedies: [String: [String: String]] = [:]
        for integration in integrations {
            guard case .endpointAgent(let agent) = integration.kind else { continue }
            for (name, remedy) in agent.checkRemedies {
                remedies[integration.name, default: [:]][AgentFactsKeys.checkPrefix + name] = remedy
            }
        }
        return remedies
    }
}
