import Access
import Store

extension PostureService {
    /// Asks providers for as long as the task lives: everything at the start and once a day, each known
    /// device every two hours (003.2, 003.4). A person's request never waits for this.
    public func run() async {
        while !Task.isCancelled {
            await refreshDue()
            let now = clock.nowSeconds()
            let wait = (schedule.nextDueSeconds ?? now + 60) - now
            transactions.removeExpired(nowSeconds: now)
            nonces.removeExpired(nowSeconds: now)
            await clock.sleep(Double(min(max(wait, 1), 60)))
        }
    }

    /// Does what is due now; `run` calls it, and so do tests with their own clock.
    func refreshDue() async {
        let pace: (String) -> RefreshPace? = { name in
            self.connectors.first { $0.integration == name }?.pace
        }
        let work = schedule.takeDue(nowSeconds: clock.nowSeconds(), pace: pace, random: random)
        for integration in work.fullSyncs { await synchronise(integration) }
        for appointment in work.devices {
            guard let connector = connector(appointment.integration) else { continue }
            await fetch(appointment.device, from: connector)
        }
    }

    /// Probes again now (*Reconnect* of providers.md 10.3) and synchronises when it works.
    public func reconnect(integration: String) async -> IntegrationStatus? {
        guard statuses[integration] != nil else { return nil }
        await synchronise(integration)
        return statuses[integration]
    }

    /// Asks every provider about one device now, at most once a second; callers that come meanwhile wait
    /// for the same answer. Returns when there is one: the caller sets its own deadline.
    public func priorityFetch(deviceID: String) async {
        if let under = priorityFetches[deviceID] { return await under.value }
        guard schedule.mayFetchNow(deviceID, nowSeconds: clock.nowSeconds()) else { return }
        let task = Task {
            for connector in connectors { await fetch(deviceID, from: connector) }
        }
        priorityFetches[deviceID] = task
        await task.value
        priorityFetches[deviceID] = nil
    }

    /// State and health of every integration, in the order of the configuration.
    public func integrationStatus() async -> [IntegrationStatus] {
        var all: [IntegrationStatus] = []
        for connector in connectors {
            guard var status = statuses[connector.integration] else { continue }
            let census = await cache.census(connector.integration, nowSeconds: clock.nowSeconds())
            status.devicesKnown = census.devices
            status.oldestObservedSeconds = census.oldestObservedSeconds
            status.lastCompleteSyncSeconds = await cache.completedAt(connector.integration)
            status.connection = await connector.status()
            all.append(status)
        }
        for agent in agents {
            all.append(
                IntegrationStatus(
                    integration: agent.handshake.integration, provider: "endpoint-agent", state: .configured))
        }
        return all
    }

    private func connector(_ integration: String) -> (any Connector)? {
        connectors.first { $0.integration == integration }
    }

    private func synchronise(_ integration: String) async {
        guard let connector = connector(integration) else { return }
        if statuses[integration]?.state != .configured {
            if let failure = await connector.probe() {
                note(failure, of: integration)
                return
            }
            statuses[integration]?.noteConfigured(nowSeconds: clock.nowSeconds())
        }
        let started = clock.nowSeconds()
        let result = await connector.sync()
        let now = clock.nowSeconds()
        let changes: VerdictCache.Changes
        if result.isComplete {
            changes = await cache.replace(
                integration: integration, with: result.records, startedAtSeconds: started,
                ttlSeconds: connector.pace.ttlSeconds, nowSeconds: now)
        } else {
            changes = await cache.apply(result.records, nowSeconds: now)
        }
        announce(changes)
        if let failure = result.failure {
            note(failure, of: integration)
        } else {
            statuses[integration]?.noteSuccess(nowSeconds: now)
        }
    }

    private func fetch(_ deviceID: String, from connector: any Connector) async {
        // Without working credentials every question would be refused, and count against us.
        guard statuses[connector.integration]?.state == .configured else { return }
        let keys = directory.keys(of: deviceID)
        guard !keys.isEmpty else { return }
        switch await connector.fetch(keys) {
        case .records(let records):
            let now = clock.nowSeconds()
            statuses[connector.integration]?.noteSuccess(nowSeconds: now)
            let changes =
                records.isEmpty
                ? await cache.markAbsent(
                    integration: connector.integration, keys: keys, ttlSeconds: connector.pace.ttlSeconds,
                    nowSeconds: now)
                : await cache.apply(records, nowSeconds: now)
            announce(changes)
        case .failed(let failure):
            // The device merely has no id that this provider looks up: nothing failed.
            guard failure.kind != .notFound else { return }
            statuses[connector.integration]?.note(failure, nowSeconds: clock.nowSeconds())
            if statuses[connector.integration]?.state == .pending {
                retryProbe(connector.integration, failure)
            }
        }
    }

    private func announce(_ changes: VerdictCache.Changes) {
        announceChange(directory.owners(of: Array(changes.keys)))
    }

    private func note(_ failure: ConnectorFailure, of integration: String) {
        statuses[integration]?.note(failure, nowSeconds: clock.nowSeconds())
        retryProbe(integration, failure)
    }

    private func retryProbe(_ integration: String, _ failure: ConnectorFailure) {
        schedule.retryFullSync(
            integration, atSeconds: clock.nowSeconds() + max(60, failure.retryAfterSeconds ?? 60))
    }
}
