import Access

extension ProviderKind {
    /// Jamf Pro: computers and their compliance.
    static let jamf = ProviderKind(
        name: "jamf", title: "Jamf Pro",
        keys: [
            .required("base-url", .url, "Base of Jamf Pro.", example: "https://corp.jamfcloud.com"),
            clientID, clientSecret,
            .optional(
                "compliant-group", .text,
                "Smart group whose members are compliant, instead of Jamf's own compliance state.",
                standard: "none",
                example: "Compliant Macs"),
        ],
        urls: [URLKey(name: "base-url", standard: nil)], pace: .declared, qualifiers: [.tags, .managed],
        platforms: [.macos])
}

extension ProviderKind.Pace {
    /// Of every provider that is declared as data (providers.md 14.2).
    static let declared = ProviderKind.Pace(refresh: 900, ttl: 3_600, deviceAge: 86_400)
}
