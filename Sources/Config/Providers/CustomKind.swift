import Access

extension ProviderKind {
    /// A posture service of your own that speaks the external evaluation contract.
    static let custom = ProviderKind(
        name: "custom", title: "Custom provider",
        keys: [
            .required(
                "api-url", .url, "Where devices are evaluated, with its path.",
                example: "https://posture.corp.example/evaluate"),
            .required(
                "api-token", .secret, "Sent as a bearer token; the service must refuse everybody else.",
                example: "{ file: secrets/custom }"),
            .optional(
                "compliant-score", .integer(0...100),
                "Scores from here on are compliant, lower ones are not.",
                standard: "`100`", example: "80"),
            .optional(
                "caller-certificate", .file,
                "Lets who holds its key ask for our verdicts at `/.gatepost/posture/evaluate`.",
                standard: "nobody asks",
                example: "certs/caller.pem"),
            .optional(
                "caller-audience", .text, "With `caller-certificate`: `aud` of its assertions.",
                standard: "none",
                example: "urn:corp:posture"),
        ],
        urls: [URLKey(name: "api-url", standard: nil)],
        pace: Pace(refresh: 900, ttl: 3_600, deviceAge: 86_400, refreshMin: 60),
        qualifiers: [.score(0...100), .tags, .managed],
        platforms: [.windows, .macos, .linux, .ios, .android],
        check: { reader in
            guard reader.has("caller-certificate") != reader.has("caller-audience") else { return }
            reader.problem(
                "caller-audience", "goes with caller-certificate", "set both, or neither")
        })
}
