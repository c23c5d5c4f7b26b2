import Access

/// One kind of posture provider as a configuration knows it: its keys, its pace, and what rules may ask of it. A new
/// provider is one more value in `ProviderKinds.swift`, beside its connector.
struct ProviderKind: Sendable {
    /// What a rule of a device policy may ask.
    enum Qualifier: Sendable, Equatable {
        case tags, managed, sensorRunning, risk
        /// A comparison with the provider's score; the range is its scale.
        case score(ClosedRange<Int64>)
    }

    /// How often the provider is asked and how old answers may be (providers.md 14.2), seconds.
    struct Pace: Sendable {
        var refresh: Int64
        var ttl: Int64
        var deviceAge: Int64
        /// A shorter refresh is refused: the provider would throttle it.
        var refreshMin: Int64 = 300
    }

    /// A URL key: with a default, or required.
    struct URLKey: Sendable {
        var name: String
        var standard: String?
    }

    /// The value of `provider`, and the key that names the integration in rules.
    var name: String
    /// The product's name, for messages and the reference.
    var title: String
    /// Beside the ones that every provider has.
    var keys: [KeySpec]
    /// Which of `keys` are base URLs.
    var urls: [URLKey]
    var pace: Pace
    var qualifiers: [Qualifier]
    /// What the provider knows devices of.
    var platforms: [Platform]
    /// What cannot be said by a shape.
    var check: @Sendable (SectionReader) -> Void = { _ in }

    /// `integrations.<name>` of this kind.
    var table: KeyTable {
        KeyTable("integrations.<name>", kind: name, [IntegrationsSection.providerSpec] + keys + commonKeys)
    }

    /// `device-policies[].rules[]` of this kind.
    var ruleTable: KeyTable {
        KeyTable(
            "device-policies[].rules[]", kind: name,
            [.required(name, .text, "An integration of provider `\(name)`.", example: name)]
                + qualifiers.map(\.spec))
    }

    private var commonKeys: [KeySpec] {
        [
            .optional(
                "refresh", .duration(1...86_400),
                "How often each known device is asked again; below `\(Quantity.durationText(pace.refreshMin))` only "
                    + "on loopback.",
                standard: "`\(Quantity.durationText(pace.refresh))`",
                example: Quantity.durationText(pace.refresh)),
            .optional(
                "max-device-age", .duration(3_600...2_592_000),
                "Older reports of the device itself are stale.",
                standard: "`\(Quantity.durationText(pace.deviceAge))`", example: "7d"),
            .optional(
                "ttl", .duration(1...604_800), "How long a fetched answer may be used; not below `refresh`.",
                standard: "`\(Quantity.durationText(pace.ttl))`, or twice `refresh` when that is more",
                example: Quantity.durationText(pace.ttl)),
            .optional(
                "connect-timeout", .duration(1...60), "Bound of connecting to the provider.",
                standard: "`5s`", example: "10s"),
            .optional(
                "first-byte-timeout", .duration(1...60),
                "Bound of waiting for an answer to begin, from the start of the call.", standard: "`10s`",
                example: "20s"),
            .optional(
                "timeout", .duration(1...60), "Bound of a whole call: one page, one device, or one token.",
                standard: "`30s`", example: "1m"),
            .optional(
                "authorities", .file, "PEM file with the only authorities trusted for this provider.",
                standard: "the system's", example: "certs/proxy-ca.pem"),
            .optional(
                "unsafe-allow-http", .flag, "Accepts `http://` URLs, on loopback only.", standard: "`false`",
                example: "true"),
            RemediationSection.key,
        ]
    }
}

extension ProviderKind.Qualifier {
    var spec: KeySpec {
        switch self {
        case .tags:
            .optional(
                "tags", .section(DeviceRuleSection.tags), "Labels that the verdict must have.",
                standard: "not asked",
                example: "{ matches-any: [compliant] }")
        case .managed:
            .optional(
                "managed", .flag, "The provider manages the device, or does not.", standard: "not asked",
                example: "true")
        case .sensorRunning:
            .optional(
                "sensor-running", .flag, "The provider's sensor runs, or does not.", standard: "not asked",
                example: "true")
        case .risk:
            .optional(
                "risk", .text,
                "Comparison with the provider's risk: "
                    + Verdict.Risk.allCases.map { "`\($0.rawValue)`" }.joined(separator: " < ") + ".",
                standard: "not asked", example: "\"<= low\"")
        case .score(let range):
            .optional(
                "score", .text,
                "Comparison with the provider's score, \(range.lowerBound) to \(range.upperBound).",
                standard: "not asked",
                example: "\">= \(range.lowerBound + (range.upperBound - range.lowerBound) / 2)\"")
        }
    }
}
