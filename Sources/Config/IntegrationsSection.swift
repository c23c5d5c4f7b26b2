import Access

/// `integrations.<name>`: where verdicts about devices come from. One table per provider.
enum IntegrationsSection {
    static let tables = ProviderKind.all.map(\.table) + [EndpointAgentSection.table]
    static let providers = ProviderKind.all.map(\.name) + ["endpoint-agent"]

    static let providerSpec = KeySpec.required(
        "provider", .choice(providers), "What kind of provider it is; decides the other keys.",
        example: "intune")

    /// - Parameter remediation: gets the links of each integration that has some, by its name.
    static func read(
        _ root: SectionReader, remediation: inout [String: [Platform: [RemediationLink]]]
    ) -> [IntegrationSettings] {
        guard root.has("integrations") else { return [] }
        let entries = RootSection.named(
            root, "integrations", offering: "agents: { provider: endpoint-agent, … }")
        let read = entries.compactMap { (entry: ConfigNode.Entry) -> IntegrationSettings? in
            let path = "integrations.\(entry.name)"
            guard let table = table(for: entry, path, root) else { return nil }
            guard let reader = SectionReader(entry.value, table, path: path, root.context, siblings: tables)
            else { return nil }
            let known = table.kind.flatMap(ProviderKind.named)?.platforms
            let links = RemediationSection.read(reader, platforms: known)
            if !links.isEmpty { remediation[entry.name] = links }
            let kind =
                table.kind.flatMap(ProviderKind.named).map {
                    ProviderSection(kind: $0, reader: reader).read()
                }
                .map { $0.map(IntegrationSettings.Kind.provider) }
                ?? EndpointAgentSection.read(reader).map(IntegrationSettings.Kind.endpointAgent)
            return kind.map { IntegrationSettings(name: entry.name, kind: $0) }
        }
        ProviderKind.checkConfirming(read, kinds: kinds(root), entries, root.context)
        return read
    }

    /// Every configured name and its provider, also of those with problems: references to them are no
    /// mistake.
    static func kinds(_ root: SectionReader) -> [String: String] {
        guard case .mapping(let entries)? = root.node("integrations")?.content else { return [:] }
        let pairs = entries.map { ($0.name, $0.value.child("provider")?.scalarText ?? "") }
        return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
    }

    private static func table(for entry: ConfigNode.Entry, _ path: String, _ root: SectionReader) -> KeyTable?
    {
        guard let node = entry.value.child("provider"), let provider = node.scalarText else {
            root.context.diagnostics.problem(
                entry.place, "\(path).provider", "is missing",
                "use one of \(providers.joined(separator: ", "))")
            return nil
        }
        if let table = tables.first(where: { $0.kind == provider }) { return table }
        let nearest = NearestName.of(provider, among: providers).map { "did you mean \($0)? " } ?? ""
        root.context.diagnostics.problem(
            node.place, "\(path).provider", "\"\(provider)\" is not known",
            "\(nearest)use one of \(providers.joined(separator: ", "))")
        return nil
    }
}
