import Access
import JSON
import Store
import Testing

@testable import Identity

@Suite("Parallel, displaced, replayed and stolen sign-ins")
struct LostStateTests {
    let world = World()

    /// Begins `count` sign-ins in one browser, each up to the provider.
    private func begin(_ count: Int, _ browser: Browser) async -> [String] {
        var callbacks: [String] = []
        for index in 0..<count {
            callbacks.append(await browser.go("\(wiki)/tab/\(index)", pauseAtProvider: true).callback ?? "")
            world.advance(1)
        }
        return callbacks
    }

    @Test func `four parallel sign-ins all succeed, in any order, without a second question`() async {
        let browser = Browser(world)
        let callbacks = await begin(4, browser)
        for index in [2, 0, 3, 1] {
            let landing = await browser.go(callbacks[index])
            #expect(landing.page == "\(wiki)/tab/\(index)")
        }
        #expect(world.tenant.count("/token") == 4)
        #expect(await world.store.rows.values.filter { $0.kind == .global }.count == 1)
    }

    @Test
    func `a fifth takes the oldest one's cookie, and that one restarts at its own URL without an error`()
        async
    {
        let browser = Browser(world)
        let callbacks = await begin(5, browser)
        #expect(browser.jars["auth.corp.example"]?.count == 4)
        #expect(browser.jars["wiki.corp.example"]?.count == 4)
        #expect(await browser.go(callbacks[0]).page == "\(wiki)/tab/0")
        for index in 1...4 { #expect(await browser.go(callbacks[index]).page == "\(wiki)/tab/\(index)") }
    }

    @Test func `a displaced sign-in finishes by itself when no other tab has finished before`() async {
        let browser = Browser(world)
        let callbacks = await begin(5, browser)
        browser.trail = []
        #expect(await browser.go(callbacks[0]).session != nil)
        #expect(browser.trail.contains { $0.hasPrefix("\(wiki)/.gatepost/sign-in?restart=") })
    }

    @Test func `an anonymous flood leaves at most four cookies per host and nothing in the store`() async {
        let browser = Browser(world)
        _ = await begin(40, browser)
        #expect(browser.jars["auth.corp.example"]?.count == 4)
        #expect(browser.cookies("auth.corp.example").joined().utf8.count <= 4 * 4096)
        #expect(await world.store.rows.isEmpty)
    }

    @Test func `a state of another browser signs nobody in`() async {
        let attacker = Browser(world)
        world.tenant.change { $0.subject = "attacker" }
        let callback = await attacker.go("\(wiki)/planted", pauseAtProvider: true).callback ?? ""
        let victim = Browser(world)
        let answer = await victim.step(callback)
        #expect(answer?.setCookies == [])
        #expect(world.tenant.count("/token") == 0)
        // The victim ends up where the link led, as nobody but themself.
        world.tenant.change { $0.subject = "victim" }
        #expect(await victim.go(callback).session?.subject == "victim")
    }

    @Test func `a callback replayed in the same browser asks the provider nothing and makes no session`()
        async
    {
        let browser = Browser(world)
        let callback = await browser.go("\(wiki)/x", pauseAtProvider: true).callback ?? ""
        let jar = browser.jars["auth.corp.example"]
        _ = await browser.go(callback)
        let count = await world.store.rows.count
        // Even with the login cookie restored: the state itself is used up.
        browser.jars["auth.corp.example", default: []] += jar ?? []
        let answer = await browser.step(callback)
        #expect(answer?.setCookies == [])
        #expect(world.tenant.count("/token") == 1)
        #expect(await browser.go(callback).page == "\(wiki)/x")
        #expect(await world.store.rows.count == count)
    }

    @Test func `a code of an earlier answer under a fresh state is refused by the nonce`() async {
        let browser = Browser(world)
        let first = await browser.go("\(wiki)/", pauseAtProvider: true).callback ?? ""
        let second = await browser.go("\(wiki)/", pauseAtProvider: true).callback ?? ""
        let code = FormText.parse(String(first.split(separator: "?")[1]))?["code"] ?? ""
        let mixed = second.replacing("code-2", with: code)
        #expect(await browser.step(mixed)?.refusal?.reason == .identityProviderRefused)
    }

    @Test func `an answer on another provider's callback is a mix-up and is refused`() async {
        let browser = Browser(world)
        let callback = await browser.go("\(wiki)/", pauseAtProvider: true).callback ?? ""
        let moved = callback.replacing("/callback/entra?", with: "/callback/entra-managed?")
        #expect(await browser.step(moved)?.refusal?.reason == .loginStateLost)
        #expect(world.tenant.count("/token") == 0)
    }

    @Test func `a state is good until its last second and restarts from then on`() async {
        let browser = Browser(world)
        let callback = await browser.go("\(wiki)/slow", pauseAtProvider: true).callback ?? ""
        world.advance(599)
        #expect(await browser.step(callback)?.url?.hasPrefix("\(wiki)/.gatepost/handoff?code=") == true)
        let late = Browser(world)
        let lateCallback = await late.go("\(wiki)/slow", pauseAtProvider: true).callback ?? ""
        world.advance(600)
        #expect(await late.step(lateCallback)?.url?.hasPrefix("\(wiki)/.gatepost/sign-in?restart=") == true)
        #expect(await late.go(lateCallback).page == "\(wiki)/slow")
    }

    @Test func `a browser that keeps no cookies gets a page and no loop`() async {
        let browser = Browser(world)
        var url = "\(wiki)/"
        var answer: FlowAnswer?
        for _ in 0..<40 {
            if url.hasPrefix(world.tenant.issuer) { url = world.tenant.authorize(url) }
            answer = await browser.step(url)
            browser.jars = [:]
            guard let next = answer?.url else { break }
            url = next
        }
        #expect(answer?.refusal?.reason == .loginStateLost)
        #expect(answer?.refusal?.retryURL == "\(wiki)/")
    }

    @Test(arguments: [
        "", "state=", "state=AAAA", "code=x", "state=x&state=y", "state=%zz",
        String(repeating: "a", count: 9000),
    ]) func `a callback without a state of ours is refused`(_ query: String) async {
        let answer = await Browser(world).step("\(auth)/.gatepost/callback/entra?\(query)")
        #expect(answer?.refusal != nil)
    }

    @Test func `every sealed value is refused in another one's place`() async throws {
        let browser = Browser(world)
        let callback = await browser.go("\(wiki)/", pauseAtProvider: true).callback ?? ""
        let state = try #require(FormText.parse(String(callback.split(separator: "?")[1]))?["state"])
        #expect(
            await browser.step("\(wiki)/.gatepost/handoff?code=\(state)")?.refusal?.reason == .loginStateLost)
        #expect(
            await browser.step("\(auth)/.gatepost/sign-in?request=\(state)")?.refusal?.reason
                == .loginStateLost)
        #expect(
            await browser.step("\(wiki)/.gatepost/sign-in?restart=\(state)")?.refusal?.reason
                == .loginStateLost)
    }
}

@Suite("Handing over to the application host")
struct HandoffTests {
    let world = World()

    /// A sign-in up to the handoff URL.
    private func handoff(_ browser: Browser, _ target: String = "/x") async -> String {
        let callback = await browser.go(wiki + target, pauseAtProvider: true).callback ?? ""
        return await browser.step(callback)?.url ?? ""
    }

    @Test func `a code is good for 29 seconds and begins again after 30`() async {
        let browser = Browser(world)
        let url = await handoff(browser)
        #expect(url.hasPrefix("\(wiki)/.gatepost/handoff?code="))
        world.advance(29)
        #expect(await browser.step(url)?.url == "\(wiki)/x")
        let late = Browser(world)
        let lateURL = await handoff(late)
        world.advance(30)
        #expect(await late.step(lateURL)?.url?.hasPrefix("\(auth)/.gatepost/sign-in?request=") == true)
        #expect(await late.session("wiki.corp.example") == nil)
    }

    @Test func `a code makes one session; used again it makes none and leads to the page`() async {
        let browser = Browser(world)
        let url = await handoff(browser)
        let jar = browser.jars["wiki.corp.example"] ?? []
        _ = await browser.step(url)
        let count = await world.store.rows.count
        let again = await browser.step(url)
        #expect(again?.url == "\(wiki)/x")
        #expect(again?.setCookies == [])
        // With the login cookie restored and no session: the nonce is used up.
        browser.jars["wiki.corp.example"] = jar
        let third = await browser.step(url)
        #expect(third?.url?.hasPrefix("\(auth)/.gatepost/sign-in?request=") == true)
        #expect(await browser.session("wiki.corp.example") == nil)
        #expect(await world.store.rows.count == count)
    }

    @Test func `a code in another browser makes no session`() async {
        let url = await handoff(Browser(world))
        let thief = Browser(world)
        #expect(await thief.step(url)?.url?.hasPrefix("\(auth)/.gatepost/sign-in?request=") == true)
        #expect(await thief.session("wiki.corp.example") == nil)
        // With a login cookie of the thief's own it is still bound to the other one.
        _ = await thief.step("\(wiki)/")
        _ = await thief.step(url)
        #expect(await thief.session("wiki.corp.example") == nil)
    }

    @Test func `a code on another host is refused`() async {
        let browser = Browser(world)
        let url = await handoff(browser)
        browser.jars["both.corp.example"] = browser.jars["wiki.corp.example"]
        let answer = await browser.step(url.replacing("wiki.corp", with: "both.corp"))
        #expect(answer?.refusal?.reason == .loginStateLost)
        #expect(answer?.setCookies == [])
    }

    @Test func `after signing out a code under way makes no session`() async {
        let browser = Browser(world)
        let url = await handoff(browser)
        _ = await browser.step("\(auth)/.gatepost/sign-out", method: "POST", origin: auth)
        _ = await browser.step(url)
        #expect(await browser.session("wiki.corp.example") == nil)
    }

    @Test(arguments: [
        "//evil.example", "//evil.example/%2f..", "/\\evil.example", "\\\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)", "evil.example", "", "/a\r\nSet-Cookie: x=y", "/a b", "/\u{e9}", "/a#b",
        "/a\\b",
        "/.gatepost/sign-out", "/.gatepost/handoff?code=x", "\t/x", " /x", "/\t/evil.example",
    ]) func `nothing but a path on the own host is returned to`(_ target: String) async {
        #expect(ReturnTarget.checked(target) == "/")
        let browser = Browser(world)
        let request = browser.request("\(wiki)/")
        let answer = await world.flow.beginAtApplication(request, application: "wiki", original: target)
        browser.keep(answer.setCookies, host: "wiki.corp.example")
        #expect(await browser.go(answer.url ?? "").page == "\(wiki)/")
    }

    @Test(arguments: [
        "/", "/a/b?c=d&e=//f", "/.gatepostx", "/@evil.example", "/a:b", "/?https://evil.example",
    ])
    func `a path on the own host is returned to as it was`(_ target: String) {
        #expect(ReturnTarget.checked(target) == target)
    }

    @Test func `an application is only begun on its own host`() async {
        let request = Browser(world).request("\(wiki)/")
        let answer = await world.flow.beginAtApplication(request, application: "hr")
        #expect(answer.refusal?.reason == .routeNotFound)
    }

    @Test func `reserved paths answer only on the hosts they belong to, and only GET`() async {
        let browser = Browser(world)
        #expect(await browser.step("\(wiki)/.gatepost/callback/entra?state=x") == nil)
        #expect(await browser.step("\(auth)/.gatepost/handoff?code=x") == nil)
        #expect(await browser.step("https://unknown.example/.gatepost/sign-in") == nil)
        for path in [
            "\(auth)/.gatepost/sign-in", "\(auth)/.gatepost/callback/entra", "\(wiki)/.gatepost/handoff",
        ] {
            #expect(await browser.step(path, method: "PUT")?.refusal?.reason == .methodNotAllowed)
            // Only the chooser's own form is posted.
            let isForm = path.hasSuffix("sign-in")
            #expect(
                await browser.step(path, method: "POST")?.refusal?.reason
                    == (isForm ? .originNotAllowed : .methodNotAllowed))
        }
    }
}
