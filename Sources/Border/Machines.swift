/// A client certificate that stands for its machine: what a reactor asks the control plane about.
public struct MachineClaim: Sendable, Codable, Hashable {
    /// 32 bytes: names the certificate at one host, as a token's digest names a session.
    public var tokenDigest: [UInt8]
    /// Which listener's authorities it was proven against.
    public var listener: Int
    /// The subject's common name; nil: it has none.
    public var subject: String?
    /// Alternative names, as `dns:…`, `uri:…` or `email:…`.
    public var names: [String]
    /// SHA-256 of the issuing certificate, lower-case hexadecimal.
    public var issuerDigest: String
    /// The serial number, lower-case hexadecimal.
    public var serial: String
    /// From this second on it does not count.
    public var notAfterSeconds: Int64
    public init(
        tokenDigest: [UInt8], listener: Int, subject: String?, names: [String], issuerDigest: String,
        serial: String, notAfterSeconds: Int64
    ) {
        self.tokenDigest = tokenDigest
        self.listener = listener
        self.subject = subject
        self.names = names
        self.issuerDigest = issuerDigest
        self.serial = serial
        self.notAfterSeconds = notAfterSeconds
    }
}
