import Access
import Fetch
import JSON
import Signatures
import Store
import Testing

@testable import Identity

@Suite("Challenges in WWW-Authenticate (RFC 9110 §11.6.1)")
struct AuthenticateFieldTests {
    typealias Challenge = AuthenticateChallenge
    static let entra =
        #"Bearer realm="", authorization_uri="https://login.example/authorize", error="insufficient_claims", "#
        + #"claims="eyJhIjoxfQ==""#

    static let table: [(String, [Challenge])] = [
        ("", []), (" , ,", []), ("Basic", [Challenge(scheme: "Basic")]),
        ("Basic , Digest", [Challenge(scheme: "Basic"), Challenge(scheme: "Digest")]),
        ("Negotiate YWJj", [Challenge(scheme: "Negotiate")]),
        (
            "Negotiate YWJj==, x a=b",
            [Challenge(scheme: "Negotiate"), Challenge(scheme: "x", parameters: [("a", "b")])]
        ),
        ("a b=, c", [Challenge(scheme: "a"), Challenge(scheme: "c")]),
        ("Negotiate a=", [Challenge(scheme: "Negotiate")]),
        ("BEARER Error=x", [Challenge(scheme: "BEARER", parameters: [("error", "x")])]),
        ("a b = \"c\" ,d=e", [Challenge(scheme: "a", parameters: [("b", "c"), ("d", "e")])]),
        (#"a b="x, y \" \\ z="# + #"1""#, [Challenge(scheme: "a", parameters: [("b", #"x, y " \ z=1"#)])]),
        ("a b=\"ä\"", [Challenge(scheme: "a", parameters: [("b", "ä")])]),
        (
            "Basic realm=\"a\", Bearer error=\"e\", claims=\"c\", Basic realm=b",
            [
                Challenge(scheme: "Basic", parameters: [("realm", "a")]),
                Challenge(scheme: "Bearer", parameters: [("error", "e"), ("claims", "c")]),
                Challenge(scheme: "Basic", parameters: [("realm", "b")]),
            ]
        ),
    ]

    @Test("challenges are read as they are meant", arguments: table)
    func read(_ text: String, _ expected: [Challenge]) {
        #expect(AuthenticateField.challenges(in: [text]) == expected)
    }

    @Test(
        "what breaks the grammar makes all of it unreadable",
        arguments: [
            "a b=\"c", "a b=\"c\\", "a b=\"c\" d=e", "a b=c d", "a b=c, b=d", "a b=c, B=\"d\"", "=a", "a=b",
            "\"a\"",
            "a (b)", "a b=\"\u{1}\"", "a b=\"\u{7f}\"", "ä b=c", "a b==c", "a b=c;d=e", "a b=c\r\nx: y",
        ])
    func refused(_ text: String) { #expect(AuthenticateField.challenges(in: [text]) == nil) }

    @Test("bounds: at each it is read, one past it is not") func bounds() {
        func fields(_ count: Int) -> [String] { (0..<count).map { "s\($0)" } }
        #expect(AuthenticateField.challenges(in: fields(16))?.count == 16)
        #expect(AuthenticateField.challenges(in: fields(17)) == nil)
        #expect(AuthenticateField.challenges(in: [fields(17).joined(separator: ",")]) == nil)
        func parameters(_ count: Int) -> String {
            "a " + (0..<count).map { "p\($0)=x" }.joined(separator: ", ")
        }
        #expect(AuthenticateField.challenges(in: [parameters(16)])?.first?.parameters.count == 16)
        #expect(AuthenticateField.challenges(in: [parameters(17)]) == nil)
        let long = "a b=" + String(repeating: "c", count: (8 << 10) - 4)
        #expect(AuthenticateField.challenges(in: [long]) != nil)
        #expect(AuthenticateField.challenges(in: [long, "c"]) == nil)
    }

    @Test("cut anywhere it says less or nothing, never something else") func everyCut() throws {
        let text = "Negotiate YWJj, Basic realm=\"x\", " + Self.entra
        let whole = try #require(AuthenticateField.challenges(in: [text]))
        for count in 0...text.utf8.count {
            let cut = String(decoding: text.utf8.prefix(count), as: UTF8.self)
            guard let found = AuthenticateField.challenges(in: [cut]) else { continue }
            for challenge in found {
                let whole = whole.filter { $0.scheme.hasPrefix(challenge.scheme) }
                for (name, value) in challenge.parameters where value.utf8.count > 0 {
                    #expect(whole.contains { $0[name]?.hasPrefix(value) == true }, "cut at \(count)")
                }
            }
            #expect(count == text.utf8.count || found != whole)
        }
    }

    @Test("split into fields between challenges it says the same") func everySplit() {
        let parts = ["Basic realm=\"a, b\"", Self.entra, "Negotiate YWJj", "x y=z"]
        let whole = AuthenticateField.challenges(in: [parts.joined(separator: ", ")])
        for split in 0...parts.count {
            let fields = [parts[..<split].joined(separator: ", "), parts[split...].joined(separator: ",")]
            #expect(AuthenticateField.challenges(in: fields) == whole)
        }
        #expect(whole?.count == 4)
    }

    @Test("random bytes never lead to a demand that is not there") func random() {
        let pieces = [
            "Bearer", " ", ",", "=", "\"", "\\", "error", "insufficient_claims", "claims", "e30=", "a", "\t",
        ]
        for seed in UInt64(0)..<2_000 {
            var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1
            var text = ""
            for _ in 0..<24 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                text += pieces[Int(state >> 33) % pieces.count]
            }
            let demand = DemandedClaims.of([text])
            #expect(demand == nil || text.contains("insufficient_claims"), "seed \(seed)")
            #expect((demand ?? nil) == nil, "seed \(seed): e30 is an object without a place")
        }
    }
}

@Suite("Claims that a resource demands")
struct DemandedClaimsTests {
    let world = World()
    static let wanted = #"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#

    private static func challenge(_ json: String) -> String {
        "Bearer realm=\"\", error=\"insufficient_claims\", claims=\"\(Base64.encode(Array(json.utf8)))\""
    }

    @Sendable private static func refusal(_ fields: [String]) -> FetchResponse {
        FetchResponse(status: 401, fields: fields.map { ("www-authenticate", $0) })
    }

    /// Userinfo demands until the authorization request asked for it, or for ever.
    private func demand(_ fields: [String], isInsatiable: Bool = false) {
        world.tenant.misbehave {
            $0.claims = { $0["groups"] = nil }
            $0.userinfoAnswer = { grant in
                let asked = grant?.parameters["claims"]?.contains("\"c1\"") == true
                return asked && !isInsatiable
                    ? FakeProvider.json(["sub": "person-1", "groups": ["staff"]]) : Self.refusal(fields)
            }
        }
    }

    private func asked() -> [[String: String]] {
        world.tenant.authorizations
    }

    @Test("they are asked for once, with everything that was asked before") func once() async throws {
        demand(["Basic realm=\"x\"", Self.challenge(Self.wanted)])
        var configuration = World.configuration
        configuration.providers[0].contextStyle = .acrs
        configuration.providers[0].ask = ConfiguredAsk(contexts: ["c9"], prompt: "login", scopes: ["groups"])
        await world.flow.replace(configuration: configuration)
        let browser = Browser(world)
        let landing = await browser.go("\(wiki)/deep?a=b")
        #expect(landing.page == "\(wiki)/deep?a=b")
        #expect(landing.session?.groups == ["staff"])
        let requests = asked()
        #expect(requests.count == 2)
        let second = try JSONValue(parsing: Array(try #require(requests.last?["claims"]).utf8))
        #expect(second["access_token"]?["acrs"]?["value"] == "c1")
        #expect(second["id_token"]?["acrs"]?["value"] == "c9")
        #expect(
            requests[0]["prompt"] == "login" && requests[1]["prompt"] == nil, "the person has just signed in")
        for name in ["state", "nonce", "code_challenge"] { #expect(requests[0][name] != requests[1][name]) }
        #expect(world.tenant.count("/token") == 2)
    }

    @Test("a second demand is a page that says so, and nobody is signed in") func twice() async {
        demand([Self.challenge(Self.wanted)], isInsatiable: true)
        let refusal = await Browser(world).go("\(wiki)/").refusal
        #expect(refusal?.reason == .authenticationInsufficient)
        #expect(refusal?.retryURL == "\(wiki)/")
        #expect(asked().count == 2)
        #expect(await world.store.rows.isEmpty)
    }

    @Test(
        "a sign-in that is asked to prove more still began where it began: an ending between the two ends it")
    func ended() async throws {
        demand([Self.challenge(Self.wanted)])
        let browser = Browser(world)
        guard case .provider(let back) = await browser.go("\(wiki)/", pauseAtProvider: true) else {
            Issue.record("no way to the provider")
            return
        }
        world.advance(5)
        _ = try await world.store.end(
            .person(issuer: world.tenant.issuer, subject: "person-1"), atSeconds: world.nowSeconds, once: nil)
        world.advance(5)
        #expect(await browser.go(back).session != nil)
        #expect(asked().count == 4, "it began anew")
    }

    static let long = "{\"access_token\":{\"a\":\"" + String(repeating: "x", count: 2_048) + "\"}}"

    @Test(
        "a demand that cannot be asked for is a page, not a guess",
        arguments: [
            [challenge("[]")], [challenge("{}")], [challenge("x")], [challenge(#"{"access_token":1}"#)],
            [challenge(#"{"registration":{}}"#)], [challenge(#"{"access_token":{},"access_token":{}}"#)],
            [challenge(long)], [challenge(wanted), challenge(wanted)],
            [challenge(wanted) + ", " + challenge(#"{"id_token":{}}"#)], ["Bearer error=insufficient_claims"],
            ["Bearer error=\"insufficient_claims\", claims=\"%%\""],
        ])
    func unusable(_ fields: [String]) async {
        demand(fields)
        #expect(await Browser(world).go("\(wiki)/").refusal?.reason == .authenticationInsufficient)
        #expect(asked().count == 1)
    }

    @Test(
        "a 401 that demands nothing is userinfo that could not be had",
        arguments: [
            [], ["Bearer error=\"invalid_token\""], ["Basic error=\"insufficient_claims\""],
            ["Bearer error=\"insufficient_claims"],
            ["Bearer scope=\"insufficient_claims\""],
        ] as [[String]])
    func noDemand(_ fields: [String]) async {
        demand(fields)
        let session = await Browser(world).go("\(wiki)/").session
        #expect(session?.claims["hasgroups"] == .flag(true))
        #expect(asked().count == 1)
    }

    @Test("exactly the bound is read, one byte more is not") func bound() {
        let frame = #"{"id_token":{"a":""}}"#.utf8.count
        func text(_ count: Int) -> String {
            Base64.encode(
                Array("{\"id_token\":{\"a\":\"\(String(repeating: "x", count: count - frame))\"}}".utf8))
        }
        #expect(DemandedClaims(base64: text(2_048)) != nil)
        #expect(DemandedClaims(base64: text(2_049)) == nil)
        let plain = Array(Self.wanted.utf8)
        #expect(
            DemandedClaims(base64: Base64URL.encode(plain)) == DemandedClaims(base64: Base64.encode(plain)))
    }

    @Test("a resource adds to what policy asks and changes nothing of it") func merged() throws {
        let own: JSONObject = ["id_token": ["acrs": ["value": "c1"]]]
        let text = #"{"id_token":{"acrs":{"value":"c0"},"amr":null},"access_token":{"nbf":{"value":"1"}}}"#
        let demanded = try #require(DemandedClaims(base64: Base64.encode(Array(text.utf8))))
        let merged = JSONValue.object(demanded.added(to: own))
        #expect(merged["id_token"]?["acrs"]?["value"] == "c1")
        #expect(merged["id_token"]?["amr"]?.isNull == true)
        #expect(merged["access_token"]?["nbf"]?["value"] == "1")
    }

    @Test("Graph is told that we answer its demands, and its demand is answered") func graph() async throws {
        var configuration = World.configuration
        configuration.providers[0].graphURL = "https://idp.example/tenant/graph"
        await world.flow.replace(configuration: configuration)
        world.tenant.misbehave {
            $0.claims = {
                $0["groups"] = nil
                $0["hasgroups"] = true
                $0["oid"] = .string(FurtherClaimsTests.object)
            }
            $0.graph = { _, grant in
                grant?.parameters["claims"]?.contains("\"c1\"") == true
                    ? FakeProvider.json(["value": ["g"]]) : Self.refusal([Self.challenge(Self.wanted)])
            }
        }
        #expect(await Browser(world).go("\(wiki)/").session?.groups == ["g"])
        #expect(asked().count == 2)
        #expect(asked()[0]["claims"] == #"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#)
    }

    @Test("a step-up goes on with what policy asks of it, and asks for no second proof") func stepUp()
        async throws
    {
        let browser = Browser(world)
        let first = try #require(await browser.go("\(wiki)/").session)
        demand([Self.challenge(Self.wanted)])
        let stepUp = StepUp(contexts: [["phr"]], ageSecondsMax: 60, isAgeShort: true)
        var answer: FlowAnswer? = await world.flow.stepUp(
            browser.request("\(wiki)/page"), application: "wiki", provider: first.identityProvider,
            asking: stepUp)
        browser.keep(answer?.setCookies ?? [], host: "wiki.corp.example")
        for _ in 0..<2 {
            answer = await browser.step(try #require(answer?.url))
            let url = try #require(answer?.url)
            guard url.hasPrefix("https://idp.example/tenant/authorize") else { break }
            answer = await browser.step(world.tenant.authorize(url))
            let again = try #require(answer?.url)
            guard again.hasPrefix("https://idp.example/tenant/authorize") else { break }
            answer = await browser.step(world.tenant.authorize(again))
            break
        }
        let requests = world.tenant.authorizations.suffix(2)
        #expect(requests.map { $0["acr_values"] } == ["phr", "phr"])
        #expect(requests.map { $0["max_age"] } == ["60", "60"])
        #expect(requests.map { $0["prompt"] } == ["login", nil])
        #expect(answer?.refusal?.reason == .authenticationInsufficient, "the token does not say phr")
        #expect(answer?.refusal?.shortfalls.isEmpty == false)
    }

    @Test("a browser that signs out between the two requests is not signed in by the second")
    func signedOut() async throws {
        let browser = Browser(world)
        #expect(await browser.go("https://partner.corp.example:8443/").session != nil)
        demand([Self.challenge(Self.wanted)])
        let gate = Gate()
        let callback = try #require(await browser.go("\(wiki)/", pauseAtProvider: true).callback)
        world.tenant.refreshing { $0.gate = gate }
        let request = browser.request(callback)
        let flow = world.flow
        let answer = Task { await flow.answer(request) }
        await gate.arrival()
        _ = await browser.step(
            "https://partner.corp.example:8443/.gatepost/sign-out", method: "POST",
            origin: "https://partner.corp.example:8443")
        gate.open()
        let again = try #require(await answer.value)
        browser.keep(again.setCookies, host: "auth.corp.example")
        let last = await browser.step(world.tenant.authorize(try #require(again.url)))
        guard case .signedOut? = last else {
            Issue.record("\(String(describing: last))")
            return
        }
        #expect(await world.store.rows.isEmpty)
    }

    @Test("with four sign-ins under way the new request does not lose its own state") func fullSlots() async {
        demand([Self.challenge(Self.wanted)])
        let browser = Browser(world)
        for index in 0..<3 {
            world.advance(1)
            await browser.go("\(wiki)/tab-\(index)", pauseAtProvider: true)
        }
        world.advance(1)
        #expect(await browser.go("\(wiki)/last").page == "\(wiki)/last")
    }

    @Test("an application that lost its provider meanwhile is not signed in to by a second request")
    func gone() async {
        demand([Self.challenge(Self.wanted)])
        let browser = Browser(world)
        let callback = await browser.go("\(wiki)/", pauseAtProvider: true).callback ?? ""
        var configuration = World.configuration
        configuration.applications[0].identityProviders = ["other"]
        await world.flow.replace(configuration: configuration)
        #expect(await browser.step(callback)?.refusal?.reason == .authenticationInsufficient)
        #expect(asked().count == 1)
    }
}
