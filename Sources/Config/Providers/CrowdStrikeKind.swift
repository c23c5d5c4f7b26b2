import Access

extension ProviderKind {
    /// CrowdStrike Falcon: Zero Trust Assessment and hosts.
    static let crowdstrike = ProviderKind(
        name: "crowdstrike", title: "CrowdStrike Falcon",
        keys: [
            .required(
                "cloud", .choice(["us-1", "us-2", "us-3", "eu-1", "us-gov-1", "us-gov-2"]),
                "The Falcon cloud that the customer account is in.", example: "us-1"),
            clientID, clientSecret,
            .optional(
                "member-cid", .text, "Customer id of the member account, for managing partners.",
                standard: "the client's own account", example: "0a1b2c3d4e5f60718293a4b5c6d7e8f9"),
            .optional(
                "sensor-max-silence", .duration(60...86_400),
                "A sensor that was last seen longer ago does not count as running.", standard: "`1h`",
                example: "30m"),
            .optional(
                "score-from", .choice(["overall", "os", "sensor-config"]),
                "Which of the assessment's numbers rules compare.", standard: "`overall`", example: "os"),
            .optional(
                "base-url", .url, "Base of the API, where it is not the cloud's own.",
                standard: "the cloud's",
                example: "https://api.crowdstrike.com"),
        ],
        urls: [URLKey(name: "base-url", standard: nil)],
        pace: Pace(refresh: 900, ttl: 3_600, deviceAge: 86_400),
        // The vendor computes the score for these two only.
        qualifiers: [.score(1...100), .sensorRunning, .tags], platforms: [.windows, .macos])
}
