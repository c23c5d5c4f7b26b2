import Access

/// Devices that a provider knows by nothing but the addresses of their network hardware (providers.md 13, row 7): weak,
/// because adapters move and the statement alone says whose they are.
extension PostureService {
    /// What every provider says of a device: where none of its pinned ids is known, what its addresses find.
    func byAddresses(of device: MatchedDevice, beside verdicts: [Verdict]) async -> [Verdict] {
        // An absent device's verdict has no id of the provider's.
        let known = Set(verdicts.filter { !$0.nativeID.isEmpty }.map { ExactKey($0.integration) })
        let unknown = connectors.map(\.integration).filter { !known.contains(ExactKey($0)) }
        guard !unknown.isEmpty else { return verdicts }
        let records = await cache.records(of: unknown, named: device.addresses)
        var found: [ExactKey: Verdict] = [:]
        for verdict in verdicts { found[ExactKey(verdict.integration)] = verdict }
        for (integration, records) in zip(unknown, records) {
            guard let verdict = verdict(of: device, among: records) else { continue }
            found[ExactKey(integration)] = verdict
        }
        return connectors.compactMap { found[ExactKey($0.integration)] }
    }

    private func verdict(of device: MatchedDevice, among records: [VerdictRecord]) -> Verdict? {
        let now = clock.nowSeconds()
        let own = directory.keys(of: device.id.text)
        let current = CurrentRecords.current(
            records.filter { !isAnothers($0, device.id, own) }, nowSeconds: now)
        guard let first = current.first,
            let key = device.addresses.first(where: { first.keys.contains($0) })
        else { return nil }
        guard current.count == 1, device.conflicts.isEmpty else {
            return VerdictMatching.ambiguous(first.verdict, key: key)
        }
        var verdict = first.verdict
        verdict.matchKey = key.kind.rawValue
        verdict.matchStrength = key.kind.strengthWhenPinned
        return verdict
    }

    /// A docking station's address stands in the records of everybody who used it, and anybody can state anybody's: a
    /// record whose ids are another device's, a revoked one's, or not those of this one, is not about it. Nor is one
    /// that names its hardware otherwise than by an address, unless this device is known by that name.
    private func isAnothers(_ record: VerdictRecord, _ device: ExactKey, _ own: [DeviceKey]) -> Bool {
        let hardware = record.keys.filter(\.kind.isHardware)
        guard hardware.isEmpty || hardware.contains(where: own.contains) else { return true }
        return record.keys.contains { key in
            guard key.kind.isPinned else { return false }
            if directory.wasRevoked(key) { return true }
            if let owner = directory.owner(of: key) { return ExactKey(owner) != device }
            return own.contains { $0.kind == key.kind && $0 != key }
        }
    }
}

extension VerdictCache {
    /// The records of each of these integrations that any of these keys names, each once.
    func records(of integrations: [String], named keys: [DeviceKey]) async -> [[VerdictRecord]] {
        for integration in integrations { await ready(integration) }
        return integrations.map { integration in
            guard let table = tables[ExactKey(integration)] else { return [] }
            var found: [VerdictRecord] = []
            for record in keys.flatMap({ table.records(named: $0) })
            where !found.contains(where: {
                ExactText.isEqual($0.verdict.nativeID, record.verdict.nativeID)
            }) { found.append(record) }
            return found
        }
    }
}
