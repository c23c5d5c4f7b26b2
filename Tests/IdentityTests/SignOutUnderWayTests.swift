import Access
import JSON
import Signatures
import Store
import Testing

@testable import Identity

@Suite("Signing out while another tab of the browser is signing in")
struct SignOutUnderWayTests {
    let world: World
    let browser: Browser
    private static let partner = "https://partner.corp.example:8443"
    private static let hr = "https://hr.corp.example:8443"
    private static let both = "https://both.corp.example:8443"

    init() {
        world = World()
        browser = Browser(world)
    }

    private func begin(_ url: String, in browser: Browser? = nil) async throws -> String {
        try #require(await (browser ?? self.browser).go(url, pauseAtProvider: true).callback)
    }

    /// The browser comes back from its provider, whose token endpoint lets nobody go before the gate is open.
    private func comeBack(
        _ callback: String, in browser: Browser? = nil, to provider: FakeProvider? = nil
    ) async -> (answer: Task<FlowAnswer?, Never>, gate: Gate) {
        let gate = Gate()
        (provider ?? world.tenant).refreshing { $0.gate = gate }
        let request = (browser ?? self.browser).request(callback)
        let flow = world.flow
        let answer = Task { await flow.answer(request) }
        await gate.arrival()
        (provider ?? world.tenant).refreshing { $0.gate = nil }
        return (answer, gate)
    }

    /// - Returns: how many sessions ended; nil where nobody was signed out.
    @discardableResult
    private func signOut(
        _ origin: String = wiki, in browser: Browser? = nil, query: String = ""
    ) async -> Int? {
        let url = "\(origin)/.gatepost/sign-out\(query)"
        let answer = await (browser ?? self.browser).step(url, method: "POST", origin: origin)
        guard case .signedOut(_, let removed, _, _)? = answer else { return nil }
        return removed.count
    }

    /// The page that says so, with the way to sign in again; nil: something else was answered.
    private func againURL(_ answer: FlowAnswer?) -> String? {
        guard case .signedOut(nil, _, let setCookies, let page)? = answer else { return nil }
        let isCleared = setCookies.contains {
            $0.hasPrefix("__Host-gatepost-login-") && $0.contains("Max-Age=0")
        }
        return isCleared ? page.againURL : nil
    }

    private func isHandedOver(_ answer: FlowAnswer?) -> Bool {
        answer?.url?.contains("/.gatepost/handoff?") == true
    }

    // MARK: What ends

    @Test("a sign-in whose code is being exchanged makes no session", arguments: [wiki, auth])
    func exchanged(_ host: String) async throws {
        #expect(await browser.go("\(wiki)/").session != nil)
        let (answer, gate) = await comeBack(try await begin("\(Self.partner)/a?b=c"), to: world.other)
        #expect(await signOut(host) == 2)
        gate.open()
        #expect(againURL(await answer.value) == "\(Self.partner)/a?b=c")
        #expect(await world.store.rows.isEmpty)
    }

    @Test("the same, of the same person at the same provider", arguments: [wiki, auth])
    func samePerson(_ host: String) async throws {
        let late = try await begin("\(wiki)/late")
        #expect(await browser.go("\(wiki)/").session != nil)
        let (answer, gate) = await comeBack(late)
        #expect(await signOut(host) == 2)
        gate.open()
        #expect(againURL(await answer.value) == "\(wiki)/late")
        #expect(await world.store.rows.isEmpty)
    }

    @Test("the same when the person signs out everywhere")
    func everywhere() async throws {
        #expect(await browser.go("\(wiki)/").session != nil)
        let (answer, gate) = await comeBack(try await begin("\(Self.partner)/"), to: world.other)
        world.advance(1)
        #expect(await signOut(query: "?everywhere=yes") == 2)
        gate.open()
        #expect(againURL(await answer.value) == "\(Self.partner)/")
        #expect(await world.store.rows.isEmpty)
    }

    @Test(
        "both came back before there was a session: the later one ends with the first",
        arguments: [wiki, auth])
    func sideBySide(_ host: String) async throws {
        let callbacks = (try await begin("\(wiki)/"), try await begin("\(Self.hr)/x"))
        let (answer, gate) = await comeBack(callbacks.1)
        #expect(await browser.go(callbacks.0).session != nil)
        #expect(await signOut(host) == 2)
        gate.open()
        #expect(againURL(await answer.value) == "\(Self.hr)/x")
        #expect(await world.store.rows.isEmpty)
    }

    @Test("one that began while the first was being exchanged ends as well")
    func begunBetween() async throws {
        let first = try await begin("\(wiki)/")
        let (answer, gate) = await comeBack(first)
        let second = try await begin("\(Self.hr)/x")
        gate.open()
        let handoff = try #require(await answer.value)
        browser.keep(handoff.setCookies, host: "auth.corp.example")
        #expect(await browser.go(try #require(handoff.url)).session != nil)
        let (late, lateGate) = await comeBack(second)
        #expect(await signOut() == 2)
        lateGate.open()
        #expect(againURL(await late.value) == "\(Self.hr)/x")
        #expect(await world.store.rows.isEmpty)
    }

    @Test("one that is still at its provider ends when it comes back", arguments: [wiki, auth])
    func atProvider(_ host: String) async throws {
        #expect(await browser.go("\(wiki)/").session != nil)
        let callback = try await begin("\(Self.partner)/a")
        #expect(await signOut(host) == 2)
        world.advance(30)
        #expect(againURL(await browser.step(callback)) == "\(Self.partner)/a")
        #expect(await world.store.rows.isEmpty)
        #expect(await browser.go("\(Self.partner)/a").page == "\(Self.partner)/a", "asked again, it counts")
    }

    @Test(
        "one that is on its way from the auth host to the application ends, too, also when its code has expired",
        arguments: [wiki, auth], [0, SignInFlow.handoffSeconds + 1])
    func handedOver(_ host: String, _ seconds: Int64) async throws {
        #expect(await browser.go("\(wiki)/").session != nil)
        let callback = try await begin("\(Self.partner)/a")
        let handoff = try #require(await browser.step(callback)?.url)
        #expect(await signOut(host) == 3)
        world.advance(seconds)
        #expect(againURL(await browser.step(handoff)) == "\(Self.partner)/a")
        #expect(await world.store.rows.isEmpty)
        #expect(await browser.go("\(Self.partner)/a").page == "\(Self.partner)/a", "asked again, it counts")
    }

    @Test("a stronger sign-in ends as well, and the page leads back to where it was asked for")
    func stepUp() async throws {
        #expect(await browser.go("\(wiki)/").session != nil)
        let request = browser.request("\(wiki)/a?b=c")
        let asked = await world.flow.stepUp(
            request, application: "wiki", provider: "entra", asking: StepUp(ageSecondsMax: 600))
        browser.keep(asked.setCookies, host: request.host)
        let now = world.nowSeconds
        world.tenant.misbehave { faults in faults.claims = { $0["auth_time"] = .integer(now) } }
        let (answer, gate) = await comeBack(try await begin(try #require(asked.url)))
        #expect(await signOut() == 2)
        gate.open()
        #expect(againURL(await answer.value) == "\(wiki)/a?b=c")
        #expect(await world.store.rows.isEmpty)
    }

    @Test(
        "nobody is signed in yet: the sign-in ends that the host's own cookie shows", arguments: [wiki, auth])
    func nobody(_ host: String) async throws {
        let (answer, gate) = await comeBack(try await begin("\(wiki)/a"))
        #expect(await signOut(host) == 0)
        gate.open()
        #expect(againURL(await answer.value) == "\(wiki)/a")
        #expect(await world.store.rows.isEmpty)
    }

    @Test("nobody is signed in yet, and the store is away: nothing is kept there")
    func storesNothing() async throws {
        let callback = try await begin("\(wiki)/a")
        await world.store.breakDown()
        #expect(await signOut() == 0)
        await world.store.breakDown(false)
        #expect(againURL(await browser.step(callback)) == "\(wiki)/a")
    }

    @Test("a process that starts in between knows it as well")
    func restarted() async throws {
        #expect(await browser.go("\(wiki)/").session != nil)
        let callback = try await begin("\(Self.partner)/a")
        #expect(await signOut() == 2)
        let next = SignInFlow(
            configuration: World.configuration, store: world.store, ring: world.ring, fetcher: world.fetcher,
            directory: world.directory)
        #expect(againURL(await next.answer(browser.request(callback))) == "\(Self.partner)/a")
        #expect(await world.store.rows.isEmpty)
    }

    @Test("a clock that goes back in between changes nothing")
    func clockWentBack() async throws {
        #expect(await browser.go("\(wiki)/").session != nil)
        let (answer, gate) = await comeBack(try await begin("\(Self.partner)/"), to: world.other)
        world.advance(-500)
        #expect(await signOut() == 2)
        gate.open()
        #expect(againURL(await answer.value) == "\(Self.partner)/")
        #expect(await world.store.rows.isEmpty)
    }

    @Test(
        "the clock jumps, and endings are forgotten, before the provider has answered",
        arguments: [true, false])
    func clockJumped(_ isSignOut: Bool) async throws {
        #expect(await browser.go("\(wiki)/").session != nil)
        let (answer, gate) = await comeBack(try await begin("\(Self.partner)/"), to: world.other)
        if isSignOut {
            #expect(await signOut() == 2)
        } else {
            for issuer in [world.tenant.issuer, world.other.issuer] {
                let person = EndingScope.person(issuer: issuer, subject: "person-1")
                _ = try await world.flow.sessions.end(person, nowSeconds: world.nowSeconds) { _ in }
            }
        }
        world.advance(7_200)
        await world.store.forgetEndings()
        gate.open()
        #expect(againURL(await answer.value) == "\(Self.partner)/")
        #expect(await world.store.rows.isEmpty)
        #expect(await browser.go("\(Self.partner)/").page == "\(Self.partner)/", "asked again, it counts")
    }

    @Test("as many others as anybody likes are signed out beside it: it ends all the same")
    func flooded() async throws {
        let callback = try await begin("\(wiki)/a")
        for _ in 0..<300 {
            let other = Browser(world)
            for _ in 0..<LoginSlots.count { _ = await other.step("\(wiki)/") }
            #expect(await signOut(in: other) == 0)
        }
        #expect(await signOut() == 0)
        #expect(againURL(await browser.step(callback)) == "\(wiki)/a")
        #expect(await world.store.rows.isEmpty)
    }

    // MARK: What does not

    @Test("another browser of the same person goes on, whatever it is at")
    func otherBrowser() async throws {
        let other = Browser(world)
        #expect(await other.go("\(wiki)/").session != nil)
        let atProvider = try await begin("\(Self.partner)/", in: other)
        let (answer, gate) = await comeBack(try await begin("\(Self.hr)/", in: other), in: other)
        #expect(await browser.go("\(wiki)/").session != nil)
        #expect(await signOut() == 2)
        gate.open()
        #expect(isHandedOver(await answer.value))
        #expect(await other.go(atProvider).page == "\(Self.partner)/")
    }

    @Test("a sign-in that begins afterwards counts, in the same second and beside what is left of others")
    func afterwards() async throws {
        #expect(await browser.go("\(wiki)/").session != nil)
        let stale = try await begin("\(Self.partner)/")
        #expect(await signOut() == 2)
        #expect(await browser.go("\(wiki)/again").page == "\(wiki)/again")
        #expect(world.waits.all.isEmpty)
        // What the browser had begun before is over, and leaves alone what it has begun since.
        #expect(againURL(await browser.step(stale)) == "\(Self.partner)/")
        #expect(await browser.go("\(wiki)/again").session != nil)
        #expect(await signOut() == 2)
        #expect(await browser.go("\(Self.both)/?x", pauseAtProvider: true).callback == nil, "it asks which")
        #expect(await browser.go("\(Self.hr)/").session != nil)
    }

    @Test("a sign-in from before the sign-out takes nothing from the one after it, also at the same provider")
    func sameProviderAfterwards() async throws {
        let stale = try await begin("\(wiki)/stale")
        #expect(await browser.go("\(wiki)/").session != nil)
        #expect(await signOut() == 2)
        #expect(await browser.go("\(wiki)/new").session != nil)
        let rows = await world.store.rows
        #expect(againURL(await browser.step(stale)) == "\(wiki)/stale")
        #expect(await world.store.rows == rows)
    }

    @Test("neither the question nor another page's form ends anything", arguments: [wiki, auth])
    func refused(_ host: String) async throws {
        #expect(await browser.go("\(wiki)/").session != nil)
        let (answer, gate) = await comeBack(try await begin("\(Self.partner)/"), to: world.other)
        let url = "\(host)/.gatepost/sign-out"
        guard case .confirmSignOut? = await browser.step(url) else {
            Issue.record("no question")
            return
        }
        for origin in ["https://evil.example", "null", host == wiki ? auth : wiki, nil] {
            #expect(
                await browser.step(url, method: "POST", origin: origin)?.refusal?.reason == .originNotAllowed)
        }
        gate.open()
        #expect(isHandedOver(await answer.value))
    }

    @Test("a browser without our cookies ends nobody's")
    func stranger() async throws {
        #expect(await browser.go("\(wiki)/").session != nil)
        let callback = try await begin("\(Self.partner)/")
        for host in [wiki, auth, Self.partner] { #expect(await signOut(host, in: Browser(world)) == 0) }
        #expect(await browser.go(callback).page == "\(Self.partner)/")
    }

    @Test("a sign-in that another one was begun under, and that ends by itself, ends no more than itself")
    func endsByItself() async throws {
        #expect(await browser.go("\(wiki)/").session != nil)
        let (answer, gate) = await comeBack(try await begin("\(Self.partner)/"), to: world.other)
        for id in await world.store.rows.values.filter({ $0.kind == .global }).map(\.id) {
            _ = try await world.store.remove(sessionIDs: [id])
        }
        gate.open()
        #expect(isHandedOver(await answer.value))
    }

    @Test("a store that fails ends nothing and says so; asked again it ends both")
    func storeAway() async throws {
        #expect(await browser.go("\(wiki)/").session != nil)
        let (answer, gate) = await comeBack(try await begin("\(Self.partner)/"), to: world.other)
        await world.store.breakDown()
        #expect(
            await browser.step("\(wiki)/.gatepost/sign-out", method: "POST", origin: wiki)?.refusal?.reason
                == .storeUnavailable)
        await world.store.breakDown(false)
        #expect(await signOut() == 2)
        gate.open()
        #expect(againURL(await answer.value) == "\(Self.partner)/")
        #expect(await world.store.rows.isEmpty)
    }

    @Test("the token that the provider gave it goes back there")
    func givenBack() async throws {
        let fixture = RefreshWorld()
        let tests = Self(fixture.world)
        let (browser, _) = try await fixture.signIn()
        let callback = try await tests.begin("\(Self.hr)/", in: browser)
        let (answer, gate) = await tests.comeBack(callback, in: browser)
        #expect(await tests.signOut(in: browser) == 2)
        gate.open()
        #expect(tests.againURL(await answer.value) == "\(Self.hr)/")
        #expect(await fixture.world.store.refreshRows.isEmpty)
        await fixture.world.flow.settled()
        #expect(fixture.tenant.refresh.givenBack.sorted() == ["refresh-1", "refresh-2"])
    }

    private init(_ world: World) {
        self.world = world
        browser = Browser(world)
    }
}

@Suite("Sign-ins under way in browsers that were signed out: a table that is never full")
struct SignedOutLoginsTests {
    private static func binding(_ index: Int) -> [UInt8] { Digest.sha256(Array("\(index)".utf8)) }

    @Test(
        "one that is noted after its begin counts, and one that begins afterwards does not, in the same place"
    )
    func order() {
        var logins = SignedOutLogins(process: "a")
        let before = logins.begin
        #expect(!logins.contains([1, 2, 3], since: before))
        logins.note([1, 2, 3])
        #expect(logins.contains([1, 2, 3], since: before))
        #expect(!logins.contains([1, 3, 3], since: before), "another place")
        #expect(!logins.contains([2, 1, 3], since: before), "another place")
        #expect(logins.contains([1, 2, 4], since: before), "the same place: it may be the one")
        let between = logins.begin
        #expect(!logins.contains([1, 2, 4], since: between))
        logins.note([9, 9])
        #expect(!logins.contains([1, 2, 4], since: between))
        logins.note([1, 2, 3])
        #expect(logins.contains([1, 2, 4], since: between))
    }

    @Test(
        "one of a former process, or of which nothing is known, counts where anything was noted in its place")
    func otherProcess() {
        var logins = SignedOutLogins(process: "b")
        logins.note([1, 2])
        let later = SignedOutLogins.Begin(process: "a", count: 100)
        for begin in [later, nil] {
            #expect(logins.contains([1, 2], since: begin))
            #expect(!logins.contains([1, 3], since: begin))
        }
    }

    @Test("a flood forgets nobody, ends few of the others under way, and none that begins after it")
    func flood() {
        var logins = SignedOutLogins(process: "a")
        let before = logins.begin
        logins.note(Self.binding(-1))
        let flood = 10_000
        for index in 0..<flood { logins.note(Self.binding(index)) }
        #expect(logins.contains(Self.binding(-1), since: before))
        let others = (flood..<flood + 2_000).map(Self.binding)
        let ended = others.count { logins.contains($0, since: before) }
        // 1 - (1 - 1/65,536)^10,000: one in seven, for 12,500 requests within the time of one sign-in.
        #expect((240...330).contains(ended), "\(ended) of 2,000")
        let after = logins.begin
        #expect(others.allSatisfy { !logins.contains($0, since: after) })
    }

    @Test("a session remembers the last names of its browser, its own in front, each once")
    func names() {
        var session = StoredSession(
            id: "g", kind: .global, tokenDigest: [], host: "", identityProvider: "", issuer: "", subject: "",
            authenticatedAtSeconds: 0, createdAtSeconds: 0, expiresAtSeconds: 0)
        #expect(SignedOutBrowser.names(of: [session]) == ["g"])
        session.claims[StoredSession.browserClaim] = .list(["n", "g"])
        session.note(browserNames: ["n"] + (0..<SignedOutBrowser.namesMax).map { "o-\($0)" })
        #expect(session.browserNames.count == SignedOutBrowser.namesMax)
        #expect(session.browserNames.prefix(3) == ["n", "g", "o-0"])
        #expect(SignedOutBrowser.names(of: [session, session]).count == SignedOutBrowser.namesMax)
        #expect(session.facts.person.claims.isEmpty, "no decision reads them")
    }
}
