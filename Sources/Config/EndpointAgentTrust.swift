/// `enrollment-ca`: where device certificates come from.
public struct EnrollmentAuthoritySettings: Sendable, Hashable {
    /// PEM of its certificates, one file each; the first issues.
    public var certificatesPEM: [[UInt8]]
    /// PEM of the first one's key; nil: verify only, nobody enrols here.
    public var keyPEM: Secret?
    /// Files with lists of revoked certificates; they are read again whenever they change.
    public var revocationLists: [String]
    /// Whether a list counts beyond its `nextUpdate`.
    public var allowsStaleLists: Bool
}

/// `statements`: a management server that speaks for devices.
public struct StatementSettings: Sendable, Hashable {
    /// PEM of its certificates, one file each.
    public var certificatesPEM: [[UInt8]]
    /// `iss` of statements.
    public var issuer: String
    /// `tenant` of statements; nil: not asked.
    public var tenant: String?
    /// Whether the server's own key may sign answers on devices.
    public var allowsSharedKey: Bool
}

/// How agents prove their device, and by whose word.
struct EndpointAgentTrust {
    static let modes = ["certificate", "statement"]

    static let authorityTable = KeyTable(
        "integrations.<name>.enrollment-ca",
        [
            .required(
                "certificate", .oneOrMore(.file),
                "PEM file with its certificate; several while one replaces another. The first issues.",
                example: "certs/device-ca.pem"),
            .optional(
                "key", .secret,
                "PEM of the first one's private key; without it devices are verified, but none enrols here.",
                standard: "verify only", example: "{ file: secrets/device-ca.key }"),
            .optional(
                "revocation-lists", .oneOrMore(.file),
                "Files with lists of revoked certificates (CRL), PEM or DER, signed by one of the certificates; "
                    + "read again when they change. A path without a current list of its issuer is refused.",
                standard: "none", example: "crl/device-ca.crl"),
            .optional(
                "unsafe-stale-revocation-lists", .flag,
                "Believes a list beyond its `nextUpdate`; otherwise devices are refused from then on.",
                standard: "`false`", example: "true"),
        ])

    static let statementsTable = KeyTable(
        "integrations.<name>.statements",
        [
            .required(
                "certificates", .oneOrMore(.file),
                "PEM files with the certificates that its statements are signed with (RSA of at least 2048 bits, "
                    + "P-256 or Ed25519); several while one replaces another. Each counts between its dates.",
                example: "[certs/management-2026.pem, certs/management-2027.pem]"),
            .required(
                "issuer", .text, "`iss` of its statements, exactly.",
                example: "https://management.corp.example"),
            .optional(
                "tenant", .text, "`tenant` of its statements, exactly.", standard: "not asked",
                example: "corp-production"),
            .optional(
                "unsafe-static", .flag,
                "Accepts answers that are signed with the server's own key and prove no key of the device: "
                    + "whoever takes that key from any device can then speak for every device. For tests only.",
                standard: "`false`", example: "true"),
        ])

    let reader: SectionReader

    /// nil: something was reported.
    func read() -> (
        modes: [String], authority: EnrollmentAuthoritySettings?, statements: StatementSettings?
    )? {
        let authority = reader.has("enrollment-ca") ? self.authority() : nil
        let statements = reader.has("statements") ? self.statements() : nil
        guard let modes = readModes() else { return nil }
        let isWhole =
            (authority != nil || !reader.has("enrollment-ca"))
            && (statements != nil || !reader.has("statements"))
        return isWhole ? (modes, authority, statements) : nil
    }

    /// Each mode has its section: one without the other is a mistake that would be found by its silence.
    private func readModes() -> [String]? {
        let sections = ["certificate": "enrollment-ca", "statement": "statements"]
        let configured = Self.modes.filter { sections[$0].map(reader.has) ?? false }
        guard !configured.isEmpty else {
            reader.problem(
                "enrollment-ca", "is missing, and so is statements: no device could be proven",
                "add one, for example enrollment-ca: { certificate: certs/device-ca.pem }")
            return nil
        }
        let words = ["certificate": "x5c", "statement": "stmt"]
        guard reader.has("modes") else { return configured.compactMap { words[$0] } }
        guard let texts = reader.texts("modes") else { return nil }
        let chosen = texts.compactMap { reader.choice($0, "modes") }
        guard chosen.count == texts.count else { return nil }
        for mode in chosen where !configured.contains(mode) {
            let section = sections[mode] ?? ""
            reader.problem(
                "modes", "\(mode) needs \(section), which is missing", "add it, or take \(mode) out")
            return nil
        }
        if chosen == ["certificate"] {
            reader.ineffective(
                "statements", because: "modes does not name statement", "add it there, or remove this")
        }
        return chosen.compactMap { words[$0] }
    }

    private func authority() -> EnrollmentAuthoritySettings? {
        guard let section = reader.section("enrollment-ca", Self.authorityTable) else { return nil }
        let files = NamedFiles(reader: section)
        let certificates = self.files("certificate", files)
        let key = files.secret("key", holding: "PRIVATE KEY")
        let lists = (section.items("revocation-lists") ?? []).enumerated().compactMap { index, node in
            section.scalar(node, "revocation-lists[\(index)]").map { files.path($0.text, node.place) }
        }
        if lists.isEmpty {
            section.ineffective(
                "unsafe-stale-revocation-lists", because: "there are no revocation-lists", "remove it")
        }
        guard let certificates, key != nil || !section.has("key") else { return nil }
        return EnrollmentAuthoritySettings(
            certificatesPEM: certificates, keyPEM: key, revocationLists: lists,
            allowsStaleLists: section.flag("unsafe-stale-revocation-lists") ?? false)
    }

    private func statements() -> StatementSettings? {
        guard let section = reader.section("statements", Self.statementsTable) else { return nil }
        let isShared = section.flag("unsafe-static") ?? false
        if isShared {
            reader.context.diagnostics.warn(
                section.place(of: "unsafe-static"), section.key("unsafe-static"),
                "every device has the key that signs for all devices: an administrator of one can forge any other",
                "have the management server sign statements that name each device's own key, and remove this")
        }
        let certificates = files("certificates", NamedFiles(reader: section))
        guard let issuer = section.text("issuer"), let certificates else { return nil }
        return StatementSettings(
            certificatesPEM: certificates, issuer: issuer, tenant: section.text("tenant"),
            allowsSharedKey: isShared)
    }

    /// Every file of a list; nil when one cannot be used (reported).
    private func files(_ name: String, _ files: NamedFiles) -> [[UInt8]]? {
        guard let items = files.reader.items(name) else { return nil }
        var contents: [[UInt8]] = []
        for (index, node) in items.enumerated() {
            let key = items.count == 1 ? name : "\(name)[\(index)]"
            guard let bytes = files.file(node, key, holding: "CERTIFICATE") else { return nil }
            contents.append(bytes)
        }
        return contents
    }
}
