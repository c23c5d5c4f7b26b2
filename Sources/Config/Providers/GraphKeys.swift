/// The keys of the providers that are read through Microsoft Graph.
extension ProviderKind {
    static let graphURLs = [loginURL, URLKey(name: "graph-url", standard: "https://graph.microsoft.com")]

    /// Of an application that is known by a secret or by a certificate.
    static let applicationKeys: [KeySpec] =
        microsoftKeys.filter { $0.name != "client-secret" } + [
            .optional(
                "client-secret", .secret, "Our client secret there; this or `client-certificate`.",
                standard: "none", example: "{ env: GRAPH_SECRET }"),
            .optional(
                "client-certificate", .section(certificateTable),
                "A certificate that is registered with the application, instead of a secret.",
                standard: "none",
                example: "{ chain: certs/graph.pem, key: { file: secrets/graph.key } }"),
        ]

    static let graphKeys: [KeySpec] =
        applicationKeys + [
            .optional(
                "refresh-token", .secret,
                "Reads in the name of the administrator who got this token, instead of the "
                    + "application's own.",
                standard: "application permissions", example: "{ file: secrets/graph-refresh }"),
            .optional(
                "permissions", .choice(["application", "delegated"]),
                "Whether it reads in its own name, or in that of the administrator who connects it with "
                    + "`gatepost integrations connect`.",
                standard: "`application`; `delegated` with `refresh-token`", example: "delegated"),
            .optional(
                "graph-url", .url, "Base of Microsoft Graph, of the same cloud.",
                standard: "`https://graph.microsoft.com`", example: "https://graph.microsoft.us"),
        ]

    static let certificateTable = KeyTable(
        "integrations.<name>.client-certificate",
        [
            .required(
                "chain", .file, "PEM file whose first certificate is the registered one.",
                example: "certs/graph.pem"),
            .required(
                "key", .secret, "PEM of its private key: RSA, without a passphrase.",
                example: "{ file: secrets/graph.key }"),
        ])

    @Sendable static func checkGraph(_ reader: SectionReader) {
        checkTenant(reader)
        let permissions = reader.choice("permissions")
        if permissions == "application", reader.has("refresh-token") {
            reader.problem(
                "permissions", "application contradicts refresh-token, which is somebody's",
                "remove one of the two")
        }
        let isPublic =
            (reader.has("refresh-token") || permissions == "delegated") && !reader.has("client-secret")
            && !reader.has("client-certificate")
        if !isPublic { checkCredential(reader) }
        guard reader.has("login-url") != reader.has("graph-url") else { return }
        let (set, missing) =
            reader.has("login-url") ? ("login-url", "graph-url") : ("graph-url", "login-url")
        reader.problem(
            set, "is set without \(missing)", "set both: a token of one cloud is void in another")
    }

    @Sendable static func checkCredential(_ reader: SectionReader) {
        guard reader.has("client-secret") == reader.has("client-certificate") else { return }
        reader.problem(
            "client-secret", "needs exactly one of client-secret and client-certificate", "keep one of them")
    }
}
