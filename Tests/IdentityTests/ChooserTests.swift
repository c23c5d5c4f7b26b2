import Access
import Fetch
import JSON
import Store
import Testing

@testable import Identity

/// `both` accepts two registrations of one tenant, `any` all three providers.
private func world(uses: Bool = false) -> World {
    World { configuration in
        for index in configuration.providers.indices {
            configuration.providers[index].emailDomains =
                ["corp.example"]
        }
        configuration.providers[2].emailDomains = ["partner.example"]
        var any = IdentityApplication(
            name: "any", host: "any.corp.example", identityProviders: ["entra", "entra-managed", "other"])
        any.usesRememberedProvider = uses
        configuration.applications.append(any)
    }
}

private let any = "https://any.corp.example:8443"
private let both = "https://both.corp.example:8443"

extension Landing {
    fileprivate var chooser: ProviderChooser? {
        if case .chooser(let chooser) = self { return chooser }
        return nil
    }
}

extension Browser {
    /// Types an address into the chooser's form and follows.
    fileprivate func type(_ address: String, into chooser: ProviderChooser?) async -> Landing {
        let form = FormText.encode([("request", chooser?.addressForm ?? ""), ("email", address)])
        let answer = await step("\(auth)/.gatepost/sign-in", method: "POST", origin: auth, body: form)
        guard let url = answer?.url else { return answer?.refusal.map { .refused($0) } ?? .nothing }
        return await go(url, pauseAtProvider: true)
    }

    fileprivate func remembered() -> String? {
        jars["auth.corp.example"]?.first { $0.name == RememberedProviders.cookieName }?.value
    }

    /// The parameters with which this browser was sent to a provider the last time.
    fileprivate func asked(_ url: String) async -> [String: String] {
        var url = url
        for _ in 0..<5 {
            if world.providers.contains(where: { url.hasPrefix($0.issuer + "/authorize") }) {
                return FormText.parse(String(url.split(separator: "?", maxSplits: 1)[1])) ?? [:]
            }
            guard let next = await step(url)?.url else { return [:] }
            url = next
        }
        return [:]
    }
}

@Suite("The chooser remembers")
struct RememberingTests {
    @Test("004.16 what signed somebody in stands first the next time, in this browser, and is only offered")
    func offered() async throws {
        let world = world()
        let browser = Browser(world)
        let first = try #require(await browser.go("\(any)/").chooser)
        #expect(first.choices.map(\.name) == ["entra", "entra-managed", "other"])
        #expect(first.choices.allSatisfy { !$0.isRemembered })
        await browser.go(auth + first.choices[2].url)
        #expect(browser.remembered() == "other")
        // The sign-in itself is over; what was chosen is still known.
        browser.jars["auth.corp.example"]?.removeAll { $0.name == SessionCookie.name }
        browser.jars["any.corp.example"] = []
        let second = try #require(await browser.go("\(any)/").chooser)
        #expect(second.choices.map(\.name) == ["other", "entra", "entra-managed"])
        #expect(second.choices.map(\.isRemembered) == [true, false, false])
        #expect(
            try #require(await Browser(world).go("\(any)/").chooser).choices.map(\.name) == [
                "entra", "entra-managed", "other",
            ])
    }

    @Test("each application offers the one of its own that was used last")
    func several() async throws {
        let world = world()
        let browser = Browser(world)
        browser.jars["auth.corp.example"] = [
            (name: RememberedProviders.cookieName, value: "other.entra-managed")
        ]
        #expect(try #require(await browser.go("\(both)/").chooser).choices.first?.name == "entra-managed")
        #expect(try #require(await browser.go("\(any)/").chooser).choices.first?.name == "other")
    }

    @Test("where nobody chooses nothing is remembered")
    func single() async {
        let browser = Browser(world())
        await browser.go("\(wiki)/")
        #expect(browser.remembered() == nil)
    }

    @Test(
        "what is no list of names, or names nobody knows, is as good as nothing",
        arguments: [
            "", ".", "entra.", "entra..other", "ENTRA", "entra other", "entra,other", "nobody", "%65ntra",
            "entra.entra", "a.b.c.d.entra", String(repeating: "a", count: 65), "<script>", "entr\u{e4}",
        ])
    func forged(_ value: String) async throws {
        let browser = Browser(world(uses: true))
        browser.jars["auth.corp.example"] = [(name: RememberedProviders.cookieName, value: value)]
        let chooser = try #require(await browser.go("\(any)/").chooser)
        #expect(chooser.choices.allSatisfy { !$0.isRemembered })
        #expect(chooser.choices.count == 3)
    }

    @Test("a second cookie of that name is one too many")
    func doubled() async throws {
        let browser = Browser(world())
        browser.jars["auth.corp.example"] = [
            (name: RememberedProviders.cookieName, value: "other"),
            (name: RememberedProviders.cookieName, value: "entra"),
        ]
        #expect(try #require(await browser.go("\(any)/").chooser).choices.allSatisfy { !$0.isRemembered })
    }

    @Test("exactly four names are kept, the oldest goes, and the cookie is bounded")
    func bounded() {
        let names = ["a", "b", "c", "d"]
        var cookie = "\(RememberedProviders.cookieName)=\(names.joined(separator: "."))"
        #expect(RememberedProviders(cookieField: [cookie]).names == names)
        cookie = String(RememberedProviders(cookieField: [cookie]).remembering("e").prefix { $0 != ";" })
        #expect(RememberedProviders(cookieField: [cookie]).names == ["e", "a", "b", "c"])
        let long = (0..<4).map { "\($0)" + String(repeating: "x", count: 63) }
        let longest = "\(RememberedProviders.cookieName)=\(long.joined(separator: "."))"
        #expect(RememberedProviders(cookieField: [longest]).names == long)
        #expect(RememberedProviders(cookieField: [longest]).remembering("e").utf8.count < 400)
        let set = RememberedProviders(cookieField: []).remembering("entra")
        #expect(
            set.hasPrefix("__Host-gatepost-provider=entra; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age="))
    }
}

@Suite("An application that uses what is remembered")
struct UsingRememberedTests {
    @Test("the provider of last time is gone to without a question")
    func used() async {
        let browser = Browser(world(uses: true))
        browser.jars["auth.corp.example"] = [(name: RememberedProviders.cookieName, value: "other")]
        #expect(await browser.go("\(any)/x").session?.identityProvider == "other")
        #expect(browser.trail.contains { $0.contains("/callback/other?") })
    }

    @Test(
        "when that one refuses it is forgotten, and the next try asks: never a loop",
        arguments: [true, false])
    func refused(isPassing: Bool) async throws {
        let world = world(uses: true)
        let browser = Browser(world)
        browser.jars["auth.corp.example"] = [(name: RememberedProviders.cookieName, value: "other.entra")]
        world.other.misbehave {
            $0.error = [("error", isPassing ? "temporarily_unavailable" : "access_denied")]
        }
        let refusal = try #require(await browser.go("\(any)/x").refusal)
        #expect(refusal.retryURL == "\(any)/x")
        #expect(browser.remembered() == "entra")
        browser.jars["auth.corp.example"]?.removeAll { $0.name != RememberedProviders.cookieName }
        world.tenant.misbehave { $0.error = [("error", "access_denied")] }
        #expect(await browser.go("\(any)/x").refusal != nil)
        #expect(browser.remembered() == nil)
        #expect(await browser.go("\(any)/x").chooser?.choices.count == 3)
    }

    @Test("when that one does not answer at all, too")
    func unreachable() async throws {
        let world = world(uses: true)
        let browser = Browser(world)
        browser.jars["auth.corp.example"] = [(name: RememberedProviders.cookieName, value: "other")]
        world.other.misbehave {
            $0.failure = ["/.well-known/openid-configuration": .init(.unreachable, "gone")]
        }
        #expect(await browser.go("\(any)/x").refusal?.reason == .identityProviderUnavailable)
        #expect(await browser.go("\(any)/x").chooser?.choices.count == 3)
    }

    @Test("who asks for another account chooses, although a session counts and a provider is remembered")
    func another() async throws {
        let world = world(uses: true)
        let browser = Browser(world)
        browser.jars["auth.corp.example"] = [(name: RememberedProviders.cookieName, value: "other")]
        let before = try #require(await browser.go("\(any)/x").session)
        let request = browser.request("\(any)/.gatepost/sign-in?choose")
        let answer = await world.flow.beginAtApplication(
            request, application: "any", original: "/", wantsChoice: true)
        browser.keep(answer.setCookies, host: "any.corp.example")
        guard case .chooser(let chooser)? = await browser.step(try #require(answer.url)) else {
            Issue.record("no chooser")
            return
        }
        let entra = try #require(chooser.choices.first { $0.name == "entra" })
        browser.jars["any.corp.example"]?.removeAll { $0.name == SessionCookie.name }
        let after = try #require(await browser.go(auth + entra.url).session)
        #expect(after.identityProvider == "entra" && after.id != before.id)
    }
}

@Suite("Finding the provider by an address")
struct HomeRealmTests {
    @Test("a domain of one provider leads there, with the address as login_hint and in no URL of ours")
    func one() async throws {
        let world = world()
        let browser = Browser(world)
        let chooser = try #require(await browser.go("\(any)/").chooser)
        let landing = await browser.type(" Carol@Partner.example ", into: chooser)
        #expect(landing.callback?.contains("/callback/other?") == true)
        #expect(!browser.trail.contains { $0.lowercased().contains("carol") })
        let asked = await browser.asked(browser.trail.last ?? "")
        #expect(asked["login_hint"] == "carol@partner.example")
        #expect(!(asked["state"] ?? "").contains("carol"))
    }

    @Test("a domain of several narrows the choice, keeps the address for it, and offers the rest")
    func several() async throws {
        let world = world()
        let browser = Browser(world)
        let chooser = try #require(await browser.go("\(any)/").chooser)
        let narrowed = try #require(await browser.type("ann@corp.example", into: chooser).chooser)
        #expect(narrowed.choices.map(\.name) == ["entra", "entra-managed"])
        #expect(narrowed.addressForm == nil && narrowed.problem == nil)
        #expect(await browser.asked(auth + narrowed.choices[1].url)["login_hint"] == "ann@corp.example")
        let all = try #require(await browser.go(auth + (narrowed.othersURL ?? "")).chooser)
        #expect(all.choices.count == 3)
    }

    @Test(
        "an address of nobody here says so and shows every choice",
        arguments: [
            ("ann@sub.corp.example", ProviderChooser.Problem.unknownDomain),
            ("ann@evil.example", .unknownDomain),
            ("ann@corp.example.evil.example", .unknownDomain), ("ann@corp.example.", .unknownDomain),
            ("", .noAddress), ("ann", .noAddress), ("@corp.example", .noAddress), ("ann@", .noAddress),
            ("ann@evil.example@corp.example", .noAddress), ("ann lee@corp.example", .noAddress),
            ("ann\r\n@corp.example", .noAddress),
            (String(repeating: "a", count: 250) + "@corp.example", .noAddress),
        ])
    func unknown(_ address: String, _ problem: ProviderChooser.Problem) async throws {
        let browser = Browser(world())
        let chooser = try #require(await browser.go("\(any)/").chooser)
        let answer = try #require(await browser.type(address, into: chooser).chooser)
        #expect(answer.problem == problem)
        #expect(answer.choices.count == 3)
    }

    @Test("a provider that the application does not accept is not found by its domain")
    func notAccepted() async throws {
        let browser = Browser(world())
        let chooser = try #require(await browser.go("\(both)/").chooser)
        #expect(await browser.type("carol@partner.example", into: chooser).chooser?.problem == .unknownDomain)
    }

    @Test("where no provider has domains nobody is asked for an address")
    func none() async throws {
        let chooser = try #require(await Browser(World()).go("\(both)/").chooser)
        #expect(chooser.addressForm == nil)
    }

    @Test(
        "another origin's form, one without a request of ours, or one that has two readings finds nothing",
        arguments: [nil, "null", "https://evil.example", wiki] as [String?])
    func foreign(_ origin: String?) async throws {
        let browser = Browser(world())
        let chooser = try #require(await browser.go("\(any)/").chooser)
        let form = FormText.encode([("request", chooser.addressForm ?? ""), ("email", "c@partner.example")])
        let url = "\(auth)/.gatepost/sign-in"
        let answer = await browser.step(url, method: "POST", origin: origin, body: form)
        #expect(answer?.refusal?.reason == .originNotAllowed)
        for (body, reason) in [
            ("email=c@partner.example", Reason.loginStateLost), (form + "&email=x", .requestMalformed),
            ("request=AAAA&email=x", .loginStateLost), ("", .requestMalformed),
            (form + "&pad=" + String(repeating: "x", count: 9_000), .requestMalformed),
        ] {
            let answer = await browser.step(url, method: "POST", origin: auth, body: body)
            #expect(answer?.refusal?.reason == reason, "\(body.prefix(40))")
        }
    }

    @Test("a chooser that was left open too long begins again at the original address, without an error")
    func late() async throws {
        let world = world()
        let browser = Browser(world)
        let chooser = try #require(await browser.go("\(any)/deep?x=1").chooser)
        world.advance(600)
        let again = try #require(await browser.type("carol@partner.example", into: chooser).chooser)
        #expect(again.choices.count == 3)
        #expect(browser.trail.contains { $0.hasPrefix("\(any)/.gatepost/sign-in?restart=") })
        #expect(await browser.go(auth + again.choices[0].url).page == "\(any)/deep?x=1")
    }
}

@Suite("A second registration where the person is known already")
struct SilentTests {
    let hr = "https://hr.corp.example:8443"

    @Test("001.11 the second registration is asked without prompt, and told who it is about")
    func hint() async throws {
        let world = World()
        let browser = Browser(world)
        world.tenant.misbehave { $0.claims = { $0["preferred_username"] = "ann@corp.example" } }
        await browser.go("\(wiki)/")
        let asked = await browser.asked("\(hr)/")
        #expect(asked["client_id"] == "client-managed")
        #expect(asked["prompt"] == nil)
        #expect(asked["login_hint"] == "ann@corp.example")
    }

    @Test("001.11 an opaque hint of the provider's own goes before the name, and the address comes last")
    func order() async throws {
        let world = World()
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        #expect(await browser.asked("\(hr)/")["login_hint"] == "ann.lee@corp.example")
        world.tenant.misbehave { $0.claims = { $0["login_hint"] = "O.aBc" } }
        let other = Browser(world)
        await other.go("\(wiki)/")
        #expect(await other.asked("\(hr)/")["login_hint"] == "O.aBc")
    }

    @Test(
        "001.11 another issuer is never told who somebody is, and who shall choose an account is not told which"
    )
    func unasked() async throws {
        let world = World { $0.applications[1].ask.prompt = "select_account" }
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        let partner = await browser.asked("https://partner.corp.example:8443/")
        #expect(partner["client_id"] == "third")
        #expect(partner["login_hint"] == nil)
        #expect(await browser.asked("\(hr)/")["login_hint"] == nil)
    }

    @Test(
        "a name that is too long or has control characters is no hint",
        arguments: ["a\nb", String(repeating: "a", count: 513), "\u{7f}"])
    func odd(_ name: String) async throws {
        let world = World()
        world.tenant.misbehave { $0.claims = { $0["preferred_username"] = .string(name) } }
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        #expect(await browser.asked("\(hr)/")["login_hint"] == nil)
    }
}

@Suite("Many tabs with a chooser")
struct ManyTabsTests {
    @Test(
        "four parallel sign-ins through the chooser all succeed, and a fifth restarts the oldest without an error"
    )
    func fiveTabs() async throws {
        let world = world()
        let browser = Browser(world)
        var callbacks: [String] = []
        for index in 0..<5 {
            let chooser = try #require(await browser.go("\(any)/tab/\(index)?q=\(index)").chooser)
            // Both providers are in use at once.
            let choice = chooser.choices.first { $0.name == (index % 2 == 0 ? "entra" : "other") }
            let url = auth + (try #require(choice).url)
            callbacks.append(try #require(await browser.go(url, pauseAtProvider: true).callback))
            world.advance(1)
        }
        for index in 1...4 {
            #expect(await browser.go(callbacks[index]).page == "\(any)/tab/\(index)?q=\(index)")
        }
        // The oldest lost its cookie to the fifth; somebody has signed in since, so it simply opens.
        #expect(await browser.go(callbacks[0]).page == "\(any)/tab/0?q=0")
    }

    @Test("alone, the displaced one comes back to the chooser for its own address, and succeeds")
    func displaced() async throws {
        let world = world()
        let browser = Browser(world)
        var callbacks: [String] = []
        for index in 0..<5 {
            let chooser = try #require(await browser.go("\(any)/tab/\(index)").chooser)
            let url = auth + chooser.choices[0].url
            callbacks.append(try #require(await browser.go(url, pauseAtProvider: true).callback))
            world.advance(1)
        }
        let chooser = try #require(await browser.go(callbacks[0]).chooser)
        #expect(await browser.go(auth + chooser.choices[0].url).page == "\(any)/tab/0")
    }
}
