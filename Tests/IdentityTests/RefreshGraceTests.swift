import Fetch
import Store
import Testing

@testable import Identity

@Suite("Sign-ins that their provider does not confirm end when its grace is over")
struct RefreshGraceTests {
    let fixture = RefreshWorld()
    var world: World { fixture.world }
    var tenant: FakeProvider { fixture.tenant }
    private static let grace: Int64 = 900

    /// Every second of this time, with the sessions in use.
    private func pass(_ seconds: Int64, _ ids: [String], isUsed: Bool = true) async {
        for _ in 0..<seconds {
            world.advance(1)
            if isUsed { for id in ids { fixture.refreshes.uses.note(id, nowSeconds: world.nowSeconds) } }
            await fixture.round()
        }
    }

    private func alive(_ ids: [String]) async -> Int {
        var count = 0
        for id in ids where await fixture.session(id) != nil { count += 1 }
        return count
    }

    /// What a provider says, and the word of its failure.
    static let answers: [(status: Int, body: String, word: String)] = [
        (503, "", "provider-unavailable"), (429, "", "provider-unavailable"),
        (401, #"{"error":"invalid_client"}"#, "client-refused"), (400, "", "client-refused"),
        (200, #"{"access_token":"a","token_type":"Bearer","id_token":"x.y.z"}"#, "answer-unusable"),
    ]

    @Test("one second before it counts, at the second it is over, whatever the failure", arguments: answers)
    func boundary(_ answer: (status: Int, body: String, word: String)) async throws {
        let (_, id) = try await fixture.signIn()
        tenant.refreshing {
            $0.answer = FetchResponse(
                status: answer.status, fields: [("content-type", "application/json")],
                body: Array(answer.body.utf8))
        }
        try await fixture.refreshOnce(id)
        await pass(Self.grace - 1, [id])
        #expect(await fixture.session(id) != nil)
        #expect(fixture.results.endings.isEmpty)
        await pass(1, [id])
        #expect(await fixture.session(id) == nil)
        #expect(await fixture.row(id) == nil)
        let ending = try #require(fixture.results.endings.first)
        #expect(fixture.results.endings.count == 1)
        #expect(ending.end.word == "refresh-grace-over" && ending.end.failure.word == answer.word)
        #expect(ending.sessions.count == 2, "with the application's session")
    }

    @Test("an answer in time keeps it, and the next outage begins anew")
    func inTime() async throws {
        let (_, id) = try await fixture.signIn()
        tenant.misbehave { $0.failure["/token"] = FetchError(.unreachable, "gone") }
        try await fixture.refreshOnce(id)
        // Tried at 5, 15, 35, 75, 155, 315 and 615 seconds.
        await pass(614, [id])
        #expect(await fixture.row(id)?.failure == "provider-unavailable")
        tenant.misbehave { $0.failure = [:] }
        await pass(1, [id])
        #expect(await fixture.row(id)?.failure == nil)
        tenant.misbehave { $0.failure["/token"] = FetchError(.unreachable, "gone") }
        try await fixture.refreshOnce(id)
        await pass(Self.grace - 1, [id])
        #expect(await fixture.session(id) != nil)
        await pass(1, [id])
        #expect(await fixture.session(id) == nil)
    }

    @Test("one that rests ends too: who comes back in the outage is not let in")
    func resting() async throws {
        let (_, id) = try await fixture.signIn()
        tenant.refreshing { $0.answer = FetchResponse(status: 503) }
        try await fixture.refreshOnce(id)
        await pass(Self.grace, [id], isUsed: false)
        #expect(await fixture.session(id) == nil)
    }

    @Test("a new process asks before it gives up: the provider may be back", arguments: [true, false])
    func restart(isBack: Bool) async throws {
        let (_, id) = try await fixture.signIn()
        tenant.refreshing { $0.answer = FetchResponse(status: 503) }
        try await fixture.refreshOnce(id)
        world.advance(7_200)
        let next = SignInRefreshes(
            store: world.store, ring: world.ring, fetcher: world.fetcher,
            nowSeconds: { [world] in world.nowSeconds }, random: { 0 })
        if isBack { tenant.refreshing { $0.answer = nil } }
        next.uses.note(id, nowSeconds: world.nowSeconds)
        let asked = tenant.refresh.presented.count
        for _ in 0..<2 {
            await next.tick(await world.flow.refreshSource(), for: fixture.results)
            await next.settled()
        }
        #expect(tenant.refresh.presented.count == asked + 1)
        #expect((await fixture.session(id) != nil) == isBack)
        #expect(fixture.results.endings.map(\.end.word) == (isBack ? [] : ["refresh-grace-over"]))
    }

    @Test("an answer that is on its way decides itself", arguments: [true, false])
    func underWay(isGood: Bool) async throws {
        let (_, id) = try await fixture.signIn()
        tenant.refreshing { $0.answer = FetchResponse(status: 503) }
        try await fixture.refreshOnce(id)
        await pass(300, [id])
        tenant.refreshing { $0.answer = isGood ? nil : FetchResponse(status: 503) }
        let gate = try await fixture.underWay(id)
        world.advance(Self.grace)
        await fixture.tick()
        #expect(await fixture.session(id) != nil)
        await fixture.land(gate)
        #expect((await fixture.session(id) != nil) == isGood)
    }

    @Test("a store that fails puts it off, and nothing is told that did not happen")
    func storeFails() async throws {
        let (_, id) = try await fixture.signIn()
        tenant.refreshing { $0.answer = FetchResponse(status: 503) }
        try await fixture.refreshOnce(id)
        await pass(Self.grace - 1, [id])
        await world.store.fail(ends: true)
        await pass(1, [id])
        #expect(await fixture.session(id) != nil)
        #expect(fixture.results.endings.isEmpty)
        await world.store.fail(ends: false)
        await pass(5, [id])
        #expect(await fixture.session(id) == nil)
        #expect(fixture.results.endings.count == 1)
    }

    @Test("a sign-in anew counts from itself")
    func anew() async throws {
        let (browser, id) = try await fixture.signIn()
        tenant.refreshing { $0.answer = FetchResponse(status: 503) }
        try await fixture.refreshOnce(id)
        await pass(Self.grace - 1, [id])
        let session = try #require(await browser.go("https://both.corp.example:8443/").session)
        #expect(session.globalID == id, "the same sign-in, which was not confirmed")
        await pass(1, [id])
        #expect(await alive([id]) == 0)
        let again = try #require(await browser.go("https://wiki.corp.example:8443/").session?.globalID)
        await pass(Self.grace - 1, [again])
        #expect(await alive([again]) == 1)
    }

    private func note(_ ids: [String]) {
        for id in ids { fixture.refreshes.uses.note(id, nowSeconds: world.nowSeconds) }
    }

    @Test(
        "one answer that asks for an hour of silence ends nobody: at the grace's end it is asked again",
        arguments: [600, 899, nil] as [Int64?], [429, 503])
    func silence(back: Int64?, status: Int) async throws {
        let (_, first) = try await fixture.signIn()
        let (_, second) = try await fixture.signIn()
        world.advance(100)
        let (_, third) = try await fixture.signIn()
        let ids = [first, second, third]
        tenant.refreshing {
            $0.answer = FetchResponse(status: status, fields: [("retry-after", "3600")])
        }
        // Sign-ins are spread over the last tenth of their time: both of the first two are due then.
        for id in [first, second] { try await fixture.untilDue(id) }
        note(ids)
        await fixture.round()
        let asked = tenant.refresh.presented.count
        await pass(back ?? Self.grace - 1, ids)
        #expect(await alive(ids) == 3)
        #expect(tenant.refresh.presented.count == asked, "until then it is left alone")
        guard let back else {
            await pass(2, ids)
            #expect(await alive([first, second]) == 0)
            #expect(await alive([third]) == 1, "due at least 10 seconds later")
            await pass(98, ids)
            #expect(await alive([third]) == 1)
            await pass(202, ids)
            #expect(await alive([third]) == 0)
            #expect(tenant.refresh.presented.count == asked + 2)
            return
        }
        tenant.refreshing { $0.answer = nil }
        await pass(1_200 - back, ids)
        #expect(await alive(ids) == 3)
        #expect(fixture.results.endings.isEmpty)
        for id in ids { #expect(await fixture.row(id)?.failure == nil) }
    }

    /// A failed refresh, and then nobody uses the session.
    private func restAfterFailure(_ id: String) async throws {
        try await fixture.refreshOnce(id)
        fixture.refreshes.uses.forget(id)
        world.advance(5)
        await fixture.round()
        let row = try #require(await fixture.row(id))
        #expect(row.dueAtSeconds == nil && row.failingSinceSeconds != nil)
    }

    @Test("one that rests since an earlier outage is not ended by the next one", arguments: [true, false])
    func earlier(isNewProcess: Bool) async throws {
        let (_, resting) = try await fixture.signIn()
        world.advance(100)
        let (_, other) = try await fixture.signIn()
        tenant.refreshing { $0.answer = FetchResponse(status: 503) }
        try await restAfterFailure(resting)
        var refreshes = fixture.refreshes
        if isNewProcess {
            refreshes = SignInRefreshes(
                store: world.store, ring: world.ring, fetcher: world.fetcher,
                nowSeconds: { [world] in world.nowSeconds }, random: { 0 })
        } else {
            tenant.refreshing { $0.answer = nil }
            try await fixture.refreshOnce(other)
            #expect(await fixture.row(other)?.failure == nil)
            tenant.refreshing { $0.answer = FetchResponse(status: 503) }
        }
        world.advance(3_600)
        for _ in 0..<3 {
            refreshes.uses.note(other, nowSeconds: world.nowSeconds)
            await refreshes.tick(await world.flow.refreshSource(), for: fixture.results)
            await refreshes.settled()
            world.advance(1)
        }
        #expect(await fixture.row(other)?.failure == "provider-unavailable")
        #expect(await alive([resting, other]) == 2)
    }

    @Test("one that rests since this outage ends with it")
    func sameOutage() async throws {
        // Both fail at once and are due again at once: then the one with the smaller name is looked at first, and behind
        // the other one's next failure it would have to wait.
        let names = [try await fixture.signIn().global, try await fixture.signIn().global].sorted()
        let (resting, other) = (names[0], names[1])
        tenant.refreshing { $0.answer = FetchResponse(status: 503) }
        try await fixture.untilDue(other)
        note([other])
        try await restAfterFailure(resting)
        await pass(Self.grace - 6, [other])
        #expect(await alive([resting, other]) == 2)
        await pass(2, [other])
        #expect(await alive([resting, other]) == 0)
    }
}
