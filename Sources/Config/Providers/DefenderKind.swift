import Access

extension ProviderKind {
    /// Microsoft Defender for Endpoint: health, risk and exposure of onboarded machines.
    static let defender = ProviderKind(
        name: "defender", title: "Microsoft Defender for Endpoint",
        keys: applicationKeys + [
            .optional(
                "api-url", .url, "Base of the API: a region's or another cloud's own.",
                standard: "`https://api.security.microsoft.com`",
                example: "https://eu.api.security.microsoft.com"),
            .optional(
                "scope", .text, "What the token is asked for; US government clouds have their own.",
                standard: "`https://api.securitycenter.microsoft.com/.default`",
                example: "https://api-gov.securitycenter.microsoft.us/.default"),
        ],
        urls: [loginURL, URLKey(name: "api-url", standard: "https://api.security.microsoft.com")],
        pace: Pace(refresh: 900, ttl: 3_600, deviceAge: 172_800),
        qualifiers: [.tags, .managed, .sensorRunning, .risk],
        platforms: [.windows, .macos, .linux, .ios, .android],
        check: { reader in
            checkTenant(reader)
            checkCredential(reader)
            // `lastSeen` is the last full report, normally one a day, and not the portal's column of that
            // name.
            guard let age = reader.duration("max-device-age"), age < 93_600 else { return }
            reader.problem(
                "max-device-age", "is below 26h; healthy machines report once a day", "use 26h or more")
        })
}
