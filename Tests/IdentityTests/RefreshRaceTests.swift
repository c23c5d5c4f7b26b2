import Access
import Fetch
import JSON
import Store
import Testing

@testable import Identity

@Suite("A refresh beside everything else that happens to its session")
struct RefreshRaceTests {
    let fixture = RefreshWorld()
    var world: World { fixture.world }
    var tenant: FakeProvider { fixture.tenant }

    @Test("a sign-out is not undone by it, and the token that it brought is given back with the other")
    func signOut() async throws {
        let (browser, id) = try await fixture.signIn()
        let gate = try await fixture.underWay(id)
        let answer = await browser.step("\(wiki)/.gatepost/sign-out", method: "POST", origin: wiki)
        guard case .signedOut? = answer else {
            Issue.record("no sign-out")
            return
        }
        await fixture.land(gate)
        await world.flow.settled()
        #expect(await world.store.rows.isEmpty)
        #expect(await world.store.refreshRows.isEmpty)
        #expect(Set(tenant.refresh.givenBack) == ["refresh-1", "refresh-2"])
        #expect(fixture.results.changes.isEmpty)
    }

    @Test("a revocation is not undone by it", arguments: [true, false])
    func revocation(_ isAnsweredWell: Bool) async throws {
        let (_, id) = try await fixture.signIn()
        if !isAnsweredWell {
            tenant.refreshing { $0.answer = FakeProvider.json(["error": "invalid_grant"], status: 400) }
        }
        let gate = try await fixture.underWay(id)
        try await world.flow.sessions.end(ids: [id])
        await fixture.land(gate)
        #expect(await world.store.rows.isEmpty)
        #expect(await world.store.refreshRows.isEmpty)
        #expect(tenant.refresh.givenBack == (isAnsweredWell ? ["refresh-2"] : []))
        #expect(fixture.results.endings.isEmpty)
    }

    /// Two tabs sign in; the second comes back from the provider after the refresh of the first was sent.
    private func secondTab() async throws -> (browser: Browser, global: String, callback: String) {
        let browser = Browser(world)
        let callback = try #require(await browser.go("\(wiki)/b", pauseAtProvider: true).callback)
        let landing = await browser.go("\(wiki)/a")
        return (browser, try #require(landing.session?.globalID), callback)
    }

    @Test("a newer sign-in stands: neither what the refresh heard nor its token is laid over it")
    func newerSignIn() async throws {
        let (browser, id, callback) = try await secondTab()
        tenant.refreshing {
            $0.expiresIn = 120
            $0.claims = { $0["groups"] = ["yesterday"] }
        }
        try await fixture.untilDue(id)
        world.advance(-500)
        // Due at once, so that the second tab's state still lives.
        await world.store.makeDue(id, world.nowSeconds)
        fixture.refreshes.uses.note(id, nowSeconds: world.nowSeconds)
        let gate = Gate()
        tenant.refreshing { $0.gate = gate }
        await fixture.tick()
        await gate.arrival()
        tenant.refreshing { $0.gate = nil }
        tenant.misbehave { $0.claims = { $0["groups"] = ["today"] } }
        _ = await browser.go(callback)
        let row = try #require(await fixture.row(id))
        await fixture.land(gate)
        #expect(await fixture.session(id)?.groups == ["today"])
        #expect(await fixture.row(id) == row)
        #expect(fixture.results.news == [.superseded(sessionID: id, provider: "entra")])
        #expect(tenant.refresh.givenBack.isEmpty)
        try await fixture.refreshOnce(id)
        // The second was the refresh's own, the third the sign-in's.
        #expect(tenant.refresh.presented == ["refresh-1", "refresh-3"])
    }

    @Test("a refusal of the token before does not end a newer sign-in")
    func refusedBeforeSignIn() async throws {
        let (browser, id, callback) = try await secondTab()
        await world.store.makeDue(id, world.nowSeconds)
        fixture.refreshes.uses.note(id, nowSeconds: world.nowSeconds)
        let gate = Gate()
        tenant.refreshing {
            $0.gate = gate
            $0.answer = FakeProvider.json(["error": "invalid_grant"], status: 400)
        }
        await fixture.tick()
        await gate.arrival()
        tenant.refreshing {
            $0.gate = nil
            $0.answer = nil
        }
        _ = await browser.go(callback)
        await fixture.land(gate)
        #expect(await fixture.session(id) != nil)
        #expect(fixture.results.endings.isEmpty)
        try await fixture.refreshOnce(id)
        #expect(await fixture.row(id)?.failure == nil)
    }

    @Test("what a device check or a use writes meanwhile stays, beside what the provider says")
    func otherChanges() async throws {
        tenant.refreshing { $0.claims = { $0["groups"] = ["staff"] } }
        let (_, id) = try await fixture.signIn()
        let gate = try await fixture.underWay(id)
        try await world.flow.sessions.change(id) { $0.deviceID = "laptop" }
        await fixture.land(gate)
        let session = try #require(await fixture.session(id))
        #expect(session.deviceID == "laptop")
        #expect(session.groups == ["staff"])
    }

    @Test("an application session made from what was known before catches up")
    func handoff() async throws {
        let (_, id) = try await fixture.signIn()
        let before = try #require(await fixture.session(id))
        tenant.refreshing { $0.claims = { $0["groups"] = ["staff"] } }
        try await fixture.refreshOnce(id)
        let made = try await world.flow.sessions.createApplication(
            World.configuration.applications[2], under: before, nowSeconds: world.nowSeconds)
        #expect(made.session.groups == ["staff"])
        #expect(await fixture.session(made.session.id)?.groups == ["staff"])
    }

    // MARK: Giving tokens back

    @Test("signing out gives the token back, after our own sessions have ended")
    func givenBack() async throws {
        let (browser, _) = try await fixture.signIn()
        _ = await browser.step("\(wiki)/.gatepost/sign-out", method: "POST", origin: wiki)
        #expect(await world.store.rows.isEmpty)
        await world.flow.settled()
        #expect(tenant.refresh.givenBack == ["refresh-1"])
        let request = try #require(tenant.last("/revoke"))
        let form = FormText.parse(String(decoding: request.body ?? [], as: UTF8.self))
        #expect(form?["token_type_hint"] == "refresh_token")
        #expect(request.fields.contains { $0.0 == "Authorization" })
        #expect(request.timeoutMilliseconds == 5_000)
        #expect(world.told.all.isEmpty)
    }

    @Test("a provider without an endpoint for it is not asked; one that fails is only told of")
    func notGivenBack() async throws {
        tenant.refreshing { $0.announcesRevocation = false }
        let (browser, _) = try await fixture.signIn()
        _ = await browser.step("\(wiki)/.gatepost/sign-out", method: "POST", origin: wiki)
        await world.flow.settled()
        #expect(tenant.count("/revoke") == 0)

        let failing = RefreshWorld()
        failing.tenant.refreshing { $0.revocationAnswer = FetchResponse(status: 503) }
        let (other, _) = try await failing.signIn()
        let answer = await other.step("\(wiki)/.gatepost/sign-out", method: "POST", origin: wiki)
        guard case .signedOut? = answer else {
            Issue.record("no sign-out")
            return
        }
        await failing.world.flow.settled()
        #expect(await failing.world.store.rows.isEmpty)
        #expect(
            failing.world.told.all == [.notRevoked(provider: "entra", what: "entra: revocation: status 503")])
    }

    @Test("a sign-in that brings no token leaves none of an older one")
    func noToken() async throws {
        let (browser, id, callback) = try await secondTab()
        #expect(await fixture.row(id) != nil)
        tenant.refreshing { $0.gives = false }
        _ = await browser.go(callback)
        #expect(await fixture.session(id) != nil)
        #expect(await fixture.row(id) == nil)
    }
}

extension MemoryStore {
    func makeDue(_ id: String, _ seconds: Int64) { refreshRows[id]?.dueAtSeconds = seconds }
}
