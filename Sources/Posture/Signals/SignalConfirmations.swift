import Access

/// Devices whose providers are to be asked because of a signal: a value, the service asks.
struct SignalConfirmations: Sendable {
    /// Seconds before each attempt; after the last one the regular refresh goes on alone.
    static let waits: [Int64] = [1, 5, 30, 120, 300]
    static let devicesMax = 10_000
    static let atOnceMax = 8

    struct Entry: Sendable, Hashable {
        var stream: String
        var receivedAtSeconds: Int64
        var attempt = 0
        var dueAtSeconds: Int64
    }

    private var entries: [ExactKey: Entry] = [:]
    /// Whether somebody works on them.
    var isWorking = false

    /// A later signal about the same device begins anew.
    mutating func add(_ signal: DeviceSignal) {
        let key = ExactKey(signal.deviceID)
        guard entries.count < Self.devicesMax || entries[key] != nil else { return }
        entries[key] = Entry(
            stream: signal.stream, receivedAtSeconds: signal.receivedAtSeconds,
            dueAtSeconds: signal.receivedAtSeconds + Self.waits[0])
    }

    var nextDueSeconds: Int64? { entries.values.map(\.dueAtSeconds).min() }

    subscript(device: String) -> Entry? { entries[ExactKey(device)] }

    /// Takes up to a few that are due; each is due again later until it is removed.
    mutating func takeDue(nowSeconds: Int64) -> [(device: String, entry: Entry)] {
        let due = entries.filter { $0.value.dueAtSeconds <= nowSeconds }
            .sorted { ($0.value.dueAtSeconds, $0.key.text) < ($1.value.dueAtSeconds, $1.key.text) }
            .prefix(Self.atOnceMax)
        for (key, entry) in due {
            var next = entry
            next.attempt += 1
            next.dueAtSeconds =
                nowSeconds + (next.attempt < Self.waits.count ? Self.waits[next.attempt] : 0)
            entries[key] = next.attempt < Self.waits.count ? next : nil
        }
        return due.map { ($0.key.text, $0.value) }
    }

    /// The providers answered about this signal.
    mutating func remove(_ device: String, receivedAtSeconds: Int64) {
        guard entries[ExactKey(device)]?.receivedAtSeconds == receivedAtSeconds else { return }
        entries[ExactKey(device)] = nil
    }
}

extension PostureService {
    func askForConfirmation(of signal: DeviceSignal) {
        signals.confirmations.add(signal)
        guard !signals.confirmations.isWorking else { return }
        signals.confirmations.isWorking = true
        Task(priority: .utility) { [weak self] in await self?.confirmAll() }
    }

    private func confirmAll() async {
        defer { signals.confirmations.isWorking = false }
        while let due = signals.confirmations.nextDueSeconds, !Task.isCancelled {
            let now = clock.nowSeconds()
            if due > now { await clock.sleep(Double(due - now)) }
            let batch = signals.confirmations.takeDue(nowSeconds: clock.nowSeconds())
            await withTaskGroup(of: Void.self) { group in
                for (device, entry) in batch {
                    group.addTask { await self.confirm(device, entry) }
                }
            }
        }
    }

    /// The question goes out in a later second than the signal came: an answer of the same second may be
    /// older.
    private func confirm(_ device: String, _ entry: SignalConfirmations.Entry) async {
        await priorityFetch(deviceID: device)
        guard let stream = signals.stream(entry.stream) else { return }
        let verdicts = await deviceFacts(id: device, statement: nil)?.verdicts ?? []
        let meant = stream.settings.confirmedBy
        let isAnswered = verdicts.contains {
            ExactText.contains(meant, $0.integration) && $0.fetchedAtSeconds > entry.receivedAtSeconds
        }
        guard isAnswered || meant.isEmpty else { return }
        signals.confirmations.remove(device, receivedAtSeconds: entry.receivedAtSeconds)
        announceChange([ExactKey(device)])
    }
}
