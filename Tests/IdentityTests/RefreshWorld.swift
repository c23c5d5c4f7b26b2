import Access
import Store
import Synchronization
import Testing

@testable import Identity

/// A world whose sign-ins are refreshed every 900 s, and what came of it.
final class RefreshWorld: Sendable {
    static let every: Int64 = 900

    let world: World
    let results = Results()
    let refreshes: SignInRefreshes

    init(
        gives: Bool = true, issuer: String = "https://idp.example/tenant",
        change: (inout IdentityConfiguration) -> Void = { _ in }
    ) {
        world = World(issuer: issuer, refreshSeconds: Self.every, change: change)
        for provider in world.providers { provider.refreshing { $0.gives = gives } }
        let world = world
        refreshes = SignInRefreshes(
            store: world.store, ring: world.ring, fetcher: world.fetcher, nowSeconds: { world.nowSeconds },
            random: { 0 })
    }

    var tenant: FakeProvider { world.tenant }

    /// Somebody signs in at the wiki in a browser of their own.
    func signIn(_ url: String = "\(wiki)/") async throws -> (browser: Browser, global: String) {
        let browser = Browser(world)
        let landing = await browser.go(url)
        let session = try #require(landing.session)
        return (browser, try #require(session.globalID))
    }

    func row(_ id: String) async -> StoredRefresh? { await world.store.refreshRows[id] }
    func session(_ id: String) async -> StoredSession? { await world.store.rows[id] }

    /// Moves the clock to when a refresh is due; the session is in use.
    func untilDue(_ id: String, isUsed: Bool = true) async throws {
        let due = try #require(await row(id)?.dueAtSeconds)
        world.advance(max(0, due - world.nowSeconds))
        if isUsed { refreshes.uses.note(id, nowSeconds: world.nowSeconds) }
    }

    func tick() async {
        await refreshes.tick(await world.flow.refreshSource(), for: results)
    }

    /// A refresh whose answer is on its way.
    func underWay(_ id: String) async throws -> Gate {
        try await untilDue(id)
        let gate = Gate()
        tenant.refreshing { $0.gate = gate }
        await tick()
        await gate.arrival()
        return gate
    }

    /// The answer that was on its way arrives.
    func land(_ gate: Gate) async {
        gate.open()
        await refreshes.settled()
        tenant.refreshing { $0.gate = nil }
    }

    /// Everything that is due, and whatever follows.
    func round() async {
        await tick()
        await refreshes.settled()
    }

    func refreshOnce(_ id: String) async throws {
        try await untilDue(id)
        await round()
    }
}

final class Results: RefreshEffects {
    struct Ending: Sendable {
        var sessions: [StoredSession]
        var end: RefreshEnd
    }
    private struct State {
        var endings: [Ending] = []
        var changes: [String] = []
        var news: [RefreshNews] = []
    }
    private let state = Mutex(State())

    var endings: [Ending] { state.withLock { $0.endings } }
    var changes: [String] { state.withLock { $0.changes } }
    var news: [RefreshNews] { state.withLock { $0.news } }

    func ended(_ sessions: [StoredSession], by end: RefreshEnd) async {
        state.withLock { $0.endings.append(Ending(sessions: sessions, end: end)) }
    }
    func changed(globalID: String) async { state.withLock { $0.changes.append(globalID) } }
    func told(_ news: RefreshNews) { state.withLock { $0.news.append(news) } }
}
