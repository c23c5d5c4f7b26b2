import Access
import Store

/// What changing the cache comes to, and which of two records about one device counts (providers.md 14.3).
extension VerdictCache {
    /// Keys whose devices' facts changed.
    struct Changes: Sendable {
        var keys: Set<DeviceKey> = []
        /// Kept in memory although the store failed: the next write repairs it.
        var storeFailure: StoreError?
        /// Keys of devices whose single checks are older than their report.
        var outdated: Set<DeviceKey> = []
    }

    /// (observed, assessed, fetched) is not older than what is stored. A provider that answers from a
    /// lagging replica must not turn time back.
    static func isNotOlder(_ fresh: Verdict, than old: Verdict) -> Bool {
        let new = (fresh.observedAtSeconds, fresh.assessedAtSeconds ?? 0, fresh.fetchedAtSeconds)
        // A record that went missing keeps its old report time; any later answer about the device wins over
        // that.
        if old.state == .notFound { return fresh.fetchedAtSeconds >= old.fetchedAtSeconds }
        // Nor is a report older whose time cannot be known (none, or from the future): it is not fresh, but
        // it is news.
        if fresh.observedAtSeconds == 0 { return fresh.fetchedAtSeconds >= old.fetchedAtSeconds }
        return new >= (old.observedAtSeconds, old.assessedAtSeconds ?? 0, old.fetchedAtSeconds)
    }

    /// Whether a decision could come out differently: not for a mere later fetch of the same content.
    static func differs(_ fresh: VerdictRecord, _ old: VerdictRecord, nowSeconds: Int64) -> Bool {
        let new = fresh.verdict
        let before = old.verdict
        return new.state != before.state || !ExactText.isEqual(new.labels, before.labels)
            || new.isManaged != before.isManaged
            || new.risk != before.risk || new.score != before.score
            || new.isSensorRunning != before.isSensorRunning
            || fresh.keys != old.keys || new.checks != before.checks
            || (before.expiresAtSeconds <= nowSeconds) != (new.expiresAtSeconds <= nowSeconds)
            || new.expiresAtSeconds < before.expiresAtSeconds
    }
}
