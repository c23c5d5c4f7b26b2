import Access
import Store

extension PostureService {
    /// The longest that one synchronisation may take, seconds: tens of thousands of devices in pages, with
    /// the pauses that a throttling provider asks for.
    static let syncSecondsMax = 900.0
    /// The longest that a round sleeps without looking at its appointments, seconds.
    static let idleSecondsMax: Int64 = 5

    /// Asks providers for as long as the task lives: everything at the start and once a day, each known
    /// device every two hours (003.2, 003.4). Each integration has its own round with one question at a time,
    /// so a slow or dead provider delays nobody else's answers. A person's request never waits for this.
    public func run() async {
        await withTaskGroup(of: Void.self) { group in
            for connector in connectors { group.addTask { await self.follow(connector) } }
            for connector in connectors where connector.publishing != nil {
                group.addTask { await self.followPublishing(connector) }
            }
            group.addTask { await self.forgetExpired() }
            if hasRevocationLists { group.addTask { await self.followRevocationLists() } }
            group.addTask { await self.followSignals() }
        }
    }

    private func follow(_ connector: any Connector) async {
        while !Task.isCancelled {
            await refreshDue(connector)
            let now = clock.nowSeconds()
            let wait = (schedule.nextDueSeconds(connector.integration) ?? now + 60) - now
            guard wait > 0 else { continue }
            // Whoever enrols meanwhile may be due earlier than anybody who is known now.
            await clock.sleep(Double(min(wait, Self.idleSecondsMax)))
        }
    }

    private func forgetExpired() async {
        while !Task.isCancelled {
            let now = clock.nowSeconds()
            transactions.removeExpired(nowSeconds: now)
            nonces.removeExpired(nowSeconds: now)
            await clock.sleep(60)
        }
    }

    /// Does once what is due at every integration now, side by side.
    func refreshDue() async {
        await withTaskGroup(of: Void.self) { group in
            for connector in connectors { group.addTask { await self.refreshDue(connector) } }
        }
    }

    private func refreshDue(_ connector: any Connector) async {
        let work = schedule.takeDue(
            connector.integration, pace: connector.pace, nowSeconds: clock.nowSeconds(), random: random)
        if work.isFullSync { await synchronise(connector) }
        await ask(about: work.devices, connector)
    }

    /// Probes again now with a new token (*Reconnect* of providers.md 10.3) and synchronises when it works.
    public func reconnect(integration: String) async -> IntegrationStatus? {
        let key = ExactKey(integration)
        guard let connector = connector(integration) else { return nil }
        // What is under way began with what was known before.
        if let under = synchronisations[key] { await under.value }
        await connector.forgetToken()
        publications[key]?.resume()
        probesWanted.insert(key)
        await synchronise(connector)
        return statuses[key]
    }

    /// State and health of every integration, in the order of the configuration.
    public func integrationStatus() async -> [IntegrationStatus] {
        var all: [IntegrationStatus] = []
        for connector in connectors {
            let key = ExactKey(connector.integration)
            guard var status = statuses[key] else { continue }
            let census = await cache.census(connector.integration, nowSeconds: clock.nowSeconds())
            status.devicesKnown = census.devices
            status.oldestObservedSeconds = census.oldestObservedSeconds
            status.lastCompleteSyncSeconds = await cache.completedAt(connector.integration)
            status.labels = census.labels
            status.medianObservedSeconds = census.medianObservedSeconds
            status.noticedWithinSeconds = connector.pace.noticedWithinSeconds
            status.vendorDelaySeconds = VendorDelay.seconds[connector.provider]
            status.connection = await connector.status()
            status.devicesRead = progress[ExactKey(connector.integration)]?.devices
            status.backlog = schedule.backlog(
                connector.integration, pace: connector.pace, nowSeconds: clock.nowSeconds())
            if let failure = await cache.loadFailure(connector.integration) {
                status.storeFailure = "\(failure)"
            }
            status.publishing =
                connector.publishing == nil
                ? nil : publications[key]?.status ?? PublishingStatus(waiting: 0, written: 0, dropped: 0)
            all.append(status)
        }
        Self.noteExcess(in: &all)
        all += await signalReports()
        for agent in agents {
            all.append(
                IntegrationStatus(
                    integration: agent.handshake.integration, provider: "endpoint-agent", state: .configured))
        }
        return all
    }

    /// 002.16: what integrations of one application may do and none of them has a use for.
    private static func noteExcess(in all: inout [IntegrationStatus]) {
        var needed: [ExactKey: Set<String>] = [:]
        for status in all {
            guard let application = status.connection.application else { continue }
            needed[ExactKey(application), default: []].formUnion(status.connection.needed)
        }
        for index in all.indices {
            guard let application = all[index].connection.application else { continue }
            let used = needed[ExactKey(application)] ?? []
            all[index].connection.excessPermissions = (all[index].connection.granted ?? []).filter { name in
                !used.contains(name) && !ConnectorStatus.signInScopes.contains(name)
            }
        }
    }

    /// One at a time per integration: who comes while one is under way waits for its end instead.
    func synchronise(_ connector: any Connector) async {
        let key = ExactKey(connector.integration)
        if let under = synchronisations[key] { return await under.value }
        let task = Task {
            await readEverything(connector)
            await noteCondition(of: connector)
            // Before anybody hears of its end: whoever then wants another one must not wait for this one again.
            synchronisations[key] = nil
        }
        synchronisations[key] = task
        // The round that started it ends it; the others only wait.
        await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
    }

    /// What no single answer says of an integration: whether there is anything to ask with, and whose clock is wrong.
    func noteCondition(of connector: any Connector) async {
        let key = ExactKey(connector.integration)
        let condition = await connector.status()
        statuses[key]?.note(hasCredentials: condition.hasCredentials)
        if condition.isClockSkewed, let offset = condition.serverOffsetSeconds {
            let relation = offset > 0 ? "ahead of" : "behind"
            statuses[key]?.noteSample(
                ConnectorFailure(
                    .clockSkew, "the provider's clock is \(offset.magnitude) s \(relation) ours"),
                nowSeconds: clock.nowSeconds())
        }
    }

    private func readEverything(_ connector: any Connector) async {
        let key = ExactKey(connector.integration)
        if probesWanted.remove(key) != nil || statuses[key]?.state != .configured {
            let trace = CallTrace()
            let probed = await CallTrace.$current.withValue(trace) {
                await clock.within(Self.fetchSecondsMax) { await connector.probe() }
            }
            // The outer nil: nobody answered in time. The inner one: nothing failed.
            guard let probed else { return late(Self.fetchSecondsMax, connector, trace.last) }
            if let failure = probed { return note(failure, of: connector, trace.last) }
            statuses[key]?.noteConfigured(nowSeconds: clock.nowSeconds())
        }
        let read = SyncProgress()
        progress[key] = read
        defer { progress[key] = nil }
        probeEnded(key)
        await SyncProgress.$current.withValue(read) { await readDevices(connector) }
        if read.devices >= Self.manyDevices { FreedMemory.giveBack() }
    }

    /// Beyond so many devices the memory of a synchronisation is given back at its end: every thread that read pages
    /// keeps what it freed for itself, and the next synchronisation runs on others.
    private static let manyDevices = 10_000

    private func readDevices(_ connector: any Connector) async {
        let key = ExactKey(connector.integration)
        if let position = await cache.position(connector.integration),
            await readChanges(connector, since: position)
        {
            return
        }
        let started = clock.nowSeconds()
        let known = directory.all.compactMap { knownDevice($0.id) }
        let trace = CallTrace()
        let read = await CallTrace.$current.withValue(trace) {
            await clock.within(Self.syncSecondsMax) { await connector.sync(known: known) }
        }
        guard let result = read else {
            return late(Self.syncSecondsMax, connector, trace.last)
        }
        let records = await withoutChecksOfStrangers(result.records)
        let now = clock.nowSeconds()
        await take(of: connector) { tell in
            guard result.isComplete else {
                return await self.cache.apply(
                    records, of: connector.integration, nowSeconds: now, isList: true, tell: tell)
            }
            return await self.cache.replace(
                integration: connector.integration, with: records, startedAtSeconds: started,
                ttlSeconds: connector.pace.ttlSeconds, nowSeconds: now, position: result.position, tell: tell)
        }
        if let failure = result.failure {
            note(failure, of: connector, trace.last)
        } else {
            statuses[key]?.noteSuccess(nowSeconds: now)
        }
    }

    /// Single checks are many and long, and most devices of a provider are nobody's here. Who enrols one is
    /// asked for it by itself, and gets them then.
    private func withoutChecksOfStrangers(_ records: VerdictRecords) async -> VerdictRecords {
        var kept = VerdictRecords()
        for index in records.indices {
            // Others have questions, too.
            if index % VerdictCache.stepRecords == VerdictCache.stepRecords - 1 { await Task.yield() }
            let packed = records.packed(at: index)
            guard packed.hasChecks, directory.owners(of: records[index].keys).isEmpty else {
                kept.append(packed, of: records.integration)
                continue
            }
            var record = records[index]
            record.verdict.checks = []
            kept.append(record)
        }
        return kept
    }

    /// - Returns: false when everything has to be read instead.
    private func readChanges(_ connector: any Connector, since position: String) async -> Bool {
        let started = clock.nowSeconds()
        let trace = CallTrace()
        let result = await CallTrace.$current.withValue(trace) {
            await clock.within(Self.syncSecondsMax) { await connector.changes(since: position) }
        }
        guard let result else {
            late(Self.syncSecondsMax, connector, trace.last)
            return true
        }
        let now = clock.nowSeconds()
        switch result {
        case .baselineNeeded: return false
        case .changes(let changes):
            await take(of: connector) { tell in
                await self.cache.apply(
                    changes, integration: connector.integration, startedAtSeconds: started,
                    ttlSeconds: connector.pace.ttlSeconds, nowSeconds: now, tell: tell)
            }
            statuses[ExactKey(connector.integration)]?.noteSuccess(nowSeconds: now)
        case .failed(let failure, let read):
            await take(of: connector) { tell in
                await self.cache.apply(
                    read, of: connector.integration, nowSeconds: now, isList: true, tell: tell)
            }
            note(failure, of: connector, trace.last)
        }
        return true
    }

    /// Takes an answer of a provider: the cache first, then everybody who is affected at once, then the store. A device
    /// that went bad is not kept open by a slow disk.
    func take(
        of connector: any Connector,
        _ taking: @Sendable (_ tell: @escaping VerdictCache.Tell) async -> VerdictWrites
    ) async {
        let affected = Affected()
        let writes = await taking { news in
            await affected.add(
                changed: self.devices(named: news.changed), bad: self.devices(named: news.bad),
                outdated: self.directory.owners(of: Array(news.outdated)))
        }
        announceChange(await affected.changed, bad: await affected.bad)
        let now = clock.nowSeconds()
        for device in await affected.outdated {
            schedule.ask(device: device.text, integration: connector.integration, atSeconds: now)
        }
        let key = ExactKey(connector.integration)
        do throws(StoreError) {
            try await cache.persist(writes)
            statuses[key]?.storeFailure = nil
        } catch {
            statuses[key]?.storeFailure = "\(error)"
        }
    }

    func devices(named keys: Set<DeviceKey>) -> Set<ExactKey> {
        directory.owners(of: Array(keys)).union(machines.owners(of: keys)).union(devices(ofOwners: keys))
    }

    /// Our devices among those of a provider that changed.
    private actor Affected {
        private(set) var changed: Set<ExactKey> = []
        private(set) var bad: Set<ExactKey> = []
        private(set) var outdated: Set<ExactKey> = []

        func add(changed: Set<ExactKey>, bad: Set<ExactKey>, outdated: Set<ExactKey>) {
            self.changed.formUnion(changed)
            self.bad.formUnion(bad)
            self.outdated.formUnion(outdated)
        }
    }

    /// Whoever stops the service is no failure of a provider.
    private func late(_ seconds: Double, _ connector: any Connector, _ call: Verdict.Provenance?) {
        guard !Task.isCancelled else { return }
        note(Self.timeout(seconds), of: connector, call)
    }

    static func timeout(_ seconds: Double) -> ConnectorFailure {
        ConnectorFailure(.timeout, "no answer within \(Int(seconds)) s")
    }

    func note(
        _ failure: ConnectorFailure, of connector: any Connector, _ call: Verdict.Provenance? = nil
    ) {
        statuses[ExactKey(connector.integration)]?.note(failure, nowSeconds: clock.nowSeconds(), call: call)
        retryProbe(connector, failure)
    }

    func retryProbe(_ connector: any Connector, _ failure: ConnectorFailure) {
        schedule.retryFullSync(
            connector.integration,
            atSeconds: clock.nowSeconds() + max(60, failure.retryAfterSeconds ?? 60))
    }
}
