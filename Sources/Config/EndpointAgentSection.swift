/// `provider: endpoint-agent`: the local agent's signed statement.
enum EndpointAgentSection {
    static let table = KeyTable(
        "integrations.<name>", kind: "endpoint-agent",
        [
            IntegrationsSection.providerSpec,
            .optional(
                "port", .integer(1...65_535), "Where the agent listens on people's machines.",
                standard: "`17472`",
                example: "17472"),
            .optional(
                "further-ports", .oneOrMore(.integer(1...65_535)),
                "Where further agents listen on machines that several people share; at most 7.",
                standard: "none", example: "[ 17473, 17474 ]"),
            .optional(
                "max-last-seen", .duration(60...2_592_000),
                "Older check-ins of the device do not count as managed.",
                standard: "`7d`", example: "7d"),
            .optional(
                "max-age", .duration(60...86_400), "How long a verified statement may be used.",
                standard: "`15m`",
                example: "15m"),
            .optional(
                "grace", .duration(0...600), "How long after that what is open may wait for a new statement.",
                standard: "`60s`", example: "60s"),
            .optional(
                "modes", .oneOrMore(.choice(EndpointAgentTrust.modes)),
                "How agents may prove their device, the preferred way first: by a certificate of their own, or by a "
                    + "management server's statement and the key that it names.",
                standard: "each that has its section below", example: "[certificate]"),
            .optional(
                "enrollment-ca", .section(EndpointAgentTrust.authorityTable),
                "The authority that device certificates come from.", standard: "no certificates are accepted",
                example: "{ certificate: certs/device-ca.pem, key: { file: secrets/device-ca.key } }"),
            .optional(
                "statements", .section(EndpointAgentTrust.statementsTable),
                "A management server that speaks for devices. At least one of this and `enrollment-ca`.",
                standard: "no statements are accepted",
                example: "{ certificates: certs/management.pem, issuer: https://management.corp.example }"),
            .optional(
                "minimum-version", .text, "Agents below this version are refused.", standard: "any",
                example: "\"1.2.0\""),
            AgentFactsKeys.facts, AgentFactsKeys.checks,
            .optional(
                "tpm-authorities", .file,
                "PEM file of the makers of security chips. With it only a key in a chip of theirs is "
                    + "`attested`; without it any TPM 2.0 is believed, an emulated one too.",
                standard: "any chip", example: "certs/tpm-makers.pem"),
            RemediationSection.key,
        ])

    static func read(_ reader: SectionReader) -> EndpointAgentSettings? {
        let port = reader.integer("port") ?? 17_472
        let lastSeen = reader.duration("max-last-seen") ?? 604_800
        let age = reader.duration("max-age") ?? 900
        let grace = reader.duration("grace") ?? 60
        let version = version("minimum-version", reader)
        let makers = NamedFiles(reader: reader).file("tpm-authorities", holding: "CERTIFICATE")
        guard makers != nil || !reader.has("tpm-authorities") else { return nil }
        guard let trust = EndpointAgentTrust(reader: reader).read() else { return nil }
        guard let furtherPorts = furtherPorts(reader, beside: port) else { return nil }
        let (facts, checks) = AgentFactsKeys.read(reader)
        return EndpointAgentSettings(
            port: UInt16(port), furtherPorts: furtherPorts, lastSeenSecondsMax: lastSeen, ageSecondsMax: age,
            graceSeconds: grace, modes: trust.modes, authority: trust.authority, statements: trust.statements,
            minimumVersion: version, wantedFacts: facts, checkRemedies: checks,
            chipAuthoritiesPEM: makers)
    }

    static let furtherPortsMax = 7

    /// nil after a problem: a port that cannot be one, the agent's own, or more than a page should try.
    private static func furtherPorts(_ reader: SectionReader, beside port: Int64) -> [UInt16]? {
        guard let texts = reader.texts("further-ports") else { return reader.has("further-ports") ? nil : [] }
        let ports = texts.compactMap { PlainURL.port($0) }.filter { $0 > 0 && Int64($0) != port }
        if ports.count == texts.count, ports.count <= furtherPortsMax { return ports }
        reader.problem(
            "further-ports", "is no list of up to \(furtherPortsMax) ports beside \(port)",
            "write for example [ 17473, 17474 ]")
        return nil
    }

    /// One to four numbers with dots.
    static func version(_ name: String, _ reader: SectionReader) -> String? {
        guard let text = reader.text(name) else { return nil }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let isVersion = (1...4).contains(parts.count) && parts.allSatisfy { PlainURL.port(String($0)) != nil }
        if isVersion { return text }
        reader.problem(name, "\"\(text)\" is not a version", "write for example \"1.2.0\"")
        return nil
    }
}
