import Access
import Fetch
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Identity
@testable import gatepost_lab

/// Two providers, one of them an attacker's, and browsers that are handed each other's addresses.
@Suite("Mix-up, login CSRF and fixation, over real HTTP")
struct AttackTests {
    private let stage: Stage
    init() throws { stage = try Stage() }

    private func tokenRequests() -> Int {
        [stage.provider, stage.partner].map { $0.evidence.withLock { $0.tokenRequests } }.reduce(0, +)
    }

    /// The authorization request of a sign-in at the attacker's provider, made into one at the honest provider: what
    /// the attacker answers the browser with (RFC 9700 §4.4.1).
    private func mixedUp(_ victim: Visitor, callback: String = "staff") async throws -> String {
        let begun = try #require(await victim.step("https://shop.corp.example/")?.url)
        let authorize = try #require(await victim.step(begun)?.url)
        try #require(authorize.hasPrefix(stage.partner.issuer))
        let mark = try #require(authorize.firstIndex(of: "?"))
        let sent = try #require(Parameters(parsing: String(authorize[authorize.index(after: mark)...])))
        let changed = sent.pairs.map { pair -> (String, String) in
            pair.name == "redirect_uri"
                ? (pair.name, "https://\(Stage.authHost)/.gatepost/callback/\(callback)")
                : (pair.name, pair.value)
        }
        return stage.provider.issuer + "/authorize?" + Parameters.encode(changed)
    }

    @Test("an honest provider's code under the state of another one's sign-in reaches nobody")
    func mixUp() async throws {
        let victim = Visitor(stage)
        let answer = try #require(try victim.answerForm(try await mixedUp(victim)).location)
        #expect(answer.hasPrefix("https://\(Stage.authHost)/.gatepost/callback/staff?code="))
        let refusal = await victim.step(answer)?.refusal
        #expect(refusal?.reason == .loginStateLost)
        #expect(refusal?.detail.contains("another provider") == true)
        #expect(tokenRequests() == 0, "the attacker's token endpoint was given nothing")
        #expect(try await stage.sessions.isEmpty)
    }

    @Test("on the attacker's own callback the honest provider's iss gives it away, before the code leaves")
    func mixUpAtOwnCallback() async throws {
        let victim = Visitor(stage)
        let answer = try #require(try victim.answerForm(try await mixedUp(victim)).location)
        let moved = answer.replacing("/callback/staff?", with: "/callback/partner?")
        #expect(await victim.step(moved)?.refusal?.reason == .identityProviderRefused)
        #expect(tokenRequests() == 0)
        #expect(try await stage.sessions.isEmpty)
    }

    @Test("the honest provider sends no code to a callback that is not registered for its client")
    func foreignCallback() async throws {
        let victim = Visitor(stage)
        let answer = try victim.answerForm(try await mixedUp(victim, callback: "partner"))
        #expect(answer.location == nil)
        #expect(answer.status == 400)
    }

    @Test("a token of one provider says nothing at another: not by key, not by issuer")
    func foreignToken() async throws {
        // The attacker's provider claims to be the honest one, with the honest client's id.
        stage.partner.faults.activate(.wrongIssuer)
        let refusal = try await Visitor(stage).go("https://shop.corp.example/").refusal
        #expect(refusal?.detail.contains("iss is not the issuer") == true)
        #expect(try await stage.sessions.isEmpty)
    }

    @Test(
        "code injection: another's code in one's own sign-in fails by PKCE, and by the nonce where that is ignored",
        arguments: [false, true])
    func injectedCode(_ ignoresProof: Bool) async throws {
        if ignoresProof { try stage.fault("pkce-ignored") }
        let stolen = try await Visitor(stage).callback()
        let attacker = Visitor(stage)
        attacker.user = "bob"
        let own = try await attacker.callback()
        func code(_ url: String) throws -> String {
            let start = try #require(url.firstRange(of: "?code=")).upperBound
            return String(url[start...].prefix { $0 != "&" })
        }
        let refusal = await attacker.step(own.replacing(try code(own), with: try code(stolen)))?.refusal
        #expect(refusal?.reason == .identityProviderRefused)
        #expect(refusal?.detail.contains(ignoresProof ? "nonce" : "status 400") == true)
        #expect(stage.provider.faults.timesHappened(.ignoreProof) == (ignoresProof ? 1 : 0))
        #expect(try await stage.sessions.isEmpty)
    }

    @Test("neither code nor state of the provider goes on behind the callback, nor into a cookie")
    func nothingGoesOn() async throws {
        let visitor = Visitor(stage)
        let callback = try await visitor.callback()
        let mark = try #require(callback.firstIndex(of: "?"))
        let sent = try #require(Parameters(parsing: String(callback[callback.index(after: mark)...])))
        let secrets = try ["code", "state"].map { try #require(sent[$0]) }
        #expect(secrets.allSatisfy { $0.utf8.count > 20 })
        let before = visitor.trail.count
        #expect(try await visitor.go(callback).session != nil)
        let onward = visitor.trail[(before + 1)...]
        #expect(onward.first?.contains("/.gatepost/handoff?code=") == true)
        let kept = onward + visitor.jars.values.flatMap { $0.map(\.value) }
        for secret in secrets {
            #expect(kept.allSatisfy { !$0.contains(secret) && !$0.contains(Parameters.encode(secret)) })
        }
    }

    @Test(
        "a callback path that is not exactly the provider's is another one's",
        arguments: ["staff/", "STAFF", "staff%20", "hr-staff", "partner", "", "%73taff", "staff;x", "nobody"])
    func otherPath(_ name: String) async throws {
        let visitor = Visitor(stage)
        let callback = try await visitor.callback()
        let moved = callback.replacing("/callback/staff?", with: "/callback/\(name)?")
        #expect(await visitor.step(moved)?.refusal?.reason == .loginStateLost)
        #expect(tokenRequests() == 0)
        #expect(try await visitor.go(callback).session != nil)
    }

    @Test(
        "a login cookie that somebody planted beside the right one ends in a new beginning, never in a session"
    )
    func plantedLoginCookie() async throws {
        let attacker = Visitor(stage)
        attacker.user = "bob"
        let theirs = try await attacker.callback()
        let victim = Visitor(stage)
        let own = try await victim.callback()
        let jar = try #require(victim.jars[Stage.authHost])
        // Under the very name of the victim's own cookie.
        let planted = try #require(attacker.jars[Stage.authHost]?.first?.value)
        victim.jars[Stage.authHost] = jar + jar.map { ($0.name, planted) }
        for url in [own, theirs] {
            let answer = await victim.step(url)
            #expect(answer?.url?.contains("/.gatepost/sign-in?restart=") == true)
        }
        #expect(tokenRequests() == 0)
        #expect(try await stage.sessions.isEmpty)
    }

    @Test("login CSRF: the attacker's callback, handoff or restart signs no victim in as the attacker")
    func loginCSRF() async throws {
        let attacker = Visitor(stage)
        attacker.user = "bob"
        let callback = try await attacker.callback()
        let handoff = try #require(await attacker.step(callback)?.url)
        #expect(handoff.contains("/.gatepost/handoff?code="))
        let fresh = Visitor(stage)
        fresh.user = "bob"
        let unused = try await fresh.callback()
        for planted in [unused, callback, handoff] {
            let victim = Visitor(stage)
            // The victim has sign-ins of their own under way.
            _ = try await victim.callback()
            let ending = try await victim.go(planted)
            #expect(ending.session?.email != "bob@corp.example", "\(planted)")
            #expect(ending.session == nil || ending.session?.email == "alice@corp.example")
        }
        // For the attacker the code was good all along.
        #expect(try await attacker.go(handoff).session?.email == "bob@corp.example")
    }

    @Test(
        "a state of a browser is bound to it: with the victim's cookies stolen code and state are used up once"
    )
    func oneUse() async throws {
        let victim = Visitor(stage)
        let callback = try await victim.callback()
        let thief = Visitor(stage)
        thief.jars = victim.jars
        async let first = victim.step(callback)
        async let second = thief.step(callback)
        let handoffs = [await first?.url, await second?.url].count { $0?.contains("/handoff?code=") == true }
        #expect(handoffs == 1, "of two answers side by side one goes on")
        #expect(tokenRequests() == 1)
    }

    @Test("session fixation: cookies that were planted before a sign-in stand for what they stood for")
    func fixation() async throws {
        let attacker = Visitor(stage)
        attacker.user = "bob"
        let planted = try #require(try await attacker.go("https://wiki.corp.example/").session)
        let victim = Visitor(stage)
        // Both cookies of the attacker, and a sign-in under way in that browser.
        let callback = try await victim.callback()
        for (host, jar) in attacker.jars { victim.jars[host, default: []] += jar }
        let answer = await victim.step(callback)
        let handoff = try #require(answer?.url)
        _ = await victim.step(handoff)
        let own = try #require(try await victim.session(at: "https://wiki.corp.example/"))
        #expect(own.email == "alice@corp.example")
        #expect(own.id != planted.id)
        // What the attacker kept is still the attacker's, and nobody else's.
        #expect(try await attacker.session(at: "https://wiki.corp.example/")?.email == "bob@corp.example")
        let ids = try await stage.sessions.filter { $0.email == "bob@corp.example" }.map(\.tokenDigest)
        let victims = try await stage.sessions.filter { $0.email == "alice@corp.example" }.map(\.tokenDigest)
        #expect(Set(ids).isDisjoint(with: victims))
    }

    @Test("a session cookie is good for its own kind and its own host")
    func otherKind() async throws {
        let visitor = Visitor(stage)
        #expect(try await visitor.go("https://wiki.corp.example/").session != nil)
        let application = try #require(visitor.jars["wiki.corp.example"])
        let global = try #require(visitor.jars[Stage.authHost])
        for (host, jar) in [("wiki.corp.example", global), ("hr.corp.example", application)] {
            let thief = Visitor(stage)
            thief.jars[host] = jar
            #expect(try await thief.session(at: "https://\(host)/") == nil, "\(host)")
        }
        // At the auth host the application's cookie hands nothing over.
        let thief = Visitor(stage)
        thief.jars[Stage.authHost] = application
        let begun = try #require(await thief.step("https://wiki.corp.example/")?.url)
        #expect(await thief.step(begun)?.url?.hasPrefix(stage.provider.issuer) == true)
    }
}
