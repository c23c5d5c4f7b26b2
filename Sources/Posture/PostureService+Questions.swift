import Access
import Store

/// Asking providers about single devices: the ones that are due, and those of people who wait.
extension PostureService {
    /// The longest that a question about one device may take, seconds.
    static let fetchSecondsMax = 60.0

    /// Asks every provider about one device now, at most once a second; callers that come meanwhile wait
    /// for the same answer. Returns when there is one: the caller sets its own deadline.
    public func priorityFetch(deviceID: String) async {
        let key = ExactKey(deviceID)
        if let under = priorityFetches[key] { return await under.value }
        guard schedule.mayFetchNow(deviceID, nowSeconds: clock.nowSeconds()) else { return }
        let task = Task {
            await withTaskGroup(of: Void.self) { group in
                for connector in connectors {
                    group.addTask { _ = await self.fetch(deviceID, from: connector) }
                }
            }
        }
        priorityFetches[key] = task
        await task.value
        priorityFetches[key] = nil
    }

    /// Whether `priorityFetch` would do anything, or wait for what is being done.
    public func isPriorityFetchDue(deviceID: String) -> Bool {
        priorityFetches[ExactKey(deviceID)] != nil
            || schedule.isFetchDue(deviceID, nowSeconds: clock.nowSeconds())
    }

    /// Some questions at a time: an answer comes by a long way, and one after the other would be a few each second.
    func ask(about devices: [String], _ connector: any Connector) async {
        let began = clock.monotonicNanoseconds()
        var answered = 0
        await ProviderClient.$isNobodyWaiting.withValue(true) {
            await withTaskGroup(of: Bool.self) { group in
                var left = devices[...]
                for device in left.prefix(max(1, connector.pace.questionsAtOnceMax)) {
                    left.removeFirst()
                    group.addTask { await self.fetch(device, from: connector) }
                }
                while let isAnswer = await group.next() {
                    if isAnswer { answered += 1 }
                    guard !Task.isCancelled, let device = left.popFirst() else { continue }
                    group.addTask { await self.fetch(device, from: connector) }
                }
            }
        }
        let ended = clock.monotonicNanoseconds()
        guard ended >= began else { return }
        schedule.note(connector.integration, answered: answered, seconds: Double(ended - began) / 1e9)
    }

    /// Which devices somebody is signed in from: they are asked about before all others that are due.
    public func note(openDevices devices: Set<String>) {
        schedule.setOpen(Set(devices.lazy.map { ExactKey($0) }))
    }

    /// - Returns: whether the provider answered.
    private func fetch(_ deviceID: String, from connector: any Connector) async -> Bool {
        let key = ExactKey(connector.integration)
        // Without working credentials every question would be refused, and count against us.
        guard statuses[key]?.state == .configured else { return false }
        guard let device = knownDevice(deviceID) else { return false }
        let keys = device.keys
        let trace = CallTrace()
        let answer = await CallTrace.$current.withValue(trace) {
            await clock.within(Self.fetchSecondsMax) { await connector.fetch(device) }
        }
        guard let answer else {
            guard !Task.isCancelled else { return false }
            statuses[key]?.note(
                Self.timeout(Self.fetchSecondsMax), nowSeconds: clock.nowSeconds(), call: trace.last)
            return false
        }
        switch answer {
        case .records(let records):
            let now = clock.nowSeconds()
            statuses[key]?.noteSuccess(nowSeconds: now)
            await take(of: connector) { tell in
                guard records.isEmpty else {
                    return await self.cache.apply(
                        VerdictRecords(records.map { $0.said(by: trace.last) }),
                        of: connector.integration, nowSeconds: now, tell: tell)
                }
                return await self.cache.markAbsent(
                    integration: connector.integration, keys: keys, ttlSeconds: connector.pace.ttlSeconds,
                    nowSeconds: now, tell: tell)
            }
            return true
        case .failed(let failure):
            // The device merely has no id that this provider looks up: nothing failed.
            guard failure.kind != .notFound else { return false }
            let now = clock.nowSeconds()
            statuses[key]?.note(failure, nowSeconds: now, call: trace.last)
            if statuses[key]?.state == .pending { retryProbe(connector, failure) }
            if failure.kind == .throttled {
                schedule.ask(
                    device: deviceID, integration: connector.integration,
                    atSeconds: now + max(1, failure.retryAfterSeconds ?? 60))
            }
            return false
        }
    }

    /// nil when nothing names the device at a provider, or it was revoked.
    func knownDevice(_ id: String) -> KnownDevice? {
        guard let device = directory[id], !device.isRevoked else { return nil }
        let keys = directory.keys(of: id)
        return keys.isEmpty
            ? nil
            : KnownDevice(
                id: id, email: device.ownerEmail, keys: keys, addresses: directory.addresses(of: id))
    }
}
