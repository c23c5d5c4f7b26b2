import Access

extension ProviderKind {
    /// Tanium through its API gateway: managed endpoints and their risk.
    static let tanium = ProviderKind(
        name: "tanium", title: "Tanium",
        keys: [
            .required(
                "api-url", .url, "Base of the API gateway, without a path.",
                example: "https://corp-api.cloud.tanium.com"),
            .required(
                "api-token", .secret, "API token; it works from its trusted addresses until it expires.",
                example: "{ file: secrets/tanium }"),
        ],
        urls: [URLKey(name: "api-url", standard: nil)],
        pace: Pace(refresh: 1_800, ttl: 3_600, deviceAge: 604_800),
        qualifiers: [.managed, .score(1...1_000), .risk, .tags], platforms: [.windows, .macos, .linux])
}
