public import Access

/// Devices that are known by a client certificate alone: nobody enrolled them, and their providers' verdicts
/// are found by the id that the certificate names (providers.md 13, row 2).
struct MachineDirectory: Sendable {
    /// Machines remembered; one more is not known as a device.
    static let machinesMax = 100_000

    private var machines: [String: (key: DeviceKey, platform: Platform?)] = [:]

    static func id(_ key: DeviceKey) -> String { "machine:\(key.value)" }

    subscript(id: String) -> (key: DeviceKey, platform: Platform?)? { machines[id] }

    /// - Returns: what the machine is called; nil when there is no room.
    mutating func keep(_ key: DeviceKey, platform: Platform?) -> String? {
        let id = Self.id(key)
        guard machines[id] != nil || machines.count < Self.machinesMax else { return nil }
        machines[id] = (key, platform)
        return id
    }

    func owners(of keys: some Sequence<DeviceKey>) -> Set<ExactKey> {
        Set(keys.lazy.map(Self.id).filter { machines[$0] != nil }.map(ExactKey.init))
    }
}

extension PostureService {
    /// The device that a client certificate names. Whoever asks has checked the certificate.
    ///
    /// - Parameters:
    ///   - names: alternative names, as `dns:…`.
    ///   - suffix: under which an id may be a first label; nil: an id stands alone.
    ///   - platform: what devices with such certificates run, by the administrator's word.
    /// - Returns: an id for `machineFacts`; nil when the certificate names no device, or several.
    public func machine(names: [String], suffix: String?, platform: Platform?) -> String? {
        let hosts = names.filter { $0.hasPrefix("dns:") }.map { String($0.dropFirst(4)) }
        let ids = CertificateNames(commonName: nil, dnsNames: hosts).intuneIDs(suffix: suffix)
        guard ids.count == 1, let id = ids.first else { return nil }
        return machines.keep(id, platform: platform)
    }

    /// What providers say of such a device, for a decision; nil when it is not known.
    public func machineFacts(id: String) async -> DeviceFacts? {
        guard let machine = machines[id] else { return nil }
        var verdicts: [Verdict] = []
        for connector in connectors {
            let verdict = await VerdictMatching.verdict(
                integration: connector.integration, provider: connector.provider, keys: [machine.key],
                conflicts: [], ttlSeconds: connector.pace.ttlSeconds, cache: cache,
                nowSeconds: clock.nowSeconds())
            if let verdict { verdicts.append(verdict) }
        }
        return DeviceFacts(
            id: id, platform: machine.platform,
            verdicts: underSignals(verdicts, deviceID: id, keys: [machine.key]))
    }
}
