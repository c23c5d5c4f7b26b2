/// How a client of ours is known at an identity provider.
public struct ClientAuthenticationSettings: Sendable, Hashable {
    /// What is sent.
    public enum Method: String, Sendable, Hashable, CaseIterable {
        /// The secret, in the way that the discovery document asks for.
        case announced
        /// The secret in the field `Authorization`.
        case secretBasic = "client_secret_basic"
        /// The secret in the body.
        case secretPost = "client_secret_post"
        /// An assertion that our key signs (RFC 7523).
        case privateKeyJWT = "private_key_jwt"
        /// A certificate in the TLS handshake (RFC 8705).
        case tlsClient = "tls_client_auth"
    }

    /// `client-authentication`.
    public var method = Method.announced
    /// `client-secret`; empty with other methods.
    public var secret = Secret([])
    /// PEM of `client-key`, or of the key of `client-certificate`.
    public var keyPEM: Secret?
    /// PEM of the chain of `client-certificate`, the leaf first.
    public var chainPEM: [UInt8]?
    /// `client-key-id`; nil: the key's thumbprint.
    public var keyID: String?
    /// `assertion-audience` is the token endpoint; otherwise it is the issuer.
    public var isForTokenEndpoint = false
    /// `pushed-authorization`: `auto`, `required` or `off`.
    public var pushedAuthorization = "auto"

    /// The defaults.
    public init() {}
}

/// `identity-providers.<name>.client-…`: exactly what the method needs, and nothing that it does not look at.
enum ClientAuthenticationKeys {
    static let secret = KeySpec.optional(
        "client-secret", .secret, "Our client secret at the provider.",
        standard: "**required** by methods with a secret", example: "{ file: secrets/corp }")

    static let further: [KeySpec] = [
        .optional(
            "client-authentication",
            .choice(
                ClientAuthenticationSettings.Method.allCases.map(\.rawValue).filter { $0 != "announced" }),
            "How we prove that we are this client. What is configured is sent, whatever the provider announces; "
                + "there is no falling back.",
            standard: "with `client-secret`, as the provider announces", example: "private_key_jwt"),
        .optional(
            "client-key", .secret,
            "PEM of the private key that signs our assertions, RSA or on P-256, without a passphrase.",
            standard: "none", example: "{ file: secrets/corp.key }"),
        .optional(
            "client-key-id", .text, "`kid` of our assertions.",
            standard: "the key's thumbprint (RFC 7638)", example: "gatepost-2026"),
        .optional(
            "client-certificate", .section(certificateTable),
            "The certificate that is registered with the provider: shown in the handshake with "
                + "`tls_client_auth`; with `private_key_jwt` (Microsoft Entra) instead of `client-key`.",
            standard: "none", example: "{ chain: certs/corp.pem, key: { file: secrets/corp.key } }"),
        .optional(
            "assertion-audience", .choice(["issuer", "token-endpoint"]),
            "Whom our assertions are for. Microsoft Entra takes `token-endpoint` only.",
            standard: "`issuer`", example: "token-endpoint"),
        .optional(
            "pushed-authorization", .choice(["auto", "required", "off"]),
            "Whether authorization requests are pushed to the provider (RFC 9126): where it offers that, in any "
                + "case, or never. A push that fails ends the sign-in; it is never sent in another way.",
            standard: "`auto`", example: "required"),
    ]

    private static let certificateTable = KeyTable(
        "identity-providers.<name>.client-certificate",
        [
            .required(
                "chain", .file, "PEM file whose first certificate is the registered one.",
                example: "certs/corp.pem"),
            .required(
                "key", .secret, "PEM of its private key, without a passphrase.",
                example: "{ file: secrets/corp.key }"),
        ])

    /// nil: something is wrong or missing (reported).
    static func read(_ reader: SectionReader) -> ClientAuthenticationSettings? {
        var settings = ClientAuthenticationSettings()
        if let word = reader.choice("pushed-authorization") { settings.pushedAuthorization = word }
        if reader.has("client-authentication") {
            guard let word = reader.choice("client-authentication"),
                let method = ClientAuthenticationSettings.Method(rawValue: word)
            else { return nil }
            settings.method = method
        }
        switch settings.method {
        case .announced, .secretBasic, .secretPost:
            return withSecret(settings, reader)
        case .privateKeyJWT: return withAssertion(settings, reader)
        case .tlsClient:
            refuse(["client-secret", "client-key", "client-key-id", "assertion-audience"], settings, reader)
            return withCertificate(settings, reader)
        }
    }

    private static func withSecret(
        _ settings: ClientAuthenticationSettings, _ reader: SectionReader
    ) -> ClientAuthenticationSettings? {
        var settings = settings
        let others = ["client-key", "client-certificate", "client-key-id", "assertion-audience"]
        if settings.method == .announced, !reader.has("client-secret"),
            let other = others.first(where: reader.has)
        {
            reader.problem(
                other, "is there, but client-authentication does not say what for",
                "write client-authentication: private_key_jwt or tls_client_auth")
            return nil
        }
        refuse(others, settings, reader)
        guard reader.has("client-secret") else {
            reader.problem(
                "client-secret", at: reader.place, "is missing",
                "add it, for example client-secret: \(secret.example)")
            return nil
        }
        guard let secret = NamedFiles(reader: reader).secret("client-secret") else { return nil }
        settings.secret = secret
        return settings
    }

    private static func withAssertion(
        _ settings: ClientAuthenticationSettings, _ reader: SectionReader
    ) -> ClientAuthenticationSettings? {
        var settings = settings
        refuse(["client-secret"], settings, reader)
        settings.isForTokenEndpoint = reader.choice("assertion-audience") == "token-endpoint"
        guard reader.has("client-key") != reader.has("client-certificate") else {
            reader.problem(
                "client-key", "private_key_jwt needs exactly one of client-key and client-certificate",
                reader.has("client-key") ? "keep one of them" : "add client-key: { file: secrets/corp.key }")
            return nil
        }
        if reader.has("client-certificate") {
            reader.ineffective(
                "client-key-id", because: "the certificate's thumbprint names the key", "remove it")
            return withCertificate(settings, reader)
        }
        guard let key = NamedFiles(reader: reader).secret("client-key", holding: "PRIVATE KEY") else {
            return nil
        }
        settings.keyPEM = key
        if let id = reader.text("client-key-id") {
            if id.utf8.count > 256 || !id.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) {
                reader.problem(
                    "client-key-id", "is longer than 256 characters, or not ASCII",
                    "write it as the provider has it")
            }
            settings.keyID = id
        }
        return settings
    }

    private static func withCertificate(
        _ settings: ClientAuthenticationSettings, _ reader: SectionReader
    ) -> ClientAuthenticationSettings? {
        var settings = settings
        guard let node = reader.node("client-certificate") else {
            reader.problem(
                "client-certificate", at: reader.place,
                "is missing; \(settings.method.rawValue) shows it to the provider",
                "add client-certificate: { chain: certs/corp.pem, key: { file: secrets/corp.key } }")
            return nil
        }
        guard
            let section = SectionReader(
                node, certificateTable, path: reader.key("client-certificate"), reader.context)
        else { return nil }
        let files = NamedFiles(reader: section)
        let chain = files.file("chain", holding: "CERTIFICATE")
        let key = files.secret("key", holding: "PRIVATE KEY")
        guard let chain, let key else { return nil }
        settings.chainPEM = chain
        settings.keyPEM = key
        return settings
    }

    private static func refuse(
        _ names: [String], _ settings: ClientAuthenticationSettings, _ reader: SectionReader
    ) {
        let word = settings.method == .announced ? "a client secret" : settings.method.rawValue
        for name in names {
            reader.ineffective(
                name, because: "\(word) does not look at it",
                "remove it, or choose another client-authentication")
        }
    }
}
