import Access
import Foundation

extension ProviderKind {
    /// Omnissa Workspace ONE UEM: enrolment, compliance, compromise.
    static let workspaceOne = ProviderKind(
        name: "workspace-one", title: "Omnissa Workspace ONE UEM",
        keys: [
            .required(
                "api-url", .url, "Base of the REST API, with its path.",
                example: "https://as1234.awmdm.com/API"),
            .optional(
                "region", .choice(["na", "emea", "apac", "uat"]),
                "With `client-id`: where tokens are issued for the console's region.",
                standard: "needed unless `token-url` is set", example: "emea"),
            .optional(
                "token-url", .url, "With `client-id`: the token endpoint, where it is not the region's.",
                standard: "the region's", example: "https://emea.uemauth.workspaceone.com/connect/token"),
            .optional(
                "client-id", .text, "OAuth client of the console.", standard: "`username` is used",
                example: "a1b2c3d4e5f6"),
            .optional(
                "client-secret", .secret, "Its secret.", standard: "needed with `client-id`",
                example: "{ file: secrets/workspace-one }"),
            .optional(
                "username", .text, "Administrator account for Basic authentication, where there is no OAuth.",
                standard: "`client-id` is used", example: "gatepost-reader"),
            .optional(
                "password", .secret, "Its password.", standard: "needed with `username`",
                example: "{ file: secrets/workspace-one }"),
            .optional(
                "tenant-code", .secret, "REST API key of the organisation group.",
                standard: "needed with `username`", example: "{ env: WORKSPACE_ONE_API_KEY }"),
            .optional(
                "time-zone", .text, "What the console's times are in; it writes none.", standard: "`UTC`",
                example: "Europe/Berlin"),
        ],
        urls: [URLKey(name: "api-url", standard: nil), URLKey(name: "token-url", standard: nil)],
        pace: Pace(refresh: 900, ttl: 3_600, deviceAge: 86_400), qualifiers: [.tags, .managed],
        platforms: [.windows, .macos, .linux, .ios, .android], check: checkWorkspaceOne)

    @Sendable private static func checkWorkspaceOne(_ reader: SectionReader) {
        if let zone = reader.text("time-zone"), TimeZone(identifier: zone) == nil {
            reader.problem("time-zone", "\"\(zone)\" is no time zone", "write one like UTC or Europe/Berlin")
        }
        switch (reader.has("client-id"), reader.has("username")) {
        case (true, true):
            reader.problem(
                "username", "is set beside client-id", "keep the one that the console is set up for")
        case (false, false):
            reader.problem(
                "provider", "has no credentials", "add client-id and client-secret, or username and password")
        case (true, false):
            need(["client-secret"], for: "client-id", reader)
            if !reader.has("region") && !reader.has("token-url") {
                reader.problem("client-id", "needs a token endpoint", "add region or token-url")
            }
        case (false, true): need(["password", "tenant-code"], for: "username", reader)
        }
    }

    private static func need(_ keys: [String], for key: String, _ reader: SectionReader) {
        for missing in keys where !reader.has(missing) {
            reader.problem(key, "needs \(missing)", "add \(missing)")
        }
    }
}
