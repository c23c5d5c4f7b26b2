import Access
public import Fetch
public import Signatures
public import Store

/// Keeps sign-ins in step with their providers in the background: never on a request's way, one request for a
/// session at a time, a bounded number for each provider and for all.
///
/// Nothing here waits on a timer: `tick` looks for what is due in the store's index, and whatever ends looks again.
public actor SignInRefreshes {
    /// Requests to all providers at a time.
    static let runningMax = 48
    /// Rotated tokens that wait in memory for the store.
    static let unfinishedMax = 1_000
    /// Resting refreshes made due in one write.
    static let wakingMax = 2_000
    /// The store is left alone for so long after a failure.
    static let storePauseSeconds: Int64 = 5

    let store: any GatewayStore
    let sealer: Sealer
    let fetcher: any Fetcher
    let nowSeconds: @Sendable () -> Int64
    let random: @Sendable () -> Double
    /// Told by whoever hears of requests.
    public nonisolated let uses = SessionUses()

    var flights: [String: Task<Void, Never>] = [:]
    var running: [String: Int] = [:]
    var paces: [String: ProviderPace] = [:]
    /// By provider: what it has not confirmed for too long is being ended.
    var givingUp: [String: Task<Void, Never>] = [:]
    var unfinished: [String: UnfinishedRefresh] = [:]
    private var storePausedUntilSeconds: Int64 = 0
    /// The last tick's: whatever begins goes by it, and not by what held when the one before began.
    private var source: RefreshSource?

    /// - Parameter random: 0 to 1, for jitter.
    public init(
        store: any GatewayStore, ring: KeyRing, fetcher: any Fetcher,
        nowSeconds: @escaping @Sendable () -> Int64,
        random: @escaping @Sendable () -> Double = { Double.random(in: 0...1) }
    ) {
        self.store = store
        sealer = Sealer(ring: ring)
        self.fetcher = fetcher
        self.nowSeconds = nowSeconds
        self.random = random
    }

    /// Begins what is due and returns at once. Once a second.
    public func tick(_ source: RefreshSource, for effects: any RefreshEffects) async {
        self.source = source
        await wake(effects)
        for registration in source.registrations {
            giveUpOverdue(registration, effects)
            await fill(registration, source, effects)
        }
    }

    /// Returns when nothing is under way.
    public func settled() async {
        while let task = flights.values.first ?? givingUp.values.first { await task.value }
    }

    /// Forgets uses that matter to nobody any more. Now and then.
    public nonisolated func sweep(nowSeconds: Int64) { uses.sweep(beforeSeconds: nowSeconds - 2 * 86_400) }

    /// How the providers are.
    public func status(of source: RefreshSource) -> [RefreshStatus] {
        source.registrations.map { registration in
            let pace = paces[registration.name]
            return RefreshStatus(
                provider: registration.name, lastSuccessSeconds: pace?.lastSuccessSeconds,
                failingSinceSeconds: pace?.failingSinceSeconds, failure: pace?.failure?.word,
                detail: pace?.failure?.detail, running: running[registration.name] ?? 0)
        }
    }

    // MARK: What begins when

    private func wake(_ effects: any RefreshEffects) async {
        guard !isStorePaused else { return }
        let ids = uses.takeWaking(limit: Self.wakingMax)
        guard !ids.isEmpty else { return }
        do throws(StoreError) {
            try await store.wake(refreshesOf: ids, atSeconds: nowSeconds())
        } catch {
            uses.wakeAgain(ids)
            storeFailed(error, sessionID: ids[0], effects)
        }
    }

    private func fill(_ provider: String, _ effects: any RefreshEffects) async {
        let registration = source?.registrations.first { ExactText.isEqual($0.name, provider) }
        guard let source, let registration else { return }
        await fill(registration, source, effects)
    }

    private func fill(
        _ registration: IdentityProviderRegistration, _ source: RefreshSource, _ effects: any RefreshEffects
    ) async {
        guard let every = registration.refreshSeconds, room(registration.name) > 0 else { return }
        let now = nowSeconds()
        do throws(StoreError) {
            // Those under way may still be due in the store.
            let due = try await store.dueRefreshes(
                of: registration.name, nowSeconds: now,
                latestSeconds: RefreshTimes.latest(everySeconds: every, nowSeconds: now),
                limit: room(registration.name) + (running[registration.name] ?? 0))
            for row in due where room(registration.name) > 0 {
                begin(row.sessionID, registration, source, effects)
            }
        } catch {
            storeFailed(error, sessionID: "", effects)
        }
    }

    private func room(_ provider: String) -> Int {
        guard !isStorePaused else { return 0 }
        let free = Self.runningMax - flights.count
        let own = (paces[provider] ?? ProviderPace()).room(
            running: running[provider] ?? 0, nowSeconds: nowSeconds())
        return min(free, own)
    }

    private func begin(
        _ id: String, _ registration: IdentityProviderRegistration, _ source: RefreshSource,
        _ effects: any RefreshEffects
    ) {
        guard flights[id] == nil else { return }
        running[registration.name, default: 0] += 1
        flights[id] = Task {
            let isDone = await refresh(
                id, RefreshAsking(registration: registration, directory: source.directory, effects: effects))
            flights[id] = nil
            running[registration.name, default: 1] -= 1
            // What did nothing is looked at again at the next tick: it must not go round in circles.
            if isDone { await fill(registration.name, effects) }
        }
    }

    // MARK: The store

    var isStorePaused: Bool {
        (1...Self.storePauseSeconds).contains(storePausedUntilSeconds - nowSeconds())
    }

    func storeFailed(_ error: StoreError, sessionID: String, _ effects: any RefreshEffects) {
        storePausedUntilSeconds = nowSeconds() + Self.storePauseSeconds
        effects.told(.notSaved(sessionID: sessionID, error))
    }
}

/// Whom sign-ins are refreshed at: of one configuration.
public struct RefreshSource: Sendable {
    /// Those with a `refreshSeconds`.
    var registrations: [IdentityProviderRegistration]
    var directory: ProviderDirectory
}

/// What one refresh works with.
struct RefreshAsking: Sendable {
    var registration: IdentityProviderRegistration
    var directory: ProviderDirectory
    var effects: any RefreshEffects
}

/// What a provider said and the store did not take, until it does.
enum UnfinishedRefresh: Sendable {
    /// A new token. `row` is what the store has.
    case rotated(row: StoredRefresh, KeptRefresh)
    /// The session's end.
    case ending(row: StoredRefresh, RefreshEnd)
}
