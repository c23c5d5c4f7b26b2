import Access

/// What `attested` is worth without the makers of security chips.
enum ChipMakers {
    /// A rule that asks for an attested key believes an emulated chip, too, as long as nobody says whose chips count.
    static func warnOfUnnamed(
        _ policies: [DevicePolicy], _ integrations: [IntegrationSettings], _ root: SectionReader
    ) {
        for integration in integrations {
            guard case .endpointAgent(let agent) = integration.kind, agent.chipAuthoritiesPEM == nil,
                policies.contains(where: { $0.rules.contains { $0.asksAttestedKey(of: integration.name) } })
            else { continue }
            root.context.diagnostics.warn(
                root.place(of: "device-policies"), "device-policies",
                "minimum-key: attested takes every TPM 2.0 that \(integration.name) meets, an emulated one too",
                "name the makers of your security chips in integrations.\(integration.name).tpm-authorities")
        }
    }
}

extension DeviceRule {
    fileprivate func asksAttestedKey(of integration: String) -> Bool {
        guard case .agentKey(integration, .attested) = self else { return false }
        return true
    }
}
