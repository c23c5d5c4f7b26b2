import Access
import JSON
import Store
import Testing

@testable import Identity

@Suite("A refresh beside endings, keys of browsers and people with two names")
struct RefreshEndingTests {
    let fixture = RefreshWorld()
    var world: World { fixture.world }
    var tenant: FakeProvider { fixture.tenant }

    private func logout(_ sid: String, _ jti: String = "t-1") async -> Int? {
        await world.logout(world.signed(world.logoutClaims(sid: sid, jti: jti))).endedCount
    }

    /// A sign-in that the provider calls `s-1`, and calls `later` from its first refresh on.
    private func signIn(later: String?) async throws -> String {
        world.name(sessions: "s-1")
        tenant.refreshing { $0.claims = { $0["sid"] = later.map { .string($0) } } }
        return try await fixture.signIn().global
    }

    // MARK: What the provider ends

    @Test(
        "a logout that the provider sends during a refresh is not undone by the answer, and its token is given back"
    )
    func backchannel() async throws {
        let id = try await signIn(later: "s-1")
        let gate = try await fixture.underWay(id)
        #expect(await logout("s-1") == 2)
        await fixture.land(gate)
        #expect(await world.store.rows.isEmpty)
        #expect(await world.store.refreshRows.isEmpty)
        #expect(tenant.refresh.givenBack == ["refresh-2"])
        #expect(fixture.results.changes.isEmpty && fixture.results.endings.isEmpty)
        await fixture.round()
        #expect(tenant.refresh.presented.count == 1)
    }

    @Test(
        "a logout by a name that is still on its way ends the sign-in that gets it; one by another name does not"
    )
    func newName() async throws {
        for (named, isEnded) in [("s-2", true), ("s-3", false)] {
            let one = RefreshEndingTests()
            let id = try await one.signIn(later: "s-2")
            let gate = try await one.fixture.underWay(id)
            #expect(await one.logout(named) == 0)
            await one.fixture.land(gate)
            #expect((await one.fixture.session(id) == nil) == isEnded, "\(named)")
            #expect(await one.world.store.rows.isEmpty == isEnded)
            #expect(
                one.fixture.results.endings.map(\.end.failure) == (isEnded ? [.revoked("logged-out")] : []))
            #expect(one.fixture.results.endings.first?.sessions.count == (isEnded ? 2 : nil))
            // From then on it is found by the new name.
            #expect(await one.logout("s-2", "t-2") == (isEnded ? 0 : 2))
        }
    }

    @Test("a name that was ended before the provider was asked is good again: it has answered since")
    func endedBefore() async throws {
        let id = try await signIn(later: "s-2")
        #expect(await logout("s-2") == 0)
        world.advance(1)
        try await fixture.refreshOnce(id)
        #expect(await fixture.session(id)?.providerSessionID == "s-2")
        #expect(await logout("s-1", "t-2") == 0)
        #expect(await logout("s-2", "t-3") == 2)
    }

    @Test(
        "a signal by a name that is still on its way ends the sign-in that gets it; one by another name does not",
        arguments: ["sid", "jti", "email"])
    func newNameOfSignal(_ claim: String) async throws {
        for (named, isEnded) in [("new@corp.example", true), ("old@corp.example", false)] {
            let one = RefreshEndingTests()
            one.tenant.refreshing {
                $0.claims = {
                    $0[claim] = "new@corp.example"
                    if claim == "email" { $0["email_verified"] = true }
                }
            }
            let id = try await one.fixture.signIn().global
            let gate = try await one.fixture.underWay(id)
            let names =
                switch claim {
                case "sid": SignInNames(sessions: [named])
                case "jti": SignInNames(tokens: [.init(issuer: one.tenant.issuer, id: named)])
                case _: SignInNames(persons: [.email(named)])
                }
            try await one.world.store.noteEnding(of: names, atSeconds: one.world.nowSeconds)
            await one.fixture.land(gate)
            #expect((await one.fixture.session(id) == nil) == isEnded, "\(named)")
            #expect(await one.world.store.rows.isEmpty == isEnded)
            #expect(
                one.fixture.results.endings.map(\.end.failure) == (isEnded ? [.revoked("logged-out")] : []))
        }
    }

    @Test(
        "a name that is ended after the clock has gone back ends the sign-in that gets it, also when dated anew",
        arguments: [1, 5, 300, 100_000] as [Int64], [false, true])
    func clockWentBack(_ seconds: Int64, isSettled: Bool) async throws {
        let id = try await signIn(later: "s-2")
        let gate = try await fixture.underWay(id)
        if isSettled {
            #expect(await logout("s-2") == 0)
            world.advance(-seconds)
            _ = try await world.store.settleEndings(nowSeconds: world.nowSeconds)
        } else {
            world.advance(-seconds)
            #expect(await logout("s-2") == 0)
        }
        await fixture.land(gate)
        #expect(await world.store.rows.isEmpty)
        #expect(fixture.results.endings.map(\.end.failure) == [.revoked("logged-out")])
        #expect(tenant.refresh.presented.count == 1)
    }

    @Test("a name that was ended before the provider was asked is good again, however the two are dated")
    func endedBeforeAhead() async throws {
        for seconds in [0, -1, -300] as [Int64] {
            let one = RefreshEndingTests()
            let id = try await one.signIn(later: "s-2")
            try await one.fixture.untilDue(id)
            one.world.advance(-seconds)
            #expect(await one.logout("s-2") == 0)
            one.world.advance(seconds)
            await one.fixture.round()
            #expect(await one.fixture.session(id)?.providerSessionID == "s-2", "\(seconds)")
        }
    }

    @Test("an end by such a name that the store did not take is carried out as soon as it does")
    func brokenEnd() async throws {
        let id = try await signIn(later: "s-2")
        let gate = try await fixture.underWay(id)
        #expect(await logout("s-2") == 0)
        await world.store.fail(ends: true)
        await fixture.land(gate)
        #expect(await fixture.session(id)?.providerSessionID == "s-1", "nothing of the answer was taken")
        #expect(fixture.results.endings.isEmpty)
        await world.store.fail(ends: false)
        world.advance(5)
        await fixture.round()
        #expect(await world.store.rows.isEmpty)
        #expect(fixture.results.endings.count == 1)
        #expect(tenant.refresh.presented.count == 1, "the provider is not asked again")
    }

    @Test("a refreshed token that does not repeat the name leaves it", arguments: [nil, ""])
    func unnamed(_ later: String?) async throws {
        let id = try await signIn(later: later)
        try await fixture.refreshOnce(id)
        #expect(tenant.refresh.presented.count == 1)
        #expect(await fixture.session(id)?.providerSessionID == "s-1")
        #expect(await logout("s-1") == 2)
        #expect(await world.store.refreshRows.isEmpty)
    }

    // MARK: What the person ends

    @Test("signing out everywhere gives back the tokens of every browser, after all sessions have ended")
    func everywhere() async throws {
        let (browser, _) = try await fixture.signIn()
        _ = try await fixture.signIn()
        // Linked to the first: another provider's, in the same browser.
        #expect(await browser.go("https://partner.corp.example:8443/").session != nil)
        let answer = await browser.step(
            "\(wiki)/.gatepost/sign-out?everywhere=yes", method: "POST", origin: wiki)
        guard case .signedOut? = answer else {
            Issue.record("no sign-out")
            return
        }
        #expect(await world.store.rows.isEmpty)
        #expect(await world.store.refreshRows.isEmpty)
        await world.flow.settled()
        #expect(tenant.refresh.givenBack.sorted() == ["refresh-1", "refresh-2"])
        #expect(world.other.refresh.givenBack == ["refresh-1"])
        #expect(world.told.all.isEmpty)
    }

    @Test("a sign-in that was under way then leaves nothing either: its token goes back as well")
    func underWayThen() async throws {
        let late = Browser(world)
        let callback = try #require(await late.go("\(wiki)/", pauseAtProvider: true).callback)
        let (browser, _) = try await fixture.signIn()
        _ = await browser.step("\(wiki)/.gatepost/sign-out?everywhere=yes", method: "POST", origin: wiki)
        _ = await late.step(callback)
        #expect(await world.store.rows.isEmpty)
        #expect(await world.store.refreshRows.isEmpty)
        await world.flow.settled()
        #expect(tenant.refresh.givenBack.sorted() == ["refresh-1", "refresh-2"])
    }

    @Test("a plain sign-out gives back those of this browser alone")
    func here() async throws {
        let (browser, _) = try await fixture.signIn()
        let (_, other) = try await fixture.signIn()
        _ = await browser.step("\(wiki)/.gatepost/sign-out", method: "POST", origin: wiki)
        await world.flow.settled()
        #expect(tenant.refresh.givenBack == ["refresh-1"])
        #expect(await fixture.row(other) != nil)
    }

    // MARK: Keys and names

    @Test("a session that is bound to a key gets what the provider says, and keeps key, secret and proof")
    func bound() async throws {
        let (_, id) = try await fixture.signIn()
        let app = try #require(await world.store.rows.values.first { $0.globalID == id })
        var bound = app
        bound.binding = SessionBinding(
            provenAtSeconds: world.nowSeconds, secretUntilSeconds: world.nowSeconds + 600)
        let key = SessionKey(sessionID: app.id, jwk: "{}", registeredAtSeconds: world.nowSeconds)
        #expect(try await world.store.bind(app, as: bound, to: key))
        tenant.refreshing { $0.claims = { $0["groups"] = ["night"] } }
        let gate = try await fixture.underWay(id)
        // The browser proves its key meanwhile.
        try await world.flow.sessions.change(app.id) { $0.binding?.secretUntilSeconds += 300 }
        bound.binding?.secretUntilSeconds += 300
        await fixture.land(gate)
        var expected = bound
        expected.groups = ["night"]
        let found = await fixture.session(app.id)
        #expect(found?.groups == ["night"])
        #expect(found?.binding == expected.binding && found?.tokenDigest == expected.tokenDigest)
        #expect(try await world.store.sessionKey(sessionID: app.id) == key)
    }

    @Test("a person with two names keeps both over a refresh, and application sessions carry neither")
    func twoNames() async throws {
        let fixture = RefreshWorld(issuer: "https://login.example/\(SamePersonTests.tenant)/v2.0")
        let naming: @Sendable (inout JSONObject) -> Void = { token in
            token["sub"] = .string("pairwise-\(token["aud"]?.string ?? "")")
            token["oid"] = .string(SamePersonTests.object)
            token["tid"] = .string(SamePersonTests.tenant)
        }
        fixture.tenant.misbehave { $0.claims = naming }
        fixture.tenant.refreshing {
            $0.claims = { token in
                naming(&token)
                token["groups"] = ["night"]
            }
        }
        let (browser, _) = try await fixture.signIn()
        let hr = try #require(await browser.go("https://hr.corp.example:8443/").session?.globalID)
        let before = try #require(await fixture.session(hr))
        try await fixture.refreshOnce(hr)
        let session = try #require(await fixture.session(hr))
        #expect(session.groups == ["night"] && session.subject == "pairwise-client-managed")
        #expect(Sessions.isPerson(session, issuer: session.issuer, subject: "pairwise-client"))
        let made = try await fixture.world.flow.sessions.createApplication(
            World.configuration.applications[1], under: before, nowSeconds: fixture.world.nowSeconds)
        #expect(made.session.groups == ["night"])
        for row in await fixture.world.store.rows.values where row.kind == .application {
            #expect(row.claims[Sessions.subjectsClaim] == nil && row.claims[Sessions.linkedClaim] == nil)
        }
    }
}
