public import Access

/// Devices that are known by a client certificate alone: nobody enrolled them, and their providers' verdicts
/// are found by what the certificate names (providers.md 13, rows 2 and 4).
struct MachineDirectory: Sendable {
    /// Machines remembered; one more is not known as a device.
    static let machinesMax = 100_000
    /// Further ids of one machine that are followed.
    static let furtherKeysMax = 16

    /// What a certificate says of its device, as its listener is configured.
    struct Machine: Sendable, Hashable {
        var names: CertificateNames
        var suffix: String?
        var domain: String?
        var platform: Platform?
        /// The one Intune id among the DNS names.
        var id: DeviceKey?
        /// What the device may be called, by the common name.
        var nameKeys: [DeviceKey]

        /// nil: it names no device, or several.
        init?(_ names: CertificateNames, suffix: String?, domain: String?, platform: Platform?) {
            let ids = names.intuneIDs(suffix: suffix)
            let called = names.deviceNames(domain: domain).sorted()
            guard ids.count <= 1, !ids.isEmpty || !called.isEmpty else { return nil }
            self.names = names
            self.suffix = suffix
            self.domain = domain
            self.platform = platform
            id = ids.first
            nameKeys = called.compactMap { DeviceKey(.name, $0) }
        }

        var keys: [DeviceKey] { (id.map { [$0] } ?? []) + nameKeys }

        /// What it is called here. Two certificates with one id and other names are two machines: the names of
        /// one may contradict the id.
        var text: String {
            let name = nameKeys.map(\.value).joined(separator: ",")
            guard let id else { return "machine:name:\(name)" }
            return name.isEmpty ? "machine:\(id.value)" : "machine:\(id.value):\(name)"
        }
    }

    private var machines: [String: Machine] = [:]
    private var byKey: [DeviceKey: Set<String>] = [:]

    subscript(id: String) -> Machine? { machines[id] }

    /// - Returns: what the machine is called; nil when there is no room.
    mutating func keep(_ machine: Machine) -> String? {
        let id = machine.text
        guard machines[id] != nil || machines.count < Self.machinesMax else { return nil }
        machines[id] = machine
        for key in machine.keys { byKey[key, default: []].insert(id) }
        return id
    }

    /// Also known by these, from a provider's record behind its id: news about them are news about the machine.
    mutating func note(_ keys: [DeviceKey], of machine: Machine) {
        let id = machine.text
        guard machines[id] != nil else { return }
        for key in keys.prefix(Self.furtherKeysMax) { byKey[key, default: []].insert(id) }
    }

    func owners(of keys: some Sequence<DeviceKey>) -> Set<ExactKey> {
        var owners: Set<ExactKey> = []
        for key in keys { owners.formUnion((byKey[key] ?? []).map(ExactKey.init)) }
        return owners
    }
}

extension PostureService {
    /// The device that a client certificate names. Whoever asks has checked the certificate.
    ///
    /// - Parameters:
    ///   - names: alternative names, as `dns:…`.
    ///   - commonName: the subject's; nil: it has none, or it is not to be a device's name.
    ///   - suffix: under which an id may be a first label; nil: an id stands alone.
    ///   - domain: what may stand behind the device's name; nil: nothing may.
    ///   - platform: what devices with such certificates run, by the administrator's word.
    /// - Returns: an id for `machineFacts`; nil when the certificate names no device, or several.
    public func machine(
        names: [String], commonName: String?, suffix: String?, domain: String?, platform: Platform?
    ) -> String? {
        let hosts = names.filter { $0.hasPrefix("dns:") }.map { String($0.dropFirst(4)) }
        return MachineDirectory.Machine(
            CertificateNames(commonName: commonName, dnsNames: hosts), suffix: suffix, domain: domain,
            platform: platform
        ).flatMap { machines.keep($0) }
    }

    /// Whether a client certificate counts no more, whoever shows it: an administrator revoked it by its serial number,
    /// or the device that it names. Revoked, or its agent's certificate is: no other word brings a device back.
    func isDenied(serial: String, _ machine: MachineDirectory.Machine?) -> Bool {
        if withdrawn.numbers.contains(CertificateFacts.number(serial)) { return true }
        guard let id = machine?.id else { return false }
        if let enrolled = directory.owner(of: id) { return directory[enrolled].map(isRevoked) ?? true }
        return directory.wasRevoked(id)
    }

    /// Which of these client certificates count no more.
    ///
    /// - Parameter shown: serial numbers, each with what `machine` returned for its certificate.
    public func areDenied(_ shown: [(serial: String, device: String?)]) -> [Bool] {
        shown.map { isDenied(serial: $0.serial, $0.device.flatMap { machines[$0] }) }
    }

    /// Serial numbers that were revoked by themselves, as `CertificateFacts.number`.
    public func revokedSerials() -> Set<String> { withdrawn.numbers }

    /// What providers say of such a device, for a decision; nil when it is not known.
    public func machineFacts(id: String) async -> DeviceFacts? {
        guard let machine = machines[id] else { return nil }
        let findings = await findings(of: machine)
        return DeviceFacts(
            id: id, platform: machine.platform,
            verdicts: underSignals(findings.verdicts, deviceID: id, keys: findings.keys(of: machine)))
    }
}
