public import Access

/// A device by the names in its client certificate (providers.md 13, rows 2 and 4). Pure: who has checked the
/// certificate, and against which authority, is the caller's matter.
public struct CertificateNames: Sendable, Hashable {
    /// The subject's CN; nil: it has none.
    public var commonName: String?
    /// The subject alternative names of type DNS.
    public var dnsNames: [String]

    /// Takes the names as they are.
    public init(commonName: String?, dnsNames: [String]) {
        self.commonName = commonName
        self.dnsNames = dnsNames
    }

    /// One current or past record of a provider, by its name there.
    public struct NamedDevice: Sendable, Hashable {
        /// The provider's own id.
        public var nativeID: String
        /// Its Intune id, when it has one.
        public var intuneID: DeviceKey?
        /// Its host name, without a domain or with it.
        public var name: String
        /// False for records that are retired or unenrolled.
        public var isCurrent: Bool

        /// Takes the members as they are.
        public init(nativeID: String, intuneID: DeviceKey? = nil, name: String, isCurrent: Bool = true) {
            self.nativeID = nativeID
            self.intuneID = intuneID
            self.name = name
            self.isCurrent = isCurrent
        }
    }

    /// What the names come to.
    public enum Match: Sendable, Hashable {
        case device(nativeID: String, key: String, strength: Verdict.Strength)
        case notFound
        /// Several, or names that contradict each other: treated as unknown.
        case ambiguous
    }

    /// The Intune ids among the DNS names: a bare GUID, or a GUID as the first label under `suffix` (003.10).
    ///
    /// - Parameter suffix: as an administrator writes it, with or without a dot in front; nil: bare GUIDs
    ///   only.
    public func intuneIDs(suffix: String? = nil) -> Set<DeviceKey> {
        let suffix = suffix.flatMap(Self.hostName).map { $0.hasPrefix(".") ? $0 : ".\($0)" }
        let ids = dnsNames.prefix(100).compactMap { raw -> DeviceKey? in
            guard let name = Self.hostName(raw) else { return nil }
            if let bare = DeviceKey(.intune, name) { return bare }
            guard let suffix, name.hasSuffix(suffix) else { return nil }
            // One label and the whole suffix: anything between them is another name.
            return DeviceKey(.intune, String(name.dropLast(suffix.count)))
        }
        return Set(ids)
    }

    /// The one record that the certificate names. The id in a DNS name goes before the common name (003.9),
    /// and where the two name different devices neither counts.
    ///
    /// - Parameters:
    ///   - devices: all records that the provider has.
    ///   - domain: what may stand behind the device's name in CN; nil: nothing may.
    public func match(_ devices: [NamedDevice], suffix: String? = nil, domain: String? = nil) -> Match {
        let ids = intuneIDs(suffix: suffix)
        guard ids.count <= 1 else { return .ambiguous }
        let byName = named(devices, domain: domain)
        guard let id = ids.first else {
            guard let byName else { return .notFound }
            return Self.one(byName, key: "certificate-name", strength: .medium)
        }
        let byID = devices.filter { $0.intuneID == id }
        let found = Self.one(byID, key: DeviceKey.Kind.intune.rawValue, strength: .strong)
        // A name that belongs to other records only contradicts the id; one that nobody has contradicts
        // nothing.
        if case .device(let nativeID, _, _) = found, let byName, !byName.isEmpty,
            !byName.contains(where: { ExactText.isEqual($0.nativeID, nativeID) })
        {
            return .ambiguous
        }
        return found
    }

    /// nil without a usable common name.
    private func named(_ devices: [NamedDevice], domain: String?) -> [NamedDevice]? {
        let wanted = deviceNames(domain: domain)
        guard !wanted.isEmpty else { return nil }
        return devices.filter { device in Self.hostName(device.name).map(wanted.contains) ?? false }
    }

    /// What a device may be called that the common name means: the name as it stands, and with or without the
    /// domain. Empty without a usable common name.
    func deviceNames(domain: String?) -> Set<String> {
        guard let name = commonName.flatMap(Self.hostName) else { return [] }
        var wanted: Set<String> = [name]
        if let domain = domain.flatMap(Self.hostName).map({ $0.hasPrefix(".") ? $0 : ".\($0)" }) {
            if name.hasSuffix(domain) {
                wanted.insert(String(name.dropLast(domain.count)))
            } else if !name.contains(".") {
                wanted.insert(name + domain)
            }
        }
        return wanted
    }

    /// Names are given again to other machines: exactly one current record, or none at all but past ones.
    private static func one(_ found: [NamedDevice], key: String, strength: Verdict.Strength) -> Match {
        let current = found.filter(\.isCurrent)
        let candidates = current.isEmpty ? found : current
        guard let first = candidates.first else { return .notFound }
        guard candidates.count == 1 else { return .ambiguous }
        return .device(nativeID: first.nativeID, key: key, strength: strength)
    }

    /// Lower case, without a trailing dot; nil for what is no host name: an empty one, one that is too
    /// long, and any byte but letters, digits, `-`, `_` and `.`.
    static func hostName(_ raw: String) -> String? {
        // Before folding, which makes ASCII of a few foreign letters (U+212A becomes "k").
        guard raw.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
        var text = raw.lowercased()
        if text.hasSuffix(".") { text.removeLast() }
        guard (1...253).contains(text.utf8.count),
            text.utf8.allSatisfy({ byte in
                (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte)
                    || [0x2d, 0x2e, 0x5f].contains(byte)
            })
        else { return nil }
        return text
    }
}
