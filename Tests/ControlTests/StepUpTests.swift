import Access
import Border
import Fetch
import Identity
import JSON
import Signatures
import Store
import Testing

@testable import Control

@Suite("Who is sent to sign in more strongly")
struct StepUpTests {
    static let config =
        Gatehouse.config + """

              strong:
                host: strong.corp.example
                upstreams: [ "http://127.0.0.1:9" ]
                identity-providers: [ corp ]
                policies:
                  - { name: admins, action: allow, include: [ { email-domain: corp.example } ],
                      require: [ { acr: [ phr, "p 2" ] }, { path: { prefixes: [ /admin ] } } ] }
                  - { name: recent, action: allow, include: [ { email-domain: corp.example } ],
                      require: [ { authenticated-within: 10m }, { path: { prefixes: [ /recent ] } } ] }
                  - { name: sure, action: allow, include: [ { email-domain: corp.example } ],
                      require: [ { amr: mfa }, { device: compliant }, { path: { prefixes: [ /sure ] } } ] }
            """

    private func outside() -> Outside {
        let outside = Outside()
        outside.answer(
            "https://login.corp.example/.well-known/openid-configuration",
            """
            {"issuer":"https://login.corp.example","authorization_endpoint":"https://login.corp.example/authorize",
             "token_endpoint":"https://login.corp.example/token","jwks_uri":"https://login.corp.example/keys",
             "response_types_supported":["code"]}
            """)
        return outside
    }

    private func navigate(
        _ house: Gatehouse, _ path: String, _ cookie: SessionCookie, method: String = "GET",
        _ purpose: ControlRequest.Purpose = .refused(.authenticationInsufficient)
    ) async -> ControlResponse {
        await house.control.answer(
            house.request(
                path, host: "strong.corp.example", method: method,
                [Field("cookie", "__Host-gatepost=\(cookie.value)")], purpose: purpose))
    }

    private func location(_ answer: ControlResponse) -> String? {
        answer.fields.first { $0.name == "Location" }?.value
    }

    /// Where the auth host sends the browser for a step-up that began with `answer`.
    private func provider(_ house: Gatehouse, _ answer: ControlResponse, _ fields: [Field] = []) async throws
        -> ControlResponse
    {
        let url = try #require(location(answer))
        let origin = "https://auth.corp.example:8443"
        #expect(url.hasPrefix("\(origin)/.gatepost/sign-in?request="))
        return await house.control.answer(house.request(String(url.dropFirst(origin.count)), fields))
    }

    @Test("002.20 a refused navigation leads to the provider of the session, with what is missing")
    func navigation() async throws {
        let house = try Gatehouse(Self.config, fetcher: outside())
        let (_, _, cookie) = try await house.signIn(at: "strong")
        let first = try await provider(house, await navigate(house, "/admin/x?y=z", cookie))
        let url = try #require(location(first))
        #expect(url.hasPrefix("https://login.corp.example/authorize?"))
        #expect(url.contains("&acr_values=phr"))
        #expect(!url.contains("max_age") && !url.contains("prompt"))
        house.advance(601)
        let aged = try await provider(house, await navigate(house, "/recent", cookie))
        #expect(try #require(location(aged)).hasSuffix("&max_age=600&prompt=login"))
    }

    @Test("nobody is sent there whom it would not help")
    func useless() async throws {
        let house = try Gatehouse(Self.config, fetcher: outside())
        let (_, _, ada) = try await house.signIn(at: "strong")
        let (_, _, eve) = try await house.signIn("eve@other.example", at: "strong")
        for (path, cookie) in [("/elsewhere", ada), ("/admin", eve), ("/sure", eve), ("/recent", eve)] {
            let answer = await navigate(house, path, cookie, .refused(.noPolicyMatches))
            #expect(answer.status == 403, "\(path)")
            #expect(answer.reason == .noPolicyMatches, "\(path)")
        }
    }

    @Test("whom no policy admits on any device sees the block page at once; others are checked first")
    func deviceCheck() async throws {
        let house = try Gatehouse(Self.config, fetcher: outside())
        let (_, _, ada) = try await house.signIn(at: "strong")
        let (_, _, eve) = try await house.signIn("eve@other.example", at: "strong")
        let checked = await navigate(house, "/sure", ada, .refused(.noPolicyMatches))
        #expect(location(checked)?.contains("/.gatepost/posture/start?tx=") == true)
        let blocked = await navigate(house, "/sure", eve, .refused(.noPolicyMatches))
        #expect(blocked.status == 403 && location(blocked) == nil)
    }

    @Test("after the device check the sign-in is what is missing, and it is asked for its method")
    func both() async throws {
        let house = try Gatehouse(Self.config, fetcher: outside())
        try await house.enroll("d1")
        let (_, _, cookie) = try await house.signIn(at: "strong", device: "d1")
        let answer = try await provider(house, await navigate(house, "/sure", cookie))
        let url = try #require(location(answer))
        let claims = try #require(FormText.parse(String(url.drop { $0 != "?" }.dropFirst()))?["claims"])
        #expect(
            try JSONValue(parsing: Array(claims.utf8))
                == ["id_token": ["amr": ["essential": true, "value": "mfa"]]])
    }

    @Test("who has just come from a step-up and is refused all the same gets a page, never a loop")
    func noLoop() async throws {
        let house = try Gatehouse(Self.config, fetcher: outside())
        let (_, session, cookie) = try await house.signIn(at: "strong")
        let name = StepUpDemand.name(of: StepUp(contexts: [["phr"]]))
        try await Sessions(store: house.store, ring: house.control.ring).change(session.id) {
            $0.claims["gatepost-step-up"] = .list([name, String(house.now)])
            $0.claims["acr"] = .text("pwd")
        }
        let page = await navigate(house, "/admin?a=b", cookie)
        #expect(page.status == 403 && page.reason == .authenticationInsufficient)
        let html = String(decoding: page.body, as: UTF8.self)
        #expect(html.contains("authentication context is one of: phr"), "what was asked")
        #expect(html.contains("pwd"), "what came")
        #expect(html.contains("https://strong.corp.example:8443/admin?a=b"), "the way on")
        house.advance(30)
        #expect(location(await navigate(house, "/admin", cookie))?.contains("/sign-in?request=") == true)
    }

    @Test("a refused form says that it was not delivered, and where to sign in")
    func form() async throws {
        let house = try Gatehouse(Self.config, fetcher: outside())
        let (_, _, cookie) = try await house.signIn(at: "strong")
        let page = await navigate(house, "/admin", cookie, method: "POST")
        #expect(page.status == 401 && page.reason == .authenticationInsufficient)
        let html = String(decoding: page.body, as: UTF8.self)
        #expect(html.contains("What you sent was not delivered"))
        #expect(html.contains("https://strong.corp.example:8443/.gatepost/sign-in?step-up=admins"))
        #expect(location(page) == nil)
    }

    @Test("programs are told what is missing (RFC 9470), for the requests that it opens")
    func challenge() async throws {
        let house = try Gatehouse(Self.config, fetcher: outside())
        let (_, _, cookie) = try await house.signIn(at: "strong")
        house.advance(601)
        let record = try #require(await house.pulled(cookie.tokenDigest, "strong"))
        let ways = record.stepUps
        #expect(ways.map(\.query) == ["step-up=admins", "step-up=recent"], "not what needs a device too")
        #expect(ways.first?.challenge.contains("error=\"insufficient_user_authentication\"") == true)
        #expect(ways.first?.challenge.hasSuffix(", acr_values=\"phr\"") == true)
        #expect(ways.last?.challenge.hasSuffix(", max_age=\"600\"") == true)
        func opens(_ way: StepUpWay?, _ path: String) -> Bool {
            let facts = RequestFacts(method: .get, client: NetworkAddress(v4: 0))
            if case .forward? = way?.residual.decide(facts, path: Array(path.utf8).span, atSeconds: house.now)
            {
                return true
            }
            return false
        }
        #expect(opens(ways.first, "/admin") && !opens(ways.first, "/recent"))
        #expect(opens(ways.last, "/recent") && !opens(ways.last, "/admin"))
        let (_, _, plain) = try await house.signIn()
        #expect(await house.pulled(plain.tokenDigest)?.stepUps == [])
    }

    @Test("open_url begins that step-up; without a session it begins a sign-in, and nothing for other names")
    func openURL() async throws {
        let house = try Gatehouse(Self.config, fetcher: outside())
        let (_, _, cookie) = try await house.signIn(at: "strong")
        let path = "/.gatepost/sign-in?step-up=admins"
        let url = try #require(
            location(try await provider(house, await navigate(house, path, cookie, .reserved))))
        #expect(url.contains("&acr_values=phr"))
        for name in ["nothing", "sure", ""] {
            let answer = await navigate(house, "/.gatepost/sign-in?step-up=\(name)", cookie, .reserved)
            #expect(location(answer) == "/", "\(name)")
        }
        let nobody = SessionCookie.mint(ring: house.control.ring) { Random.bytes($0) }
        let plain = try #require(
            location(try await provider(house, await navigate(house, path, nobody, .reserved))))
        #expect(!plain.contains("acr_values"))
    }

    @Test("what a session has open follows its upgrade: the record is replaced, never cut")
    func silent() async throws {
        let house = try Gatehouse(Self.config, fetcher: outside())
        let (global, session, cookie) = try await house.signIn(at: "strong")
        _ = await house.pulled(cookie.tokenDigest, "strong")
        try await Sessions(store: house.store, ring: house.control.ring).change(session.id) {
            $0.claims["acr"] = .text("phr")
        }
        house.reactors.clear()
        await house.control.upgraded(global.id)
        let effects = house.reactors.revocations.map(\.effect)
        #expect(effects.count == 1)
        guard case .replace(let record)? = effects.first else {
            Issue.record("not replaced: \(effects)")
            return
        }
        #expect(record.residual.policies.contains { $0.name == "admins" })
        #expect(!record.stepUps.contains { $0.query == "step-up=admins" })
    }
}

@Suite("The fragment of a URL survives signing in and the device check")
struct FragmentTests {
    private static let document = [Field("sec-fetch-mode", "navigate"), Field("sec-fetch-dest", "document")]

    private func begin(_ house: Gatehouse, _ fields: [Field]) async throws -> ControlResponse {
        let first = await house.control.answer(
            house.request("/page/1?a=b&c=%20d", host: "wiki.corp.example", purpose: .signIn))
        let url = try #require(first.fields.first { $0.name == "Location" }?.value)
        return await house.control.answer(
            house.request(String(url.dropFirst("https://auth.corp.example:8443".count)), fields))
    }

    private func house() throws -> Gatehouse {
        let outside = Outside()
        outside.answer(
            "https://login.corp.example/.well-known/openid-configuration",
            """
            {"issuer":"https://login.corp.example","authorization_endpoint":"https://login.corp.example/authorize",
             "token_endpoint":"https://login.corp.example/token","jwks_uri":"https://login.corp.example/keys",
             "response_types_supported":["code"]}
            """)
        return try Gatehouse(fetcher: outside)
    }

    @Test("a browser leaves by a page that keeps the fragment and works without a script too")
    func leaving() async throws {
        let answer = try await begin(try house(), Self.document)
        let html = String(decoding: answer.body, as: UTF8.self)
        #expect(answer.status == 200)
        #expect(html.contains("sessionStorage.setItem('gatepost-fragment', hash)"))
        #expect(html.contains("sessionStorage.removeItem('gatepost-fragment')"), "never a stale one")
        let way = "https://login.corp.example/authorize?response_type=code&amp;"
        #expect(html.contains("<noscript><meta http-equiv=\"refresh\" content=\"0;url=\(way)"))
        #expect(html.contains("id=\"go\" href=\"\(way)"))
        #expect(answer.fields.contains { $0.name == "Set-Cookie" })
        let policy = try #require(answer.fields.first { $0.name == "Content-Security-Policy" }?.value)
        #expect(policy.contains("default-src 'none'") && policy.contains("script-src 'nonce-"))
        #expect(!policy.contains("unsafe"))
    }

    @Test(
        "whoever shows no document is redirected",
        arguments: [
            [], [Field("sec-fetch-mode", "navigate")], [document[0], Field("sec-fetch-dest", "iframe")],
            [Field("sec-fetch-mode", "cors"), document[1]], document + document,
        ])
    func redirected(_ fields: [Field]) async throws {
        let answer = try await begin(try house(), fields)
        #expect(answer.status == 303)
        let url = answer.fields.first { $0.name == "Location" }?.value
        #expect(url?.hasPrefix("https://login.corp.example/authorize?") == true)
    }

    @Test("the way back adds the fragment that this tab kept, and only a fragment")
    func comingBack() async throws {
        let house = try house()
        let request = house.request("/.gatepost/callback/corp?state=s", Self.document)
        let url = "https://wiki.corp.example:8443/.gatepost/handoff?code=c"
        let answer = house.control.respond(.comeBack(url: url, setCookies: ["a=b"]), request)
        let html = String(decoding: answer.body, as: UTF8.self)
        #expect(answer.status == 200)
        #expect(html.contains("id=\"go\" href=\"\(url)\""))
        #expect(html.contains("if (hash.startsWith('#')) url.hash = hash"))
        #expect(html.contains("<noscript><meta http-equiv=\"refresh\" content=\"0;url=\(url)\"></noscript>"))
        #expect(answer.fields.contains(Field("Set-Cookie", "a=b")))
        let plain = house.control.respond(
            .comeBack(url: url, setCookies: []), house.request("/.gatepost/callback/corp?state=s"))
        #expect(plain.status == 303)
    }

    @Test("the chooser and the device check hand it on")
    func handedOn() {
        let chooser = Pages.chooser(
            ProviderChooser(
                choices: [ProviderChoice(name: "corp", displayName: "Corp", url: "/x")],
                application: "wiki", host: "wiki.corp.example"),
            origin: "https://wiki.corp.example", requestID: "1", nonce: "n")
        #expect(String(decoding: chooser.html, as: UTF8.self).contains("link.hash = location.hash"))
        #expect(Scripts.deviceCheck.contains("location.replace(verdict.next + location.hash)"))
        #expect(Scripts.deviceCheck.contains("location.replace(refusal.next + location.hash)"))
    }

    @Test("an address that would leave the attribute does not")
    func escaped() {
        let page = Pages.passage(to: "https://x/\"><script>1</script>", script: "", "1", nonce: "n")
        #expect(!String(decoding: page.html, as: UTF8.self).contains("<script>1"))
    }
}
