import Access
import JSON
import Store
import Testing

@testable import Identity

@Suite("What providers and applications ask of every sign-in")
struct ConfiguredAskTests {
    let world = World()

    private func signIn(
        _ provider: ConfiguredAsk, _ application: ConfiguredAsk, _ claims: [String: JSONValue] = [:]
    ) async throws -> (landing: Landing, asked: [String: String]) {
        var configuration = World.configuration
        configuration.providers[0].ask = provider
        configuration.applications[0].ask = application
        await world.flow.replace(configuration: configuration)
        world.tenant.misbehave { faults in
            faults.claims = { token in for (name, value) in claims { token[name] = value } }
        }
        let browser = Browser(world)
        _ = await browser.step("\(wiki)/")
        let start = try #require(browser.last?.url)
        let url = try #require(await browser.step(start)?.url)
        let asked = FormText.parse(String(url.split(separator: "?", maxSplits: 1)[1])) ?? [:]
        return (await browser.go("\(wiki)/"), asked)
    }

    @Test("an application's wish goes before its provider's; scopes add up; the shorter age holds")
    func together() async throws {
        let now = world.nowSeconds
        let (landing, asked) = try await signIn(
            ConfiguredAsk(contexts: ["a"], maxAgeSeconds: 600, prompt: "consent"),
            ConfiguredAsk(
                contexts: ["b", "c"], maxAgeSeconds: 900, prompt: "select_account",
                scopes: ["groups", "email"]),
            ["auth_time": .integer(now - 5)])
        #expect(asked["acr_values"] == "b c")
        #expect(asked["max_age"] == "600")
        #expect(asked["prompt"] == "select_account")
        #expect(asked["scope"] == "openid email profile groups")
        #expect(landing.session?.authenticatedAtSeconds == now - 5)
        let plain = try await signIn(ConfiguredAsk(contexts: ["a"], prompt: "login"), ConfiguredAsk())
        #expect(plain.asked["acr_values"] == "a")
        #expect(plain.asked["prompt"] == "login")
        #expect(plain.landing.session != nil, "acr-values is a wish")
    }

    @Test(
        "a sign-in with a max-age needs a time that is young enough, up to two clocks' difference",
        arguments: [(Int64(720), true), (721, false), (nil, false)] as [(Int64?, Bool)])
    func maxAge(_ ago: Int64?, _ isEnough: Bool) async throws {
        let claims: [String: JSONValue] = ago.map { ["auth_time": .integer(world.nowSeconds - $0)] } ?? [:]
        let landing = try await signIn(ConfiguredAsk(), ConfiguredAsk(maxAgeSeconds: 600), claims).landing
        #expect((landing.session != nil) == isEnough)
        if !isEnough {
            #expect(landing.refusal?.reason == .authenticationInsufficient)
            #expect(landing.refusal?.shortfalls.count == 1)
        }
    }

    @Test(
        "a sign-in that is there already is not handed over beyond the application's max-age or idle time",
        arguments: [
            (ConfiguredAsk(maxAgeSeconds: 600), Int64(720), true),
            (ConfiguredAsk(maxAgeSeconds: 600), 721, false),
            (ConfiguredAsk(idleSeconds: 600), 674, true), (ConfiguredAsk(idleSeconds: 600), 675, false),
            (ConfiguredAsk(), 40_000, true),
        ])
    func handedOver(_ ask: ConfiguredAsk, _ after: Int64, _ isHandedOver: Bool) async throws {
        var configuration = World.configuration
        configuration.applications[2].ask = ask
        await world.flow.replace(configuration: configuration)
        let start = world.nowSeconds
        world.tenant.misbehave { $0.claims = { $0["auth_time"] = .integer(start) } }
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        world.advance(after)
        let now = world.nowSeconds
        world.tenant.misbehave { $0.claims = { $0["auth_time"] = .integer(now) } }
        // The provider is chosen already: only whether it is asked is the question.
        _ = await browser.step("https://both.corp.example:8443/")
        let begun = try #require(browser.last?.url)
        let next = await browser.step(begun + "&provider=entra")?.url
        #expect(next?.hasPrefix("https://both.corp.example:8443/.gatepost/handoff") == isHandedOver)
    }

    @Test(
        "a session that begins is a use of its sign-in, whatever becomes of it", arguments: [nil, Int64(600)])
    func began(_ idleSeconds: Int64?) async throws {
        var configuration = World.configuration
        configuration.applications[2].ask.idleSeconds = idleSeconds
        await world.flow.replace(configuration: configuration)
        let browser = Browser(world)
        let global = try #require(await browser.go("\(wiki)/").session?.globalID)
        world.advance(500)
        _ = await browser.step("https://both.corp.example:8443/")
        let begun = try #require(browser.last?.url)
        _ = await browser.step(try #require(await browser.step(begun + "&provider=entra")?.url))
        let made = await world.store.rows.values.first { $0.application == "both" }
        let session = try #require(made)
        #expect(session.globalID == global)
        try await world.flow.sessions.end(ids: [session.id])
        let used = await world.store.rows[global]?.claims[StoredSession.usedClaim]
        #expect(used == idleSeconds.map { _ in .integer(world.nowSeconds) })
    }

    @Test("a sign-in lasts as long as its provider's session says, exactly")
    func lifetime() async throws {
        let session = try await signIn(ConfiguredAsk(sessionSeconds: 600), ConfiguredAsk()).landing.session
        #expect(session?.expiresAtSeconds == world.nowSeconds + 600)
    }
}
