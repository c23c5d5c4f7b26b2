public import Signatures

/// How an agent proves which device it runs on (handshake.md 4.1, 4.2). The words stand in challenges (`profiles`).
public enum HandshakeProfile: String, Sendable, Hashable, CaseIterable {
    /// Mode B: a certificate of its own, from the enrolment authority.
    case certificate = "x5c"
    /// Mode A: the management server's statement about the device, and the key that the statement names.
    case statement = "stmt"
}

/// Whose statements about devices count (mode A): fixed by configuration, nothing in a token changes it.
public struct StatementTrust: Sendable {
    /// What a certificate for statements may be of.
    static let algorithms: Set<SignatureAlgorithm> = [.rs256, .es256, .eddsa]

    /// The management server's certificates: several while one replaces another. Each counts between its dates.
    public let certificates: [Certificate]
    /// `iss` of statements, exactly.
    public let issuer: String
    /// `tenant` of statements, exactly; nil: not asked.
    public let tenant: String?
    /// Whether the certificates' own key may sign answers without any key of the device. Whoever has it, and every
    /// endpoint does, can then speak for every device.
    public let allowsSharedKey: Bool

    /// Takes 1 to 8 certificates.
    ///
    /// - Throws: `SignatureError` for a key that is not RSA (at least 2048 bits), P-256 or Ed25519.
    public init(
        certificates: [Certificate], issuer: String, tenant: String? = nil, allowsSharedKey: Bool = false
    ) throws(SignatureError) {
        guard (1...Certificate.bundleMax).contains(certificates.count) else {
            throw SignatureError("1 to \(Certificate.bundleMax) certificates are expected")
        }
        for certificate in certificates where !Self.algorithms.contains(certificate.publicKey.algorithm) {
            let algorithm = certificate.publicKey.algorithm.rawValue
            throw SignatureError(
                "a certificate has a key for \(algorithm); RSA of 2048 bits, P-256 or Ed25519 is needed")
        }
        self.certificates = certificates
        self.issuer = issuer
        self.tenant = tenant
        self.allowsSharedKey = allowsSharedKey
    }
}

/// Lists of revoked certificates, in files that somebody else replaces.
public struct RevocationSettings: Sendable, Hashable {
    /// One list each.
    public var paths: [String]
    /// Whether a list may still be used after its `nextUpdate`. Otherwise devices are refused from then on.
    public var allowsStale: Bool

    /// Takes the members as they are.
    public init(paths: [String], allowsStale: Bool = false) {
        self.paths = paths
        self.allowsStale = allowsStale
    }
}

/// A configured certificate and what it is for, so that its end is foreseen (004.7).
public struct TrustCertificate: Sendable, Hashable {
    /// What it verifies.
    public enum Use: String, Sendable {
        /// Devices' certificates.
        case enrollment = "enrollment-ca"
        /// The management server's statements.
        case statement = "statements"
        /// Clients' certificates, at the listener that stands in the integration's place.
        case clients = "client-certificates"
    }

    /// The configured integration.
    public var integration: String
    /// What it verifies.
    public var use: Use
    /// The certificate.
    public var certificate: Certificate

    /// Takes the members as they are.
    public init(integration: String, use: Use, certificate: Certificate) {
        self.integration = integration
        self.use = use
        self.certificate = certificate
    }
}
