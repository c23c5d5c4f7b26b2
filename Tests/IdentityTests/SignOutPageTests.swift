import Access
import JSON
import Signatures
import Store
import Testing

@testable import Identity

@Suite("Signing out at the provider, and everywhere")
struct SignOutPageTests {
    let world = World()

    private func signOut(
        _ browser: Browser, _ host: String = wiki, everywhere: Bool = false
    ) async -> (url: String?, page: SignedOutPage, removed: [StoredSession])? {
        let url = "\(host)/.gatepost/sign-out" + (everywhere ? "?everywhere=yes" : "")
        guard
            case .signedOut(let target, let removed, _, let page)? = await browser.step(
                url, method: "POST", origin: host)
        else { return nil }
        return (target, page, removed)
    }

    private func query(_ url: String?) throws -> [String: String] {
        let parts = try #require(url).split(separator: "?", maxSplits: 1)
        return try #require(FormText.parse(String(parts[1])))
    }

    @Test("the provider is told who, by which client, where to come back to, and in which languages")
    func parameters() async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        var request = browser.request("\(wiki)/.gatepost/sign-out", method: "POST", origin: wiki)
        request.languages = "de-AT, de;q=0.9, x_y, en;q=0.5, *;q=0.1, fr, it"
        guard case .signedOut(let url, _, _, _)? = await world.flow.answer(request) else {
            Issue.record("not signed out")
            return
        }
        let sent = try query(url)
        #expect(sent["client_id"] == "client")
        #expect(sent["logout_hint"] == nil, "the id token names the person; an address may contradict it")
        #expect(sent["post_logout_redirect_uri"] == "\(auth)/.gatepost/signed-out")
        #expect(sent["ui_locales"] == "de-AT de en fr")
        #expect(sent["id_token_hint"]?.split(separator: ".").count == 3)
        #expect((sent["state"]?.utf8.count ?? 0) > 40)
    }

    @Test("a provider that names people for this (login_hint) gets its own name back")
    func loginHint() async throws {
        world.tenant.misbehave { $0.claims = { $0["login_hint"] = "O.CiQ" } }
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        #expect(try query(await signOut(browser)?.url)["logout_hint"] == "O.CiQ")
    }

    @Test("the way back shows where to sign in again, and is sealed")
    func wayBack() async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/deep")
        let state = try #require(try query(await signOut(browser)?.url)["state"])
        let back = "\(auth)/.gatepost/signed-out?" + FormText.encode([("state", state)])
        guard case .afterSignOut(let page)? = await browser.step(back) else {
            Issue.record("no page")
            return
        }
        #expect(page == SignedOutPage(againURL: "\(wiki)/"))
        world.advance(1)
        #expect(await browser.go(try #require(page.againURL)).page == "\(wiki)/")
    }

    @Test(
        "a state that is not ours shows no link, and never tells somebody who is signed in that they are not",
        arguments: ["", "state=", "state=rubbish", "state=a&state=b"])
    func foreignState(_ query: String) async {
        let browser = Browser(world)
        let url = "\(auth)/.gatepost/signed-out" + (query.isEmpty ? "" : "?\(query)")
        guard case .afterSignOut(let page)? = await browser.step(url) else {
            Issue.record("no page")
            return
        }
        #expect(page == SignedOutPage())
        await browser.go("\(wiki)/")
        guard case .confirmSignOut? = await browser.step(url) else {
            Issue.record("somebody who is signed in was told that they are not")
            return
        }
    }

    @Test("a state of another step is not taken for a way back")
    func otherSeal() async throws {
        let browser = Browser(world)
        let callback = try #require(await browser.go("\(wiki)/", pauseAtProvider: true).callback)
        let state = try #require(try query(callback)["state"])
        let url = "\(auth)/.gatepost/signed-out?" + FormText.encode([("state", state)])
        guard case .afterSignOut(let page)? = await browser.step(url) else {
            Issue.record("no page")
            return
        }
        #expect(page.againURL == nil)
    }

    @Test("of several providers the one signed out of is asked, and the page names the others")
    func others() async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        await browser.go("https://partner.corp.example:8443/")
        let outcome = try #require(await signOut(browser))
        #expect(outcome.url?.hasPrefix("https://idp.example/tenant/logout?") == true)
        #expect(outcome.page.others == ["Partner"])
        #expect(outcome.removed.count == 4)
        let state = try #require(try query(outcome.url)["state"])
        let back = "\(auth)/.gatepost/signed-out?" + FormText.encode([("state", state)])
        guard case .afterSignOut(let page)? = await browser.step(back) else {
            Issue.record("no page")
            return
        }
        #expect(page.others == ["Partner"])
    }

    // MARK: Everywhere

    @Test("everywhere ends this person's sessions in all browsers, and nobody else's")
    func everywhere() async throws {
        let (here, there, stranger) = (Browser(world), Browser(world), Browser(world))
        await here.go("\(wiki)/")
        await here.go("https://partner.corp.example:8443/")
        await there.go("https://hr.corp.example:8443/")
        await there.go("\(wiki)/")
        world.tenant.change { $0.subject = "person-2" }
        await stranger.go("\(wiki)/")
        let outcome = try #require(await signOut(here, everywhere: true))
        #expect(outcome.removed.count == 8)
        #expect(outcome.page.isEverywhere)
        #expect(await Set(world.store.rows.values.map(\.subject)) == ["person-2"])
        #expect(await world.store.rows.count == 2)
    }

    @Test("what another browser has linked to the person's session is signed out with it")
    func linkedElsewhere() async throws {
        let (here, there) = (Browser(world), Browser(world))
        await here.go("\(wiki)/")
        world.other.change { $0.subject = "second-account" }
        await there.go("\(wiki)/")
        await there.go("https://partner.corp.example:8443/")
        _ = try #require(await signOut(here, everywhere: true))
        #expect(await world.store.rows.isEmpty)
    }

    @Test(
        "with the cookie of a sign-in that has ended, what else the browser has is signed out too",
        arguments: [false, true])
    func endedCookie(_ everywhere: Bool) async throws {
        let partner = "https://partner.corp.example:8443"
        for host in [auth, partner] {
            let world = World()
            let here = Browser(world)
            let stranger = Browser(world)
            await here.go("\(wiki)/")
            world.other.change { $0.subject = "second-account" }
            await here.go("\(partner)/")
            world.tenant.change { $0.subject = "person-2" }
            await stranger.go("\(wiki)/")
            // The provider logs its own account out: the other one is not its business.
            let newest = try #require(
                await world.store.rows.values.first { $0.kind == .global && $0.subject == "second-account" })
            _ = try await world.store.remove(sessionIDs: [newest.id])
            #expect(await world.store.rows.count == 4)
            let url = "\(host)/.gatepost/sign-out" + (everywhere ? "?everywhere=yes" : "")
            guard
                case .signedOut(_, let removed, let cookies, _)? = await here.step(
                    url, method: "POST", origin: host)
            else {
                Issue.record("not signed out at \(host)")
                continue
            }
            #expect(removed.count == 2 && cookies == [SessionCookie.clearing], "\(host)")
            #expect(await Set(world.store.rows.values.map(\.subject)) == ["person-2"], "\(host)")
        }
    }

    @Test("everywhere, with the cookie of a session that ended alone: every account of the browser is meant")
    func endedAlone() async throws {
        let (here, there, stranger) = (Browser(world), Browser(world), Browser(world))
        await here.go("\(wiki)/")
        world.other.change { $0.subject = "second-account" }
        await here.go("https://partner.corp.example:8443/")
        await there.go("https://partner.corp.example:8443/")
        world.other.change { $0.subject = "third-account" }
        await stranger.go("https://partner.corp.example:8443/")
        let ended = try #require(await here.session("wiki.corp.example"))
        _ = try await world.store.remove(sessionIDs: [ended.id])
        let outcome = try #require(await signOut(here, everywhere: true))
        #expect(outcome.removed.count == 5)
        #expect(await Set(world.store.rows.values.map(\.subject)) == ["third-account"])
        #expect(outcome.page.others.count == 1, "its provider may still know the person")
    }

    /// Signs a second account in at the partner, whose sign-in then ends without the browser's knowing.
    private func signInWithoutTrace(_ browser: Browser) async throws {
        world.other.change { $0.subject = "second-account" }
        await browser.go("https://partner.corp.example:8443/")
        let newest = try #require(
            await world.store.rows.values.first { $0.kind == .global && $0.subject == "second-account" })
        _ = try await world.store.remove(sessionIDs: [newest.id])
    }

    @Test("a sign-in over one that has ended takes the browser's others along: signing out finds them")
    func signInOverEnded() async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        try await signInWithoutTrace(browser)
        world.other.change { $0.subject = "third-account" }
        await browser.go("https://partner.corp.example:8443/")
        #expect(await world.store.rows.values.count { $0.kind == .global } == 2)
        let outcome = try #require(await signOut(browser, auth))
        #expect(outcome.removed.count == 4)
        #expect(await world.store.rows.isEmpty)
    }

    @Test("the page after the provider's does not call somebody signed out who has sessions left")
    func leftOnThePage() async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        try await signInWithoutTrace(browser)
        guard case .confirmSignOut? = await browser.step("\(auth)/.gatepost/signed-out") else {
            Issue.record("told to be out")
            return
        }
        #expect(await world.store.rows.count == 2)
    }

    @Test("a sign-in of the person that is under way in another browser does not survive it")
    func underWay() async throws {
        let (here, there) = (Browser(world), Browser(world))
        await here.go("\(wiki)/")
        let callback = try #require(await there.go("\(wiki)/", pauseAtProvider: true).callback)
        world.advance(1)
        _ = try #require(await signOut(here, everywhere: true))
        _ = await there.step(callback)
        #expect(await world.store.rows.isEmpty)
    }

    @Test("the plain button leaves other browsers as they are")
    func onlyHere() async throws {
        let (here, there) = (Browser(world), Browser(world))
        await here.go("\(wiki)/")
        await there.go("\(wiki)/")
        #expect(try #require(await signOut(here)).removed.count == 2)
        #expect(await world.store.rows.count == 2)
    }

    @Test(
        "everywhere is asked for with our own Origin only",
        arguments: [nil, "null", "https://evil.example", auth] as [String?])
    func foreignOrigin(_ origin: String?) async {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        let url = "\(wiki)/.gatepost/sign-out?everywhere=yes"
        let answer = await browser.step(url, method: "POST", origin: origin)
        #expect(answer?.refusal?.reason == .originNotAllowed)
        guard case .confirmSignOut? = await browser.step(url) else {
            Issue.record("a GET did more than ask")
            return
        }
        #expect(await world.store.rows.count == 2)
    }

    @Test(
        "languages are tags or nothing: the field is the client's text",
        arguments: [
            (nil, nil), ("", nil), ("*", nil), ("de", "de"), ("de&x=1, en", "en"), ("en;q=0, de", "en de"),
            (String(repeating: "a", count: 36), nil),
            (String(repeating: "a", count: 35), String(repeating: "a", count: 35)),
            ("a,b,c,d,e", "a b c d"),
        ] as [(String?, String?)])
    func languages(_ field: String?, _ expected: String?) {
        #expect(UserLocales.of(acceptLanguage: field) == expected)
    }
}
