import Access

extension ProviderKind {
    /// Kandji, which is Iru now.
    static let kandji = ProviderKind(
        name: "kandji", title: "Kandji (Iru)",
        keys: [
            .required("api-url", .url, "Base of the tenant's API.", example: "https://corp.api.kandji.io"),
            .required("api-token", .secret, "API token.", example: "{ file: secrets/kandji }"),
            .optional(
                "check-parameters", .flag,
                "Every parameter of the blueprint must have passed; one call per device.",
                standard: "`true`", example: "false"),
        ],
        urls: [URLKey(name: "api-url", standard: nil)], pace: .declared, qualifiers: [.tags, .managed],
        platforms: [.macos, .ios])
}
