/// The connection proved a client certificate of one of these subjects, alternative names and issuers. Each list
/// that is there must hold.
///
/// A connection without one is settled: the listener asked, and the client showed none.
public struct CertificateCondition: Sendable, Codable, Hashable {
    /// Common names, as bytes; nil: any.
    public var subjects: [String]?
    /// `dns:…`, `uri:…` or `email:…`, as bytes; one of them must be there; nil: any.
    public var names: [String]?
    /// SHA-256 of the issuing certificate, lower-case hexadecimal; nil: any that the listener trusts.
    public var issuerDigests: [String]?
    /// Takes the members as they are; nothing is checked here.
    public init(subjects: [String]? = nil, names: [String]? = nil, issuerDigests: [String]? = nil) {
        self.subjects = subjects
        self.names = names
        self.issuerDigests = issuerDigests
    }
}

extension CertificateCondition: RequestCondition {
    /// In words, for explain records.
    public var description: String {
        let parts = [
            subjects.map { "subject \(ExactText.list($0))" }, names.map { "name \(ExactText.list($0))" },
            issuerDigests.map { "issuer \(ExactText.list($0))" },
        ].compactMap { $0 }
        return "client certificate" + (parts.isEmpty ? "" : " of \(parts.joined(separator: " and "))")
    }
    var remedy: String { "Connect with a client certificate that this application admits." }

    func matches(_ request: RequestFacts, path: borrowing Span<UInt8>, _ role: ConditionRole) -> Bool {
        guard let certificate = request.certificate else { return false }
        if let subjects {
            guard let subject = certificate.subject, Self.holds(subjects, subject) else { return false }
        }
        if let issuerDigests, !Self.holds(issuerDigests, certificate.issuerDigest) { return false }
        guard let names else { return true }
        var index = 0
        while index < certificate.names.count {
            if Self.holds(names, certificate.names[index]) { return true }
            index += 1
        }
        return false
    }

    /// Plain loops over bytes: nothing generic on the hot path.
    private static func holds(_ list: [String], _ text: String) -> Bool {
        var index = 0
        while index < list.count {
            if ExactText.isEqual(list[index], text) { return true }
            index += 1
        }
        return false
    }
}
