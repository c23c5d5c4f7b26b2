/// What is known of people beside the id token.
public struct FurtherClaimsSettings: Sendable, Hashable {
    /// `access-token-claims.audience`; nil: access tokens are not looked into.
    public var accessTokenAudience: String?
    /// `access-token-claims.names`.
    public var accessTokenNames: [String] = []
    /// `group-overage.graph`, without a slash at its end; nil: hidden groups stay unknown.
    public var graphURL: String?
    /// `device-claim`; nil: no claim names a device.
    public var deviceClaim: String?

    /// The defaults.
    public init() {}
}

/// `identity-providers.<name>.access-token-claims` and `.group-overage`.
enum FurtherClaimsKeys {
    static let keys: [KeySpec] = [
        .optional(
            "access-token-claims", .section(accessTokenTable),
            "Claims that are taken from the provider's access tokens, which then have to be signed ones for a "
                + "resource of ours; a token that is not ends the sign-in.",
            standard: "access tokens are not looked into",
            example: "{ audience: \"api://gatepost\", names: [deviceid] }"),
        .optional(
            "group-overage", .section(overageTable),
            "Where groups are asked for that a token has no place for (Microsoft Entra: more than 200), with "
                + "the sign-in's own access token.",
            standard: "such groups stay unknown", example: "{ graph: https://graph.microsoft.com/v1.0 }"),
        .optional(
            "device-claim", .text,
            "Claim with the Entra id of the device that the person signed in from: it finds the verdicts of the "
                + "device that the session has proven, with match `medium`, where no id of its own does; one "
                + "that names another device makes its verdicts `ambiguous`.",
            standard: "no claim names a device", example: "deviceid"),
    ]

    private static let accessTokenTable = KeyTable(
        "identity-providers.<name>.access-token-claims",
        [
            .required(
                "audience", .text,
                "What the token's `aud` has to name: the resource that its scope asks for.",
                example: "\"api://gatepost\""),
            .required(
                "names", .list(.text), "Claims that are taken where the id token does not have them.",
                example: "[deviceid]"),
        ])

    private static let overageTable = KeyTable(
        "identity-providers.<name>.group-overage",
        [
            .required(
                "graph", .url, "Base of Microsoft Graph with its version, of the provider's cloud.",
                example: "https://graph.microsoft.com/v1.0")
        ])

    /// Claims that say whom a token is about and for whom it is, or that have a meaning of their own here.
    private static let ownNames: Set<String> = [
        "iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "azp", "auth_time", "at_hash", "c_hash",
        "name",
        "email", "email_verified", "xms_edov", "groups", "hasgroups", "_claim_names", "_claim_sources",
    ]

    static func read(_ reader: SectionReader, allowsPlain: Bool) -> FurtherClaimsSettings? {
        var settings = FurtherClaimsSettings()
        if reader.has("access-token-claims") {
            guard let section = reader.section("access-token-claims", accessTokenTable),
                let audience = section.text("audience"), let names = section.texts("names")
            else { return nil }
            for name in names where ownNames.contains(name) || name.hasPrefix("gatepost") {
                section.problem("names", "\(name) cannot be taken from an access token", "remove it")
            }
            (settings.accessTokenAudience, settings.accessTokenNames) = (audience, names)
        }
        if reader.has("group-overage") {
            guard let section = reader.section("group-overage", overageTable),
                let url = PlainHTTPRule.url("graph", section, allowed: allowsPlain)
            else { return nil }
            guard !url.url.path.isEmpty, url.url.path != "/" else {
                section.problem("graph", "has no version", "write for example \(url.text)/v1.0")
                return nil
            }
            settings.graphURL = url.text.hasSuffix("/") ? String(url.text.dropLast()) : url.text
        }
        settings.deviceClaim = reader.text("device-claim")
        if let name = settings.deviceClaim, ownNames.contains(name) {
            reader.problem("device-claim", "\(name) names no device", "name the claim that does")
        }
        return settings
    }
}
