/// A client that proved itself without a person: by a service token, or by a client certificate that names it.
public struct ServiceFacts: Sendable, Codable, Hashable {
    /// Opaque, unique.
    public var id: String
    /// The configured name of the token; what `service` conditions compare.
    public var name: String
    /// From this second on the proof does not count.
    public var expiresAtSeconds: Int64
    /// Takes the members as they are; nothing is checked here.
    public init(id: String, name: String, expiresAtSeconds: Int64) {
        self.id = id
        self.name = name
        self.expiresAtSeconds = expiresAtSeconds
    }
}

/// A client certificate whose path was checked when the connection was made. A class, so that handing it to each
/// request of the connection copies nothing and allocates nothing.
public final class CertificateFacts: Sendable, Hashable {
    /// The subject's common name; nil: it has none.
    public let subject: String?
    /// Subject alternative names of all kinds, as `dns:…`, `uri:…` or `email:…`.
    public let names: [String]
    /// SHA-256 of the issuing certificate, 64 lower-case hexadecimal digits.
    public let issuerDigest: String
    /// The serial number, lower-case hexadecimal without leading zero bytes; with the issuer it names the certificate.
    public let serial: String
    /// From this second on it does not count.
    public let notAfterSeconds: Int64

    /// Takes the members as they are; nothing is checked here.
    public init(
        subject: String?, names: [String], issuerDigest: String, serial: String = "",
        notAfterSeconds: Int64 = .max
    ) {
        self.subject = subject
        self.names = names
        self.issuerDigest = issuerDigest
        self.serial = serial
        self.notAfterSeconds = notAfterSeconds
    }

    /// Equal by what they say.
    public static func == (left: CertificateFacts, right: CertificateFacts) -> Bool {
        left === right
            || left.subject.map(ExactKey.init) == right.subject.map(ExactKey.init)
                && ExactText.isEqual(left.names, right.names)
                && ExactText.isEqual(left.issuerDigest, right.issuerDigest)
                && ExactText.isEqual(left.serial, right.serial)
                && left.notAfterSeconds == right.notAfterSeconds
    }

    /// By what they say.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(subject)
        hasher.combine(names)
        hasher.combine(issuerDigest)
        hasher.combine(serial)
    }
}
