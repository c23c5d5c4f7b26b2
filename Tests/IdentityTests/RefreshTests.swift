import Access
import Fetch
import JSON
import Signatures
import Store
import Testing

@testable import Identity

@Suite("Refreshing sign-ins in the background")
struct RefreshTests {
    let fixture = RefreshWorld()
    var world: World { fixture.world }
    var tenant: FakeProvider { fixture.tenant }

    @Test("a refresh token rests sealed beside its session, and opens for that session and registration only")
    func sealed() async throws {
        let (browser, id) = try await fixture.signIn()
        let row = try #require(await fixture.row(id))
        #expect(row.provider == "entra")
        #expect(!row.sealedToken.contains("refresh-1"))
        #expect(!browser.cookies("auth.corp.example").joined().contains("refresh-"))
        let sealer = Sealer(ring: world.ring)
        let registration = World.configuration.providers[0]
        let kept = KeptRefresh(
            row.sealedToken, sealer, for: RefreshBinding(sessionID: id, registration: registration))
        #expect(kept?.token == "refresh-1")
        var others = [RefreshBinding(sessionID: id + "x", registration: registration)]
        for edit in [
            { $0.name = "entra-managed" }, { $0.issuer = "https://evil.example" }, { $0.clientID = "other" },
        ] as [(inout IdentityProviderRegistration) -> Void] {
            var changed = registration
            edit(&changed)
            others.append(RefreshBinding(sessionID: id, registration: changed))
        }
        for binding in others { #expect(KeptRefresh(row.sealedToken, sealer, for: binding) == nil) }
    }

    @Test("one second before its time nothing is asked; at its time it is, once")
    func due() async throws {
        let (_, id) = try await fixture.signIn()
        let before = tenant.count("/token")
        try await fixture.untilDue(id)
        world.advance(-1)
        await fixture.round()
        #expect(tenant.count("/token") == before)
        world.advance(1)
        await fixture.round()
        #expect(tenant.refresh.presented == ["refresh-1"])
        let row = try #require(await fixture.row(id))
        #expect(row.dueAtSeconds == world.nowSeconds + RefreshWorld.every)
        #expect(row.refreshedAtSeconds == world.nowSeconds)
        #expect(row.unansweredSinceSeconds == nil)
        await fixture.round()
        #expect(tenant.count("/token") == before + 1)
    }

    @Test("200 parallel demands are one token request, and everybody has its result")
    func singleFlight() async throws {
        let (_, id) = try await fixture.signIn()
        try await fixture.untilDue(id)
        let gate = Gate()
        tenant.refreshing { $0.gate = gate }
        let fixture = fixture
        let world = world
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    fixture.refreshes.uses.note(id, nowSeconds: world.nowSeconds)
                    await fixture.tick()
                }
            }
        }
        await gate.arrival()
        await fixture.tick()
        gate.open()
        await fixture.refreshes.settled()
        #expect(tenant.refresh.presented == ["refresh-1"])
        #expect(tenant.refresh.reuses == 0)
        #expect(await fixture.row(id)?.refreshedAtSeconds == world.nowSeconds)
    }

    @Test(
        "a rotated token takes the place of the one before; one that stays is used again",
        arguments: [true, false])
    func rotation(_ rotates: Bool) async throws {
        tenant.refreshing { $0.rotates = rotates }
        let (_, id) = try await fixture.signIn()
        for _ in 0..<3 { try await fixture.refreshOnce(id) }
        let presented = tenant.refresh.presented
        #expect(presented.count == 3)
        #expect(Set(presented).count == (rotates ? 3 : 1))
        #expect(tenant.refresh.reuses == 0)
        #expect(await fixture.session(id) != nil)
    }

    @Test("it comes ahead of the access token's end where that is sooner, and at most once a minute")
    func expiry() async throws {
        for (life, wait) in [(600, 540), (120, 90), (61, 60), (1, 60), (3_600, 900)] as [(Int64, Int64)] {
            #expect(
                RefreshTimes.next(everySeconds: 900, expiresInSeconds: life, nowSeconds: 0, random: 0) == wait
            )
        }
        tenant.refreshing { $0.expiresIn = 600 }
        let (_, id) = try await fixture.signIn()
        try await fixture.refreshOnce(id)
        #expect(await fixture.row(id)?.dueAtSeconds == world.nowSeconds + 540)
        let early = RefreshTimes.next(everySeconds: 900, expiresInSeconds: nil, nowSeconds: 0, random: 1)
        #expect(early == 810)
    }

    @Test("what the provider says now is known of the sign-in and of every application below it")
    func claims() async throws {
        let (browser, id) = try await fixture.signIn()
        _ = await browser.go("https://both.corp.example:8443/")
        tenant.refreshing {
            $0.claims = {
                $0["groups"] = ["staff"]
                $0["department"] = "sales"
            }
        }
        try await fixture.refreshOnce(id)
        let all = await world.store.rows.values.filter { $0.id == id || $0.globalID == id }
        #expect(all.count == 3)
        for session in all {
            #expect(session.groups == ["staff"])
            #expect(session.claims["department"] == .text("sales"))
        }
        #expect(fixture.results.changes == [id])
        try await fixture.refreshOnce(id)
        #expect(fixture.results.changes == [id], "the same again changes nothing")
    }

    @Test("a refresh makes no session longer and changes no secret")
    func notLonger() async throws {
        let (_, id) = try await fixture.signIn()
        let before = try #require(await fixture.session(id))
        tenant.refreshing { $0.claims = { $0["groups"] = ["staff"] } }
        try await fixture.refreshOnce(id)
        let after = try #require(await fixture.session(id))
        #expect(after.expiresAtSeconds == before.expiresAtSeconds)
        #expect(after.tokenDigest == before.tokenDigest)
        #expect(after.idToken == before.idToken)
        #expect(after.authenticatedAtSeconds == before.authenticatedAtSeconds)
    }

    @Test("without an id token what is known stands, but for what userinfo says anew")
    func userinfo() async throws {
        tenant.misbehave {
            $0.claims = { $0["groups"] = nil }
            $0.userinfo = ["sub": "person-1", "groups": ["staff", "admins"]]
        }
        let (_, id) = try await fixture.signIn()
        #expect(await fixture.session(id)?.groups == ["staff", "admins"])
        tenant.refreshing { $0.sendsIDToken = false }
        tenant.misbehave { $0.userinfo = ["sub": "person-1", "groups": ["staff"]] }
        try await fixture.refreshOnce(id)
        let narrowed = try #require(await fixture.session(id))
        #expect(narrowed.groups == ["staff"])
        #expect(narrowed.email == "ann.lee@corp.example")
        // The last group is gone: a provider that then leaves the member out has said so.
        tenant.misbehave { $0.userinfo = ["sub": "person-1"] }
        try await fixture.refreshOnce(id)
        #expect(await fixture.session(id)?.groups == [])
        // Refused, they are unknown, and stay so while nothing is said.
        tenant.misbehave { $0.userinfo = nil }
        try await fixture.refreshOnce(id)
        #expect(await fixture.session(id)?.claims["hasgroups"] == .flag(true))
        try await fixture.refreshOnce(id)
        #expect(await fixture.session(id)?.claims["hasgroups"] == .flag(true))
    }

    @Test("userinfo that is down takes nobody's groups: the token is kept, and it is asked again soon")
    func userinfoDown() async throws {
        tenant.misbehave {
            $0.claims = { $0["groups"] = nil }
            $0.userinfo = ["sub": "person-1", "groups": ["staff"]]
        }
        tenant.refreshing { $0.claims = { $0["groups"] = nil } }
        let (_, id) = try await fixture.signIn()
        tenant.misbehave { $0.failure["/userinfo"] = FetchError(.timedOut, "slow") }
        try await fixture.refreshOnce(id)
        let row = try #require(await fixture.row(id))
        #expect(await fixture.session(id)?.groups == ["staff"])
        #expect(row.failure == "provider-unavailable")
        #expect(row.unansweredSinceSeconds == nil)
        tenant.misbehave {
            $0.failure = [:]
            $0.userinfo = ["sub": "person-1", "groups": ["admins"]]
        }
        try await fixture.refreshOnce(id)
        #expect(await fixture.session(id)?.groups == ["admins"])
        #expect(tenant.refresh.reuses == 0)
        #expect(await fixture.row(id)?.failingSinceSeconds == nil)
    }

    @Test("a session that nobody uses rests, and its next use refreshes it at once")
    func rests() async throws {
        let (_, id) = try await fixture.signIn()
        try await fixture.untilDue(id, isUsed: false)
        await fixture.round()
        #expect(tenant.refresh.presented.isEmpty)
        #expect(await fixture.row(id)?.dueAtSeconds == nil)
        world.advance(3_600)
        await fixture.round()
        #expect(tenant.refresh.presented.isEmpty)
        fixture.refreshes.uses.note(id, nowSeconds: world.nowSeconds)
        await fixture.round()
        #expect(tenant.refresh.presented == ["refresh-1"])
        // Used within the last 900 s, exactly so long ago, and one second longer.
        let used = world.nowSeconds
        fixture.refreshes.uses.note(id, nowSeconds: used)
        #expect(fixture.refreshes.uses.isUsed(id, withinSeconds: 900, nowSeconds: used + 899))
        #expect(!fixture.refreshes.uses.isUsed(id, withinSeconds: 900, nowSeconds: used + 900))
    }

    @Test("a use that overtakes the beginning of a rest ends it")
    func overtakenRest() async throws {
        let uses = SessionUses()
        uses.note("a", nowSeconds: 1)
        #expect(uses.takeWaking(limit: 10) == ["a"])
        uses.note("a", nowSeconds: 2)
        #expect(uses.takeWaking(limit: 10).isEmpty)
        uses.forget("a")
        uses.wakeIfUsed("a")
        #expect(uses.takeWaking(limit: 10).isEmpty)
        uses.forget("a")
        uses.note("a", nowSeconds: 3)
        uses.wakeIfUsed("a")
        #expect(uses.takeWaking(limit: 10) == ["a"])
        uses.sweep(beforeSeconds: 4)
        uses.note("a", nowSeconds: 5)
        #expect(uses.takeWaking(limit: 10) == ["a"])
    }

    @Test(
        "without the key nothing is kept and nothing is asked; without a token there is nothing to ask with")
    func off() async throws {
        let silent = World()
        silent.tenant.refreshing { $0.gives = true }
        _ = await Browser(silent).go("\(wiki)/")
        #expect(await silent.store.refreshRows.isEmpty)
        let poor = RefreshWorld(gives: false)
        let (_, id) = try await poor.signIn()
        #expect(await poor.row(id) == nil)
        poor.world.advance(5_000)
        await poor.round()
        #expect(poor.tenant.refresh.presented.isEmpty)
    }
}
