import Access

/// What conditions may name beside identity providers.
struct ConditionNames {
    /// Configured name and provider.
    var integrations: [String: String] = [:]
    /// Of all applications.
    var tags: Set<String> = []
    /// As they are written.
    var groupNodes: [String: ConfigNode] = [:]
    /// Read ones; nil values are wrong and have been reported.
    var groups: [String: ConditionGroup?] = [:]
    /// Groups that are being read, outermost first.
    var path: [String] = []
    /// Groups that something names.
    var used: Set<String> = []
    /// Every configured identity provider.
    var providers: [String] = []
    /// Every configured issuer of bearer tokens, and the claims that conditions may ask of its tokens.
    var tokenClaims: [String: [String]] = [:]

    init() {}

    init(_ root: SectionReader, integrations: [String: String]) {
        self.integrations = integrations
        for application in Self.entries(root.node("applications")) {
            guard case .sequence(let items)? = application.value.child("tags")?.content else { continue }
            tags.formUnion(items.compactMap(\.scalarText))
        }
        for group in Self.entries(root.node("groups")) { groupNodes[group.name] = group.value }
        providers = Self.entries(root.node("identity-providers")).map(\.name)
        for issuer in Self.entries(root.node("token-issuers")) {
            tokenClaims[issuer.name] = Self.entries(issuer.value.child("claims")).map(\.name)
        }
    }

    private static func entries(_ node: ConfigNode?) -> [ConfigNode.Entry] {
        guard case .mapping(let entries)? = node?.content else { return [] }
        return entries
    }

    /// Whether a policy or group as it is written asks for a device; `seen` ends cycles.
    func asksForDevice(_ node: ConfigNode, seen: Set<String> = []) -> Bool {
        ["include", "require", "exclude"].contains { list in
            guard case .sequence(let items)? = node.child(list)?.content else { return false }
            return items.contains { item in
                if DeviceConditions.names.contains(where: { item.child($0) != nil }) { return true }
                guard let name = item.child("meets")?.scalarText, !seen.contains(name),
                    let group = groupNodes[name]
                else { return false }
                return asksForDevice(group, seen: seen.union([name]))
            }
        }
    }
}

/// `tag` and `meets`: conditions by the name of something that stands elsewhere.
enum NamedConditions {
    static let keys: [KeySpec] = [
        ConditionSection.optional(
            "tag", .oneOrMore(.text), "The application carries one of these `tags`.", "[enrollment]"),
        ConditionSection.optional("meets", .text, "A group of `groups` holds.", "employees"),
    ]
    /// The lists are those of a policy. Their table is not repeated here: a table cannot hold itself.
    static let groupTable = KeyTable(
        "groups.<name>",
        [
            .required(
                "include", .list(.facts), "At least one must hold; conditions as in a policy's `include`.",
                example: "[ { email-domain: corp.example } ]"),
            .optional(
                "require", .list(.facts), "Every one must hold.", standard: "none",
                example: "[ { amr: mfa } ]"),
            .optional(
                "exclude", .list(.facts), "None may hold.", standard: "none",
                example: "[ { group: contractors } ]"),
        ])

    static func read(_ name: String, _ reader: SectionReader) -> Condition? {
        switch name {
        case "tag": tag(reader)
        case "meets": reader.text(name).flatMap { GroupsSection.group($0, reader) }.map { .meets($0) }
        default: nil
        }
    }

    /// `applications.<name>.tags`.
    static func tags(_ application: SectionReader) -> [String] {
        (application.texts("tags") ?? []).filter { tag in
            if RootSection.isName(tag) { return true }
            application.problem(
                "tags", "\"\(tag)\" is not a tag",
                "use 1 to 64 lower-case letters, digits and hyphens, a letter first")
            return false
        }
    }

    private static func tag(_ reader: SectionReader) -> Condition? {
        let known = reader.context.names.tags.sorted()
        let tags: [String]? = ConditionSection.checked(reader.texts("tag")) { tag in
            if known.contains(tag) { return tag }
            let nearest = NearestName.of(tag, among: known).map { "did you mean \($0)? " } ?? ""
            let remedy =
                known.isEmpty
                ? "add tags to applications" : "\(nearest)use one of \(known.joined(separator: ", "))"
            reader.problem("tag", "no application is tagged \(tag)", remedy)
            return nil
        }
        return tags.map { .tag(TagCondition(tags: $0)) }
    }
}

/// `groups`: conditions with a name.
enum GroupsSection {
    static let depthMax = 8
    /// Groups in groups multiply; this many conditions of one group, counted with repetition, are enough.
    static let conditionsMax = 2_000

    /// Also those that nothing names: a mistake in them is a mistake.
    static func readAll(_ root: SectionReader) {
        guard root.has("groups") else { return }
        for entry in RootSection.named(root, "groups", offering: "employees: { include: [ … ] }") {
            _ = read(entry.name, root.context)
        }
    }

    /// Listed, but no policy and no other group names it.
    static func warnOfUnused(_ root: SectionReader) {
        for name in root.context.names.groupNodes.keys.sorted() where !root.context.names.used.contains(name)
        {
            root.context.diagnostics.warn(
                root.place(of: "groups"), "groups.\(name)", "no application or group names it",
                "name it with meets or remove it")
        }
    }

    /// The group that a condition names; nil when there is none, or it is wrong (reported).
    static func group(_ name: String, _ reader: SectionReader) -> ConditionGroup? {
        let names = reader.context.names
        guard names.groupNodes[name] != nil else {
            let known = names.groupNodes.keys.sorted()
            let nearest = NearestName.of(name, among: known).map { "did you mean \($0)? " } ?? ""
            reader.problem(
                "meets", "no group is named \(name)",
                known.isEmpty
                    ? "add it under groups" : "\(nearest)name one of \(known.joined(separator: ", "))")
            return nil
        }
        if let first = names.path.firstIndex(of: name) {
            let way = (names.path[first...] + [name]).joined(separator: " → ")
            reader.problem("meets", "leads back to itself: \(way)", "take one of these steps out")
            return nil
        }
        guard names.path.count < depthMax else {
            reader.problem("meets", "groups are nested more than \(depthMax) deep", "nest fewer")
            return nil
        }
        reader.context.names.used.insert(name)
        guard let group = read(name, reader.context) else { return nil }
        guard group.size <= conditionsMax else {
            reader.problem(
                "meets", "\(name) has more than \(conditionsMax) conditions with all groups in it",
                "name fewer")
            return nil
        }
        return group
    }

    private static func read(_ name: String, _ context: ReadContext) -> ConditionGroup? {
        if let known = context.names.groups[name] { return known }
        guard let node = context.names.groupNodes[name] else { return nil }
        context.names.path.append(name)
        defer { context.names.path.removeLast() }
        let path = "groups.\(name)"
        let group = SectionReader(node, NamedConditions.groupTable, path: path, context).flatMap {
            read($0, name)
        }
        context.names.groups[name] = .some(group)
        return group
    }

    private static func read(_ reader: SectionReader, _ name: String) -> ConditionGroup? {
        let providers = reader.context.names.providers
        let include = ConditionSection.list("include", reader, providers)
        let require = ConditionSection.list("require", reader, providers)
        let exclude = ConditionSection.list("exclude", reader, providers)
        guard let include, require != nil || !reader.has("require"), exclude != nil || !reader.has("exclude")
        else { return nil }
        return ConditionGroup(name: name, include: include, require: require ?? [], exclude: exclude ?? [])
    }
}

extension ConditionGroup {
    /// Conditions in it, with those of groups in it.
    fileprivate var size: Int {
        (include + require + exclude).reduce(0) { sum, condition in
            if case .meets(let group) = condition { sum + group.size } else { sum + 1 }
        }
    }
}
