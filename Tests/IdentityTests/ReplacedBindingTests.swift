import Store
import Testing

@testable import Identity

@Suite("A bound session that another one takes the place of in its browser")
struct ReplacedBindingTests {
    let world = World()

    /// Signed in at the wiki, with a key.
    private func bound(_ browser: Browser) async throws -> StoredSession {
        let session = try #require(await browser.go("\(wiki)/").session)
        var bound = session
        bound.binding = SessionBinding(
            provenAtSeconds: world.nowSeconds, secretUntilSeconds: world.nowSeconds + 630)
        let key = SessionKey(sessionID: session.id, jwk: "{}", registeredAtSeconds: world.nowSeconds)
        try #require(try await world.store.bind(session, as: bound, to: key))
        return bound
    }

    /// The person asks for another account at the wiki, and gets one.
    private func changeAccount(_ browser: Browser, to subject: String) async throws -> StoredSession {
        world.tenant.change { $0.subject = subject }
        let request = browser.request("\(wiki)/")
        let answer = await world.flow.beginAtApplication(
            request, application: "wiki", original: "/", wantsChoice: true)
        browser.keep(answer.setCookies, host: request.host)
        let url = try #require(answer.url)
        return try #require(await browser.go(url).session)
    }

    @Test("its key cannot bring the cookie of the account before back: it ends")
    func ended() async throws {
        let browser = Browser(world)
        let old = try await bound(browser)
        let new = try await changeAccount(browser, to: "person-2")
        #expect(new.subject == "person-2" && new.id != old.id)
        #expect(try await world.store.session(id: old.id) == nil)
        #expect(try await world.store.session(id: old.globalID ?? "") != nil, "the sign-in itself stays")
        #expect(try await world.store.session(id: new.id) != nil)
    }

    @Test("also when its cookie had run out, so that the browser came without it")
    func endedAsleep() async throws {
        let browser = Browser(world)
        let old = try await bound(browser)
        browser.jars["wiki.corp.example"] = nil
        let new = try #require(await browser.go("\(wiki)/").session)
        #expect(new.id != old.id)
        #expect(try await world.store.session(id: old.id) == nil)
    }

    @Test("sessions without a key, of other applications and of other browsers stay")
    func others() async throws {
        let browser = Browser(world)
        let old = try await bound(browser)
        let other = try await bound(Browser(world))
        let elsewhere = try #require(await browser.go("https://both.corp.example:8443/").session)
        #expect(try await world.store.session(id: old.id) != nil, "another application")
        let loose = try await changeAccount(browser, to: "person-2")
        let last = try await changeAccount(browser, to: "person-3")
        for session in [other, elsewhere, loose, last] {
            #expect(try await world.store.session(id: session.id) != nil, "\(session.id)")
        }
    }
}
