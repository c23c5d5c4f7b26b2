import Fetch
import Store
import Synchronization
import Testing

@testable import Identity

@Suite("Refreshes over a reload")
struct RefreshReloadTests {
    /// Requests to the token endpoint wait here until the door is open.
    private final class Door: Fetcher {
        private struct State {
            var isOpen = false
            var waiting: [CheckedContinuation<Void, Never>] = []
            var asked = 0
        }
        private let inner: Switchboard
        private let state = Mutex(State())
        init(_ inner: Switchboard) { self.inner = inner }

        var asked: Int { state.withLock { $0.asked } }
        var waiting: Int { state.withLock { $0.waiting.count } }

        func open() {
            let all = state.withLock { state in
                state.isOpen = true
                return state.waiting
            }
            for one in all { one.resume() }
        }

        func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
            if request.url.hasSuffix("/token") {
                await withCheckedContinuation { one in
                    let isOpen = state.withLock { state in
                        state.asked += 1
                        if !state.isOpen { state.waiting.append(one) }
                        return state.isOpen
                    }
                    if isOpen { one.resume() }
                }
            }
            return try await inner.fetch(request)
        }
    }

    @Test("what was due before it is not asked for by the registration of before")
    func backlog() async throws {
        let world = World(refreshSeconds: RefreshWorld.every)
        world.tenant.refreshing { $0.gives = true }
        let door = Door(world.fetcher)
        let refreshes = SignInRefreshes(
            store: world.store, ring: world.ring, fetcher: door, nowSeconds: { world.nowSeconds },
            random: { 0 })
        let results = Results()
        for _ in 0..<(ProviderPace.runningMax + 4) {
            let session = try #require(await Browser(world).go("\(wiki)/").session)
            refreshes.uses.note(session.globalID ?? "", nowSeconds: world.nowSeconds + RefreshWorld.every)
        }
        world.advance(RefreshWorld.every)
        await refreshes.tick(await world.flow.refreshSource(), for: results)
        while door.waiting < ProviderPace.runningMax { await Task.yield() }
        // Its refreshes are switched off.
        await world.flow.replace(configuration: World.configuration)
        await refreshes.tick(await world.flow.refreshSource(), for: results)
        door.open()
        await refreshes.settled()
        #expect(door.asked == ProviderPace.runningMax)
        #expect(await world.store.refreshRows.count == ProviderPace.runningMax + 4)
    }
}
