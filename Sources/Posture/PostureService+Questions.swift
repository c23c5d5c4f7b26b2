import Access
import Store

/// Asking providers about single devices: the ones that are due, and those of people who wait.
extension PostureService {
    /// The longest that a question about one device may take, seconds.
    static let fetchSecondsMax = 60.0
    /// The same for one about several, which takes a call for each step of the slowest.
    static let batchSecondsMax = 120.0
    /// Questions about several devices that are under way at once.
    static let batchesAtOnceMax = 2

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
        let size = connector.devicesPerQuestionMax
        let atOnceMax = size > 1 ? Self.batchesAtOnceMax : max(1, connector.pace.questionsAtOnceMax)
        await ProviderClient.$isNobodyWaiting.withValue(true) {
            await withTaskGroup(of: Int.self) { group in
                var left = stride(from: 0, to: devices.count, by: size).map {
                    Array(devices[$0..<min($0 + size, devices.count)])
                }[...]
                for batch in left.prefix(atOnceMax) {
                    left.removeFirst()
                    group.addTask { await self.fetch(batch, from: connector) }
                }
                while let count = await group.next() {
                    answered += count
                    guard !Task.isCancelled, let batch = left.popFirst() else { continue }
                    group.addTask { await self.fetch(batch, from: connector) }
                }
            }
        }
        let ended = clock.monotonicNanoseconds()
        guard ended >= began else { return }
        schedule.note(connector.integration, answered: answered, seconds: Double(ended - began) / 1e9)
    }

    /// Which devices somebody is signed in from: they are asked about before all others that are due. Once a minute.
    public func note(openDevices devices: Set<String>) async {
        schedule.setOpen(Set(devices.lazy.map { ExactKey($0) }))
        for connector in connectors where connector.pace.endingSeconds > 0 {
            await askBeforeTheEnd(devices, connector)
        }
    }

    /// What ends before the next list would cut somebody who works, for no reason but its age.
    private func askBeforeTheEnd(_ devices: Set<String>, _ connector: any Connector) async {
        let known = devices.compactMap { knownDevice($0) }
        guard !known.isEmpty else { return }
        let now = clock.nowSeconds()
        let questions = known.map { VerdictMatching.Question(keys: $0.keys) }
        let found = await cache.verdicts(
            of: questions, by: [VerdictMatching.Source(connector)], nowSeconds: now)
        for (device, verdicts) in zip(known, found) {
            guard let end = verdicts.first?.endsAtSeconds, end > now,
                end - now <= connector.pace.endingSeconds
            else { continue }
            schedule.ask(device: device.id, integration: connector.integration, atSeconds: now)
        }
    }

    /// - Returns: about how many of the devices the provider answered.
    private func fetch(_ deviceIDs: [String], from connector: any Connector) async -> Int {
        if deviceIDs.count == 1 { return await fetch(deviceIDs[0], from: connector) ? 1 : 0 }
        guard statuses[ExactKey(connector.integration)]?.state == .configured else { return 0 }
        let devices = deviceIDs.compactMap { knownDevice($0) }
        var answered: Set<ExactKey> = []
        if !devices.isEmpty {
            let trace = CallTrace()
            let answers = await CallTrace.$current.withValue(trace) {
                await clock.within(Self.batchSecondsMax) { await connector.fetch(together: devices) }
            }
            guard let answers else {
                noteLate(Self.batchSecondsMax, connector, trace.last)
                return 0
            }
            for (device, answer) in zip(devices, answers) {
                let isAnswer = await settle(answer, about: device, connector, trace.last)
                if isAnswer { answered.insert(ExactKey(device.id)) }
            }
        }
        for id in deviceIDs {
            let isAnswer = await fetchOtherwise(id, from: connector) == true
            if isAnswer { answered.insert(ExactKey(id)) }
        }
        return answered.count
    }

    /// - Returns: whether the provider answered.
    private func fetch(_ deviceID: String, from connector: any Connector) async -> Bool {
        // Without working credentials every question would be refused, and count against us.
        guard statuses[ExactKey(connector.integration)]?.state == .configured else { return false }
        let isAnswered = await fetchByIDs(deviceID, from: connector)
        return await fetchOtherwise(deviceID, from: connector) ?? isAnswered
    }

    private func fetchByIDs(_ deviceID: String, from connector: any Connector) async -> Bool {
        guard let device = knownDevice(deviceID) else { return false }
        let trace = CallTrace()
        let answer = await CallTrace.$current.withValue(trace) {
            await clock.within(Self.fetchSecondsMax) { await connector.fetch(device) }
        }
        guard let answer else {
            noteLate(Self.fetchSecondsMax, connector, trace.last)
            return false
        }
        return await settle(answer, about: device, connector, trace.last)
    }

    private func noteLate(_ seconds: Double, _ connector: any Connector, _ call: Verdict.Provenance?) {
        guard !Task.isCancelled else { return }
        statuses[ExactKey(connector.integration)]?.note(
            Self.timeout(seconds), nowSeconds: clock.nowSeconds(), call: call)
    }

    /// Takes what a provider answered about one device.
    ///
    /// - Returns: whether that was an answer.
    private func settle(
        _ answer: DeviceAnswer, about device: KnownDevice, _ connector: any Connector,
        _ call: Verdict.Provenance?
    ) async -> Bool {
        let key = ExactKey(connector.integration)
        switch answer {
        case .records(let records):
            let now = clock.nowSeconds()
            statuses[key]?.noteSuccess(nowSeconds: now)
            await take(of: connector) { tell in
                guard records.isEmpty else {
                    return await self.cache.apply(
                        VerdictRecords(records.map { $0.said(by: call) }),
                        of: connector.integration, nowSeconds: now, tell: tell)
                }
                return await self.cache.markAbsent(
                    integration: connector.integration, keys: device.keys,
                    ttlSeconds: connector.pace.ttlSeconds, nowSeconds: now, tell: tell)
            }
            return true
        case .failed(let failure):
            // The device merely has no id that this provider looks up: nothing failed.
            guard failure.kind != .notFound else { return false }
            let now = clock.nowSeconds()
            statuses[key]?.note(failure, nowSeconds: now, call: call)
            if statuses[key]?.state == .pending { retryProbe(connector, failure) }
            if failure.kind == .throttled {
                schedule.ask(
                    device: device.id, integration: connector.integration,
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
