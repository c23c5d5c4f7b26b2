import Access
import Fetch
import JSON
import Signatures
import Store
import Testing

@testable import Identity

@Suite("Signing in")
struct SignInTests {
    let world = World()

    @Test func `a person reaches the page they asked for, with a session that knows who made it`()
        async throws
    {
        let browser = Browser(world)
        let landing = await browser.go("\(wiki)/page/1?a=b&c=%20d")
        #expect(landing.page == "\(wiki)/page/1?a=b&c=%20d")
        let session = try #require(landing.session)
        #expect(session.identityProvider == "entra")
        #expect(session.email == "ann.lee@corp.example")
        #expect(session.groups == ["staff", "admins"])
        #expect(session.issuer == world.tenant.issuer)
        #expect(session.kind == .application)
        #expect(session.host == "wiki.corp.example")
        #expect(session.globalID != nil)
        #expect(session.idToken == nil)
    }

    @Test func `the authorization request carries PKCE, nonce, state and the provider's own callback`()
        async throws
    {
        let browser = Browser(world)
        _ = await browser.step("\(wiki)/")
        let signIn = try #require(browser.last?.url)
        #expect(signIn.hasPrefix("\(auth)/.gatepost/sign-in?request="))
        let url = try #require(await browser.step(signIn)?.url)
        let query = try #require(FormText.parse(String(url.split(separator: "?", maxSplits: 1)[1])))
        #expect(url.hasPrefix("https://idp.example/tenant/authorize?"))
        #expect(query["response_type"] == "code")
        #expect(query["client_id"] == "client")
        #expect(query["redirect_uri"] == "\(auth)/.gatepost/callback/entra")
        #expect(query["scope"] == "openid email profile")
        #expect(query["code_challenge_method"] == "S256")
        #expect(query["code_challenge"]?.count == 43)
        #expect(query["nonce"]?.count == 43)
        #expect((query["state"] ?? "").utf8.count <= 3 << 10)
    }

    @Test func `cookies are __Host-, Secure, HttpOnly, Lax, and the session's lasts until the browser ends`()
        async
    {
        let browser = Browser(world)
        var seen: [String] = []
        var url = "\(wiki)/"
        for _ in 0..<4 {
            if url.hasPrefix(world.tenant.issuer) { url = world.tenant.authorize(url) }
            guard let answer = await browser.step(url), let next = answer.url else { break }
            seen += answer.setCookies
            url = next
        }
        #expect(url == "\(wiki)/")
        #expect(seen.count >= 5)
        for line in seen {
            #expect(line.hasPrefix("__Host-gatepost"))
            #expect(line.contains("; Path=/; Secure; HttpOnly; SameSite=Lax"))
            #expect(line.utf8.count <= 4096)
            #expect(
                line.hasPrefix("__Host-gatepost=") ? !line.contains("Max-Age") : line.contains("Max-Age="))
        }
    }

    @Test func `login cookies are gone when the sign-in is done`() async {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        #expect(browser.jars["wiki.corp.example"]?.map(\.name) == ["__Host-gatepost"])
        #expect(browser.jars["auth.corp.example"]?.map(\.name) == ["__Host-gatepost"])
    }

    @Test func `a longest permitted URL still fits into state and cookies`() async throws {
        let browser = Browser(world)
        let target = "/" + String(repeating: "x", count: ReturnTarget.bytesMax - 1)
        let landing = await browser.go(wiki + target)
        #expect(landing.page == wiki + target)
        for url in browser.trail where url.contains("state=") {
            let state = FormText.parse(String(url.split(separator: "?", maxSplits: 1)[1]))?["state"] ?? ""
            #expect(state.utf8.count <= 3 << 10)
        }
        let over = await Browser(world).go(wiki + target + "x")
        // The browser of this test shows the page it was sent to: the root.
        #expect(over.page == "\(wiki)/")
    }

    @Test func `a second application of the same provider opens without asking the provider`() async {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        let before = world.tenant.count("/token")
        let landing = await browser.go("https://both.corp.example:8443/x")
        #expect(landing.page == "https://both.corp.example:8443/x")
        #expect(world.tenant.count("/token") == before)
        #expect(!browser.trail.contains { $0.contains("/authorize") })
    }

    @Test func `a new sign-in never keeps a secret that the browser brought`() async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        let before = try #require(browser.jars["auth.corp.example"]?.first?.value)
        let planted = before
        browser.jars["wiki.corp.example"] = []
        await browser.go("https://hr.corp.example:8443/")
        #expect(browser.jars["auth.corp.example"]?.first { $0.name == "__Host-gatepost" }?.value != planted)
        // The same person at the same provider: one session, another secret, the old one for 30 s more.
        world.tenant.change { $0.subject = "person-1" }
        let stored = await world.store.rows.values.filter { $0.kind == .global }
        #expect(stored.count == 2)
    }

    @Test func `the token request authenticates by form-encoded Basic`() async throws {
        await Browser(world).go("\(wiki)/")
        let request = try #require(world.tenant.last("/token"))
        let expected = "Basic " + Base64.encode(Array("client:s%3Ae%20c%2Bret".utf8))
        #expect(request.fields.contains { $0 == ("Authorization", expected) })
        #expect(!String(decoding: request.body ?? [], as: UTF8.self).contains("client_secret"))
    }

    @Test func `a provider that only takes the secret in the body gets it there`() async throws {
        world.tenant.misbehave {
            $0.metadata = { $0["token_endpoint_auth_methods_supported"] = ["client_secret_post"] }
        }
        #expect(await Browser(world).go("\(wiki)/").session != nil)
        let request = try #require(world.tenant.last("/token"))
        #expect(!request.fields.contains { $0.0 == "Authorization" })
    }

    @Test func `a provider that takes no secret in any known way is refused`() async {
        world.tenant.misbehave {
            $0.metadata = { $0["token_endpoint_auth_methods_supported"] = ["private_key_jwt"] }
        }
        #expect(await Browser(world).go("\(wiki)/").refusal?.reason == .identityProviderUnavailable)
    }

    @Test func `e-mail and groups come from userinfo when the id token has none`() async throws {
        world.tenant.misbehave {
            $0.claims = { claims in
                claims["email"] = nil
                claims["groups"] = nil
            }
            $0.userinfo = ["sub": "person-1", "email": "Ann@Corp.example", "groups": ["from-userinfo"]]
        }
        let session = try #require(await Browser(world).go("\(wiki)/").session)
        #expect(session.email == "ann@corp.example")
        #expect(session.groups == ["from-userinfo"])
        #expect(session.claims["email_verified"] == .text("absent"))
    }

    @Test func `userinfo of another subject is not used, not even in part`() async throws {
        world.tenant.misbehave {
            $0.claims = { $0["groups"] = nil }
            $0.userinfo = ["sub": "person-2", "groups": ["admins"]]
        }
        #expect(try #require(await Browser(world).go("\(wiki)/").session).groups == [])
    }

    @Test func `an address that userinfo knows does not overrule one that nobody verified`() async throws {
        world.tenant.misbehave {
            $0.claims = { claims in
                claims["email_verified"] = false
                claims["groups"] = nil
            }
            $0.userinfo = [
                "sub": "person-1", "email": "boss@corp.example", "email_verified": true, "groups": [],
            ]
        }
        #expect(try #require(await Browser(world).go("\(wiki)/").session).email == nil)
    }

    @Test func `the store's outage refuses and promises nothing`() async {
        let browser = Browser(world)
        let callback = await browser.go("\(wiki)/", pauseAtProvider: true).callback ?? ""
        await world.store.breakDown()
        let answer = await browser.step(callback)
        #expect(answer?.refusal?.reason == .storeUnavailable)
        #expect(answer?.setCookies == [])
        await world.store.breakDown(false)
        #expect(await browser.go(callback).session != nil)
    }
}

@Suite("Which provider made a session")
struct ProviderSelectionTests {
    let world = World()
    let hr = "https://hr.corp.example:8443"
    let both = "https://both.corp.example:8443"

    @Test("004.14 an application can require the registration behind conditional access")
    func requiresManaged() async throws {
        let landing = await Browser(world).go("\(hr)/")
        #expect(landing.session?.identityProvider == "entra-managed")
        #expect(world.tenant.last("/token")?.fields.contains { $0.0 == "Authorization" } == true)
    }

    @Test("004.15 two registrations of one issuer are two providers with two clients and two callbacks")
    func twoRegistrations() async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        await browser.go("\(hr)/")
        let callbacks = browser.trail.filter { $0.contains("/callback/") }
        #expect(callbacks.count == 2)
        #expect(callbacks[0].hasPrefix("\(auth)/.gatepost/callback/entra?"))
        #expect(callbacks[1].hasPrefix("\(auth)/.gatepost/callback/entra-managed?"))
    }

    @Test("004.16 the chooser shows each registration by its own name, and the choice is what is used")
    func chooser() async throws {
        let browser = Browser(world)
        guard case .chooser(let chooser) = await browser.go("\(both)/") else {
            Issue.record("no chooser")
            return
        }
        let choices = chooser.choices
        #expect(choices.map(\.displayName) == ["Corp", "Corp (managed devices)"])
        let session = await browser.go(auth + choices[1].url).session
        #expect(session?.identityProvider == "entra-managed")
    }

    @Test("004.17 a refusal by conditional access is shown with its number, and the other session stays")
    func conditionalAccess() async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        world.tenant.misbehave {
            $0.error = [
                ("error", "access_denied"),
                ("error_description", "AADSTS53000: Device is not compliant.\r\n"),
            ]
        }
        let refusal = try #require(await browser.go("\(hr)/").refusal)
        #expect(refusal.reason == .identityProviderRefused)
        #expect(refusal.providerCode == "AADSTS53000")
        #expect(refusal.providerWords == "AADSTS53000: Device is not compliant.")
        #expect(refusal.retryURL == "\(hr)/")
        #expect(await browser.session("wiki.corp.example") != nil)
        #expect(browser.jars["auth.corp.example"]?.map(\.name) == ["__Host-gatepost"])
    }

    @Test("004.18 one accepted provider is a direct redirect, several are a chooser, none is refused")
    func selection() async {
        #expect(await Browser(world).go("\(hr)/", pauseAtProvider: true).callback != nil)
        if case .chooser = await Browser(world).go("\(both)/") {} else { Issue.record("no chooser") }
        let closed = await Browser(world).go("https://closed.corp.example:8443/")
        #expect(closed.refusal?.reason == .identityProviderNotAccepted)
    }

    @Test("004.18 a provider that the application does not list cannot be picked by hand")
    func unlisted() async throws {
        let browser = Browser(world)
        let signIn = try #require(await browser.step("\(both)/")?.url)
        let answer = await browser.step("\(signIn)&provider=other")
        #expect(answer?.refusal?.reason == .identityProviderNotAccepted)
    }

    @Test(
        "004.19 a session of one registration never counts where only the other is accepted, and both live on"
    )
    func noLeak() async throws {
        let browser = Browser(world)
        let plain = try #require(await browser.go("\(wiki)/").session)
        let managed = try #require(await browser.go("\(hr)/").session)
        #expect(plain.identityProvider == "entra")
        #expect(managed.identityProvider == "entra-managed")
        #expect(world.tenant.count("/token") == 2)
        #expect(await browser.session("wiki.corp.example")?.id == plain.id)
        // And the other way round: the managed session is no plain one either.
        browser.jars["wiki.corp.example"] = []
        #expect(await browser.go("\(wiki)/").session?.identityProvider == "entra")
        #expect(world.tenant.count("/token") == 3)
    }

    @Test("004.19 a handoff code of one provider's session opens no application that accepts another")
    func handoffOfOther() async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        let global = try #require(await world.store.rows.values.first { $0.kind == .global })
        let signIn = try #require(await browser.step("\(hr)/")?.url)
        let request = browser.request(signIn)
        guard
            case .valid(let value) = world.flow.seals.open(
                FormText.parse(request.query)?["request"], as: .request, nowSeconds: world.nowSeconds),
            let goal = LoginGoal(value)
        else { throw StoreError(.engine, file: "", what: "no goal", remedy: "") }
        let url = try #require(await world.flow.handOver(goal, global, request, setCookies: []).url)
        let answer = await browser.step(url)
        #expect(await browser.session("hr.corp.example") == nil)
        #expect(answer?.url?.hasPrefix("\(auth)/.gatepost/sign-in") == true)
    }

    @Test func `the same session cookie on another host proves nothing`() async {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        browser.jars["both.corp.example"] = browser.jars["wiki.corp.example"]
        #expect(await browser.session("both.corp.example") == nil)
        browser.jars["both.corp.example"] = browser.jars["auth.corp.example"]
        #expect(await browser.session("both.corp.example") == nil)
    }
}
