import Access

extension ProviderKind {
    /// Every provider that has a connector, in the order of the reference.
    static let all: [ProviderKind] = [
        intune, entra, crowdstrike, defender, tanium, workspaceOne, jamf, sentinelOne, kolide, kandji, google,
        fleet, custom, sharedSignals,
    ]

    static func named(_ name: String) -> ProviderKind? { all.first { $0.name == name } }

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

    private static func isGUID(_ text: String) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        return parts.map(\.utf8.count) == [8, 4, 4, 4, 12]
            && parts.joined().utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
            }
    }

    /// The tenant becomes a segment of the token URL, so nothing but a GUID or a domain may be in it.
    @Sendable static func checkTenant(_ reader: SectionReader) {
        guard let text = reader.text("tenant") else { return }
        if ["common", "organizations", "consumers"].contains(text) {
            return reader.problem("tenant", "\"\(text)\" is no single tenant", "write the directory id")
        }
        // An id that lost a digit would otherwise pass for a name without a dot.
        guard HostSyntax.nameProblem(text.lowercased()) != nil || !text.contains(".") && !isGUID(text) else {
            return
        }
        reader.problem(
            "tenant", "\"\(text)\" is neither a directory id nor a domain", "write the directory id")
    }
}
