import Access
import Store

/// Every provider's latest verdicts in memory, persisted: the only thing a decision reads (003.3).
///
/// Ordering (providers.md 14.3), hard expiry and the reverse index live here; who is affected by a change is told as
/// device keys, because devices are the directory's matter. Long passes leave gaps, so that a question about one device
/// never waits for a synchronisation of a hundred thousand.
actor VerdictCache {
    /// Records handled between two gaps.
    static let stepRecords = 500

    private(set) var tables: [ExactKey: VerdictTable] = [:]
    private var loading: [ExactKey: Task<Void, Never>] = [:]
    private var failures: [ExactKey: StoreError] = [:]
    let store: any GatewayStore

    init(store: any GatewayStore) { self.store = store }

    /// Begins to read what was known before the start: how far synchronisations got at once, the verdicts behind the
    /// gateway's back. Expired ones are read too: they say nothing, but their ordering keeps an older answer from
    /// taking their place.
    ///
    /// - Parameter ttlSeconds: of each integration, by its name.
    func load(integrations: [(name: String, ttlSeconds: Int64)]) async throws(StoreError) {
        for (name, ttlSeconds) in integrations {
            let key = ExactKey(name)
            let state = try await store.syncState(integration: name)
            let table = VerdictTable(integration: name)
            table.completedAtSeconds = state?.completedAtSeconds
            table.position = state?.deltaLink
            if let state, state.deltaLink != nil {
                table.confirmation = VerdictTable.Confirmation(
                    atSeconds: state.completedAtSeconds, ttlSeconds: ttlSeconds)
            }
            tables[key] = table
            loading[key] = Task { await self.readRows(of: name) }
        }
    }

    private func readRows(of integration: String) async {
        let key = ExactKey(integration)
        let step = SQLiteStore.verdictsPerStep
        var after: String?
        var rows: [VerdictRow]
        repeat {
            do throws(StoreError) {
                rows = try await store.verdictRows(of: integration, after: after, limit: step)
            } catch {
                // What could not be read is not known, and that lets nobody in.
                failures[key] = error
                // And nothing is called missing because of it.
                tables[key]?.completedAtSeconds = nil
                tables[key]?.position = nil
                break
            }
            for row in rows { tables[key]?.load(row) }
            after = rows.last?.nativeID
        } while rows.count == step
        loading[key] = nil
    }

    /// Waits until what an integration said before the start is in memory.
    func ready(_ integration: String) async {
        await loading[ExactKey(integration)]?.value
    }

    /// Devices in one question whose records are read one by one; for more than these the list is as fast.
    static let readAheadMax = 16

    /// Reads what an integration said of these devices in front of the list that is being read since the start.
    ///
    /// - Returns: whether nothing in the rest of the list can change what is known of them.
    func readAhead(_ questions: [VerdictMatching.Question], _ source: VerdictMatching.Source) async -> Bool {
        let key = ExactKey(source.integration)
        guard loading[key] != nil, let kind = source.nativeKey, questions.count <= Self.readAheadMax else {
            return false
        }
        for question in questions where !question.keys.isEmpty {
            guard let name = question.keys.first(where: { $0.kind == kind }) else { return false }
            if isRecorded(name, in: key) { continue }
            guard let row = try? await store.verdictRow(of: source.integration, nativeID: name.value),
                // Meanwhile the list may have been read, and a synchronisation may have taken the record back.
                loading[key] != nil
            else { return false }
            tables[key]?.load(row)
            guard isRecorded(name, in: key) else { return false }
        }
        return true
    }

    private func isRecorded(_ name: DeviceKey, in integration: ExactKey) -> Bool {
        guard let table = tables[integration], let slot = table.slot(of: name.value) else { return false }
        return table.record(at: slot)?.keys.contains(name) ?? false
    }

    /// Waits until everything is in memory.
    func ready() async {
        for task in loading.values { await task.value }
    }

    /// Whom a change concerns, by the keys of devices.
    struct News: Sendable {
        /// Their facts changed.
        var changed: Set<DeviceKey> = []
        /// Those of them that the provider calls non-compliant or not managed now.
        var bad: Set<DeviceKey> = []
        /// Their single checks are those of an older report than the rest.
        var outdated: Set<DeviceKey> = []

        var isEmpty: Bool { changed.isEmpty && outdated.isEmpty }
    }

    /// Takes news a step at a time, because most of a provider's devices are nobody's here.
    typealias Tell = @Sendable (News) async -> Void

    /// One taking under way: news not told yet, and what the store has not heard of.
    private struct Changes {
        var news = News()
        var writes: VerdictWrites

        init(_ table: VerdictTable) { writes = VerdictWrites(integration: table.integration) }

        mutating func tellNews(_ tell: Tell) async {
            guard !news.isEmpty else { return }
            let told = news
            news = News()
            await tell(told)
        }
    }

    func table(_ integration: String) -> VerdictTable {
        let key = ExactKey(integration)
        if let table = tables[key] { return table }
        let table = VerdictTable(integration: integration)
        tables[key] = table
        return table
    }

    // MARK: Taking

    /// Takes records that were read one by one or by an incomplete synchronisation: absence says nothing.
    ///
    /// - Parameter isList: whether they come from a list, which leaves out what a question about one device brings.
    /// - Returns: what to `persist` when everybody has been told.
    func apply(
        _ fresh: VerdictRecords, of integration: String, nowSeconds: Int64, isList: Bool = false, tell: Tell
    ) async -> VerdictWrites {
        await ready(integration)
        let table = table(integration)
        var changes = Changes(table)
        await merge(fresh, into: table, isList: isList, nowSeconds: nowSeconds, &changes, tell)
        return changes.writes
    }

    /// Takes a *proven complete* synchronisation: what is absent from it is not found any more.
    func replace(
        integration: String, with fresh: VerdictRecords, startedAtSeconds: Int64, ttlSeconds: Int64,
        nowSeconds: Int64, position: String? = nil, tell: Tell
    ) async -> VerdictWrites {
        await ready(integration)
        let table = table(integration)
        var changes = Changes(table)
        let sweep = table.beginSweep()
        await merge(fresh, into: table, isList: true, sweep: sweep, nowSeconds: nowSeconds, &changes, tell)
        await pass(table, &changes, tell) { slot, record, changes in
            // Fetched by itself after this synchronisation began: newer knowledge than the page it is missing from.
            guard !table.isSeen(slot, in: sweep), record.fetchedAtSeconds < startedAtSeconds else { return }
            if record.state == .notFound {
                // Gone for two synchronisations: "not in a complete one" says the same without a record.
                Self.forget(slot, of: table, &changes)
            } else {
                Self.markMissing(slot, of: table, ttlSeconds: ttlSeconds, nowSeconds: nowSeconds, &changes)
            }
        }
        table.completedAtSeconds = nowSeconds
        table.position = position
        table.confirmation = nil
        changes.writes.state = syncState(integration, completedAtSeconds: nowSeconds, position)
        return changes.writes
    }

    /// Takes the changes since a proven complete state: what they do not name is as it was, and that is news
    /// of now.
    func apply(
        _ delta: IncrementalChanges, integration: String, startedAtSeconds: Int64, ttlSeconds: Int64,
        nowSeconds: Int64, tell: Tell
    ) async -> VerdictWrites {
        await ready(integration)
        let table = table(integration)
        var changes = Changes(table)
        await merge(delta.changed, into: table, isList: true, nowSeconds: nowSeconds, &changes, tell)
        var removed: Set<UInt32> = []
        for id in delta.removed {
            guard let slot = table.slot(of: id), let head = table.head(at: slot),
                // Read by itself after this began: newer than its removal.
                head.fetchedAtSeconds < startedAtSeconds
            else { continue }
            Self.markMissing(slot, of: table, ttlSeconds: ttlSeconds, nowSeconds: nowSeconds, &changes)
            removed.insert(slot)
        }
        await pass(table, &changes, tell) { slot, record, changes in
            guard record.state == .notFound, !removed.contains(slot),
                record.fetchedAtSeconds < startedAtSeconds
            else { return }
            Self.forget(slot, of: table, &changes)
        }
        let before = table.confirmation
        table.completedAtSeconds = startedAtSeconds
        table.position = delta.position
        table.confirmation = VerdictTable.Confirmation(atSeconds: startedAtSeconds, ttlSeconds: ttlSeconds)
        await pass(table, &changes, tell) { slot, record, changes in
            // What said nothing any more and does so again since it was confirmed.
            guard let old = table.head(at: slot, under: before), old.expiresAtSeconds <= nowSeconds,
                record.expiresAtSeconds > nowSeconds
            else { return }
            changes.news.changed.formUnion(table.record(at: slot)?.keys ?? [])
        }
        changes.writes.state = syncState(
            integration, completedAtSeconds: startedAtSeconds, delta.position)
        return changes.writes
    }

    /// The provider answered that none of these keys names a device there.
    func markAbsent(
        integration: String, keys: [DeviceKey], ttlSeconds: Int64, nowSeconds: Int64, tell: Tell
    ) async -> VerdictWrites {
        await ready(integration)
        let table = table(integration)
        var changes = Changes(table)
        for record in keys.flatMap({ table.records(named: $0) }) {
            guard let slot = table.slot(of: record.verdict.nativeID) else { continue }
            Self.markMissing(slot, of: table, ttlSeconds: ttlSeconds, nowSeconds: nowSeconds, &changes)
        }
        await changes.tellNews(tell)
        return changes.writes
    }

    // MARK: Reading

    /// Where the next incremental synchronisation goes on from; nil: everything has to be read.
    func position(_ integration: String) -> String? { tables[ExactKey(integration)]?.position }

    /// The records of one integration that this key names.
    func records(of integration: String, key: DeviceKey) async -> [VerdictRecord] {
        await ready(integration)
        return tables[ExactKey(integration)]?.records(named: key) ?? []
    }

    /// When the last proven complete synchronisation ended.
    func completedAt(_ integration: String) -> Int64? { tables[ExactKey(integration)]?.completedAtSeconds }

    /// Why what an integration said before the start could not be read; nil: it could.
    func loadFailure(_ integration: String) -> StoreError? { failures[ExactKey(integration)] }

    /// What is known of an integration's devices as a whole.
    func census(_ integration: String, nowSeconds: Int64) -> Census {
        guard let table = tables[ExactKey(integration)] else { return Census(devices: 0, labels: []) }
        var reports: [Int64] = []
        for slot in 0..<table.slotsEnd {
            guard let head = table.head(at: slot), head.expiresAtSeconds > nowSeconds else { continue }
            reports.append(head.observedAtSeconds)
        }
        reports.sort()
        return Census(
            devices: table.count, oldestObservedSeconds: reports.first,
            medianObservedSeconds: reports.isEmpty ? nil : reports[reports.count / 2],
            labels: Array(table.labels.prefix(Census.labelsMax)))
    }

    // MARK: Changing

    private func merge(
        _ fresh: VerdictRecords, into table: VerdictTable, isList: Bool, sweep: UInt32? = nil,
        nowSeconds: Int64, _ changes: inout Changes, _ tell: Tell
    ) async {
        for index in fresh.indices {
            if index % Self.stepRecords == Self.stepRecords - 1 {
                await changes.tellNews(tell)
                await Task.yield()
            }
            let slot = Self.merge(
                fresh[index], fresh.packed(at: index), into: table, isList: isList, nowSeconds: nowSeconds,
                &changes)
            if let sweep { table.see(slot, in: sweep) }
        }
        await changes.tellNews(tell)
    }

    /// - Returns: the slot of the device's record, whether or not this one was taken.
    private static func merge(
        _ fresh: VerdictRecord, _ packed: PackedVerdict, into table: VerdictTable, isList: Bool,
        nowSeconds: Int64, _ changes: inout Changes
    ) -> UInt32 {
        var known: VerdictRecord?
        if let slot = table.slot(of: fresh.verdict.nativeID), let record = table.record(at: slot) {
            guard VerdictOrder.isNotOlder(fresh.verdict, than: record.verdict) else { return slot }
            known = record
        }
        let carrying =
            isList ? known.flatMap { VerdictOrder.carryingChecks(fresh, from: $0, nowSeconds) } : nil
        let slot = carrying.map { table.keep($0) } ?? table.keep(fresh, packed)
        changes.writes.slots.append(slot)
        if carrying != nil, known?.verdict.observedAtSeconds != fresh.verdict.observedAtSeconds {
            changes.news.outdated.formUnion(fresh.keys)
        }
        if known.map({ VerdictOrder.differs(carrying ?? fresh, $0, nowSeconds: nowSeconds) }) ?? true {
            changes.news.changed.formUnion(fresh.keys)
            changes.news.changed.formUnion(known?.keys ?? [])
            let state = fresh.verdict.state
            if state == .noncompliant || state == .notManaged { changes.news.bad.formUnion(fresh.keys) }
        }
        return slot
    }

    /// What the store is to say of a synchronisation. Rows that could not be read at the start may be of
    /// devices that are gone, and nobody would ever take them back: a position would confirm them after the
    /// next start.
    private func syncState(
        _ integration: String, completedAtSeconds: Int64, _ position: String?
    ) -> SyncState {
        SyncState(
            integration: integration, completedAtSeconds: completedAtSeconds,
            deltaLink: failures[ExactKey(integration)] == nil ? position : nil)
    }

    /// Looks at every record of an integration, with gaps: what comes in one of them is looked at too, or is newer than
    /// the pass.
    private func pass(
        _ table: VerdictTable, _ changes: inout Changes, _ tell: Tell,
        _ look: (UInt32, PackedVerdict.Head, inout Changes) -> Void
    ) async {
        var slot: UInt32 = 0
        while slot < table.slotsEnd {
            if let head = table.head(at: slot) { look(slot, head, &changes) }
            slot += 1
            if slot % 4_096 == 0 {
                await changes.tellNews(tell)
                await Task.yield()
            }
        }
        await changes.tellNews(tell)
    }

    private static func markMissing(
        _ slot: UInt32, of table: VerdictTable, ttlSeconds: Int64, nowSeconds: Int64,
        _ changes: inout Changes
    ) {
        guard let record = table.record(at: slot) else { return }
        table.keep(VerdictOrder.missing(record, ttlSeconds: ttlSeconds, nowSeconds: nowSeconds))
        changes.writes.slots.append(slot)
        if record.verdict.state != .notFound { changes.news.changed.formUnion(record.keys) }
    }

    private static func forget(_ slot: UInt32, of table: VerdictTable, _ changes: inout Changes) {
        if let id = table.row(at: slot)?.nativeID { changes.writes.removed.append(id) }
        table.forget(slot)
    }
}
