import Access

/// `applications.<name>`: what is protected.
enum ApplicationsSection {
    static let table = KeyTable(
        "applications.<name>",
        [
            .required(
                "host", .host, "The host that people type; one per application.", example: "wiki.corp.example"
            ),
            .required(
                "upstreams", .either(.list(.url), UpstreamsKey.table),
                "Where requests go: scheme, host and port, no path.",
                example: "[ \"http://10.0.4.7:8080\" ]"),
            .required(
                "identity-providers", .list(.text), "Whose sessions count here; several: people choose.",
                example: "[ corp ]"),
            .required(
                "policies", .list(.section(ApplicationPolicySection.table)),
                "The first that matches decides; none refuses.",
                example: "[ { name: staff, action: allow, include: [ everyone: true ] } ]"),
            .optional(
                "device-owner", .choice(DeviceOwner.allCases.map(\.rawValue)),
                "Whose device counts: the signed-in person's, or any enrolled one.",
                standard: "`same-person`",
                example: "any"),
            .optional(
                "session", .duration(60...2_592_000),
                "Longest life of a session at this application; while the sign-in at the auth host lasts, "
                    + "the next one is made without a question.",
                standard: "`8h`", example: "8h"),
            .optional(
                "origins", .list(.url), "Further origins whose scripts may read 401 and 403 answers.",
                standard: "none", example: "[ \"https://portal.corp.example\" ]"),
            .optional(
                "cors", .section(CrossOriginKey.table),
                "What scripts of other origins may do here. Preflights of listed origins need no sign-in.",
                standard: "the application's own affair; preflights need a sign-in",
                example: "{ origins: [ \"https://portal.corp.example\" ], credentials: true }"),
            .optional(
                "keep-form", .flag,
                "A form that the application's own page sends after the session has ended is kept over the "
                    + "sign-in, for 5 minutes and up to 64 KiB, in memory; then the person sends it, or not.",
                standard: "`false`: it is refused", example: "true"),
            .optional(
                "fields", .texts, "Plain upstream fields and the claim each one carries.", standard: "none",
                example: "{ X-Remote-User: email }"),
            .optional(
                "allow-encoded-slash", .flag, "`%2F` in a path stays an opaque part of its segment.",
                standard: "`false`: refused", example: "true"),
            .optional(
                "forwarded", .flag,
                "Requests carry `Forwarded` (RFC 7239) too: the same client, host and protocol as in `X-Forwarded-*`.",
                standard: "`false`", example: "true"),
            .optional(
                "upstream-authorities", .file,
                "PEM file with the only authorities trusted for the upstreams.",
                standard: "the system's", example: "certs/inside-ca.pem"),
            .optional(
                "agent", .text, "The `endpoint-agent` integration that proves devices here.",
                standard: "the only one, when a policy asks for a device", example: "agents"),
            .optional(
                "tags", .list(.text), "What `tag` conditions name the application by.", standard: "none",
                example: "[internal, enrollment]"),
            .optional(
                "forward-bearer-token", .flag,
                "A bearer token that counts here goes on to the upstream in `Authorization`.",
                standard: "`false`: it ends at the gateway", example: "true"),
            .optional(
                "outage", .alternative(["fail-closed", "partial"], OutageKey.table),
                "What an expired verdict of a silent provider means: nothing, at most partial access, or "
                    + "`unsafe-last-verdict`.",
                standard: "`fail-closed`", example: "partial"),
            PathRoutesKey.key,
        ] + FieldChangesKey.keys + DeviceProofKeys.application + PostureKey.keys + ChooserKeys.application
            + BoundSessionsKey.keys
            + SignInKeys.application)

    /// What an application may refer to.
    struct Names {
        var providers: [String]
        var integrations: [String: String]
        /// Those of `endpoint-agent` integrations that have no problems.
        var agentSettings: [String: EndpointAgentSettings] = [:]
        var agents: [String] { integrations.filter { $0.value == "endpoint-agent" }.keys.sorted() }
    }

    struct Read {
        var settings: ApplicationSettings
        var decisions: Application
        var place: Place
        /// Where each policy stands, for warnings.
        var policyPlaces: [(key: String, place: Place)]
    }

    static func read(_ root: SectionReader, _ names: Names) -> [Read] {
        let entries = RootSection.named(root, "applications", offering: "wiki: { host: … }")
        return entries.compactMap { entry in
            let path = "applications.\(entry.name)"
            guard let reader = SectionReader(entry.value, table, path: path, root.context) else { return nil }
            return read(reader, entry.name, names)
        }
    }

    private static func read(_ reader: SectionReader, _ name: String, _ names: Names) -> Read? {
        let host = GatewaySection.host("host", reader)
        let upstreamsRead = UpstreamsKey.read(reader)
        let upstreams = upstreamsRead?.endpoints
        let providers = providers(reader, names.providers)
        let policies = ApplicationPolicySection.read(reader, providers: providers)
        let asksForDevice = ApplicationPolicySection.asksForDevice(reader)
        let proofs = DeviceProofKeys.proofs(reader, asksForDevice: asksForDevice)
        let asksAgent = asksForDevice && proofs.contains(.agent)
        let agent = agent(reader, names.agents, asksForDevice: asksAgent)
        let owner = reader.choice("device-owner").flatMap(DeviceOwner.init(rawValue:))
        if !asksForDevice {
            reader.ineffective("device-owner", because: "no policy asks for a device", "remove it")
            reader.ineffective("outage", because: "no policy asks for a device", "remove it")
        }
        let outage = OutageKey.read(reader)
        let posture = PostureKey.read(
            reader, agent: agent.flatMap { name in names.agentSettings[name].map { (name, $0) } },
            asksForDevice: asksAgent)
        let tags = NamedConditions.tags(reader)
        let session = reader.duration("session") ?? 28_800
        var signIn = SignInKeys.read(reader)
        signIn.scopes = reader.texts("scopes") ?? []
        SignInKeys.checkScopes(signIn.scopes, reader)
        let boundSeconds = BoundSessionsKey.read(reader, policies.map(\.policy))
        let origins = OriginsKey.read(reader)
        let crossOrigin = CrossOriginKey.read(reader)
        let fields = FieldsKey.read(reader)
        RestrictionLimits.check(policies.map(\.policy), against: fields, reader)
        let allowsSlash = reader.flag("allow-encoded-slash") ?? false
        let authorities = NamedFiles(reader: reader).file("upstream-authorities", holding: "CERTIFICATE")
        if let upstreams, !upstreams.contains(where: \.isTLS) {
            reader.ineffective("upstream-authorities", because: "no upstream is https", "remove it")
        }
        let forwardsBearerTokens = reader.flag("forward-bearer-token") ?? false
        guard let host, let upstreams, let providers else { return nil }
        var settings = ApplicationSettings(
            name: name, host: host, upstreams: upstreams, identityProviders: providers,
            deviceOwner: owner ?? .samePerson, sessionSecondsMax: session, origins: origins, fields: fields,
            allowsEncodedSlash: allowsSlash,
            upstreamAuthoritiesPEM: reader.has("upstream-authorities") ? authorities : nil, agent: agent,
            signIn: signIn, boundSeconds: boundSeconds,
            usesRememberedProvider: ChooserKeys.usesRemembered(reader, providers: providers))
        settings.crossOrigin = crossOrigin
        settings.writesForwarded = reader.flag("forwarded") ?? false
        settings.upstreamUse = upstreamsRead?.use ?? UpstreamUseSettings()
        settings.pathRoutes = PathRoutesKey.read(reader, host: host)
        let identity = Set(
            (fields.map(\.field)
                + policies.flatMap { ($0.policy.restriction?.upstreamFields ?? []).map(\.name) }).map(
                    FieldsKey.fold))
        settings.requestFields = FieldChangesKey.read(.request, reader, identity: identity)
        settings.responseFields = FieldChangesKey.read(.response, reader, identity: [])
        settings.keepsForms = reader.flag("keep-form") ?? false
        let decisions = Application(
            name: name, identityProviders: providers, policies: policies.map(\.policy),
            deviceOwner: owner ?? .samePerson,
            outage: outage ?? .failClosed, tags: tags, posture: posture, agent: asksAgent ? agent : nil,
            deviceProofs: proofs)
        DeviceProofKeys.check(decisions, reader)
        settings.forwardsBearerTokens = forwardsBearerTokens
        if decisions.tokenIssuers.isEmpty {
            reader.ineffective(
                "forward-bearer-token", because: "no policy asks for bearer tokens", "remove it")
        }
        return Read(
            settings: settings, decisions: decisions, place: reader.place(of: "host"),
            policyPlaces: policies.map { ($0.key, $0.place) })
    }

    private static func providers(_ reader: SectionReader, _ known: [String]) -> [String]? {
        guard let listed = reader.texts("identity-providers", offering: known) else { return nil }
        for name in listed where !known.contains(name) {
            let nearest = NearestName.of(name, among: known).map { "did you mean \($0)? " } ?? ""
            reader.problem(
                "identity-providers", "no identity provider is named \(name)",
                "\(nearest)name one of \(known.joined(separator: ", "))")
        }
        return listed.filter(known.contains)
    }

    private static func agent(_ reader: SectionReader, _ agents: [String], asksForDevice: Bool) -> String? {
        if let name = reader.text("agent") {
            if agents.contains(name) { return name }
            let remedy =
                agents.isEmpty
                ? "configure one under integrations" : "name one of \(agents.joined(separator: ", "))"
            reader.problem("agent", "no integration of provider endpoint-agent is named \(name)", remedy)
            return nil
        }
        guard asksForDevice, !reader.has("agent") else { return nil }
        if agents.count == 1 { return agents[0] }
        if agents.isEmpty {
            reader.problem(
                "policies", "a policy asks for a device, but nothing can prove one",
                "configure an integration of provider endpoint-agent")
        } else {
            reader.problem(
                "agent", at: reader.place, "is missing, and there are several endpoint-agent integrations",
                "name one of \(agents.joined(separator: ", "))")
        }
        return nil
    }
}

extension ApplicationPolicy {
    /// Whether any of its conditions looks at the device.
    var asksForDevice: Bool {
        (include + require + exclude).contains { $0.subjects.contains(.device) }
    }
}
