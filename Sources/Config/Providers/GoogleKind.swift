import Access

extension ProviderKind {
    /// Google endpoint verification.
    static let google = ProviderKind(
        name: "google", title: "Google endpoint verification",
        keys: [
            .required(
                "service-account", .section(serviceAccountTable),
                "The service account with domain-wide delegation.",
                example:
                    "{ email: a@p.iam.gserviceaccount.com, admin: root@corp.example, key: { file: "
                    + "secrets/google.key } }"
            ),
            .optional(
                "base-url", .url, "Base of the Cloud Identity API.",
                standard: "`https://cloudidentity.googleapis.com`",
                example: "https://cloudidentity.googleapis.com"),
            .optional(
                "token-url", .url, "The token endpoint.", standard: "`https://oauth2.googleapis.com/token`",
                example: "https://oauth2.googleapis.com/token"),
        ],
        urls: [
            URLKey(name: "base-url", standard: "https://cloudidentity.googleapis.com"),
            URLKey(name: "token-url", standard: "https://oauth2.googleapis.com/token"),
        ], pace: .declared, qualifiers: [.tags, .managed],
        platforms: [.windows, .macos, .linux, .ios, .android])

    static let serviceAccountTable = KeyTable(
        "integrations.<name>.service-account",
        [
            .required(
                "email", .text, "`client_email` of its key file.",
                example: "gatepost@project.iam.gserviceaccount.com"),
            .required(
                "admin", .text, "The administrator it acts for.", example: "posture-reader@corp.example"),
            .required(
                "key", .secret, "PEM of its private key: `private_key` of its key file.",
                example: "{ file: secrets/google.key }"),
        ])
}
