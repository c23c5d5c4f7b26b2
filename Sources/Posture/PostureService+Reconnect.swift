import Access

extension PostureService {
    /// How long a command waits for a probe, seconds; less than the command line waits for it.
    static let answerSecondsMax = 20.0

    /// Probes again now and synchronises, as `reconnect`; answers as soon as it is known whether the provider works.
    /// The synchronisation goes on behind that: tens of thousands of devices take longer than a command may.
    ///
    /// - Returns: nil when there is no such integration.
    public func beginReconnect(integration: String) async -> Reconnection? {
        let key = ExactKey(integration)
        guard let connector = connectors.first(where: { ExactText.isEqual($0.integration, integration) })
        else { return nil }
        let isUnderWay = progress[key] != nil
        let whole = Task {
            _ = await reconnect(integration: integration)
            probeEnded(key)
        }
        let late = Task {
            await clock.deadline(Self.answerSecondsMax)
            if !Task.isCancelled { probeEnded(key) }
        }
        // What is under way has answered the question already; whoever waits for its end comes after it.
        if !isUnderWay { await withCheckedContinuation { probeWaiters[key, default: []].append($0) } }
        late.cancel()
        guard var status = statuses[key] else { return nil }
        status.connection = await connector.status()
        status.devicesRead = progress[key]?.devices
        return Reconnection(status: status, synchronisation: isUnderWay || progress[key] != nil ? whole : nil)
    }

    /// The probe that somebody waits for came to something, or nothing follows it.
    func probeEnded(_ key: ExactKey) {
        for waiter in probeWaiters.removeValue(forKey: key) ?? [] { waiter.resume() }
    }
}

/// What came of a reconnect so far.
public struct Reconnection: Sendable {
    /// As it is now.
    public var status: IntegrationStatus
    /// What still goes on; nil: nothing.
    public var synchronisation: Task<Void, Never>?
}
