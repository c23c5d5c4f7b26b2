import Access

/// Which cached records are about a device, and how strongly (providers.md 13).
enum VerdictMatching {
    /// One integration's verdict for a device with these pinned keys.
    ///
    /// - Parameters:
    ///   - keys: pinned to the device, strongest kind first.
    ///   - conflicts: kinds whose last stated value contradicts the pinned one.
    ///   - completedAtSeconds: end of the last proven complete synchronisation.
    /// - Returns: nil when nothing is known: that is not "not found".
    static func verdict(
        integration: String, provider: String, keys: [DeviceKey], conflicts: Set<String>, ttlSeconds: Int64,
        cache: VerdictCache, nowSeconds: Int64
    ) async -> Verdict? {
        for key in keys {
            let found = await cache.records(of: integration, key: key)
            guard !found.isEmpty else { continue }
            // Records that are gone do not make a living one ambiguous.
            let current = found.filter { $0.verdict.state != .notFound }
            let candidates = current.isEmpty ? [found[0]] : current
            if !conflicts.isEmpty || candidates.count > 1 {
                return ambiguous(candidates[0].verdict, key: key)
            }
            var verdict = candidates[0].verdict
            verdict.matchKey = key.kind.rawValue
            verdict.matchStrength = key.kind.strengthWhenPinned
            return verdict
        }
        guard !keys.isEmpty, let completed = await cache.completedAt(integration),
            nowSeconds < completed + ttlSeconds
        else { return nil }
        return notFound(integration: integration, provider: provider, key: keys[0], completed, ttlSeconds)
    }

    /// Treated as unknown by policy, whatever the records say.
    static func ambiguous(_ verdict: Verdict, key: DeviceKey) -> Verdict {
        var verdict = verdict
        verdict.id += ":ambiguous"
        verdict.state = .ambiguous
        verdict.labels = []
        verdict.isManaged = nil
        verdict.risk = nil
        verdict.score = nil
        verdict.isSensorRunning = nil
        verdict.matchKey = key.kind.rawValue
        verdict.matchStrength = .weak
        verdict.remedies = ProviderRemedies.sentences(.ambiguous, provider: verdict.provider)
        return verdict
    }

    private static func notFound(
        integration: String, provider: String, key: DeviceKey, _ completed: Int64, _ ttlSeconds: Int64
    ) -> Verdict {
        Verdict(
            id: "\(integration):\(key.value):\(completed):absent", integration: integration,
            provider: provider,
            nativeID: "", state: .notFound, isManaged: false, observedAtSeconds: completed,
            fetchedAtSeconds: completed, expiresAtSeconds: completed + ttlSeconds,
            matchKey: key.kind.rawValue,
            matchStrength: key.kind.strengthWhenPinned, rawState: "not in a complete synchronisation",
            remedies: ProviderRemedies.sentences(.notFound, provider: provider))
    }
}
