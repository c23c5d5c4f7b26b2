import Access

/// Which of two answers about a device counts, and whether a decision could come out differently by it
/// (providers.md 14.3).
enum VerdictOrder {
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

    /// A list leaves out what a question about one device brings: that stands until the device is asked for again, at
    /// once when it has reported since. Otherwise each list would cut everybody whom a single check let in.
    ///
    /// - Returns: nil when there is nothing to carry over.
    static func carryingChecks(
        _ fresh: VerdictRecord, from old: VerdictRecord, _ nowSeconds: Int64
    ) -> VerdictRecord? {
        guard fresh.verdict.checks.isEmpty, !old.verdict.checks.isEmpty,
            old.verdict.expiresAtSeconds > nowSeconds, old.verdict.state == fresh.verdict.state
        else { return nil }
        var carrying = fresh
        carrying.verdict.checks = old.verdict.checks
        return carrying
    }

    /// A record whose device is not at its provider any more.
    static func missing(_ record: VerdictRecord, ttlSeconds: Int64, nowSeconds: Int64) -> VerdictRecord {
        var missing = record
        missing.verdict.id = "\(record.verdict.integration):\(record.verdict.nativeID):\(nowSeconds):missing"
        missing.verdict.state = .notFound
        missing.verdict.isManaged = false
        missing.verdict.labels = []
        missing.verdict.risk = nil
        missing.verdict.rawState = "device_missing"
        missing.verdict.fetchedAtSeconds = nowSeconds
        missing.verdict.expiresAtSeconds = nowSeconds + ttlSeconds
        missing.verdict.graceUntilSeconds = nil
        missing.verdict.remedies = ProviderRemedies.sentences(.notFound, provider: missing.verdict.provider)
        return missing
    }
}
