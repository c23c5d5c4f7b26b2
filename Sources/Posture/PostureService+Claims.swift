import Access
import JSON

/// A device that is not the one which a token names.
struct ClaimContradiction: Hashable, Sendable {
    var device: ExactKey
    var claimed: DeviceKey
}

/// The id that a validated token gives the device (providers.md 13, row 5). It finds a record for the device that the
/// session has proven, with medium strength; by itself it proves no device.
extension PostureService {
    private static let contradictionsToldMax = 1_000

    /// - Parameter conflicts: gets the kind of id where the token names another device than this one, so that no
    ///   verdict of this one counts: a cookie may have been carried from there to here.
    /// - Returns: nil where the token says nothing, or nothing new.
    func claimedKey(_ question: DeviceQuestion, _ conflicts: inout Set<String>) -> DeviceKey? {
        guard let key = question.claimedEntraID.flatMap({ DeviceKey(.entra, $0) }) else { return nil }
        let own = directory.keys(of: question.id).first { $0.kind == .entra }
        let holder = directory.owner(of: key)
        let isOthers = holder.map { !ExactText.isEqual($0, question.id) } ?? false
        if isOthers || own.map({ $0 != key }) == true {
            conflicts.insert(key.kind.rawValue)
            tell(ClaimContradiction(device: ExactKey(question.id), claimed: key))
            return nil
        }
        guard own == nil else { return nil }
        directory.note(claimed: key, of: question.id)
        return key
    }

    /// Once for each: sessions are decided every minute.
    private func tell(_ contradiction: ClaimContradiction) {
        if toldContradictions.count >= Self.contradictionsToldMax { toldContradictions = [] }
        guard toldContradictions.insert(contradiction).inserted else { return }
        Task {
            await audit(
                "device-id-conflict",
                [
                    "device": .string(contradiction.device.text),
                    "kind": .string(contradiction.claimed.kind.rawValue),
                    "claimed": .string(contradiction.claimed.value),
                ])
        }
    }

    /// What every provider says of a device: where none of its pinned ids is known, what its sign-in's id finds.
    func byClaim(of device: MatchedDevice, beside verdicts: [Verdict]) async -> [Verdict] {
        guard let key = device.claimed else { return verdicts }
        // An absent device's verdict has no id of the provider's.
        let known = Set(verdicts.filter { !$0.nativeID.isEmpty }.map { ExactKey($0.integration) })
        var found: [ExactKey: Verdict] = [:]
        for verdict in verdicts { found[ExactKey(verdict.integration)] = verdict }
        for connector in connectors where !known.contains(ExactKey(connector.integration)) {
            let records = await cache.records(of: connector.integration, key: key)
            let current = CurrentRecords.current(
                records.filter { !isKnownOtherwise($0, device.id) }, nowSeconds: clock.nowSeconds())
            guard let only = current.first else { continue }
            var verdict = only.verdict
            if current.count == 1, device.conflicts.isEmpty {
                verdict.matchKey = key.kind.rawValue
                verdict.matchStrength = .medium
            } else {
                verdict = VerdictMatching.ambiguous(verdict, key: key)
            }
            found[ExactKey(connector.integration)] = verdict
        }
        return connectors.compactMap { found[ExactKey($0.integration)] }
    }
}
