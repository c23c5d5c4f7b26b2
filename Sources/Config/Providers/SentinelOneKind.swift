import Access

extension ProviderKind {
    /// SentinelOne: agents and their threats.
    static let sentinelOne = ProviderKind(
        name: "sentinelone", title: "SentinelOne",
        keys: [
            .required(
                "console-url", .url, "Base of the management console.",
                example: "https://corp.sentinelone.net"),
            .required(
                "api-token", .secret, "API token of a service user.", example: "{ file: secrets/sentinelone }"
            ),
            .optional(
                "max-active-threats", .integer(0...1_000), "More active threats than this are noncompliant.",
                standard: "`0`", example: "1"),
        ],
        urls: [URLKey(name: "console-url", standard: nil)], pace: .declared,
        qualifiers: [.tags, .managed, .sensorRunning], platforms: [.windows, .macos, .linux])
}
