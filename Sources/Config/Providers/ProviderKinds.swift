import Access

extension ProviderKind {
    /// Every provider that has a connector, in the order of the reference.
    static let all: [ProviderKind] = [intune, crowdstrike]

    static func named(_ name: String) -> ProviderKind? { all.first { $0.name == name } }

    /// Microsoft Intune through Microsoft Graph.
    static let intune = ProviderKind(
        name: "intune", title: "Microsoft Intune",
        keys: microsoftKeys + [
            .optional(
                "graph-url", .url, "Base of Microsoft Graph, of the same cloud.",
                standard: "`https://graph.microsoft.com`", example: "https://graph.microsoft.us")
        ],
        urls: [loginURL, URLKey(name: "graph-url", standard: "https://graph.microsoft.com")],
        pace: Pace(refresh: 7_200, ttl: 14_400, deviceAge: 86_400), qualifiers: [.tags, .managed, .risk],
        platforms: [.windows, .macos, .linux, .ios, .android],
        check: { reader in
            checkTenant(reader)
            guard reader.has("login-url") != reader.has("graph-url") else { return }
            let (set, missing) =
                reader.has("login-url") ? ("login-url", "graph-url") : ("graph-url", "login-url")
            reader.problem(
                set, "is set without \(missing)", "set both: a token of one cloud is void in another")
        })

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
                "base-url", .url, "Base of the API, where it is not the cloud's own.",
                standard: "the cloud's",
                example: "https://api.crowdstrike.com"),
        ],
        urls: [URLKey(name: "base-url", standard: nil)],
        pace: Pace(refresh: 900, ttl: 3_600, deviceAge: 86_400),
        // The vendor computes the score for these two only.
        qualifiers: [.score(1...100), .sensorRunning, .tags], platforms: [.windows, .macos])

    // Keys that several providers have

    static let clientID = KeySpec.required(
        "client-id", .text, "Our client id at the provider.", example: "5d7c1f00-0000-4000-8000-1234567890ab")
    static let clientSecret = KeySpec.required(
        "client-secret", .secret, "Our client secret there.", example: "{ env: PROVIDER_SECRET }")
    static let loginURL = URLKey(name: "login-url", standard: "https://login.microsoftonline.com")
    static let microsoftKeys: [KeySpec] = [
        .required(
            "tenant", .text, "Directory (tenant) id or verified domain.",
            example: "9b1f2d3c-0000-4000-8000-1234567890ab"),
        clientID, clientSecret,
        .optional(
            "login-url", .url, "Base of the token endpoint (national clouds have their own).",
            standard: "`https://login.microsoftonline.com`", example: "https://login.microsoftonline.us"),
    ]

    /// The tenant becomes a segment of the token URL, so nothing but a GUID or a domain may be in it.
    @Sendable static func checkTenant(_ reader: SectionReader) {
        guard let text = reader.text("tenant") else { return }
        if ["common", "organizations", "consumers"].contains(text) {
            return reader.problem("tenant", "\"\(text)\" is no single tenant", "write the directory id")
        }
        guard HostSyntax.nameProblem(text.lowercased()) != nil else { return }
        reader.problem(
            "tenant", "\"\(text)\" is neither a directory id nor a domain", "write the directory id")
    }
}
