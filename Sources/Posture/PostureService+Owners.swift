import Access
import Store

/// Devices that a provider knows by nothing but the person who uses them (providers.md 13, row 8): weak, and only where
/// an administrator asked for it, because a person may come with another computer than the one that is managed.
extension PostureService {
    /// What every provider says of a device: where nothing else finds it, its owner's only device of its platform.
    func byOwner(of device: MatchedDevice, beside verdicts: [Verdict]) async -> [Verdict] {
        // An absent device's verdict has no id of the provider's.
        let known = Set(verdicts.filter { !$0.nativeID.isEmpty }.map { ExactKey($0.integration) })
        let asked = connectors.filter { $0.matchesOwners && !known.contains(ExactKey($0.integration)) }
        guard !asked.isEmpty, let enrolled = directory[device.id.text], let platform = enrolled.platform
        else { return verdicts }
        var found: [ExactKey: Verdict] = [:]
        for verdict in verdicts { found[ExactKey(verdict.integration)] = verdict }
        for connector in asked {
            guard let key = Self.owner(of: enrolled, for: connector) else { continue }
            let records = await cache.records(of: connector.integration, key: key)
            guard let verdict = verdict(of: device, on: platform, among: records, key) else { continue }
            found[ExactKey(connector.integration)] = verdict
        }
        return connectors.compactMap { found[ExactKey($0.integration)] }
    }

    /// A person with two devices of one platform has none that could be told from the other, also when one of them is
    /// known here: so they are counted before it is asked whose they are.
    private func verdict(
        of device: MatchedDevice, on platform: Platform, among records: [VerdictRecord], _ key: DeviceKey
    ) -> Verdict? {
        let candidates = CurrentRecords.current(records, nowSeconds: clock.nowSeconds()).filter {
            let written = PlatformLabel.platform(of: $0.verdict)
            // Of a platform that nobody wrote down, it may be of this one.
            return written == nil || written == platform
        }
        guard let only = candidates.first else { return nil }
        guard candidates.count == 1, device.conflicts.isEmpty else {
            return VerdictMatching.ambiguous(only.verdict, key: key)
        }
        guard PlatformLabel.platform(of: only.verdict) == platform, !isKnownOtherwise(only, device.id) else {
            return nil
        }
        var verdict = only.verdict
        verdict.matchKey = key.kind.rawValue
        verdict.matchStrength = key.kind.strengthWhenPinned
        return verdict
    }

    /// Whether the record's ids are another device's, a revoked one's, or others than this device's own.
    func isKnownOtherwise(_ record: VerdictRecord, _ device: ExactKey) -> Bool {
        let own = directory.keys(of: device.text)
        return record.keys.contains { key in
            guard key.kind.isPinned else { return false }
            if directory.wasRevoked(key) { return true }
            if let owner = directory.owner(of: key) { return ExactKey(owner) != device }
            return own.contains { $0.kind == key.kind && $0 != key }
        }
    }

    /// What names a device's owner at a provider. A claim of the sign-in is not known of a device.
    private static func owner(of device: StoredDevice, for connector: any Connector) -> DeviceKey? {
        guard connector.matchesOwners else { return nil }
        switch connector.ownerAttribute {
        case "email": return device.ownerEmail.flatMap { DeviceKey(.owner, $0) }
        case "subject": return DeviceKey(.owner, device.ownerSubject)
        case _: return nil
        }
    }

    /// The devices of people whom these keys name, where that finds any.
    func devices(ofOwners keys: Set<DeviceKey>) -> Set<ExactKey> {
        let owners = keys.filter { $0.kind == .owner }
        guard !owners.isEmpty, connectors.contains(where: { $0.matchesOwners }) else { return [] }
        return directory.devices(ofOwners: owners)
    }

    /// Where none of a device's own ids is known: asks by the id that a sign-in gave it, else for its owner's devices.
    ///
    /// Nothing found is no news: what was known stays until its own end. An owner without devices is not told from a
    /// person whom the directory does not know.
    ///
    /// - Returns: whether the provider answered; nil: it was not asked.
    func fetchOtherwise(_ deviceID: String, from connector: any Connector) async -> Bool? {
        guard let device = directory[deviceID], !isRevoked(device) else { return nil }
        let claimed = directory.claimed(of: deviceID)
        let owner = Self.owner(of: device, for: connector)
        guard claimed != nil || owner != nil, await !isFound(deviceID, at: connector) else { return nil }
        let key = ExactKey(connector.integration)
        let trace = CallTrace()
        let answer = await CallTrace.$current.withValue(trace) {
            await clock.within(Self.fetchSecondsMax) { () -> DeviceAnswer in
                var answer = DeviceAnswer.records([])
                if let claimed { answer = await connector.fetch([claimed]) }
                if case .records(let found) = answer, !found.isEmpty { return answer }
                guard let owner else { return answer }
                return await connector.devices(ofPerson: owner.value)
            }
        }
        guard !Task.isCancelled else { return false }
        let now = clock.nowSeconds()
        switch answer {
        case .records(let records)?:
            statuses[key]?.noteSuccess(nowSeconds: now)
            await take(of: connector) { tell in
                await self.cache.apply(
                    VerdictRecords(records.map { $0.said(by: trace.last) }), of: connector.integration,
                    nowSeconds: now, isList: true, tell: tell)
            }
            return true
        // The provider looks up no such id.
        case .failed(let failure)? where failure.kind == .notFound: return nil
        case .failed(let failure)?:
            statuses[key]?.note(failure, nowSeconds: now, call: trace.last)
        case nil:
            statuses[key]?.note(Self.timeout(Self.fetchSecondsMax), nowSeconds: now, call: trace.last)
        }
        return false
    }

    private func isFound(_ deviceID: String, at connector: any Connector) async -> Bool {
        for key in directory.keys(of: deviceID) {
            let records = await cache.records(of: connector.integration, key: key)
            if records.contains(where: { $0.verdict.state != .notFound }) { return true }
        }
        return false
    }
}

/// The platform that a provider's record is about, kept as a label where devices are found by their owners.
enum PlatformLabel {
    static let prefix = "platform:"

    /// - Parameter word: the vendor's word for the operating system; nil: none that is known.
    static func label(_ word: String) -> String? {
        let platform: Platform? =
            switch word.lowercased() {
            case "windows": .windows
            case "macos": .macos
            case "linux": .linux
            case "ios", "ipados": .ios
            case "android": .android
            case "chromeos": .chromeos
            case _: nil
            }
        return platform.map { prefix + $0.rawValue }
    }

    static func platform(of verdict: Verdict) -> Platform? {
        let label = verdict.labels.first { $0.hasPrefix(prefix) }
        return label.flatMap { Platform(rawValue: String($0.dropFirst(prefix.count))) }
    }
}
