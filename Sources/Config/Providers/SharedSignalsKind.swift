import Access

extension ProviderKind {
    /// A Shared Signals stream: a transmitter tells at once what others are asked for.
    static let sharedSignals = ProviderKind(
        name: "shared-signals", title: "Shared Signals (SSF 1.0)",
        keys: [
            .required(
                "issuer", .url, "The transmitter: `iss` of its tokens, byte for byte.",
                example: "https://signals.idp.example/t1"),
            .required(
                "audience", .text, "What the stream's tokens are addressed to: one value of their `aud`.",
                example: "https://auth.corp.example/ssf"),
            .optional(
                "delivery", .choice(["push", "poll"]),
                "Whether the transmitter sends events (RFC 8935) or is asked for them (RFC 8936).",
                standard: "`push`", example: "poll"),
            .optional(
                "push-authorization", .secret,
                "What the transmitter must send in `Authorization`, made up by you, at least 16 bytes.",
                standard: "needed with `delivery: push`", example: "{ file: secrets/signals-push }"),
            .optional(
                "stream-id", .text, "A stream that was made in the transmitter's console.",
                standard: "found, or created", example: "f67e39a0a4d34d56b3aa1bc4cff0069f"),
            .optional(
                "management-url", .url,
                "Where stream management and polls are, if on another host than `issuer`.",
                standard: "the issuer's host", example: "https://api.idp.example"),
            .optional(
                "api-token", .secret, "Bearer token for stream management.", standard: "`client-id` is used",
                example: "{ file: secrets/signals }"),
            .optional(
                "client-id", .text, "OAuth client for stream management.", standard: "`api-token` is used",
                example: "gatepost"),
            .optional(
                "client-secret", .secret, "Its secret.", standard: "needed with `client-id`",
                example: "{ env: SIGNALS_SECRET }"),
            .optional(
                "token-url", .url, "Its token endpoint.", standard: "needed with `client-id`",
                example: "https://idp.example/oauth2/token"),
            .optional(
                "scope", .text, "What the token is asked for.", standard: "`ssf.manage`",
                example: "ssf.manage ssf.read"),
            .optional(
                "confirmed-by", .list(.text),
                "Integrations that know the same devices: `not-compliant` holds against them at once, "
                    + "`compliant` only when one of them says so, too.",
                standard: "none", example: "[intune]"),
            .optional(
                "draft", .flag, "Takes `subject` inside an event, as implementer's drafts had it.",
                standard: "`false`", example: "true"),
        ],
        urls: [
            URLKey(name: "issuer", standard: nil), URLKey(name: "management-url", standard: nil),
            URLKey(name: "token-url", standard: nil),
        ],
        pace: Pace(refresh: 900, ttl: 86_400, deviceAge: 86_400), qualifiers: [.tags, .risk],
        platforms: [.windows, .macos, .linux, .ios, .android], check: checkSharedSignals)

    @Sendable private static func checkSharedSignals(_ reader: SectionReader) {
        for key in ["refresh", "ttl", "max-device-age"] where reader.has(key) {
            reader.problem(
                key, "has no effect here: signals count for 24 h after a verification", "remove it")
        }
        for key in ["connect-timeout", "first-byte-timeout", "timeout"] where reader.has(key) {
            reader.problem(key, "has no effect here: a poll is answered late on purpose", "remove it")
        }
        let isPush = (reader.choice("delivery") ?? "push") == "push"
        if isPush, !reader.has("push-authorization") {
            reader.problem(
                "delivery", "push needs push-authorization", "add it, or use delivery: poll")
        }
        if !isPush, reader.has("push-authorization") {
            reader.problem("push-authorization", "has no effect with delivery: poll", "remove it")
        }
        switch (reader.has("api-token"), reader.has("client-id")) {
        case (true, true): reader.problem("client-id", "is set beside api-token", "keep one of them")
        case (false, false):
            reader.problem(
                "provider", "has no credentials", "add api-token, or client-id, client-secret and token-url")
        case (false, true):
            for key in ["client-secret", "token-url"] where !reader.has(key) {
                reader.problem("client-id", "needs \(key)", "add \(key)")
            }
        case (true, false):
            for key in ["client-secret", "token-url", "scope"] where reader.has(key) {
                reader.problem(key, "has no effect with api-token", "remove it")
            }
        }
    }

    /// `confirmed-by` names integrations that can be asked about a device.
    static func checkConfirming(
        _ read: [IntegrationSettings], kinds: [String: String], _ entries: [ConfigNode.Entry],
        _ context: ReadContext
    ) {
        for integration in read {
            guard case .provider(let settings) = integration.kind, settings.provider == sharedSignals.name,
                let place = entries.first(where: { $0.name == integration.name })?.place
            else { continue }
            for name in settings.lists["confirmed-by"] ?? [] {
                let kind = kinds[name]
                guard kind == nil || kind == sharedSignals.name || kind == "endpoint-agent" else { continue }
                let problem = kind.map { "\(name) is of provider \($0), which cannot be asked" }
                context.diagnostics.problem(
                    place, "integrations.\(integration.name).confirmed-by",
                    problem ?? "no integration is named \(name)",
                    "name integrations of providers that know the devices")
            }
        }
    }
}
