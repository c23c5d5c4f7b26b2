import Access

extension ProviderKind {
    /// Devices of the Microsoft Entra directory, through Microsoft Graph.
    static let entra = ProviderKind(
        name: "entra", title: "Microsoft Entra devices", keys: graphKeys, urls: graphURLs,
        pace: Pace(refresh: 1_800, ttl: 7_200, deviceAge: 86_400), qualifiers: [.tags, .managed],
        platforms: [.windows, .macos, .linux, .ios, .android],
        check: { reader in
            checkGraph(reader)
            reader.ineffective(
                "max-device-age", because: "the directory knows no useful time of a device's own reports",
                "remove it")
        })
}
