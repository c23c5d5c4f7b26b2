/// Keys about sign-ins that providers and applications share.
enum SignInKeys {
    static let shared: [KeySpec] = [
        .optional(
            "acr-values", .list(.text),
            "Authentication contexts that every sign-in asks for, the preferred one first. A wish: what must hold is a "
                + "condition `acr`.",
            standard: "none", example: "[phr]"),
        .optional(
            "max-age", .duration(60...2_592_000),
            "Every sign-in asks that the person proved who they are at most so long ago; a token that does not "
                + "say when, "
                + "or says an older time, is refused.",
            standard: "not asked", example: "8h"),
        .optional(
            "prompt", .choice(["login", "consent", "select_account"]), "What the provider shows in any case.",
            standard: "what the provider thinks right", example: "select_account"),
        .optional(
            "idle", .duration(300...2_592_000),
            "A session that nobody uses for so long ends; the sign-in ends with the last session below it.",
            standard: "never", example: "1h"),
    ]
    static let provider: [KeySpec] =
        shared + [
            .optional(
                "session", .duration(300...2_592_000), "How long a sign-in at this provider lasts.",
                standard: "`12h`", example: "10h"),
            .optional(
                "step-up", .choice(["acr", "acrs"]),
                "How a stronger sign-in is asked for: by `acr_values`, or in the way of Entra's "
                    + "authentication contexts "
                    + "(`acrs` in the parameter `claims`).",
                standard: "`acr`", example: "acrs"),
            .optional(
                "refresh", .durationOrOff(60...86_400),
                "How often a sign-in that is in use is refreshed at least, where the provider gives a refresh token "
                    + "(many want the scope `offline_access`); `off` keeps no token.",
                standard: "`15m`", example: "1h"),
            .optional(
                "refresh-grace", .duration(60...604_800),
                "How long a sign-in counts after its refresh was due while the provider does not confirm it: it does "
                    + "not answer, refuses us, or answers wrongly. Then it ends.",
                standard: "`15m`, the longest that a decision holds", example: "4h"),
        ]
    static let application: [KeySpec] =
        shared + [
            .optional(
                "scopes", .list(.text), "Scopes to ask for beside the provider's.", standard: "none",
                example: "[groups]")
        ]

    static let refreshSeconds: Int64 = 900
    static let refreshGraceSeconds: Int64 = 900

    static func read(_ reader: SectionReader) -> SignInSettings {
        var settings = SignInSettings()
        settings.contexts = values(reader)
        settings.maxAgeSeconds = reader.duration("max-age")
        settings.prompt = reader.choice("prompt")
        settings.idleSeconds = reader.duration("idle")
        return settings
    }

    private static func values(_ reader: SectionReader) -> [String] {
        let values = reader.texts("acr-values") ?? []
        for value in values {
            if value.contains(where: { $0.isWhitespace || $0 == "\"" || $0 == "\\" })
                || !value.allSatisfy(\.isASCII)
            {
                reader.problem("acr-values", "\"\(value)\" is not one context", "list contexts one by one")
            }
        }
        return values
    }

    /// One scope each (RFC 6749 §3.3).
    static func checkScopes(_ scopes: [String], _ reader: SectionReader) {
        for scope in scopes where scope.contains(" ") || scope.contains("\"") || scope.contains("\\") {
            reader.problem("scopes", "\"\(scope)\" is not one scope", "list scopes one by one")
        }
    }
}
