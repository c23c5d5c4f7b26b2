import Access

extension ProviderKind {
    /// Microsoft Intune through Microsoft Graph.
    static let intune = ProviderKind(
        name: "intune", title: "Microsoft Intune", keys: graphKeys, urls: graphURLs,
        pace: Pace(refresh: 7_200, ttl: 14_400, deviceAge: 86_400), qualifiers: [.tags, .managed, .risk],
        platforms: [.windows, .macos, .linux, .ios, .android], check: checkGraph)
}
