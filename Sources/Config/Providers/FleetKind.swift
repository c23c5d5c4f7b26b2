import Access

extension ProviderKind {
    /// Fleet: osquery policies of every host.
    static let fleet = ProviderKind(
        name: "fleet", title: "Fleet",
        keys: [
            .required("base-url", .url, "Base of the Fleet server.", example: "https://fleet.corp.example"),
            .required(
                "api-token", .secret, "API token of an API-only user.", example: "{ file: secrets/fleet }"),
        ],
        urls: [URLKey(name: "base-url", standard: nil)], pace: .declared,
        qualifiers: [.tags, .managed, .sensorRunning], platforms: [.windows, .macos, .linux])
}
