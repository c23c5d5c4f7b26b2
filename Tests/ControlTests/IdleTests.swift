import Access
import Border
import Identity
import Store
import Testing

@testable import Control

@Suite("Sessions that nobody uses end")
struct IdleTests {
    private static let config = Gatehouse.config.replacing(
        "host: wiki.corp.example", with: "host: wiki.corp.example\n    idle: 16m")

    /// 16 minutes, and the two that the last note may be old.
    private static let idle: Int64 = 960 + 120

    @Test("a session ends when it was unused for its idle time: one second before, and exactly then")
    func bound() async throws {
        let house = try Gatehouse(Self.config)
        let (global, session, cookie) = try await house.signIn(seconds: 20_000)
        house.advance(Self.idle - 1)
        #expect(await house.pulled(cookie.tokenDigest) != nil, "in use until now, and noted")
        house.advance(Self.idle)
        #expect(await house.pulled(cookie.tokenDigest) == nil)
        #expect(try await house.store.session(id: session.id) == nil)
        #expect(try await house.store.session(id: global.id) == nil, "nothing else below it is used")
        #expect(
            house.reactors.revocations.contains {
                if case .endSession(session.id) = $0.effect { true } else { false }
            })
    }

    @Test("a record that a reload makes of a session that nobody uses lets nobody in")
    func reloaded() async throws {
        let house = try Gatehouse(Self.config)
        let (_, session, cookie) = try await house.signIn(seconds: 20_000)
        house.advance(2 * Self.idle)
        try await house.control.reload()
        #expect(await house.pulled(cookie.tokenDigest) == nil)
        #expect(try await house.store.session(id: session.id) == nil)
    }

    @Test("a session that was just made keeps its sign-in, whichever other one below that is idle")
    func justMade() async throws {
        let house = try Gatehouse(Self.config)
        let (global, _, cookie) = try await house.signIn(seconds: 20_000)
        house.advance(2 * Self.idle)
        let vault = IdentityApplication(
            name: "vault", host: "vault.corp.example", identityProviders: ["corp"], sessionSeconds: 20_000)
        let other = try await Sessions(store: house.store, ring: house.control.ring).createApplication(
            vault, under: global, nowSeconds: house.now)
        #expect(await house.pulled(other.cookie.tokenDigest, "vault") != nil)
        #expect(await house.pulled(cookie.tokenDigest) == nil)
        #expect(try await house.store.session(id: global.id) != nil)
        #expect(await house.pulled(other.cookie.tokenDigest, "vault") != nil)
    }

    @Test("use in another application keeps the sign-in, but not the session that is not used")
    func elsewhere() async throws {
        // The vault has no time of its own.
        let house = try Gatehouse(Self.config)
        let (global, _, cookie) = try await house.signIn(seconds: 20_000)
        let vault = IdentityApplication(
            name: "vault", host: "vault.corp.example", identityProviders: ["corp"], sessionSeconds: 20_000)
        let other = try await Sessions(store: house.store, ring: house.control.ring).createApplication(
            vault, under: global, nowSeconds: house.now)
        for _ in 0..<9 {
            house.advance(130)
            _ = await house.pulled(other.cookie.tokenDigest, "vault")
        }
        #expect(await house.pulled(cookie.tokenDigest) == nil)
        #expect(try await house.store.session(id: global.id) != nil)
        #expect(try await house.store.session(id: other.session.id) != nil)
    }

    @Test("a session in use never ends by it, and is written about only once in a while")
    func used() async throws {
        let house = try Gatehouse(Self.config)
        let (_, session, cookie) = try await house.signIn(seconds: 20_000)
        var written: Set<Int64> = []
        for _ in 0..<100 {
            house.advance(110)
            #expect(await house.pulled(cookie.tokenDigest) != nil)
            let stored = try await house.store.session(id: session.id)
            if case .integer(let at)? = stored?.claims["gatepost-used"] { written.insert(at) }
        }
        #expect(written.count == 50)
    }

    @Test("a use is noted also where a reload has made the record that lets it in")
    func notedAfterReload() async throws {
        let house = try Gatehouse(Self.config)
        let (_, session, cookie) = try await house.signIn(seconds: 20_000)
        _ = await house.pulled(cookie.tokenDigest)
        house.advance(119)
        try await house.control.reload()
        let made = try #require(house.control.revocations.latest(session.id))
        #expect(made.renewAtSeconds == house.now + 1, "the note is two minutes old by then")
        house.advance(1)
        #expect(await house.pulled(cookie.tokenDigest) != nil)
        let stored = try #require(try await house.store.session(id: session.id))
        #expect(stored.claims["gatepost-used"] == .integer(house.now))
        // Exactly the idle time after this use it is still there.
        house.advance(960)
        #expect(await house.pulled(cookie.tokenDigest) != nil)
    }

    @Test("what is open has its use noted as often as requests, however far its end is")
    func notedWhileOpen() async throws {
        let house = try Gatehouse(Self.config)
        let (_, session, cookie) = try await house.signIn(seconds: 20_000)
        let first = try #require(await house.pulled(cookie.tokenDigest))
        #expect(first.useNotedUntilSeconds == house.now + 120)
        #expect(first.streamsUntilSeconds > first.useNotedUntilSeconds)
        house.advance(120)
        await house.control.renew(cookie.tokenDigest, "wiki")
        let next = try #require(house.control.revocations.latest(session.id))
        #expect(next.useNotedUntilSeconds == house.now + 120)
    }

    @Test("without the key nothing ends by it and nothing is written; decisions read nothing of it")
    func off() async throws {
        let house = try Gatehouse()
        let (_, session, cookie) = try await house.signIn(seconds: 20_000)
        house.advance(19_000)
        #expect(await house.pulled(cookie.tokenDigest) != nil)
        #expect(try await house.store.session(id: session.id) == session)
        var used = session
        used.claims["gatepost-used"] = .integer(1)
        #expect(used.facts == session.facts)
    }

    @Test("a clock that goes back keeps a session alive, but no longer than the time says from then")
    func clock() async throws {
        let house = try Gatehouse(Self.config)
        let (_, session, cookie) = try await house.signIn(seconds: 20_000)
        try await Sessions(store: house.store, ring: house.control.ring).change(session.id) {
            $0.claims["gatepost-used"] = .integer(house.now + 9_999)
        }
        #expect(await house.pulled(cookie.tokenDigest) != nil)
        house.advance(Self.idle)
        #expect(await house.pulled(cookie.tokenDigest) == nil)
    }
}
