/// `integrations.<name>`: where verdicts about devices come from. One table per provider.
enum IntegrationsSection {
    static let tables: [KeyTable] = [IntuneSection.table, EndpointAgentSection.table]
    static let providers = ["intune", "endpoint-agent"]
    /// Providers of device rules that have no connector in this version.
    static let announced = ["crowdstrike"]

    static let providerSpec = KeySpec.required(
        "provider", .choice(providers), "What kind of provider it is; decides the other keys.",
        example: "intune")

    static func read(_ root: SectionReader) -> [IntegrationSettings] {
        guard root.has("integrations") else { return [] }
        let entries = RootSection.named(
            root, "integrations", offering: "agents: { provider: endpoint-agent, … }")
        return entries.compactMap { (entry: ConfigNode.Entry) -> IntegrationSettings? in
            let path = "integrations.\(entry.name)"
            guard let table = table(for: entry, path, root) else { return nil }
            guard let reader = SectionReader(entry.value, table, path: path, root.context, siblings: tables)
            else { return nil }
            let kind =
                table.kind == IntuneSection.table.kind
                ? IntuneSection.read(reader).map(IntegrationSettings.Kind.intune)
                : EndpointAgentSection.read(reader).map(IntegrationSettings.Kind.endpointAgent)
            return kind.map { IntegrationSettings(name: entry.name, kind: $0) }
        }
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
        let problem =
            announced.contains(provider)
            ? "provider \(provider) is not available in this version" : "\"\(provider)\" is not known"
        root.context.diagnostics.problem(
            node.place, "\(path).provider", problem, "use one of \(providers.joined(separator: ", "))")
        return nil
    }
}

/// `provider: intune`: Microsoft Intune through Microsoft Graph.
enum IntuneSection {
    static let table = KeyTable(
        "integrations.<name>", kind: "intune",
        [
            IntegrationsSection.providerSpec,
            .required(
                "tenant", .text, "Directory (tenant) id or verified domain.",
                example: "9b1f2d3c-0000-4000-8000-1234567890ab"),
            .required(
                "client-id", .text, "Application (client) id.",
                example: "5d7c1f00-0000-4000-8000-1234567890ab"),
            .required("client-secret", .secret, "Client secret.", example: "{ env: INTUNE_SECRET }"),
            .optional(
                "refresh", .duration(1...86_400),
                "How often each known device is asked again; below `5m` only on loopback.",
                standard: "`2h`", example: "2h"),
            .optional(
                "max-device-age", .duration(3_600...2_592_000),
                "Older reports of the device itself are stale.",
                standard: "`24h`", example: "7d"),
            .optional(
                "ttl", .duration(1...604_800), "How long a fetched answer may be used; not below `refresh`.",
                standard: "`4h`, or twice `refresh` when that is more", example: "4h"),
            .optional(
                "login-url", .url, "Base of the token endpoint (national clouds have their own).",
                standard: "`https://login.microsoftonline.com`", example: "https://login.microsoftonline.us"),
            .optional(
                "graph-url", .url, "Base of Microsoft Graph, of the same cloud.",
                standard: "`https://graph.microsoft.com`", example: "https://graph.microsoft.us"),
            .optional(
                "authorities", .file, "PEM file with the only authorities trusted for both URLs.",
                standard: "the system's", example: "certs/proxy-ca.pem"),
            .optional(
                "unsafe-allow-http", .flag, "Accepts `http://` URLs, on loopback only.", standard: "`false`",
                example: "true"),
        ])

    static func read(_ reader: SectionReader) -> IntuneSettings? {
        let allowsPlain = reader.flag("unsafe-allow-http") ?? false
        let login = base("login-url", reader, allowsPlain, standard: "https://login.microsoftonline.com")
        let graph = base("graph-url", reader, allowsPlain, standard: "https://graph.microsoft.com")
        PlainHTTPRule.refuseUseless(reader, urls: [login, graph])
        if reader.has("login-url") != reader.has("graph-url") {
            let (set, missing) =
                reader.has("login-url") ? ("login-url", "graph-url") : ("graph-url", "login-url")
            reader.problem(
                set, "is set without \(missing)", "set both: a token of one cloud is void in another")
        }
        let files = NamedFiles(reader: reader)
        let tenant = tenant(reader)
        let clientID = reader.text("client-id")
        let secret = files.secret("client-secret")
        let authorities = files.file("authorities", holding: "CERTIFICATE")
        let refresh = reader.duration("refresh") ?? 7_200
        if refresh < 300, let login, let graph,
            ![login, graph].allSatisfy({ HostSyntax.isLoopback($0.url.host) })
        {
            reader.problem("refresh", "is below 5m; the provider would throttle it", "use 5m to 1d")
        }
        let ttl = reader.duration("ttl") ?? max(14_400, 2 * refresh)
        if ttl < refresh {
            reader.problem("ttl", "is shorter than refresh", "use at least \(Quantity.durationText(refresh))")
        }
        let deviceAge = reader.duration("max-device-age") ?? 86_400
        guard let login, let graph, let tenant, let clientID, let secret else { return nil }
        return IntuneSettings(
            tenant: tenant, clientID: clientID, clientSecret: secret, refreshSeconds: refresh,
            deviceAgeSecondsMax: deviceAge, ttlSeconds: ttl, loginURL: login.text, graphURL: graph.text,
            authoritiesPEM: reader.has("authorities") ? authorities : nil, allowsPlainHTTP: allowsPlain)
    }

    private static func base(
        _ name: String, _ reader: SectionReader, _ allowsPlain: Bool, standard: String
    ) -> PlainHTTPRule.Checked? {
        guard let checked = PlainHTTPRule.url(name, reader, allowed: allowsPlain, standard: standard) else {
            return nil
        }
        guard checked.url.path.hasSuffix("/") else { return checked }
        reader.problem(name, "ends with a slash", "write \(checked.text.dropLast())")
        return nil
    }

    /// The tenant becomes a segment of the token URL, so nothing but a GUID or a domain may be in it.
    private static func tenant(_ reader: SectionReader) -> String? {
        guard let text = reader.text("tenant") else { return nil }
        if ["common", "organizations", "consumers"].contains(text) {
            reader.problem("tenant", "\"\(text)\" is no single tenant", "write the directory id")
            return nil
        }
        if HostSyntax.nameProblem(text.lowercased()) == nil { return text }
        reader.problem(
            "tenant", "\"\(text)\" is neither a directory id nor a domain", "write the directory id")
        return nil
    }
}

/// `provider: endpoint-agent`: the local agent's signed statement.
enum EndpointAgentSection {
    static let table = KeyTable(
        "integrations.<name>", kind: "endpoint-agent",
        [
            IntegrationsSection.providerSpec,
            .optional(
                "port", .integer(1...65_535), "Where the agent listens on people's machines.",
                standard: "`17472`",
                example: "17472"),
            .optional(
                "max-last-seen", .duration(60...2_592_000),
                "Older check-ins of the device do not count as managed.",
                standard: "`7d`", example: "7d"),
            .optional(
                "max-age", .duration(60...86_400), "How long a verified statement may be used.",
                standard: "`15m`",
                example: "15m"),
            .optional(
                "grace", .duration(0...600), "How long after that what is open may wait for a new statement.",
                standard: "`60s`", example: "60s"),
            .required(
                "enrollment-ca", .section(authorityTable),
                "The authority that device certificates come from.",
                example: "{ certificate: certs/device-ca.pem, key: { file: secrets/device-ca.key } }"),
            .optional(
                "minimum-version", .text, "Agents below this version are refused.", standard: "any",
                example: "\"1.2.0\""),
        ])
    static let authorityTable = KeyTable(
        "integrations.<name>.enrollment-ca",
        [
            .required("certificate", .file, "PEM file with its certificate.", example: "certs/device-ca.pem"),
            .optional(
                "key", .secret,
                "PEM of its private key; without it devices are verified, but none enrols here.",
                standard: "verify only", example: "{ file: secrets/device-ca.key }"),
        ])

    static func read(_ reader: SectionReader) -> EndpointAgentSettings? {
        let port = reader.integer("port") ?? 17_472
        let lastSeen = reader.duration("max-last-seen") ?? 604_800
        let age = reader.duration("max-age") ?? 900
        let grace = reader.duration("grace") ?? 60
        let version = version("minimum-version", reader)
        guard let node = reader.node("enrollment-ca") else { return nil }
        let path = reader.key("enrollment-ca")
        guard let authority = SectionReader(node, authorityTable, path: path, reader.context) else {
            return nil
        }
        let files = NamedFiles(reader: authority)
        let certificate = files.file("certificate", holding: "CERTIFICATE")
        let key = files.secret("key", holding: "PRIVATE KEY")
        guard let certificate, key != nil || !authority.has("key") else { return nil }
        return EndpointAgentSettings(
            port: UInt16(port), lastSeenSecondsMax: lastSeen, ageSecondsMax: age, graceSeconds: grace,
            enrollmentCertificatePEM: certificate, enrollmentKeyPEM: key, minimumVersion: version)
    }

    /// One to four numbers with dots.
    static func version(_ name: String, _ reader: SectionReader) -> String? {
        guard let text = reader.text(name) else { return nil }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let isVersion = (1...4).contains(parts.count) && parts.allSatisfy { PlainURL.port(String($0)) != nil }
        if isVersion { return text }
        reader.problem(name, "\"\(text)\" is not a version", "write for example \"1.2.0\"")
        return nil
    }
}
