import Access
import Fetch
import JSON
import Store
import Synchronization
import Testing

@testable import Identity

/// Answers that wait until they are let go one by one.
private final class Hold: Sendable {
    private let waiting = Mutex<[CheckedContinuation<Void, Never>]>([])
    var count: Int { waiting.withLock { $0.count } }
    func wait() async {
        await withCheckedContinuation { waiter in waiting.withLock { $0.append(waiter) } }
    }
    func release(_ index: Int) { waiting.withLock { $0.remove(at: index) }.resume() }
}

/// The provider behind a door: answers to refreshes stand in line.
private struct HeldFetcher: Fetcher {
    let inner: Switchboard
    let hold: Hold
    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        let isRefresh = String(decoding: request.body ?? [], as: UTF8.self).contains(
            "grant_type=refresh_token")
        let result: Result<FetchResponse, FetchError>
        do throws(FetchError) { result = .success(try await inner.fetch(request)) } catch {
            result = .failure(error)
        }
        if isRefresh { await hold.wait() }
        return try result.get()
    }
}

/// SplitMix64.
private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// Refreshes, sign-ins, sign-outs, revocations on both sides, expiry and uses in any order, answers arriving in any order.
private final class Story {
    let world = World(refreshSeconds: 900)
    let results = Results()
    let refreshes: SignInRefreshes
    let hold = Hold()
    let seed: UInt64
    private var random: Seeded
    private var browsers: [Browser] = []
    private var dead: Set<String> = []
    private var versions: [String: Int64] = [:]
    private var ends: [String: Int64] = [:]
    /// Sessions whose family the provider has taken back.
    private var revoked: Set<String> = []

    init(seed: UInt64) async {
        self.seed = seed
        random = Seeded(state: seed)
        let world = world
        refreshes = SignInRefreshes(
            store: world.store, ring: world.ring,
            fetcher: HeldFetcher(inner: world.fetcher, hold: hold), nowSeconds: { world.nowSeconds },
            random: { 0.5 })
        var configuration = World.configuration
        for index in configuration.providers.indices {
            configuration.providers[index].refreshSeconds = 900
            configuration.providers[index].ask.maxAgeSeconds = 60
        }
        await world.flow.replace(configuration: configuration)
        let version = Mutex<Int64>(0)
        let next: @Sendable () -> JSONValue = {
            version.withLock {
                $0 += 1; return .integer($0)
            }
        }
        let clock = world
        world.tenant.misbehave {
            $0.claims = { claims in
                claims["version"] = next()
                claims["auth_time"] = .integer(clock.nowSeconds)
            }
        }
        world.tenant.refreshing {
            $0.gives = true
            $0.claims = { $0["version"] = next() }
        }
        browsers = (0..<2).map { _ in Browser(world) }
    }

    func run(steps: Int) async {
        for _ in 0..<steps {
            await step()
            await rest()
            await check()
        }
        while hold.count > 0 {
            hold.release(0)
            await rest()
        }
        await world.flow.settled()
        await check()
        await finish()
    }

    /// Until whoever can move has moved: the others stand in line at the provider.
    private func rest() async {
        while await refreshes.flights.count > hold.count { await Task.yield() }
    }

    private func step() async {
        let browser = browsers[Int.random(in: 0..<browsers.count, using: &random)]
        switch Int.random(in: 0..<12, using: &random) {
        case 0, 1, 2:
            // The provider is asked again when the proof is older than a minute and the skew.
            browser.jars["wiki.corp.example"] = []
            let before = await world.store.refreshRows
            if let id = await browser.go("\(wiki)/").session?.globalID {
                versions[id] = versions[id] ?? 0
                // Handed over without a word to the provider it is the sign-in of before.
                if await world.store.refreshRows[id] != before[id] { revoked.remove(id) }
                ends[id] = await world.store.rows[id]?.expiresAtSeconds
            }
        case 3: await signOut(browser)
        case 4: await revokeHere()
        case 5: await revokeThere()
        case 6, 7: world.advance(Int64.random(in: 1...1_000, using: &random))
        case 8, 9:
            if hold.count > 0 { hold.release(Int.random(in: 0..<hold.count, using: &random)) }
        case _:
            for id in await world.store.rows.keys { refreshes.uses.note(id, nowSeconds: world.nowSeconds) }
            await refreshes.tick(await world.flow.refreshSource(), for: results)
        }
    }

    private func signOut(_ browser: Browser) async {
        let cookie = browser.cookies("auth.corp.example")
        let session = try? await world.flow.sessions.lookUp(
            cookieField: cookie, kind: .global, host: "auth.corp.example", nowSeconds: world.nowSeconds)
        _ = await browser.step("\(auth)/.gatepost/sign-out", method: "POST", origin: auth)
        if let session { dead.insert(session.id) }
    }

    private func revokeHere() async {
        guard let id = await globals().randomElement(using: &random) else { return }
        _ = try? await world.flow.sessions.end(ids: [id])
        dead.insert(id)
    }

    /// The provider ends all that the person has.
    private func revokeThere() async {
        world.tenant.refreshing { $0.families = [:] }
        revoked.formUnion(await globals())
    }

    private func globals() async -> [String] {
        await world.store.rows.values.filter { $0.kind == .global }.map(\.id).sorted()
    }

    private func check() async {
        let rows = await world.store.rows
        let refreshRows = await world.store.refreshRows
        for id in dead { #expect(rows[id] == nil, "seed \(seed): \(id) came back") }
        for id in refreshRows.keys { #expect(rows[id] != nil, "seed \(seed): a token without its session") }
        for ending in results.endings {
            #expect(rows[ending.end.sessionID] == nil, "seed \(seed): ended and there")
        }
        for row in rows.values {
            if let id = row.globalID { #expect(rows[id] != nil, "seed \(seed): no sign-in above it") }
            guard row.kind == .global else { continue }
            #expect(row.expiresAtSeconds == ends[row.id], "seed \(seed): the end moved")
            guard case .integer(let version)? = row.claims["version"] else { continue }
            #expect(version >= versions[row.id] ?? 0, "seed \(seed): older words over newer ones")
            versions[row.id] = version
        }
        #expect(world.tenant.refresh.reuses == 0, "seed \(seed): a token was used twice")
    }

    /// Everybody is asked once more: what the provider took back is over, all else goes on.
    private func finish() async {
        world.advance(4_000)
        let expected = await globals().filter { !revoked.contains($0) && world.nowSeconds < ends[$0] ?? 0 }
        for _ in 0..<3 {
            for id in await globals() { refreshes.uses.note(id, nowSeconds: world.nowSeconds) }
            await refreshes.tick(await world.flow.refreshSource(), for: results)
            await rest()
            while hold.count > 0 {
                hold.release(0)
                await rest()
            }
            world.advance(1)
        }
        let left = await globals().filter { world.nowSeconds < ends[$0] ?? 0 }
        #expect(Set(left) == Set(expected), "seed \(seed)")
        for session in await world.store.rows.values where session.kind == .application {
            let global = await world.store.rows[session.globalID ?? ""]
            #expect(
                session.claims["version"] == global?.claims["version"], "seed \(seed): behind its sign-in")
        }
    }
}

@Suite("Refreshes in any order with everything else", .serialized)
struct RefreshInterleavingTests {
    @Test("nobody comes back, no end moves, no token is used twice, and what was taken back is over")
    func anyOrder() async {
        for seed in UInt64(1)...150 { await Story(seed: seed).run(steps: 40) }
    }
}
