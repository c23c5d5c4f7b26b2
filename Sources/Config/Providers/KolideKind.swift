import Access

extension ProviderKind {
    /// Kolide, which is 1Password Device Trust.
    static let kolide = ProviderKind(
        name: "kolide", title: "Kolide",
        keys: [
            .required("api-token", .secret, "API token, `k2sk_v1_…`.", example: "{ file: secrets/kolide }"),
            .optional(
                "base-url", .url, "Base of the API.", standard: "`https://api.kolide.com`",
                example: "https://api.kolide.com"),
        ],
        urls: [URLKey(name: "base-url", standard: "https://api.kolide.com")], pace: .declared,
        qualifiers: [.tags, .managed], platforms: [.windows, .macos, .linux, .ios, .android])
}
