import Access

extension ProviderKind {
    /// Devices of the Microsoft Entra directory, through Microsoft Graph.
    static let entra = ProviderKind(
        name: "entra", title: "Microsoft Entra devices", keys: graphKeys + [publishVerdict], urls: graphURLs,
        pace: Pace(refresh: 1_800, ttl: 7_200, deviceAge: 86_400), qualifiers: [.tags, .managed],
        platforms: [.windows, .macos, .linux, .ios, .android],
        check: { reader in
            checkGraph(reader)
            reader.ineffective(
                "max-device-age", because: "the directory knows no useful time of a device's own reports",
                "remove it")
        })

    /// The other direction of the integration.
    static let publishVerdict = KeySpec.optional(
        "publish-verdict", .flag,
        "Writes whether the device policies call a device compliant into its record there "
            + "(`isCompliant`, `isManaged`); needs the permission `Device.ReadWrite.All`.",
        standard: "`false`", example: "true")

    /// What is written to a directory must not be what it was decided by: that would end in a circle, or in
    /// a verdict that only confirms itself.
    static func checkPublishing(
        _ read: [IntegrationSettings], _ policies: [DevicePolicy], _ root: SectionReader
    ) {
        guard case .mapping(let entries)? = root.node("integrations")?.content else { return }
        for integration in read {
            guard case .provider(let settings) = integration.kind,
                settings.texts["publish-verdict"] == "true",
                let place = entries.first(where: { $0.name == integration.name })?.value
                    .child("publish-verdict")?.place
            else { continue }
            let key = "integrations.\(integration.name).publish-verdict"
            let readers = sameDirectory(as: settings, read)
            for policy in policies {
                guard let name = policy.rules.map(\.integration).first(where: readers.contains) else {
                    continue
                }
                root.context.diagnostics.problem(
                    place, key,
                    "device policy \(policy.name) asks \(name), which "
                        + "reads the directory that this writes to",
                    "ask another integration in the policy, or remove publish-verdict")
            }
            if !policies.contains(where: { $0.result == .compliant }) {
                root.context.diagnostics.problem(
                    place, key, "no device policy calls a device compliant, so there is nothing to publish",
                    "write device-policies, or remove publish-verdict")
            }
        }
    }

    /// Names of integrations that read this directory's devices, this one among them.
    private static func sameDirectory(as own: ProviderSettings, _ read: [IntegrationSettings]) -> Set<String>
    {
        Set(
            read.filter { other in
                guard case .provider(let settings) = other.kind, settings.provider == entra.name else {
                    return false
                }
                return settings.texts["tenant"]?.lowercased() == own.texts["tenant"]?.lowercased()
            }.map(\.name))
    }
}
