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
            .required(
                "enrollment-ca", .section(authorityTable),
                "The authority that device certificates come from.",
                example: "{ certificate: certs/device-ca.pem, key: { file: secrets/device-ca.key } }"),
            .optional(
                "minimum-version", .text, "Agents below this version are refused.", standard: "any",
                example: "\"1.2.0\""),
            .optional(
                "tpm-authorities", .file,
                "PEM file of the makers of security chips. With it only a key in a chip of theirs is "
                    + "`attested`; without it any TPM 2.0 is believed, an emulated one too.",
                standard: "any chip", example: "certs/tpm-makers.pem"),
            RemediationSection.key,
        ])
    static let authorityTable = KeyTable(
        "integrations.<name>.enrollment-ca",
        [
            .required("certificate", .file, "PEM file with its certificate.", example: "certs/device-ca.pem"),
            .optional(
                "key", .secret,
                "PEM of its private key; without it devices are verified, but none enrols here.",
                standard: "verify only", example: "{ file: secrets/device-ca.key }"),
        ])

    static func read(_ reader: SectionReader) -> EndpointAgentSettings? {
        let port = reader.integer("port") ?? 17_472
        let lastSeen = reader.duration("max-last-seen") ?? 604_800
        let age = reader.duration("max-age") ?? 900
        let grace = reader.duration("grace") ?? 60
        let version = version("minimum-version", reader)
        let makers = NamedFiles(reader: reader).file("tpm-authorities", holding: "CERTIFICATE")
        guard makers != nil || !reader.has("tpm-authorities") else { return nil }
        guard let node = reader.node("enrollment-ca") else { return nil }
        let path = reader.key("enrollment-ca")
        guard let authority = SectionReader(node, authorityTable, path: path, reader.context) else {
            return nil
        }
        let files = NamedFiles(reader: authority)
        let certificate = files.file("certificate", holding: "CERTIFICATE")
        let key = files.secret("key", holding: "PRIVATE KEY")
        guard let certificate, key != nil || !authority.has("key") else { return nil }
        return EndpointAgentSettings(
            port: UInt16(port), lastSeenSecondsMax: lastSeen, ageSecondsMax: age, graceSeconds: grace,
            enrollmentCertificatePEM: certificate, enrollmentKeyPEM: key, minimumVersion: version,
            chipAuthoritiesPEM: makers)
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
