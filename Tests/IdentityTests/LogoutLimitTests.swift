import Access
import JSON
import Signatures
import Store
import Testing

@testable import Identity

@Suite("A flood of wrong logout tokens")
struct LogoutLimitTests {
    static func v4(_ bits: UInt32) -> NetworkAddress { NetworkAddress(v4: bits) }

    @Test("an address is refused exactly after its last wrong token, and again looked at in the next minute")
    func address() async {
        let world = World()
        for _ in 0..<LogoutLimits.refusalsMax {
            #expect(await world.logout("rubbish").refusal != nil)
        }
        guard case .tooMany(60) = await world.logout(world.signed(world.logoutClaims())) else {
            Issue.record("one past the limit was looked at")
            return
        }
        #expect(
            await world.logout(world.signed(world.logoutClaims()), from: 0x0a00_0002).endedCount == 0,
            "another address is not in it")
        world.advance(60)
        #expect(await world.logout(world.signed(world.logoutClaims(jti: "t-2"))).endedCount == 0)
    }

    @Test("rubbish costs neither a key nor a signature")
    func cheap() async {
        let world = World()
        var claims = world.logoutClaims()
        claims["iss"] = "https://evil.example"
        for token in ["rubbish", "a.b.c", world.signed(claims)] { _ = await world.logout(token) }
        #expect(world.tenant.count("/keys") == 0)
    }

    @Test("the address of a right token goes on to be heard beside a flood from the same address")
    func known() {
        var limits = LogoutLimits()
        limits.noteSuccess(Self.v4(1), nowSeconds: 0)
        for _ in 0..<LogoutLimits.refusalsMax { limits.noteRefusal(Self.v4(1), nowSeconds: 1) }
        #expect(limits.admits(Self.v4(1), nowSeconds: 1))
        for _ in 0..<LogoutLimits.refusalsMax * (LogoutLimits.knownFactor - 1) {
            limits.noteRefusal(Self.v4(1), nowSeconds: 1)
        }
        #expect(!limits.admits(Self.v4(1), nowSeconds: 1))
    }

    @Test("wrong signatures from everywhere end at a bound, which known addresses do not share")
    func everywhere() {
        var limits = LogoutLimits()
        limits.noteSuccess(Self.v4(1), nowSeconds: 0)
        for _ in 0..<LogoutLimits.signaturesMax {
            #expect(limits.checksSignature(of: "entra", from: Self.v4(2), nowSeconds: 1))
            limits.noteWrongSignature(of: "entra", nowSeconds: 1)
        }
        #expect(!limits.checksSignature(of: "entra", from: Self.v4(2), nowSeconds: 1))
        #expect(limits.checksSignature(of: "other", from: Self.v4(2), nowSeconds: 1))
        #expect(limits.checksSignature(of: "entra", from: Self.v4(1), nowSeconds: 1))
        for _ in 0..<LogoutLimits.signaturesMax {
            limits.noteWrongSignature(of: "entra", nowSeconds: 86_400)
        }
        #expect(!limits.checksSignature(of: "entra", from: Self.v4(1), nowSeconds: 86_400), "a day later")
    }

    @Test("tokens that wait for keys hold a bounded number of places; known addresses have their own")
    func places() {
        var limits = LogoutLimits()
        limits.noteSuccess(Self.v4(1), nowSeconds: 0)
        var places: [LogoutLimits.Place?] = []
        for index in 0..<UInt32(LogoutLimits.underWayMax) {
            places.append(limits.enter(Self.v4(index + 2), nowSeconds: 1))
        }
        #expect(places.allSatisfy { $0 == .any })
        let beyond = limits.enter(Self.v4(99), nowSeconds: 1)
        let known = limits.enter(Self.v4(1), nowSeconds: 1)
        limits.leave(.any)
        let afterwards = limits.enter(Self.v4(99), nowSeconds: 1)
        #expect(beyond == nil)
        #expect(known == .known)
        #expect(afterwards == .any, "who leaves makes room")
    }

    @Test("however many come at once with keys that nobody knows, few wait, and their places come back")
    func crowd() async {
        let world = World()
        let header: JSONObject = ["kid": "nobody", "typ": "logout+jwt"]
        let key = SigningKey.generateP256()
        for _ in 0..<2 {
            await withTaskGroup(of: Void.self) { group in
                for index in 0..<64 {
                    let token = JWS.sign(
                        header: header, payload: world.logoutClaims(jti: "x-\(index)"), with: key)
                    group.addTask { _ = await world.logout(token, from: UInt32(index)) }
                }
            }
        }
        #expect(await world.logout(world.signed(world.logoutClaims())).endedCount == 0)
        #expect(world.tenant.count("/keys") <= 3)
    }

    @Test("an IPv6 network is one address, an IPv4 address is one")
    func networks() {
        var limits = LogoutLimits()
        for index in 0..<UInt64(LogoutLimits.refusalsMax) {
            limits.noteRefusal(NetworkAddress(high: 0x2001_0db8, low: index), nowSeconds: 1)
            limits.noteRefusal(Self.v4(UInt32(index)), nowSeconds: 1)
        }
        #expect(!limits.admits(NetworkAddress(high: 0x2001_0db8, low: 7_777), nowSeconds: 1))
        #expect(limits.admits(NetworkAddress(high: 0x2001_0db9, low: 1), nowSeconds: 1))
        #expect(limits.admits(Self.v4(7), nowSeconds: 1))
    }

    @Test("the table has a bound: keys beyond it are counted as one")
    func table() {
        var window = AttemptWindow<Int>(windowSeconds: 60, keysMax: 2)
        for key in 0..<5 { window.note(key, nowSeconds: 59) }
        #expect(window.count(0, nowSeconds: 59) == 1)
        #expect(window.count(9, nowSeconds: 59) == 3)
        #expect(window.count(9, nowSeconds: 60) == 0, "a new window")
        window.note(1, nowSeconds: 60)
        #expect(window.count(1, nowSeconds: 0) == 0, "a clock that jumps back begins one as well")
    }
}

@Suite("Front-channel logout")
struct FrontchannelTests {
    let world = World()
    let browser: Browser
    static let issuer = "https://idp.example/tenant"

    init() {
        browser = Browser(world)
        world.name(sessions: "s-1")
    }

    /// - Returns: how many sessions ended; nil when no page was answered.
    private func frame(
        _ parameters: [(String, String)] = [("iss", issuer), ("sid", "s-1")], provider: String = "entra",
        cookies: [String]? = nil, method: String = "GET"
    ) async -> Int? {
        let request = FlowRequest(
            host: "auth.corp.example", path: "/.gatepost/frontchannel-logout/\(provider)",
            query: FormText.encode(parameters),
            cookieField: cookies ?? browser.cookies("auth.corp.example"), method: method,
            nowSeconds: world.nowSeconds)
        guard case .page(let origin, let ended, _, _) = await world.flow.frontchannelLogout(request) else {
            return nil
        }
        #expect(origin == (provider == "other" ? "https://other.example" : "https://idp.example"))
        return ended.count
    }

    @Test("the session of this browser ends when issuer and name are its own")
    func matching() async {
        await browser.go("\(wiki)/")
        #expect(await frame() == 2)
        #expect(await world.store.rows.isEmpty)
    }

    @Test("a session that is linked to this browser's newest one is this browser's as well")
    func linked() async {
        await browser.go("\(wiki)/")
        await browser.go("https://partner.corp.example:8443/")
        #expect(await frame() == 2)
        #expect(await Set(world.store.rows.values.map(\.identityProvider)) == ["other"])
    }

    @Test(
        "whatever is missing or different ends nothing, and the page is the same",
        arguments: [
            [], [("iss", issuer)], [("sid", "s-1")], [("iss", issuer), ("sid", "")],
            [("iss", issuer), ("sid", "S-1")], [("iss", issuer + "/"), ("sid", "s-1")],
            [("iss", "https://other.example"), ("sid", "s-1")],
        ] as [[(String, String)]])
    func different(_ parameters: [(String, String)]) async {
        await browser.go("\(wiki)/")
        #expect(await frame(parameters) == 0)
        #expect(await world.store.rows.count == 2)
    }

    @Test("without this browser's cookie nothing ends: a name that others know signs nobody out")
    func withoutCookie() async {
        await browser.go("\(wiki)/")
        #expect(await frame(cookies: []) == 0)
        let other = Browser(world)
        world.name(sessions: "s-2")
        await other.go("\(wiki)/")
        #expect(await frame(cookies: other.cookies("auth.corp.example")) == 0)
        #expect(await world.store.rows.count == 4)
    }

    @Test("the name at another registration, or another provider, is another session's")
    func otherRegistration() async {
        await browser.go("\(wiki)/")
        #expect(await frame(provider: "entra-managed") == 0)
        #expect(await frame([("iss", "https://other.example"), ("sid", "s-1")], provider: "other") == 0)
        #expect(await frame(provider: "nobody") == nil)
        #expect(await frame(method: "POST") == nil)
        #expect(await frame(method: "HEAD") == 0)
        #expect(await world.store.rows.count == 2)
    }

    @Test("a name cannot be found by trying: the fifth wrong one is the last that is looked at")
    func guesses() async {
        await browser.go("\(wiki)/")
        for index in 0..<SignInFlow.frontchannelGuessesMax {
            #expect(await frame([("iss", Self.issuer), ("sid", "g-\(index)")]) == 0)
        }
        #expect(await frame() == 0)
        #expect(await world.store.rows.count == 2)
        world.advance(600)
        #expect(await frame() == 2, "ten minutes later")
    }

    @Test(
        "an origin that a policy could read as something else is none",
        arguments: [
            ("https://idp.example/a?b", "https://idp.example"),
            ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080"),
            ("https://[::1]:8443", "https://[::1]:8443"), ("https://a;script-src *", nil),
            ("https://a,b", nil), ("https://*.example", nil), ("https://'none'", nil),
            ("https://user@idp.example", nil), ("javascript:alert(1)", nil), ("https://", nil),
        ] as [(String, String?)])
    func origins(_ url: String, _ origin: String?) { #expect(URLOrigin.of(url) == origin) }
}
