import Access
import Store
import Testing

@testable import Identity

@Suite("Front-channel logout while another tab of the browser is signing in")
struct FrontchannelUnderWayTests {
    let world = World()
    let browser: Browser

    init() {
        browser = Browser(world)
        world.name(sessions: "s-1")
    }

    /// - Returns: how many sessions ended; nil when no page was answered.
    private func frame(
        in browser: Browser, sid: String = "s-1", issuer: String = "https://idp.example/tenant",
        at provider: String = "entra"
    ) async -> Int? {
        let query = FormText.encode([("iss", issuer), ("sid", sid)])
        let request = browser.request("\(auth)/.gatepost/frontchannel-logout/\(provider)?\(query)")
        guard case .page(_, let ended, _, _) = await world.flow.frontchannelLogout(request) else {
            return nil
        }
        return ended.count
    }

    private func begin(_ url: String, in browser: Browser? = nil) async throws -> String {
        try #require(await (browser ?? self.browser).go(url, pauseAtProvider: true).callback)
    }

    /// Signed in by the first of two tabs; the second is still at the provider.
    private func signedInBesideAnother() async throws -> String {
        let first = try await begin("\(wiki)/a")
        let second = try await begin("\(wiki)/b?c=d")
        #expect(await browser.go(first).page == "\(wiki)/a")
        world.advance(1)
        return second
    }

    private func isBegunAnew(_ callback: String, in browser: Browser? = nil) async -> String? {
        let url = await (browser ?? self.browser).step(callback)?.url
        return url?.hasPrefix("\(wiki)/.gatepost/sign-in?restart=") == true ? url : nil
    }

    @Test("beside a session of that name: the sign-in does not count either, and begins anew")
    func secondTab() async throws {
        let second = try await signedInBesideAnother()
        #expect(await frame(in: browser) == 2)
        let url = try #require(await isBegunAnew(second))
        #expect(await world.store.rows.isEmpty)
        world.advance(1)
        #expect(await browser.go(url).page == "\(wiki)/b?c=d")
    }

    @Test("a second tab that brings another name signs in")
    func otherName() async throws {
        let second = try await signedInBesideAnother()
        world.name(sessions: "s-2")
        #expect(await frame(in: browser) == 2)
        #expect(await browser.go(second).page == "\(wiki)/b?c=d")
    }

    @Test("two sign-ins of one browser and one name both end")
    func twice() async throws {
        let second = try await signedInBesideAnother()
        await browser.go("https://partner.corp.example:8443/")
        #expect(await browser.step(second)?.url?.hasPrefix("\(wiki)/.gatepost/handoff") == true)
        let global = await world.store.rows.values.filter { $0.kind == .global }
        #expect(global.filter { $0.identityProvider == "entra" }.count == 2)
        #expect(await frame(in: browser) == 3)
        #expect(await Set(world.store.rows.values.map(\.identityProvider)) == ["other"])
    }

    @Test("what the browser still has after the session of its cookie has ended is its own as well")
    func leftBehind() async throws {
        await browser.go("\(wiki)/")
        await browser.go("https://partner.corp.example:8443/")
        let newest = try #require(
            await world.store.rows.values.first { $0.kind == .global && $0.identityProvider == "other" })
        _ = try await world.store.remove(sessionIDs: [newest.id])
        #expect(await frame(in: browser) == 2)
        #expect(await world.store.rows.isEmpty)
    }

    // MARK: First sign-ins

    @Test("a first sign-in, before its answer: does not count, begins anew and gets there")
    func first() async throws {
        let callback = try await begin("\(wiki)/a")
        #expect(await frame(in: browser) == 0)
        let url = try #require(await isBegunAnew(callback))
        #expect(await world.store.rows.isEmpty)
        world.advance(1)
        #expect(await browser.go(url).page == "\(wiki)/a")
    }

    @Test("a first sign-in that its provider is being asked about does not count either")
    func asked() async throws {
        let gate = Gate()
        world.tenant.change { $0.refresh.gate = gate }
        let callback = try await begin("\(wiki)/a")
        let request = browser.request(callback)
        let flow = world.flow
        async let answer = flow.answer(request)
        await gate.arrival()
        #expect(await frame(in: browser) == 0)
        gate.open()
        #expect(await answer?.url?.hasPrefix("\(wiki)/.gatepost/sign-in?restart=") == true)
        #expect(await world.store.rows.isEmpty)
    }

    struct Other: CustomTestStringConvertible {
        var testDescription: String
        var sid = "s-1"
        var issuer = "https://idp.example/tenant"
        var provider = "entra"
    }

    @Test(
        "a first sign-in goes on when something else is logged out",
        arguments: [
            Other(testDescription: "another name", sid: "S-1"),
            Other(testDescription: "no name", sid: ""),
            Other(testDescription: "another issuer's", issuer: "https://other.example"),
            Other(testDescription: "at another registration", provider: "entra-managed"),
            Other(
                testDescription: "at another provider", issuer: "https://other.example", provider: "other"),
        ])
    func other(_ c: Other) async throws {
        let callback = try await begin("\(wiki)/a")
        #expect(await frame(in: browser, sid: c.sid, issuer: c.issuer, at: c.provider) == 0)
        #expect(await browser.go(callback).page == "\(wiki)/a")
    }

    @Test("a name that others know ends no sign-in of another browser")
    func otherBrowser() async throws {
        let callback = try await begin("\(wiki)/a")
        let other = Browser(world)
        #expect(await frame(in: other) == 0)
        _ = try await begin("\(wiki)/a", in: other)
        #expect(await frame(in: other) == 0)
        #expect(await browser.go(callback).page == "\(wiki)/a")
    }

    @Test(
        "names cannot be tried on a sign-in: the fifth is the last that is noted, however many tabs there are"
    )
    func guesses() async throws {
        let first = try await begin("\(wiki)/a")
        let second = try await begin("\(wiki)/b")
        for index in 0..<LoggedOutLogins.namesMax {
            #expect(await frame(in: browser, sid: "g-\(index)") == 0)
        }
        #expect(await frame(in: browser) == 0)
        #expect(await browser.go(first).page == "\(wiki)/a")
        #expect(await browser.step(second)?.url?.hasPrefix("\(wiki)/.gatepost/handoff") == true)
    }

    @Test("nothing is kept in the store for who has no session")
    func storesNothing() async throws {
        let callback = try await begin("\(wiki)/a")
        await world.store.breakDown()
        #expect(await frame(in: browser) == 0)
        await world.store.breakDown(false)
        #expect(await isBegunAnew(callback) != nil)
    }
}

@Suite("Names that front-channel logouts brought for sign-ins under way: a table with bounds")
struct LoggedOutLoginsTests {
    private static let id: [UInt8] = [1]

    @Test("a name counts until the sign-in's time is over, exactly then no longer")
    func time() {
        var logins = LoggedOutLogins()
        logins.note("s", of: Self.id, untilSeconds: 100, nowSeconds: 0)
        #expect(logins.names("s", Self.id, nowSeconds: 99))
        #expect(!logins.names("s", Self.id, nowSeconds: 100))
        #expect(!logins.names("S", Self.id, nowSeconds: 99))
        #expect(!logins.names("s", [2], nowSeconds: 99))
    }

    @Test("a full table takes no more, and takes more again when what it holds is over")
    func bound() {
        var logins = LoggedOutLogins()
        func id(_ index: Int) -> [UInt8] { [UInt8(index >> 8), UInt8(index & 255)] }
        for index in 0..<LoggedOutLogins.loginsMax {
            logins.note("s", of: id(index), untilSeconds: 100, nowSeconds: 0)
        }
        logins.note("s", of: id(LoggedOutLogins.loginsMax), untilSeconds: 200, nowSeconds: 99)
        #expect(!logins.names("s", id(LoggedOutLogins.loginsMax), nowSeconds: 99))
        #expect(logins.names("s", id(0), nowSeconds: 99))
        logins.note("t", of: id(0), untilSeconds: 100, nowSeconds: 99)
        #expect(logins.names("t", id(0), nowSeconds: 99), "what is there already takes another name")
        logins.note("s", of: id(LoggedOutLogins.loginsMax), untilSeconds: 200, nowSeconds: 100)
        #expect(logins.names("s", id(LoggedOutLogins.loginsMax), nowSeconds: 100))
    }
}
