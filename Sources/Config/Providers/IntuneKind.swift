import Access

extension ProviderKind {
    /// Microsoft Intune through Microsoft Graph.
    static let intune = ProviderKind(
        name: "intune", title: "Microsoft Intune", keys: graphKeys + [ownerAttribute], urls: graphURLs,
        pace: Pace(refresh: 7_200, ttl: 14_400, deviceAge: 86_400), qualifiers: [.tags, .managed, .risk],
        platforms: [.windows, .macos, .linux, .ios, .android], check: checkGraph)

    /// 001.21: directories seldom agree on what names a person.
    static let ownerAttribute = KeySpec.optional(
        "owner-attribute", .text,
        "What names the owner of a device there when `gatepost integrations devices` asks about them: "
            + "`email`, `subject`, or a claim of the sign-in; as user principal name or object id.",
        standard: "`email`", example: "oid")
}
