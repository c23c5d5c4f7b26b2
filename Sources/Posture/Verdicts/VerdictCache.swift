import Access
import Store

/// Every provider's latest verdicts in memory, persisted: the only thing a decision reads (003.3).
///
/// Ordering (providers.md 14.3), hard expiry and the reverse index live here; who is affected by a change
/// is told as device keys, because devices are the directory's matter.
actor VerdictCache {
    private struct NativeKey: Hashable {
        var integration: ExactKey
        var nativeID: ExactKey

        init(_ verdict: Verdict) {
            self.init(integration: ExactKey(verdict.integration), nativeID: ExactKey(verdict.nativeID))
        }

        init(integration: ExactKey, nativeID: ExactKey) {
            self.integration = integration
            self.nativeID = nativeID
        }
    }

    private var records: [NativeKey: VerdictRecord] = [:]
    private var byKey: [DeviceKey: Set<NativeKey>] = [:]
    private var completedAtSeconds: [ExactKey: Int64] = [:]
    /// Where incremental synchronisations go on from.
    private var positions: [ExactKey: String] = [:]
    private let store: any GatewayStore

    init(store: any GatewayStore) { self.store = store }

    /// Reads what was known before the start. Expired verdicts are read too: they say nothing, but their
    /// ordering keeps an older answer from taking their place.
    func load(integrations: [String]) async throws(StoreError) {
        let wanted = Set(integrations.map(ExactKey.init))
        for verdict in try await store.allVerdicts() where wanted.contains(ExactKey(verdict.integration)) {
            keep(VerdictRecord(verdict: verdict, keys: DeviceKey.decoded(verdict.matchKey)))
        }
        for integration in integrations {
            let state = try await store.syncState(integration: integration)
            completedAtSeconds[ExactKey(integration)] = state?.completedAtSeconds
            positions[ExactKey(integration)] = state?.deltaLink
        }
    }

    /// Takes records that were read one by one or by an incomplete synchronisation: absence says nothing.
    ///
    /// - Parameter isList: whether they come from a list, which leaves out what a question about one device
    ///   brings.
    func apply(_ fresh: [VerdictRecord], nowSeconds: Int64, isList: Bool = false) async -> Changes {
        var changes = Changes()
        let kept = fresh.filter {
            merge($0, nowSeconds: nowSeconds, carriesChecks: isList, into: &changes)
        }
        guard !kept.isEmpty else { return changes }
        do throws(StoreError) {
            try await store.upsert(
                verdicts: kept.compactMap { records[NativeKey($0.verdict)]?.verdict })
        } catch {
            changes.storeFailure = error
        }
        return changes
    }

    /// Takes a *proven complete* synchronisation: what is absent from it is not found any more.
    func replace(
        integration: String, with fresh: [VerdictRecord], startedAtSeconds: Int64, ttlSeconds: Int64,
        nowSeconds: Int64, position: String? = nil
    ) async -> Changes {
        var changes = Changes()
        for record in fresh { _ = merge(record, nowSeconds: nowSeconds, carriesChecks: true, into: &changes) }
        let name = ExactKey(integration)
        let present = Set(fresh.map { ExactKey($0.verdict.nativeID) })
        for (key, record) in records where key.integration == name && !present.contains(key.nativeID) {
            // Fetched by itself after this synchronisation began: newer knowledge than the page it is
            // missing from.
            guard record.verdict.fetchedAtSeconds < startedAtSeconds else { continue }
            if record.verdict.state == .notFound {
                // Gone for two synchronisations: "not in a complete one" says the same without a record.
                forget(key)
                continue
            }
            markMissing(record, ttlSeconds: ttlSeconds, nowSeconds: nowSeconds, into: &changes)
        }
        completedAtSeconds[ExactKey(integration)] = nowSeconds
        positions[name] = position
        let all = records.filter { $0.key.integration == name }.map(\.value.verdict)
        do throws(StoreError) {
            try await store.replaceVerdicts(
                of: integration, with: all,
                state: SyncState(
                    integration: integration, completedAtSeconds: nowSeconds, deltaLink: position))
        } catch {
            changes.storeFailure = error
        }
        return changes
    }

    /// Takes the changes since a proven complete state: what they do not name is as it was, and that is news
    /// of now.
    func apply(
        _ delta: IncrementalChanges, integration: String, startedAtSeconds: Int64, ttlSeconds: Int64,
        nowSeconds: Int64
    ) async -> Changes {
        var changes = Changes()
        let name = ExactKey(integration)
        var touched: Set<NativeKey> = []
        for record in delta.changed
        where merge(record, nowSeconds: nowSeconds, carriesChecks: true, into: &changes) {
            touched.insert(NativeKey(record.verdict))
        }
        for id in delta.removed {
            let native = NativeKey(integration: name, nativeID: ExactKey(id))
            // Read by itself after this began: newer than its removal.
            guard let record = records[native], record.verdict.fetchedAtSeconds < startedAtSeconds else {
                continue
            }
            markMissing(record, ttlSeconds: ttlSeconds, nowSeconds: nowSeconds, into: &changes)
            touched.insert(native)
        }
        let removed = touched.filter { records[$0]?.verdict.state == .notFound }
        let gone = records.filter {
            $0.key.integration == name && $0.value.verdict.state == .notFound && !removed.contains($0.key)
                && $0.value.verdict.fetchedAtSeconds < startedAtSeconds
        }
        for key in gone.keys { forget(key) }
        completedAtSeconds[name] = startedAtSeconds
        positions[name] = delta.position
        changes.keys.formUnion(
            renew(integration: integration, ttlSeconds: ttlSeconds, nowSeconds: nowSeconds))
        do throws(StoreError) {
            for key in gone.keys {
                try await store.removeVerdict(integration: integration, nativeID: key.nativeID.text)
            }
            try await store.upsert(verdicts: touched.compactMap { records[$0]?.verdict })
            // Last: after a crash before it the same changes come once more, and applying twice changes
            // nothing.
            try await store.upsert(
                SyncState(
                    integration: integration, completedAtSeconds: startedAtSeconds, deltaLink: delta.position)
            )
        } catch {
            changes.storeFailure = error
        }
        return changes
    }

    /// What incremental synchronisations did not name was confirmed by the last one. Only in memory: with the
    /// position and its time in the store the same follows after a start.
    ///
    /// - Returns: keys of what said nothing any more and does so again.
    @discardableResult
    func renew(integration: String, ttlSeconds: Int64, nowSeconds: Int64) -> Set<DeviceKey> {
        let name = ExactKey(integration)
        var revived: Set<DeviceKey> = []
        guard positions[name] != nil, let confirmed = completedAtSeconds[name] else { return revived }
        for (key, record) in records where key.integration == name && record.verdict.state != .notFound {
            guard record.verdict.fetchedAtSeconds < confirmed else { continue }
            var verdict = record.verdict
            // Only what said its own time of reading has no other time that would age.
            if verdict.observedAtSeconds == verdict.fetchedAtSeconds { verdict.observedAtSeconds = confirmed }
            verdict.fetchedAtSeconds = confirmed
            verdict.expiresAtSeconds = min(confirmed + ttlSeconds, verdict.graceUntilSeconds ?? .max)
            if record.verdict.expiresAtSeconds <= nowSeconds, verdict.expiresAtSeconds > nowSeconds {
                revived.formUnion(record.keys)
            }
            records[key]?.verdict = verdict
        }
        return revived
    }

    /// Where the next incremental synchronisation goes on from; nil: everything has to be read.
    func position(_ integration: String) -> String? { positions[ExactKey(integration)] }

    /// The provider answered that none of these keys names a device there.
    func markAbsent(
        integration: String, keys: [DeviceKey], ttlSeconds: Int64, nowSeconds: Int64
    ) async -> Changes {
        var changes = Changes()
        let hit = Set(keys.flatMap { byKey[$0] ?? [] }).filter { $0.integration == ExactKey(integration) }
        for native in hit {
            guard let record = records[native] else { continue }
            markMissing(record, ttlSeconds: ttlSeconds, nowSeconds: nowSeconds, into: &changes)
        }
        let verdicts = hit.compactMap { records[$0]?.verdict }
        guard !verdicts.isEmpty else { return changes }
        do throws(StoreError) {
            try await store.upsert(verdicts: verdicts)
        } catch {
            changes.storeFailure = error
        }
        return changes
    }

    // MARK: Reading

    /// The records of one integration that any of these keys names, by key.
    func records(of integration: String, key: DeviceKey) -> [VerdictRecord] {
        (byKey[key] ?? []).filter { $0.integration == ExactKey(integration) }.compactMap { records[$0] }
            .sorted { $0.verdict.nativeID < $1.verdict.nativeID }
    }

    /// When the last proven complete synchronisation ended.
    func completedAt(_ integration: String) -> Int64? { completedAtSeconds[ExactKey(integration)] }

    func census(_ integration: String, nowSeconds: Int64) -> Census {
        let name = ExactKey(integration)
        var devices = 0
        var reports: [Int64] = []
        var labels: Set<String> = []
        for (key, record) in records where key.integration == name {
            devices += 1
            if labels.count < Census.labelsMax { labels.formUnion(record.verdict.labels) }
            if record.verdict.expiresAtSeconds > nowSeconds {
                reports.append(record.verdict.observedAtSeconds)
            }
        }
        reports.sort()
        return Census(
            devices: devices, oldestObservedSeconds: reports.first,
            medianObservedSeconds: reports.isEmpty ? nil : reports[reports.count / 2],
            labels: Array(labels.sorted().prefix(Census.labelsMax)))
    }

    // MARK: Changing

    /// - Returns: whether the record was taken.
    private func merge(
        _ fresh: VerdictRecord, nowSeconds: Int64, carriesChecks: Bool, into changes: inout Changes
    ) -> Bool {
        let native = NativeKey(fresh.verdict)
        let old = records[native]
        if let old, !Self.isNotOlder(fresh.verdict, than: old.verdict) { return false }
        let fresh =
            carriesChecks ? carryingChecks(fresh, from: old?.verdict, nowSeconds, into: &changes) : fresh
        keep(fresh)
        if old.map({ Self.differs(fresh, $0, nowSeconds: nowSeconds) }) ?? true {
            changes.keys.formUnion(fresh.keys)
            changes.keys.formUnion(old?.keys ?? [])
        }
        return true
    }

    /// A list leaves out what a question about one device brings: that stands until the device is asked for
    /// again, at once when it has reported since. Otherwise each list would cut everybody whom a single
    /// check let in.
    private func carryingChecks(
        _ fresh: VerdictRecord, from old: Verdict?, _ nowSeconds: Int64, into changes: inout Changes
    ) -> VerdictRecord {
        guard let old, fresh.verdict.checks.isEmpty, !old.checks.isEmpty, old.expiresAtSeconds > nowSeconds,
            old.state == fresh.verdict.state
        else { return fresh }
        var carrying = fresh
        carrying.verdict.checks = old.checks
        if old.observedAtSeconds != fresh.verdict.observedAtSeconds { changes.outdated.formUnion(fresh.keys) }
        return carrying
    }

    private func markMissing(
        _ record: VerdictRecord, ttlSeconds: Int64, nowSeconds: Int64, into changes: inout Changes
    ) {
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
        missing.verdict.remedies = ProviderRemedies.sentences(
            .notFound, provider: missing.verdict.provider)
        keep(missing)
        if record.verdict.state != .notFound { changes.keys.formUnion(record.keys) }
    }

    private func keep(_ record: VerdictRecord) {
        let native = NativeKey(record.verdict)
        forget(native)
        records[native] = record
        for key in record.keys { byKey[key, default: []].insert(native) }
    }

    private func forget(_ native: NativeKey) {
        for key in records[native]?.keys ?? [] {
            byKey[key]?.remove(native)
            if byKey[key]?.isEmpty == true { byKey[key] = nil }
        }
        records[native] = nil
    }
}
