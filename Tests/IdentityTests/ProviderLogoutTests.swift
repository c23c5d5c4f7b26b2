import Access
import JSON
import Signatures
import Store
import Testing

@testable import Identity

@Suite("Logout that the provider begins: which sessions end, and which sign-ins under way with them")
struct ProviderLogoutTests {
    let world = World()
    let browser: Browser

    init() {
        browser = Browser(world)
        world.name(sessions: "s-1")
    }

    @Test("a logout token ends the session that it names with everything below it")
    func named() async {
        await browser.go("\(wiki)/")
        await browser.go("https://both.corp.example:8443/")
        #expect(await world.logout(world.signed(world.logoutClaims())).endedCount == 3)
        #expect(await world.store.rows.isEmpty)
    }

    @Test("a browser's session of another provider, or of another registration of the same one, stays")
    func others() async {
        await browser.go("\(wiki)/")
        await browser.go("https://hr.corp.example:8443/")
        await browser.go("https://partner.corp.example:8443/")
        #expect(await world.logout(world.signed(world.logoutClaims())).endedCount == 2)
        let left = await Set(world.store.rows.values.map(\.identityProvider))
        #expect(left == ["entra-managed", "other"])
    }

    @Test("without a sid every session of the subject ends, in whichever browser")
    func subject() async {
        await browser.go("\(wiki)/")
        world.name(sessions: "s-2")
        await Browser(world).go("\(wiki)/")
        world.tenant.change { $0.subject = "person-2" }
        await Browser(world).go("\(wiki)/")
        let token = world.signed(world.logoutClaims(sid: nil, subject: "person-1"))
        #expect(await world.logout(token).endedCount == 4)
        #expect(await Set(world.store.rows.values.map(\.subject)) == ["person-2"])
    }

    @Test("a token that ends nothing is answered as one that does")
    func nothing() async {
        #expect(await world.logout(world.signed(world.logoutClaims())).endedCount == 0)
    }

    @Test("a token is good once; a new session of the same name outlives a replay")
    func replay() async {
        await browser.go("\(wiki)/")
        let token = world.signed(world.logoutClaims())
        #expect(await world.logout(token).endedCount == 2)
        world.advance(1)
        await browser.go("\(wiki)/")
        #expect(await world.logout(token).refusal == "jti was used before")
        #expect(await world.store.rows.count == 2)
        let other = world.signed(world.logoutClaims(jti: "t-2"))
        #expect(await world.logout(other).endedCount == 2)
    }

    @Test("the same jti of another registration is another token")
    func otherRegistration() async {
        #expect(await world.logout(world.signed(world.logoutClaims())).endedCount == 0)
        let token = world.signed(world.logoutClaims(client: "client-managed"))
        #expect(await world.logout(token, at: "entra-managed").endedCount == 0)
        #expect(await world.logout(token, at: "entra").refusal == "aud does not name this client")
    }

    @Test("a store that fails uses no token up: sent again it counts")
    func storeFails() async {
        await browser.go("\(wiki)/")
        let token = world.signed(world.logoutClaims())
        await world.store.breakDown()
        guard case .unavailable = await world.logout(token) else {
            Issue.record("a logout that did not happen was acknowledged")
            return
        }
        await world.store.breakDown(false)
        #expect(await world.logout(token).endedCount == 2)
    }

    // MARK: Sign-ins under way

    @Test("a sign-in that is under way when its session is logged out does not count, and begins anew")
    func underWay() async throws {
        let callback = try #require(await browser.go("\(wiki)/a?b=c", pauseAtProvider: true).callback)
        world.advance(1)
        #expect(await world.logout(world.signed(world.logoutClaims())).endedCount == 0)
        guard case .redirect(let url, _)? = await browser.step(callback) else {
            Issue.record("the sign-in was not begun anew")
            return
        }
        #expect(url.hasPrefix("\(wiki)/.gatepost/sign-in?restart="))
        #expect(await world.store.rows.isEmpty)
        world.advance(1)
        #expect(await browser.go(url).page == "\(wiki)/a?b=c", "the person is asked again and gets there")
    }

    @Test("a sign-in between callback and handoff does not survive the logout either")
    func beforeHandoff() async throws {
        let callback = try #require(await browser.go("\(wiki)/a", pauseAtProvider: true).callback)
        guard case .comeBack(let handoff, _)? = await browser.step(callback) else {
            Issue.record("no handoff")
            return
        }
        #expect(await world.logout(world.signed(world.logoutClaims())).endedCount == 1)
        world.advance(1)
        let landing = await browser.go(handoff)
        #expect(landing.page == "\(wiki)/a")
        #expect(world.tenant.count("/token") == 2, "the person signed in anew")
    }

    struct RaceCase: CustomTestStringConvertible {
        var testDescription: String
        /// The logout comes so many seconds after the sign-in began.
        var seconds: Int64
        var sid: String?
        var subject: String?
        var counts: Bool
    }

    static let raceTable = [
        RaceCase(
            testDescription: "in the same second the logout wins", seconds: 0, sid: "s-1", counts: false),
        RaceCase(
            testDescription: "one second later, by subject", seconds: 1, subject: "person-1", counts: false),
        RaceCase(testDescription: "another sid", seconds: 1, sid: "s-2", counts: true),
        RaceCase(testDescription: "another subject", seconds: 1, subject: "person-2", counts: true),
        RaceCase(testDescription: "one second before it began", seconds: -1, sid: "s-1", counts: true),
    ]

    @Test("a sign-in counts exactly when its session was not logged out since it began", arguments: raceTable)
    func races(_ c: RaceCase) async throws {
        let token = { world.signed(world.logoutClaims(sid: c.sid, subject: c.subject)) }
        if c.seconds < 0 {
            _ = await world.logout(token())
            world.advance(-c.seconds)
        }
        let callback = try #require(await browser.go("\(wiki)/a", pauseAtProvider: true).callback)
        if c.seconds >= 0 {
            world.advance(c.seconds)
            _ = await world.logout(token())
        }
        _ = await browser.step(callback)
        let kept = await world.store.rows.values.contains { $0.kind == .global }
        #expect(kept == c.counts)
    }

    @Test(
        "an ending by a clock that has gone back keeps out until it is dated anew, and no longer",
        arguments: [300, 10_000, 10_000_000] as [Int64])
    func clockWentBack(_ seconds: Int64) async throws {
        world.advance(seconds)
        _ = await world.logout(world.signed(world.logoutClaims()))
        world.advance(-seconds)
        #expect(await browser.go("\(wiki)/").refusal?.reason == .loginStateLost)
        #expect(await world.store.rows.isEmpty)
        let ahead = try await world.store.settleEndings(nowSeconds: world.nowSeconds)
        #expect(ahead?.count == 1)
        world.advance(1)
        #expect(await browser.go("\(wiki)/").page == "\(wiki)/")
    }

    @Test("a sign-in is ended also where an earlier ending is dated ahead: that hides no later one")
    func hidden() async throws {
        world.advance(10_000)
        _ = await world.logout(world.signed(world.logoutClaims()))
        world.advance(-10_000)
        let callback = try #require(await browser.go("\(wiki)/a", pauseAtProvider: true).callback)
        _ = await world.logout(world.signed(world.logoutClaims(jti: "t-2")))
        world.advance(1)
        #expect(await browser.step(callback)?.url?.hasPrefix("\(wiki)/.gatepost/sign-in?restart=") == true)
        #expect(await world.store.rows.isEmpty)
    }

    @Test("a sign-in that began before the clock went back begins anew: what ended since would look earlier")
    func beganAhead() async throws {
        let callback = try #require(await browser.go("\(wiki)/a?b", pauseAtProvider: true).callback)
        world.advance(-1)
        _ = await world.logout(world.signed(world.logoutClaims()))
        let count = world.tenant.count("/token")
        let url = try #require(await browser.step(callback)?.url)
        #expect(url.hasPrefix("\(wiki)/.gatepost/sign-in?restart="))
        #expect(await world.store.rows.isEmpty)
        #expect(world.tenant.count("/token") == count, "its code is not redeemed")
        world.advance(1)
        #expect(await browser.go(url).page == "\(wiki)/a?b")
    }

    @Test("what is ended after the clock went back ends the sign-in, also when that has caught up meanwhile")
    func caughtUp() async throws {
        let callback = try #require(await browser.go("\(wiki)/a?b", pauseAtProvider: true).callback)
        world.advance(-5)
        _ = await world.logout(world.signed(world.logoutClaims()))
        world.advance(10)
        let url = try #require(await browser.step(callback)?.url)
        #expect(url.hasPrefix("\(wiki)/.gatepost/sign-in?restart="))
        #expect(await world.store.rows.isEmpty)
        #expect(await browser.go(url).page == "\(wiki)/a?b")
    }

    @Test(
        "what is ended while the code is exchanged ends the sign-in, also when the clock goes back meanwhile",
        arguments: [0, 1, 300, 10_000] as [Int64])
    func clockWentBackInExchange(_ seconds: Int64) async throws {
        let callback = try #require(await browser.go("\(wiki)/a?b", pauseAtProvider: true).callback)
        let gate = Gate()
        world.tenant.refreshing { $0.gate = gate }
        let request = browser.request(callback)
        let flow = world.flow
        async let answer = flow.answer(request)
        await gate.arrival()
        world.advance(-seconds)
        _ = await world.logout(world.signed(world.logoutClaims()))
        gate.open()
        #expect(await answer?.url?.hasPrefix("\(wiki)/.gatepost/sign-in?restart=") == true)
        #expect(await world.store.rows.isEmpty)
    }

    // MARK: Keys

    @Test("a key that is not known yet is fetched, and one that nobody knows is asked for once a minute")
    func unknownKey() async {
        await browser.go("\(wiki)/")
        let before = world.tenant.count("/keys")
        world.tenant.change { state in
            let key = SigningKey.generateP256()
            state.signer = ("k2", key)
            state.published = [("k2", key)]
        }
        #expect(await world.logout(world.signed(world.logoutClaims())).endedCount == 2)
        #expect(world.tenant.count("/keys") == before + 1)
        for index in 0..<5 {
            let header: JSONObject = ["kid": "nobody", "typ": "logout+jwt"]
            let token = JWS.sign(
                header: header, payload: world.logoutClaims(jti: "x-\(index)"), with: .generateP256())
            #expect(await world.logout(token).refusal?.contains("no key") == true)
        }
        #expect(world.tenant.count("/keys") == before + 1, "not within the same minute")
    }

    @Test("logout tokens with unknown keys do not use up the question that sign-ins have")
    func signInsKeepTheirQuestion() async {
        await browser.go("\(wiki)/")
        let token = JWS.sign(
            header: ["kid": "nobody"], payload: world.logoutClaims(), with: .generateP256())
        #expect(await world.logout(token).refusal != nil)
        world.tenant.change { state in
            let key = SigningKey.generateP256()
            state.signer = ("k2", key)
            state.published = [("k2", key)]
        }
        #expect(await Browser(world).go("\(wiki)/").page == "\(wiki)/", "a rotated key right after a flood")
    }

    // MARK: Times

    struct TimeCase: CustomTestStringConvertible {
        var testDescription: String
        var name: String
        var offset: Int64
        var isTaken: Bool
    }

    static let timeTable = [
        TimeCase(testDescription: "iat exactly at the skew", name: "iat", offset: 120, isTaken: true),
        TimeCase(testDescription: "iat one past the skew", name: "iat", offset: 121, isTaken: false),
        TimeCase(testDescription: "iat exactly at its age", name: "iat", offset: -720, isTaken: true),
        TimeCase(testDescription: "iat one past its age", name: "iat", offset: -721, isTaken: false),
        TimeCase(testDescription: "exp one before the skew", name: "exp", offset: -119, isTaken: true),
        TimeCase(testDescription: "exp exactly at the skew", name: "exp", offset: -120, isTaken: false),
        TimeCase(testDescription: "nbf exactly at the skew", name: "nbf", offset: 120, isTaken: true),
        TimeCase(testDescription: "nbf one past the skew", name: "nbf", offset: 121, isTaken: false),
    ]

    @Test("a time is taken up to its bound and not a second further", arguments: timeTable)
    func times(_ c: TimeCase) async {
        var claims = world.logoutClaims()
        claims[c.name] = .integer(world.nowSeconds + c.offset)
        #expect((await world.logout(world.signed(claims)).endedCount == 0) == c.isTaken)
    }

    @Test("a name is remembered for as long as its token could be taken")
    func remembered() async throws {
        // Issued by a clock that is ahead: it can be taken for the longest time.
        var claims = world.logoutClaims()
        claims["iat"] = .integer(world.nowSeconds + 120)
        claims["exp"] = nil
        let token = world.signed(claims)
        #expect(await world.logout(token).endedCount == 0)
        world.advance(120 + 720)
        #expect(await world.logout(token).refusal == "jti was used before")
        world.advance(1)
        #expect(await world.logout(token).refusal == "iat is too old")
    }
}
