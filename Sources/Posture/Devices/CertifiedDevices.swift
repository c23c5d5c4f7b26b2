public import Access

/// A client certificate that may name the device of whoever is signed in. Whoever hands it in has checked it.
public struct DeviceCertificate: Sendable, Hashable {
    /// Alternative names, as `dns:…`, `uri:…` or `email:…`.
    public var names: [String]
    /// The subject's; nil: it has none, or it is not to be a device's name.
    public var commonName: String?
    /// Under which an id may be a first label; nil: an id stands alone.
    public var suffix: String?
    /// What may stand behind the device's name; nil: nothing may.
    public var domain: String?
    /// What devices with such certificates run, by the administrator's word.
    public var platform: Platform?
    /// SHA-256 of the issuing certificate, lower-case hexadecimal.
    public var issuerDigest: String
    /// The serial number, lower-case hexadecimal.
    public var serial: String
    /// From this second on it does not count.
    public var notAfterSeconds: Int64

    /// Takes the members as they are.
    public init(
        names: [String], commonName: String?, suffix: String?, domain: String?, platform: Platform?,
        issuerDigest: String, serial: String, notAfterSeconds: Int64
    ) {
        self.names = names
        self.commonName = commonName
        self.suffix = suffix
        self.domain = domain
        self.platform = platform
        self.issuerDigest = issuerDigest
        self.serial = serial
        self.notAfterSeconds = notAfterSeconds
    }

    var dnsNames: [String] { named("dns:") }
    /// Lower-cased.
    var emails: [String] { named("email:").map { $0.lowercased() } }

    private func named(_ kind: String) -> [String] {
        names.filter { $0.hasPrefix(kind) }.map { String($0.dropFirst(kind.count)) }
    }
}

/// The device that a certificate names, and who is said to own it.
public struct CertifiedDevice: Sendable {
    /// What is known of it; `certificate` says how surely it is named, as if nothing else named it. An owner is there
    /// only where somebody enrolled it.
    public var facts: DeviceFacts
    /// Addresses that the certificate gives, lower-cased.
    public var emails: [String]
    /// What each provider says of the owner, lower-cased, and the attribute of a person that it is compared with.
    public var owners: [OwnerWords]
    /// How it stands to the device that the session's agent answered for.
    public var relation: Relation

    /// One provider's word.
    public struct OwnerWords: Sendable, Hashable {
        /// `email`, `subject` or a claim.
        public var attribute: String
        /// Any of them is the owner.
        public var values: [String]
    }

    /// Two devices of one session.
    public enum Relation: Sendable, Hashable {
        case same, other
        /// There is nothing by which they could be compared, or nothing to compare with.
        case unknown
    }
}

extension PostureService {
    /// The device that a client certificate names.
    ///
    /// - Parameter agentDevice: the device that the session's agent answered for; nil: none did.
    /// - Returns: nil when the certificate names no device, or several, or was revoked here by its serial number.
    public func certified(
        _ certificate: DeviceCertificate, beside agentDevice: String?
    ) async -> CertifiedDevice? {
        guard
            let machine = MachineDirectory.Machine(
                CertificateNames(commonName: certificate.commonName, dnsNames: certificate.dnsNames),
                suffix: certificate.suffix, domain: certificate.domain, platform: certificate.platform),
            !isDenied(serial: certificate.serial, machine)
        else { return nil }
        let name = machines.keep(machine)
        let findings = await findings(of: machine)
        let enrolled = machine.id.flatMap { directory.owner(of: $0) }
        var facts: DeviceFacts
        var strength = findings.isAmbiguous ? nil : findings.strength
        if let enrolled {
            guard let known = await deviceFacts(id: enrolled, statement: nil) else { return nil }
            facts = known
            // The id is pinned to the key that enrolled: the gateway knows the device itself.
            if !findings.isAmbiguous { strength = .strong }
        } else if let name {
            facts = DeviceFacts(
                id: name, platform: machine.platform,
                verdicts: underSignals(findings.verdicts, deviceID: name, keys: findings.keys(of: machine)))
        } else {
            return nil
        }
        let key = machine.id == nil || findings.isByName ? "certificate-name" : DeviceKey.Kind.intune.rawValue
        facts.certificate = CertificateProof(
            issuerDigest: certificate.issuerDigest, serial: certificate.serial,
            notAfterSeconds: certificate.notAfterSeconds, key: key, strength: strength)
        return CertifiedDevice(
            facts: facts, emails: certificate.emails, owners: findings.owners,
            relation: relation(of: findings.keys(of: machine), enrolled: enrolled, to: agentDevice))
    }

    private func relation(
        of keys: [DeviceKey], enrolled: String?, to agentDevice: String?
    ) -> CertifiedDevice.Relation {
        guard let agentDevice else { return .unknown }
        if let enrolled { return ExactText.isEqual(enrolled, agentDevice) ? .same : .other }
        var relation = CertifiedDevice.Relation.unknown
        for pinned in directory.keys(of: agentDevice) {
            let others = keys.filter { $0.kind == pinned.kind }
            // One kind that differs is enough, whatever the rest says.
            if !others.isEmpty, !others.contains(pinned) { return .other }
            if !others.isEmpty { relation = .same }
        }
        return relation
    }
}
