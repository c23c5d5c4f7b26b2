import Access

/// `applications.<name>.policies[]`: the first that matches decides.
enum ApplicationPolicySection {
    static let table = KeyTable(
        "applications.<name>.policies[]",
        [
            .required(
                "name", .text, "Unique in the application; stands in explanations and logs.", example: "staff"
            ),
            .required(
                "action", .choice(PolicyAction.allCases.map(\.rawValue)),
                "`bypass` needs no sign-in: a public path is a policy, never a hole. `service` is for clients "
                    + "without a person: a service token, a bearer token, or a certificate of `client-certificates`.",
                example: "allow"),
            .required(
                "include", .list(.variant(ConditionSection.table)), "At least one must hold.",
                example: "[ { email-domain: corp.example } ]"),
            .optional(
                "require", .list(.variant(ConditionSection.table)), "Every one must hold.", standard: "none",
                example: "[ { device: compliant } ]"),
            .optional(
                "exclude", .list(.variant(ConditionSection.table)), "None may hold.", standard: "none",
                example: "[ { group: contractors } ]"),
            .optional(
                "restrict", .section(restrictionTable), "What a match grants less than everything.",
                standard: "nothing",
                example: "{ methods: [GET, HEAD] }"),
            .optional(
                "session", .duration(60...2_592_000), "Longest life of a session that this policy lets in.",
                standard: "the application's", example: "1h"),
        ])
    static let restrictionTable = KeyTable(
        "applications.<name>.policies[].restrict",
        [
            .optional(
                "methods", .list(.choice(ConditionSection.methodNames)), "Only these methods.",
                standard: "every method",
                example: "[GET, HEAD]"),
            .optional(
                "path-prefixes", .list(.text), "Only these paths and what is below them.",
                standard: "every path",
                example: "[/docs]"),
        ] + RestrictionLimits.keys)

    static func read(
        _ application: SectionReader, providers: [String]?
    ) -> [(policy: ApplicationPolicy, key: String, place: Place)] {
        guard let items = application.items("policies") else { return [] }
        var policies: [(policy: ApplicationPolicy, key: String, place: Place)] = []
        for (index, item) in items.enumerated() {
            let path = application.key("policies[\(index)]")
            guard let reader = SectionReader(item, table, path: path, application.context) else { continue }
            guard let policy = read(reader, providers) else { continue }
            if policies.contains(where: { $0.policy.name == policy.name }) {
                reader.problem("name", "another policy here is named \(policy.name)", "rename one of them")
            }
            policies.append((policy, path, reader.place))
        }
        return policies
    }

    /// Whether any policy as it is written asks for a device, so that a broken one brings no further
    /// messages.
    static func asksForDevice(_ application: SectionReader) -> Bool {
        guard case .sequence(let policies)? = application.node("policies")?.content else { return false }
        return policies.contains { application.context.names.asksForDevice($0) }
    }

    private static func read(_ reader: SectionReader, _ providers: [String]?) -> ApplicationPolicy? {
        let name = reader.text("name")
        let action = reader.choice("action").flatMap(PolicyAction.init(rawValue:))
        let include = ConditionSection.list("include", reader, providers)
        let require = ConditionSection.list("require", reader, providers)
        let exclude = ConditionSection.list("exclude", reader, providers)
        let restriction = restriction(reader)
        let session = reader.duration("session")
        if action != .allow {
            reader.ineffective("session", because: "this action makes no session", "remove it")
        }
        if action == .block { reader.ineffective("restrict", because: "a block grants nothing", "remove it") }
        if action == .bypass {
            refuseIdentity(in: [("include", include), ("require", require), ("exclude", exclude)], reader)
        }
        guard let name, let action, let include else { return nil }
        guard require != nil || !reader.has("require"), exclude != nil || !reader.has("exclude") else {
            return nil
        }
        guard restriction != nil || !reader.has("restrict") else { return nil }
        return ApplicationPolicy(
            name: name, action: action, include: include, require: require ?? [], exclude: exclude ?? [],
            restriction: restriction, sessionSecondsMax: session)
    }

    /// A bypass is decided before anybody is asked to sign in, so what it asks must be in the request.
    private static func refuseIdentity(in lists: [(String, [Condition]?)], _ reader: SectionReader) {
        for (name, conditions) in lists {
            for condition in conditions ?? [] where !condition.subjects.isSubset(of: .request) {
                let what =
                    condition.subjects == .time
                    ? "what time it is" : "who somebody is or what device they use"
                reader.problem(
                    name, "a bypass cannot ask \(what)",
                    "use everyone, path, method or network only, or action: allow")
                break
            }
        }
    }

    private static func restriction(_ policy: SectionReader) -> Restriction? {
        guard let node = policy.node("restrict") else { return nil }
        let path = policy.key("restrict")
        guard let reader = SectionReader(node, restrictionTable, path: path, policy.context) else {
            return nil
        }
        if reader.presentNames.isEmpty {
            policy.problem("restrict", "restricts nothing", "add methods or path-prefixes, or remove it")
            return nil
        }
        let methods = ConditionSection.methods("methods", reader)
        let prefixes = ConditionSection.paths("path-prefixes", reader)
        guard let limits = RestrictionLimits.read(reader), methods != nil || !reader.has("methods"),
            prefixes != nil || !reader.has("path-prefixes")
        else { return nil }
        return Restriction(methods: methods, pathPrefixes: prefixes, limits: limits.isEmpty ? nil : limits)
    }
}
