import Access

/// What all providers know of a device that a certificate names.
struct MachineFindings: Sendable {
    var verdicts: [Verdict] = []
    /// By whichever provider names it most surely; nil: none knows it.
    var strength: Verdict.Strength?
    /// Nobody knows it by its id: a name found it.
    var isByName = false
    /// Some provider cannot say which of several it is.
    var isAmbiguous = false
    var owners: [CertifiedDevice.OwnerWords] = []
    /// Ids of the device in the records that its own id found.
    var hardKeys: [DeviceKey] = []

    /// Everything that names the device: what the certificate says, and what the records behind its id say.
    func keys(of machine: MachineDirectory.Machine) -> [DeviceKey] {
        (machine.id.map { [$0] } ?? []) + hardKeys + machine.nameKeys
    }

    mutating func take(
        _ record: VerdictRecord, _ key: String, _ strength: Verdict.Strength, ownerAttribute: String?
    ) {
        var verdict = record.verdict
        verdict.matchKey = key
        verdict.matchStrength = strength
        verdicts.append(verdict)
        let owners = record.keys.filter { $0.kind == .owner }.map(\.value)
        if let ownerAttribute, !owners.isEmpty {
            self.owners.append(CertifiedDevice.OwnerWords(attribute: ownerAttribute, values: owners))
        }
    }

    /// A record that names another device by some id is not about this one.
    func contradicts(_ record: VerdictRecord) -> Bool {
        record.keys.contains { key in
            let own = hardKeys.filter { $0.kind == key.kind }
            return key.kind.isPinned && !own.isEmpty && !own.contains(key)
        }
    }
}

extension PostureService {
    /// First the providers who know the device by what the certificate says, the surest word first; then the others, by
    /// the ids that stand in the record behind its id. Those are one provider's word about another's
    /// device, which makes the match medium.
    func findings(of machine: MachineDirectory.Machine) async -> MachineFindings {
        var findings = MachineFindings()
        var rest: [any Connector] = []
        var named: [(record: VerdictRecord, connector: any Connector)] = []
        for connector in connectors {
            let found = await records(of: machine.keys, connector)
            switch match(found, machine) {
            case .device(let nativeID, let key, let strength):
                guard
                    let record = found.first(where: {
                        ExactText.isEqual($0.verdict.nativeID, nativeID)
                    })
                else { continue }
                guard strength == .strong else {
                    named.append((record, connector))
                    continue
                }
                findings.take(record, key, strength, ownerAttribute: connector.ownerAttribute)
                if record.verdict.state != .notFound { findings.strength = .strong }
                findings.hardKeys += record.keys.filter { key in
                    key.kind.isPinned && key != machine.id && !findings.hardKeys.contains(key)
                }
            case .ambiguous:
                findings.isAmbiguous = true
                if let first = found.first, let key = machine.keys.first {
                    findings.verdicts.append(VerdictMatching.ambiguous(first.verdict, key: key))
                }
            case .notFound: rest.append(connector)
            }
        }
        for (record, connector) in named { take(record, named: machine, connector, into: &findings) }
        for connector in rest {
            if let verdict = await chained(machine, connector, findings.hardKeys) {
                findings.verdicts.append(verdict)
            }
        }
        machines.note(findings.hardKeys, of: machine)
        return findings
    }

    /// What only the name found: not where it belongs to another device than the id.
    private func take(
        _ record: VerdictRecord, named machine: MachineDirectory.Machine, _ connector: any Connector,
        into findings: inout MachineFindings
    ) {
        guard !findings.contradicts(record) else {
            findings.isAmbiguous = true
            if let key = machine.keys.first {
                findings.verdicts.append(VerdictMatching.ambiguous(record.verdict, key: key))
            }
            return
        }
        findings.take(record, "certificate-name", .medium, ownerAttribute: connector.ownerAttribute)
        if findings.strength == nil, record.verdict.state != .notFound {
            findings.strength = .medium
            findings.isByName = true
        }
    }

    private func records(of keys: [DeviceKey], _ connector: any Connector) async -> [VerdictRecord] {
        var found: [VerdictRecord] = []
        for key in keys {
            for record in await cache.records(of: connector.integration, key: key)
            where !found.contains(where: { ExactText.isEqual($0.verdict.nativeID, record.verdict.nativeID) })
            {
                found.append(record)
            }
        }
        return found
    }

    private func match(
        _ found: [VerdictRecord], _ machine: MachineDirectory.Machine
    ) -> CertificateNames.Match {
        let current = CurrentRecords.current(found, nowSeconds: clock.nowSeconds())
        let devices = found.map { record in
            CertificateNames.NamedDevice(
                nativeID: record.verdict.nativeID, intuneID: record.keys.first { $0.kind == .intune },
                name: record.keys.first { $0.kind == .name }?.value ?? "",
                isCurrent: current.contains {
                    ExactText.isEqual($0.verdict.nativeID, record.verdict.nativeID)
                })
        }
        return machine.names.match(devices, suffix: machine.suffix, domain: machine.domain)
    }

    /// Not among a complete synchronisation either, nothing known yet, or known by an id that another provider names.
    private func chained(
        _ machine: MachineDirectory.Machine, _ connector: any Connector, _ hardKeys: [DeviceKey]
    ) async -> Verdict? {
        let ordered = DeviceKey.Kind.allCases.flatMap { kind in hardKeys.filter { $0.kind == kind } }
        var verdict = await cache.verdicts(
            of: [VerdictMatching.Question(keys: ordered + machine.keys.prefix(1))],
            by: [VerdictMatching.Source(connector)], nowSeconds: clock.nowSeconds()
        )[0].first
        if verdict?.matchStrength == .strong { verdict?.matchStrength = .medium }
        return verdict
    }
}
