/// What a bearer token says of its client, after its signature was checked.
public struct TokenFacts: Sendable, Codable, Hashable {
    /// The issuer's configured name.
    public var issuer: String
    /// As the issuer's configuration finds it in the token.
    public var subject: String
    /// Those that the issuer's configuration lists, by the names that it gives them.
    public var claims: [String: ClaimValue]
    /// Takes the members as they are; nothing is checked here.
    public init(issuer: String, subject: String, claims: [String: ClaimValue] = [:]) {
        self.issuer = issuer
        self.subject = subject
        self.claims = claims
    }
}

/// A client that proved itself without a person: by a service token, by a bearer token of a configured
/// issuer, or by a client certificate that names it.
public struct ServiceFacts: Sendable, Codable, Hashable {
    /// Opaque, unique.
    public var id: String
    /// The configured name of the token; what `service` conditions compare. Of a bearer token or a
    /// certificate a name with a colon, which no service token has.
    public var name: String
    /// From this second on the proof does not count.
    public var expiresAtSeconds: Int64
    /// What `token` conditions compare; nil: it is no bearer token.
    public var token: TokenFacts?
    /// Takes the members as they are; nothing is checked here.
    public init(id: String, name: String, expiresAtSeconds: Int64, token: TokenFacts? = nil) {
        self.id = id
        self.name = name
        self.expiresAtSeconds = expiresAtSeconds
        self.token = token
    }
}

/// A client certificate whose path was checked when the connection was made. A class, so that handing it to each
/// request of the connection copies nothing and allocates nothing.
public final class CertificateFacts: Sendable, Hashable {
    /// A serial number as the same text, however many zeros stand in front and however its digits are written.
    public static func number(_ serial: String) -> String { String(serial.lowercased().drop { $0 == "0" }) }

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
