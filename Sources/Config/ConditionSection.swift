import Access

/// The conditions of application policies: a mapping with exactly one key each.
enum ConditionSection {
    static let methodNames: [String] = RequestMethod.allCases.filter { $0 != .other }.map(\.rawValue)

    static let table = KeyTable(
        "applications.<name>.policies[].include[]",
        [
            optional("everyone", .flag, "Always holds; written `everyone: true`.", "true"),
            optional("email", .oneOrMore(.text), "The verified address is one of these.", "ada@corp.example"),
            optional(
                "email-domain", .oneOrMore(.host),
                "The verified address is in one of these domains, exactly.",
                "corp.example"),
            optional(
                "group", .oneOrMore(.text), "The identity provider lists one of these groups.",
                "[staff, admins]"),
            optional(
                "claim", .section(claimTable), "A claim has one of these values.",
                "{ name: department, values: [sales] }"),
            optional(
                "identity-provider", .oneOrMore(.text), "The session was made by one of these.",
                "corp-managed"),
            optional(
                "network", .oneOrMore(.text), "The client's address is in one of these ranges.",
                "10.0.0.0/8"),
            optional(
                "device", .oneOrMore(.choice(DeviceClass.allCases.map(\.rawValue).reversed())),
                "The device is of one of these classes; `partial` only where it is named.", "compliant"),
            optional(
                "method", .oneOrMore(.choice(methodNames)), "The request has one of these methods.",
                "[GET, HEAD]"),
            optional("path", .section(pathTable), "The request's path.", "{ prefixes: [/public] }"),
        ] + SignInConditions.keys + DeviceConditions.keys + DeviceProofKeys.conditions
            + ClientConditions.keys + NamedConditions.keys)
    static let claimTable = KeyTable(
        "applications.<name>.policies[].include[].claim",
        [
            .required("name", .text, "The claim.", example: "department"),
            .required(
                "values", .facts, "One value or several; a list claim holds one of them.",
                example: "[sales]"),
        ])
    static let pathTable = KeyTable(
        "applications.<name>.policies[].include[].path",
        [
            optional(
                "prefixes", .list(.text), "One of these or anything below it, by whole segments.", "[/public]"
            ),
            optional("exact", .list(.text), "Exactly one of these.", "[/healthz]"),
        ])

    static func optional(_ name: String, _ shape: Shape, _ summary: String, _ example: String)
        -> KeySpec
    {
        .optional(name, shape, summary, standard: "not asked", example: example)
    }

    /// nil when the key is absent or any condition in it is wrong: a policy that lost a condition must not be
    /// used.
    static func list(_ name: String, _ policy: SectionReader, _ providers: [String]?) -> [Condition]? {
        guard let items = policy.items(name) else { return nil }
        let conditions = items.enumerated().map { index, item in
            read(item, path: policy.key("\(name)[\(index)]"), policy.context, providers)
        }
        let valid = conditions.compactMap { $0 }
        return valid.count == items.count ? valid : nil
    }

    private static func read(
        _ node: ConfigNode, path: String, _ context: ReadContext, _ providers: [String]?
    ) -> Condition? {
        guard let reader = SectionReader(node, table, path: path, context) else { return nil }
        guard reader.presentNames.count == 1, let name = reader.presentNames.first else {
            if reader.presentNames.count > 1 {
                context.diagnostics.problem(
                    node.place, path, "has several conditions in one item", "write one item for each")
            } else if case .mapping(let entries) = node.content, entries.isEmpty {
                context.diagnostics.problem(node.place, path, "is empty", "write for example everyone: true")
            }
            return nil
        }
        return identity(name, reader, providers) ?? request(name, reader)
            ?? SignInConditions.read(name, reader) ?? DeviceConditions.read(name, reader)
            ?? ClientConditions.read(name, reader) ?? NamedConditions.read(name, reader)
    }

    private static func identity(_ name: String, _ reader: SectionReader, _ providers: [String]?)
        -> Condition?
    {
        switch name {
        case "email": emails(reader).map { .email(EmailCondition(addresses: $0)) }
        case "email-domain": domains(reader).map { .emailDomain(EmailDomainCondition(domains: $0)) }
        case "group": reader.texts(name).map { .group(GroupCondition(groups: $0)) }
        case "claim": claimCondition(reader)
        case "identity-provider": identityProviders(reader, providers)
        case "device": devices(reader)
        default: nil
        }
    }

    private static func request(_ name: String, _ reader: SectionReader) -> Condition? {
        switch name {
        case "everyone": everyone(reader)
        case "network": networks(reader)
        case "method": methods("method", reader).map { .method(MethodCondition(methods: $0)) }
        case "path": pathCondition(reader)
        default: nil
        }
    }

    // One function per condition, in the table's order

    private static func everyone(_ reader: SectionReader) -> Condition? {
        guard let flag = reader.flag("everyone") else { return nil }
        if flag { return .everyone }
        reader.problem("everyone", "false never holds", "remove the item")
        return nil
    }

    private static func emails(_ reader: SectionReader) -> [String]? {
        checked(reader.texts("email")) { text in
            let parts = text.split(separator: "@", omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty, HostSyntax.nameProblem(parts[1].lowercased()) == nil
            else {
                reader.problem("email", "\"\(text)\" is not an address", "write for example ada@corp.example")
                return nil
            }
            return text.lowercased()
        }
    }

    private static func domains(_ reader: SectionReader) -> [String]? {
        checked(reader.texts("email-domain")) { text in
            let domain = text.lowercased()
            guard HostSyntax.nameProblem(domain) == nil else {
                reader.problem(
                    "email-domain", "\"\(text)\" is not a domain", "write for example corp.example")
                return nil
            }
            return domain
        }
    }

    private static func claimCondition(_ reader: SectionReader) -> Condition? {
        guard let inner = reader.section("claim", claimTable) else { return nil }
        let name = inner.text("name")
        let values = inner.node("values").map { ClaimValues.read($0, inner, "values") } ?? []
        guard let name, !values.isEmpty else { return nil }
        return .claim(ClaimCondition(name: name, values: values))
    }

    private static func identityProviders(_ reader: SectionReader, _ accepted: [String]?) -> Condition? {
        guard let names = reader.texts("identity-provider") else { return nil }
        for name in names {
            guard let accepted, !accepted.contains(name) else { continue }
            reader.problem(
                "identity-provider", "the application does not accept \(name), so this never holds",
                "name one of \(accepted.joined(separator: ", ")) or add it to identity-providers")
        }
        return .identityProvider(IdentityProviderCondition(names: names))
    }

    private static func networks(_ reader: SectionReader) -> Condition? {
        let ranges: [NetworkRange]? = checked(reader.texts("network")) { text in
            do throws(Quantity.Refusal) { return try HostSyntax.range(text) } catch {
                reader.problem("network", error.problem, error.remedy)
                return nil
            }
        }
        return ranges.map { .network(NetworkCondition(ranges: $0)) }
    }

    private static func devices(_ reader: SectionReader) -> Condition? {
        let classes: [DeviceClass]? = checked(reader.texts("device")) { text in
            reader.choice(text, "device").flatMap(DeviceClass.init(rawValue:))
        }
        return classes.map { .device(DeviceCondition(classes: $0)) }
    }

    static func methods(_ name: String, _ reader: SectionReader) -> [RequestMethod]? {
        checked(reader.texts(name)) { text in
            reader.choice(text, name).flatMap(RequestMethod.init(rawValue:))
        }
    }

    private static func pathCondition(_ reader: SectionReader) -> Condition? {
        guard let inner = reader.section("path", pathTable) else { return nil }
        if inner.presentNames.isEmpty {
            reader.problem("path", "asks nothing", "add prefixes or exact")
            return nil
        }
        let prefixes = paths("prefixes", inner)
        let exact = paths("exact", inner)
        guard prefixes != nil || !inner.has("prefixes"), exact != nil || !inner.has("exact") else {
            return nil
        }
        return .path(PathCondition(prefixes: prefixes ?? [], exact: exact ?? []))
    }

    static func paths(_ name: String, _ reader: SectionReader) -> [String]? {
        checked(reader.texts(name)) { text in
            guard let refusal = PathSyntax.problem(text) else { return text }
            reader.problem(name, refusal.problem, refusal.remedy)
            return nil
        }
    }

    /// All values or none: what is dropped from a list would silently change who is let in.
    static func checked<Value>(_ texts: [String]?, _ check: (String) -> Value?) -> [Value]? {
        guard let texts else { return nil }
        let values = texts.map(check)
        let read = values.compactMap { $0 }
        return read.count == values.count ? read : nil
    }
}
