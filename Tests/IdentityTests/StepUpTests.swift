import Access
import JSON
import Store
import Testing

@testable import Identity

@Suite("Signing in more strongly")
struct StepUpTests {
    let world = World()

    /// What the provider says of every sign-in from now on.
    private func says(_ claims: [String: JSONValue]) {
        world.tenant.misbehave { faults in
            faults.claims = { token in for (name, value) in claims { token[name] = value } }
        }
    }

    private func begin(
        _ browser: Browser, _ stepUp: StepUp, _ url: String, provider: String = "entra",
        application: String = "wiki"
    ) async -> FlowAnswer {
        let request = browser.request(url)
        let answer = await world.flow.stepUp(
            request, application: application, provider: provider, asking: stepUp)
        browser.keep(answer.setCookies, host: request.host)
        return answer
    }

    private func stepUp(
        _ browser: Browser, _ stepUp: StepUp, _ url: String = "\(wiki)/a?b=c", provider: String = "entra"
    ) async throws -> Landing {
        let first = await begin(browser, stepUp, url, provider: provider)
        return await follow(browser, try #require(first.url))
    }

    /// As a browser, without taking the session that it has for the end of the way.
    private func follow(_ browser: Browser, _ url: String) async -> Landing {
        var url = url
        for _ in 0..<10 {
            if url.hasPrefix(world.tenant.issuer + "/authorize") {
                browser.trail.append(url)
                url = world.tenant.authorize(url)
            }
            if !browser.request(url).path.hasPrefix(ReservedPath.prefix) { return await browser.go(url) }
            switch await browser.step(url) {
            case .refuse(let refusal)?: return .refused(refusal)
            case let answer?:
                guard let next = answer.url else { return .nothing }
                url = next
            case nil: return .nothing
            }
        }
        return .loop
    }

    private func asked(_ browser: Browser) throws -> [String: String] {
        let url = try #require(browser.trail.last { $0.hasPrefix(world.tenant.issuer + "/authorize") })
        return try #require(FormText.parse(String(url.split(separator: "?", maxSplits: 1)[1])))
    }

    private func configure(_ edit: (inout IdentityConfiguration) -> Void) async {
        var configuration = World.configuration
        edit(&configuration)
        await world.flow.replace(configuration: configuration)
    }

    static let phr = StepUp(contexts: [["phr", "phrh"]])

    @Test("002.20 a context is asked for and comes: the session goes on, stronger, under a new secret")
    func upgraded() async throws {
        let browser = Browser(world)
        let before = try #require(await browser.go("\(wiki)/").session)
        world.advance(60)
        says(["acr": "phr", "email": "ann.lee@corp.example"])
        let landing = try await stepUp(browser, Self.phr)
        #expect(landing.page == "\(wiki)/a?b=c", "original path and query")
        let after = try #require(landing.session)
        #expect(after.id == before.id)
        #expect(after.claims["acr"] == .text("phr"))
        #expect(after.tokenDigest != before.tokenDigest)
        #expect(after.expiresAtSeconds == before.expiresAtSeconds, "stronger, not longer")
        #expect(after.createdAtSeconds == before.createdAtSeconds)
        let asked = try asked(browser)
        #expect(asked["acr_values"] == "phr phrh")
        #expect(asked["prompt"] == nil)
        #expect(asked["max_age"] == nil)
        #expect(asked["claims"] == nil)
        #expect(Sessions.cameFrom(Self.phr, after, atSeconds: world.nowSeconds))
        #expect(Sessions.cameFrom(Self.phr, after, atSeconds: world.nowSeconds + 29))
        #expect(!Sessions.cameFrom(Self.phr, after, atSeconds: world.nowSeconds + 30))
        #expect(!Sessions.cameFrom(StepUp(contexts: [["other"]]), after, atSeconds: world.nowSeconds))
    }

    @Test("002.20 Entra's authentication contexts are asked for in the parameter claims")
    func authenticationContexts() async throws {
        await configure { $0.providers[0].contextStyle = .acrs }
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        says(["acrs": ["c2"], "amr": ["mfa"]])
        let landing = try await stepUp(browser, StepUp(contexts: [["c2"]], methods: [["mfa", "hwk"]]))
        #expect(landing.session?.claims["acrs"] == .list(["c2"]))
        let asked = try asked(browser)
        #expect(asked["acr_values"] == nil)
        #expect(
            try JSONValue(parsing: Array((asked["claims"] ?? "").utf8)) == [
                "id_token": [
                    "acrs": ["essential": true, "value": "c2"],
                    "amr": ["essential": true, "values": ["mfa", "hwk"]],
                ]
            ])
    }

    @Test(
        "an age is asked for, with a new proof only where it is short; what comes counts up to the limit",
        arguments: [(true, Int64(60), true), (true, 61, false), (false, 0, true), (false, -301, false)])
    func age(_ isShort: Bool, _ ago: Int64, _ isEnough: Bool) async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        says(["auth_time": .integer(world.nowSeconds - ago)])
        let landing = try await stepUp(browser, StepUp(ageSecondsMax: 60, isAgeShort: isShort))
        #expect(try asked(browser)["max_age"] == "60")
        #expect(try asked(browser)["prompt"] == (isShort ? "login" : nil))
        #expect((landing.page != nil) == isEnough)
        if isEnough {
            #expect(landing.session?.authenticatedAtSeconds == world.nowSeconds - ago)
        }
    }

    @Test(
        "a provider that comes back without what was asked gets a page, once, and the session stays as it was",
        arguments: [
            [:], ["acr": "pwd"], ["acr": 1], ["acr": "PHR"], ["acrs": []], ["amr": ["phr"]],
        ] as [[String: JSONValue]])
    func insufficient(_ claims: [String: JSONValue]) async throws {
        let browser = Browser(world)
        let before = try #require(await browser.go("\(wiki)/").session)
        let exchanges = world.tenant.count("/token")
        says(claims)
        let refusal = try #require(try await stepUp(browser, Self.phr).refusal)
        #expect(refusal.reason == .authenticationInsufficient)
        #expect(refusal.shortfalls.map(\.asked) == ["authentication context is one of: phr, phrh"])
        #expect(refusal.retryURL == "\(wiki)/a?b=c")
        #expect(world.tenant.count("/token") == exchanges + 1, "asked once")
        #expect(await browser.session("wiki.corp.example") == before)
        let global = try await world.store.session(id: try #require(before.globalID))
        #expect(global?.claims["acr"] == nil)
    }

    @Test("a max_age makes auth_time required: none, 0 and an older one prove nothing")
    func authenticationTime() async throws {
        for claims in [[:], ["auth_time": 0], ["auth_time": .null]] as [[String: JSONValue]] {
            let browser = Browser(world)
            says([:])
            await browser.go("\(wiki)/")
            says(claims)
            let refusal = try await stepUp(browser, StepUp(ageSecondsMax: 3_600)).refusal
            #expect(refusal?.reason == .authenticationInsufficient, "\(claims)")
            #expect(refusal?.shortfalls.first?.came == "the provider does not say when")
        }
    }

    @Test("a token without auth_time says nothing about when: its own time is not taken for it")
    func noTime() async throws {
        let session = try #require(await Browser(world).go("\(wiki)/").session)
        #expect(session.authenticatedAtSeconds == 0)
    }

    @Test("a provider that refuses is quoted, and the session stays")
    func refused() async throws {
        let browser = Browser(world)
        let before = await browser.go("\(wiki)/").session
        world.tenant.misbehave { $0.error = [("error", "unmet_authentication_requirements")] }
        let refusal = try await stepUp(browser, Self.phr).refusal
        #expect(refusal?.reason == .identityProviderRefused)
        #expect(refusal?.providerWords == "unmet_authentication_requirements")
        #expect(await browser.session("wiki.corp.example") == before)
    }

    @Test("a step-up counts for the provider that gave it: another one's session gains nothing")
    func otherProvider() async throws {
        let browser = Browser(world)
        let managed = try #require(await browser.go("https://hr.corp.example:8443/").session)
        await browser.go("\(wiki)/")
        says(["acr": "phr"])
        _ = try await stepUp(browser, Self.phr)
        #expect(try await world.store.session(id: managed.id)?.claims["acr"] == nil)
        let refusal = try await stepUp(browser, Self.phr, provider: "entra-managed").refusal
        #expect(refusal?.reason == .identityProviderNotAccepted)
        let unknown = try await stepUp(browser, Self.phr, provider: "gone").refusal
        #expect(unknown?.reason == .identityProviderNotAccepted)
    }

    @Test("somebody else at the provider gets a session of their own; the first person's gains nothing")
    func otherPerson() async throws {
        let browser = Browser(world)
        let ann = try #require(await browser.go("\(wiki)/").session)
        world.tenant.change { $0.subject = "person-2" }
        says(["acr": "phr"])
        let landing = try await stepUp(browser, Self.phr)
        #expect(landing.session?.subject == "person-2")
        #expect(landing.session?.id != ann.id)
        #expect(try await world.store.session(id: ann.id) == ann)
    }

    @Test("what another application has asked for already is taken over without a word to the provider")
    func handedOver() async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        let both = "https://both.corp.example:8443/x"
        await browser.go(both)
        says(["acr": "phr"])
        _ = try await stepUp(browser, Self.phr)
        #expect(await browser.session("both.corp.example")?.claims["acr"] == nil, "not by itself")
        let exchanges = world.tenant.count("/token")
        let first = await begin(browser, Self.phr, both, application: "both")
        let landing = await follow(browser, try #require(first.url))
        #expect(landing.session?.claims["acr"] == .text("phr"))
        #expect(world.tenant.count("/token") == exchanges)
    }

    @Test("a step-up whose state is lost shows a page: beginning again by itself would never end")
    func lost() async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        let first = await begin(browser, Self.phr, "\(wiki)/a")
        let start = try #require(first.url)
        let provider = try #require(await browser.step(start)?.url)
        browser.jars["auth.corp.example"]?.removeAll { $0.name.contains("login") }
        let refusal = await follow(browser, world.tenant.authorize(provider)).refusal
        #expect(refusal?.reason == .loginStateLost)
        #expect(refusal?.retryURL == "\(wiki)/a")
        let again = await begin(browser, Self.phr, "\(wiki)/a")
        let request = try #require(again.url)
        world.advance(LoginState.lifetimeSeconds)
        #expect(await follow(browser, request).refusal?.reason == .loginStateLost)
    }

    @Test("the handoff of a step-up works once, and only in the browser that began it")
    func replayed() async throws {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        says(["acr": "phr"])
        _ = try await stepUp(browser, Self.phr)
        let handoff = try #require(browser.trail.last { $0.contains("/handoff?") })
        #expect(await follow(browser, handoff).refusal?.reason == .loginStateLost)
        #expect(await follow(Browser(world), handoff).refusal?.reason == .loginStateLost)
    }

    @Test("an application that is elsewhere begins none")
    func elsewhere() async {
        let answer = await begin(Browser(world), Self.phr, "https://hr.corp.example:8443/")
        #expect(answer.refusal?.reason == .routeNotFound)
    }
}
