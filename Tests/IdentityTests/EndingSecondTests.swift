import Access
import JSON
import Store
import Testing

@testable import Identity

@Suite("A sign-in in the second in which everything of its person is ended, at a provider that asks nothing")
struct EndingSecondTests {
    let world = World()

    private func endAll() async {
        let person = EndingScope.person(issuer: world.tenant.issuer, subject: "person-1")
        _ = try? await world.flow.sessions.end(person, nowSeconds: world.nowSeconds) { _ in }
    }

    @Test("ended before it began: it begins anew by itself in the next second, and gets there")
    func endedBefore() async {
        await endAll()
        let second = world.nowSeconds
        #expect(await Browser(world).go("\(wiki)/a?b=c").page == "\(wiki)/a?b=c")
        #expect(world.waits.all == [1_000])
        #expect(world.tenant.count("/token") == 2)
        #expect(await world.store.rows.values.allSatisfy { $0.createdAtSeconds > second })
    }

    @Test("ended between callback and handoff: the same, and nothing of the first one is left")
    func endedAfterCallback() async throws {
        let browser = Browser(world)
        let callback = try #require(await browser.go("\(wiki)/a", pauseAtProvider: true).callback)
        let handoff = try #require(await browser.step(callback)?.url)
        let first = await Set(world.store.rows.keys)
        #expect(first.count == 1)
        await endAll()
        #expect(await browser.go(handoff).page == "\(wiki)/a")
        #expect(world.waits.all == [1_000])
        #expect(await first.isDisjoint(with: world.store.rows.keys))
    }

    @Test("ended in a second before the browser came back: nothing is waited for")
    func endedEarlier() async throws {
        let browser = Browser(world)
        let callback = try #require(await browser.go("\(wiki)/a", pauseAtProvider: true).callback)
        await endAll()
        world.advance(1)
        #expect(await browser.go(callback).page == "\(wiki)/a")
        #expect(world.waits.all.isEmpty)
    }

    @Test("somebody else's sign-in of the same second neither waits nor begins anew")
    func somebodyElse() async {
        await endAll()
        world.tenant.change { $0.subject = "person-2" }
        #expect(await Browser(world).go("\(wiki)/").session?.subject == "person-2")
        #expect(world.waits.all.isEmpty && world.tenant.count("/token") == 1)
    }

    @Test("ended again in every second: nobody is let in, and after three times there is a page")
    func endedAgain() async {
        world.waits.whoWaits { _ in
            world.advance(1)
            await endAll()
        }
        await endAll()
        let refusal = await Browser(world).go("\(wiki)/a").refusal
        #expect(refusal?.reason == .loginStateLost && refusal?.retryURL == "\(wiki)/a")
        #expect(world.waits.all.count == 3)
        #expect(await world.store.rows.isEmpty)
    }

    @Test("a clock that stands still ends in the page as well: seconds alone cannot tell the two apart")
    func standingClock() async {
        world.waits.whoWaits { _ in }
        await endAll()
        #expect(await Browser(world).go("\(wiki)/a").refusal?.reason == .loginStateLost)
        #expect(await world.store.rows.isEmpty)
    }

    @Test(
        "a stronger sign-in that is ended under way becomes an ordinary one: there is nothing to strengthen")
    func stepUp() async throws {
        let browser = Browser(world)
        #expect(await browser.go("\(wiki)/").session != nil)
        let request = browser.request("\(wiki)/a?b=c")
        let answer = await world.flow.stepUp(
            request, application: "wiki", provider: "entra", asking: StepUp(ageSecondsMax: 600))
        browser.keep(answer.setCookies, host: request.host)
        world.tenant.misbehave { faults in
            let now = world.nowSeconds
            faults.claims = { $0["auth_time"] = .integer(now) }
        }
        let url = try #require(answer.url)
        let callback = try #require(await browser.go(url, pauseAtProvider: true).callback)
        await endAll()
        #expect(await browser.go(callback).page == "\(wiki)/a?b=c")
        #expect(world.waits.all == [1_000])
    }
}
