import Access

extension ProviderKind {
    /// Microsoft Intune through Microsoft Graph.
    static let intune = ProviderKind(
        name: "intune", title: "Microsoft Intune", keys: graphKeys + [ownerAttribute, ownerMatch],
        urls: graphURLs,
        pace: Pace(refresh: 7_200, ttl: 14_400, deviceAge: 86_400), qualifiers: [.tags, .managed, .risk],
        platforms: [.windows, .macos, .linux, .ios, .android], check: checkIntune)

    /// 001.21: directories seldom agree on what names a person.
    static let ownerAttribute = KeySpec.optional(
        "owner-attribute", .text,
        "What names the owner of a device there when `gatepost integrations devices` asks about them: "
            + "`email`, `subject`, or a claim of the sign-in; as user principal name or object id.",
        standard: "`email`", example: "oid")

    /// Row 8 of the keys by which devices are matched: the weakest, and off.
    static let ownerMatch = KeySpec.optional(
        "unsafe-owner-match", .flag,
        "A device that nothing else finds there counts as its owner's only device of its platform, with "
            + "match `weak`: whoever enrols a second computer borrows the verdict of the first.",
        standard: "`false`", example: "true")

    @Sendable private static func checkIntune(_ reader: SectionReader) {
        checkGraph(reader)
        guard reader.flag("unsafe-owner-match") == true,
            !["email", "subject"].contains(reader.text("owner-attribute") ?? "email")
        else { return }
        reader.problem(
            "unsafe-owner-match", "needs an owner-attribute that is known of every device",
            "use owner-attribute: email or subject")
    }
}
