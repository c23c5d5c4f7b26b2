/// The top level: which sections there are, and how the files of a folder become one configuration.
enum RootSection {
    static let table = KeyTable(
        "the top level",
        [
            .required(
                "version", .integer(1...1), "Version of the format; stands in every file.", example: "1"),
            .required(
                "gateway", .section(GatewaySection.table), "What concerns the whole process.",
                example: "{ auth-host: auth.corp.example, … }"),
            .required(
                "identity-providers", .named(IdentityProvidersSection.table), "Who signs people in, by name.",
                example: "{ corp: { issuer: \"https://login.corp.example\", … } }"),
            .optional(
                "token-issuers", .named(TokenIssuersSection.table),
                "Whose bearer tokens count for clients without a person, by name; see [machines.md](machines.md).",
                standard: "none", example: "{ ci: { issuer: \"https://ci.corp.example\", … } }"),
            .optional(
                "integrations", .namedKinds(by: "provider", IntegrationsSection.tables),
                "Where verdicts about devices come from, by name.", standard: "none",
                example: "{ agents: { provider: endpoint-agent, … } }"),
            .optional(
                "device-policies", .list(.section(DevicePoliciesSection.table)),
                "What makes a device `compliant`, `partial` or `denied`.", standard: "none",
                example: "[ { name: healthy-mac, platform: macos, … } ]"),
            .optional(
                "device-defaults", .section(DevicePoliciesSection.defaultsTable),
                "The class of devices that no policy speaks about.", standard: "`partial` for both",
                example: "{ no-match: denied }"),
            .optional(
                "groups", .named(NamedConditions.groupTable),
                "Conditions with a name, for `meets` in any policy.", standard: "none",
                example: "{ employees: { include: [ { email-domain: corp.example } ] } }"),
            .required(
                "applications", .named(ApplicationsSection.table), "What is protected, by name.",
                example: "{ wiki: { host: wiki.corp.example, … } }"),
        ])

    /// One root node out of all files. Names in `identity-providers`, `integrations` and `applications` and
    /// the items of `device-policies` may be spread over files; no name and no other section may stand twice.
    static func merge(_ roots: [ConfigNode], _ diagnostics: Diagnostics) -> ConfigNode? {
        guard var merged = roots.first else { return nil }
        for root in roots where root.child("version") == nil && roots.count > 1 {
            diagnostics.problem(root.place, "version", "is missing", "add it, for example version: 1")
        }
        guard case .mapping(var entries) = merged.content else { return nil }
        for root in roots.dropFirst() {
            guard case .mapping(let more) = root.content else { continue }
            for entry in more {
                guard let index = entries.firstIndex(where: { $0.name == entry.name }) else {
                    entries.append(entry)
                    continue
                }
                join(entry, into: &entries[index], diagnostics)
            }
        }
        merged.content = .mapping(entries)
        return merged
    }

    private static func join(
        _ entry: ConfigNode.Entry, into first: inout ConfigNode.Entry, _ diagnostics: Diagnostics
    ) {
        switch (first.value.content, entry.value.content, table[entry.name]?.shape) {
        case (.scalar, .scalar, _) where entry.name == "version":
            if entry.value.scalarText != first.value.scalarText {
                diagnostics.problem(entry.place, "version", "differs between files", "use version: 1 in each")
            }
        case (.sequence(let items), .sequence(let more), .list?):
            first.value.content = .sequence(items + more)
        case (.mapping(var names), .mapping(let more), let shape?) where shape.isNamed:
            for new in more {
                guard let old = names.first(where: { $0.name == new.name }) else {
                    names.append(new)
                    continue
                }
                diagnostics.problem(
                    new.place, "\(entry.name).\(new.name)",
                    "stands in \(old.place.file):\(old.place.line) already",
                    "keep one of them")
            }
            first.value.content = .mapping(names)
        default:
            diagnostics.problem(
                entry.place, entry.name, "stands in \(first.place.file):\(first.place.line) already",
                "keep it in one file")
        }
    }

    /// The entries of a section of free names; problems with the names themselves are reported.
    static func named(_ root: SectionReader, _ section: String, offering example: String) -> [ConfigNode
        .Entry]
    {
        guard let node = root.node(section) else { return [] }
        guard case .mapping(let entries) = node.content else {
            root.problem(section, "must be a mapping, not \(node.kindWord)", "write name: { … }")
            return []
        }
        if entries.isEmpty { root.problem(section, "is empty", "add at least one, for example \(example)") }
        return entries.filter { entry in
            if isName(entry.name) { return true }
            root.problem(
                "\(section).\(entry.name)", at: entry.place, "is not a name",
                "use 1 to 64 lower-case letters, digits and hyphens, a letter first")
            return false
        }
    }

    static func isName(_ text: String) -> Bool {
        guard (1...64).contains(text.utf8.count), let first = text.utf8.first, (97...122).contains(first)
        else { return false }
        return text.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
    }
}
