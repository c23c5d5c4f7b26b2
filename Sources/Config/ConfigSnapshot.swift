public import Access

/// A whole validated configuration; immutable, secrets already read.
public struct ConfigSnapshot: Sendable {
    /// `gateway`.
    public var gateway: GatewaySettings
    /// In the order of the file.
    public var identityProviders: [IdentityProviderSettings]
    /// In the order of the file.
    public var integrations: [IntegrationSettings]
    /// In the order of the file.
    public var tokenIssuers: [TokenIssuerSettings]
    /// What people may do to repair a device, by the integration's name. Nothing is decided by it.
    public var remediation: [String: [Platform: [RemediationLink]]]
    /// Everything that decisions depend on.
    public var policy: PolicySnapshot
    /// In the order of the file; `policy.applications` has the same names in the same order.
    public var applications: [ApplicationSettings]
    /// The canonical text whose hash is `policy.identity`.
    public var policyText: [UInt8]
    /// Legal, but probably not meant.
    public var warnings: [ConfigProblem]
    /// What it was read from: its own files, and those that they name.
    public var files: [String] = []

    /// Reads and validates a file, or every `*.yaml` of a folder.
    ///
    /// - Parameters:
    ///   - path: a file, or a folder whose `*.yaml` files are read in the order of their names.
    ///   - environment: where `env:` secrets are looked up.
    ///   - readsFiles: false checks everything but the files that are named in it (for samples);
    ///     certificates and secrets are then empty.
    ///   - identify: the content hash of the policy text (lower-case hex SHA-256).
    /// - Throws: every problem at once.
    public static func load(
        path: String, environment: [String: String], readsFiles: Bool = true, identify: ([UInt8]) -> String
    ) throws(ConfigFailure) -> ConfigSnapshot {
        try load(
            path: path, ReadContext(environment: environment, readsFiles: readsFiles), identify: identify)
    }

    static func load(
        path: String, _ context: ReadContext, identify: ([UInt8]) -> String
    ) throws(ConfigFailure) -> ConfigSnapshot {
        let text = ConfigText(path: path, context.diagnostics)
        let read = RootSection.merge(text.roots, context.diagnostics).flatMap { Self.read($0, context) }
        if let failure = context.diagnostics.failure(files: text.files) { throw failure }
        guard var snapshot = read else {
            // Every path to here has reported a problem; this line keeps "no snapshot, no problem"
            // impossible.
            throw ConfigFailure(problems: [
                ConfigProblem(
                    file: path, line: 0, key: "", problem: "cannot be used", remedy: "report this file")
            ])
        }
        let policyText = snapshot.policy.contentBytes
        snapshot.policyText = policyText
        snapshot.policy.identity = identify(policyText)
        snapshot.files = text.files + context.filesRead.sorted()
        snapshot.warnings = context.diagnostics.sorted(context.diagnostics.warnings, files: text.files)
        return snapshot
    }

    private static func read(_ node: ConfigNode, _ context: ReadContext) -> ConfigSnapshot? {
        guard let root = SectionReader(node, RootSection.table, path: "", context) else { return nil }
        _ = root.integer("version")
        let gateway = root.node("gateway").flatMap {
            SectionReader($0, GatewaySection.table, path: "gateway", context).flatMap(GatewaySection.read)
        }
        context.linkSchemes = gateway?.linkSchemes
        let providers = IdentityProvidersSection.read(root)
        var remediation: [String: [Platform: [RemediationLink]]] = [:]
        let integrations = IntegrationsSection.read(root, remediation: &remediation)
        let kinds = IntegrationsSection.kinds(root)
        let devicePolicies = DevicePoliciesSection.read(root, integrations: kinds)
        let defaults = DevicePoliciesSection.defaults(root)
        context.names = ConditionNames(root, integrations: kinds)
        let tokenIssuers = TokenIssuersSection.read(root, people: providers)
        GroupsSection.readAll(root)
        var names = ApplicationsSection.Names(providers: providerNames(root), integrations: kinds)
        for integration in integrations {
            guard case .endpointAgent(let settings) = integration.kind else { continue }
            names.agentSettings[integration.name] = settings
        }
        let applications = ApplicationsSection.read(root, names)
        CrossChecks.hosts(gateway, applications, context)
        CrossChecks.loops(gateway, applications, context)
        CrossChecks.unused(providers, root, applications)
        ChooserKeys.warnOfIdle(providers, root, applications)
        CrossChecks.certificates(gateway, applications, root)
        CrossChecks.devices(devicePolicies, root, applications)
        TokenIssuersSection.warnOfUnused(tokenIssuers, root, applications)
        ProviderKind.checkPublishing(integrations, devicePolicies, root)
        GroupsSection.warnOfUnused(root)
        AgentFactsKeys.warnOfUnasked(devicePolicies, integrations, root)
        ChipMakers.warnOfUnnamed(devicePolicies, integrations, root)
        let settledPolicies = devicePolicies.map { $0.settled(with: integrations) }
        RemediationLinks.warn(devicePolicies, root, applications)
        RemediationLinks.warn(remediation, root, applications)
        guard let gateway else { return nil }
        let policy = PolicySnapshot(
            identity: "", devicePolicies: settledPolicies,
            deviceDefaultNoMatch: defaults.noMatch, deviceDefaultUnsupported: defaults.unsupported,
            applications: applications.map(\.decisions))
        DeadPolicies.warn(policy, root, applications)
        return ConfigSnapshot(
            gateway: gateway, identityProviders: providers, integrations: integrations,
            tokenIssuers: tokenIssuers, remediation: remediation, policy: policy,
            applications: applications.map(\.settings), policyText: [], warnings: [])
    }

    /// Also of providers that have problems: references to them are no mistake.
    private static func providerNames(_ root: SectionReader) -> [String] {
        guard case .mapping(let entries)? = root.node("identity-providers")?.content else { return [] }
        return entries.map(\.name)
    }
}

extension DevicePolicy {
    /// Replaces "the integration's max-last-seen" by its value, so that decisions need no integration.
    fileprivate func settled(with integrations: [IntegrationSettings]) -> DevicePolicy {
        var policy = self
        policy.rules = rules.map { rule in
            guard case .agentManaged(let name, DeviceRuleSection.fromIntegration) = rule else { return rule }
            guard case .endpointAgent(let agent)? = integrations.first(where: { $0.name == name })?.kind
            else {
                return rule
            }
            return .agentManaged(integration: name, lastSeenSecondsMax: agent.lastSeenSecondsMax)
        }
        return policy
    }
}
