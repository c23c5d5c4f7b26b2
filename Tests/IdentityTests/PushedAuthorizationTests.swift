import Access
import Fetch
import JSON
import Signatures
import Testing

@testable import Identity

@Suite("Authorization requests that are pushed to the provider (RFC 9126)")
struct PushedAuthorizationTests {
    let world = World()

    private func offer(requiring: Bool = false) {
        world.tenant.misbehave {
            $0.metadata = {
                $0["pushed_authorization_request_endpoint"] = "https://idp.example/tenant/par"
                if requiring { $0["require_pushed_authorization_requests"] = true }
            }
        }
    }

    private func set(_ way: PushedAuthorization) async {
        var configuration = World.configuration
        configuration.providers[0].pushedAuthorization = way
        await world.flow.replace(configuration: configuration)
    }

    /// Where the browser is sent, or why not.
    private func start(_ browser: Browser) async -> (url: String?, refusal: FlowRefusal?) {
        _ = await browser.step("\(wiki)/page")
        let answer = await browser.step(browser.last?.url ?? "")
        return (answer?.url, answer?.refusal)
    }

    @Test("the browser carries the client's name and the name of the request, and nothing else")
    func pushed() async throws {
        offer()
        let browser = Browser(world)
        let url = try #require(await start(browser).url)
        let query = try #require(FormText.parse(String(url.split(separator: "?", maxSplits: 1)[1])))
        #expect(query.keys.sorted() == ["client_id", "request_uri"])
        let form = try #require(
            FormText.parse(String(decoding: world.tenant.last("/par")?.body ?? [], as: UTF8.self)))
        #expect(form["response_type"] == "code" && form["code_challenge_method"] == "S256")
        #expect(form["redirect_uri"] == "\(auth)/.gatepost/callback/entra")
        #expect(form["client_id"] == "client" && form["request_uri"] == nil)
        #expect(await Browser(world).go("\(wiki)/page").session != nil)
        #expect(world.tenant.count("/par") == 2, "one push for each request")
    }

    @Test("the proof goes along with the push, an assertion of its own", arguments: [true, false])
    func proof(_ isAssertion: Bool) async throws {
        offer()
        let pair = try TestKeys.p256.get()
        var configuration = World.configuration
        if isAssertion {
            let key = try SigningKey(pem: pair.key).publicKey
            world.tenant.change { $0.registered["client"] = .key(key) }
            configuration.providers[0].proof = .assertion(try AssertionKey(keyPEM: pair.key))
        } else {
            world.tenant.change { $0.registered["client"] = .certificate(pair.chain) }
            configuration.providers[0].proof = .certificate(
                try ClientCertificate(chainPEM: pair.chain, keyPEM: pair.key))
        }
        await world.flow.replace(configuration: configuration)
        #expect(await Browser(world).go("\(wiki)/page").session != nil)
        #expect(world.tenant.last("/par")?.isSentOnce == isAssertion)
    }

    @Test(
        "required, off and what the provider says",
        arguments: [
            (PushedAuthorization.automatic, false, false, true, 0), (.automatic, true, false, true, 1),
            (.automatic, true, true, true, 1), (.automatic, false, true, false, 0),
            (.required, true, false, true, 1),
            (.required, false, false, false, 0), (.off, true, false, true, 0), (.off, true, true, false, 0),
        ])
    func ways(
        _ way: PushedAuthorization, _ isOffered: Bool, _ isRequired: Bool, _ goesOn: Bool, _ pushes: Int
    ) async {
        world.tenant.misbehave {
            $0.metadata = {
                if isOffered {
                    $0["pushed_authorization_request_endpoint"] = "https://idp.example/tenant/par"
                }
                $0["require_pushed_authorization_requests"] = .bool(isRequired)
            }
        }
        await set(way)
        let (url, refusal) = await start(Browser(world))
        #expect((url != nil) == goesOn)
        #expect(world.tenant.count("/par") == pushes)
        #expect(url?.contains("request_uri") ?? (pushes == 1) == (pushes == 1))
        if !goesOn {
            #expect(refusal?.reason == .identityProviderUnavailable)
            #expect(refusal?.retryURL == "\(wiki)/page")
        }
    }

    struct Answer: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var answer: FetchResponse
        var reason: Reason
        init(_ name: String, _ status: Int, _ body: String, _ reason: Reason = .identityProviderUnavailable) {
            testDescription = name
            answer = FetchResponse(status: status, body: Array(body.utf8))
            self.reason = reason
        }
    }

    static let uri = "urn:ietf:params:oauth:request_uri:x"
    static let refused: [Answer] = [
        .init("busy", 429, ""), .init("down", 503, "<html>"), .init("not created", 200, good(uri, "60")),
        .init("redirected", 302, ""), .init("no JSON", 201, "<html>"), .init("no object", 201, "[]"),
        .init("doubled member", 201, #"{"request_uri":"urn:a:b","request_uri":"urn:a:c","expires_in":60}"#),
        .init("no name", 201, #"{"expires_in":60}"#),
        .init("name no text", 201, #"{"request_uri":1,"expires_in":60}"#),
        .init("no life", 201, #"{"request_uri":"urn:a:b"}"#), .init("life as text", 201, good(uri, "\"60\"")),
        .init("life over before it begins", 201, good(uri, "0")), .init("too short", 201, good(uri, "4")),
        .init("endless", 201, good(uri, "86401")), .init("negative", 201, good(uri, "-1")),
        .init("empty name", 201, good("", "60")), .init("no scheme", 201, good("x", "60")),
        .init("only a scheme", 201, good("urn:", "60")),
        .init("scheme with a digit first", 201, good("1a:b", "60")),
        .init("blank", 201, good("urn:a b", "60")), .init("fragment", 201, good("urn:a#b", "60")),
        .init("line end", 201, good("urn:a\\nb", "60")), .init("quote", 201, good("urn:a\\\"b", "60")),
        .init("one byte too long", 201, good("urn:" + String(repeating: "a", count: 509), "60")),
        .init("refused", 400, #"{"error":"invalid_request"}"#, .identityProviderRefused),
        .init("not known", 401, #"{"error":"invalid_client"}"#, .identityProviderRefused),
        .init("too large", 413, "", .identityProviderRefused),
    ]

    private static func good(_ name: String, _ life: String) -> String {
        "{\"request_uri\":\"\(name)\",\"expires_in\":\(life)}"
    }

    @Test("a push that fails ends in a page, never in a request that is not pushed", arguments: refused)
    func failures(_ row: Answer) async {
        offer()
        let answer = row.answer
        world.tenant.misbehave { $0.pushAnswer = answer }
        let (url, refusal) = await start(Browser(world))
        #expect(url == nil)
        #expect(refusal?.reason == row.reason)
        #expect(refusal?.retryURL == "\(wiki)/page")
        #expect(world.tenant.count("/par") == 1)
    }

    @Test(
        "names and lives at their bounds are taken",
        arguments: [
            (uri, "5"), (uri, "86400"), ("urn:" + String(repeating: "a", count: 508), "60"),
            ("a+.-1:%20/?", "60"),
        ])
    func bounds(_ name: String, _ life: String) async {
        offer()
        let body = Self.good(name, life)
        world.tenant.misbehave { $0.pushAnswer = FetchResponse(status: 201, body: Array(body.utf8)) }
        let url = await start(Browser(world)).url
        #expect(url?.hasSuffix("request_uri=" + FormText.encode(name)) == true)
    }

    @Test("an endpoint that cannot be reached is a page to try again from")
    func unreachable() async {
        offer(requiring: true)
        world.tenant.misbehave { $0.failure["/par"] = FetchError(.timedOut, "") }
        let (url, refusal) = await start(Browser(world))
        #expect(url == nil && refusal?.reason == .identityProviderUnavailable)
        world.tenant.misbehave { $0.failure = [:] }
        #expect(await start(Browser(world)).url != nil)
    }

    @Test("a document whose endpoint is no https URL is refused")
    func plain() async {
        world.tenant.misbehave {
            $0.metadata = { $0["pushed_authorization_request_endpoint"] = "http://idp.example/par" }
        }
        #expect(await start(Browser(world)).refusal?.reason == .identityProviderUnavailable)
    }

    @Test("exactly as many pushes as allowed are under way to one provider; others are not counted with it")
    func gate() {
        let gate = PushGate()
        for _ in 0..<PushGate.pushesMax { #expect(gate.enter("a")) }
        #expect(!gate.enter("a"))
        #expect(gate.enter("b"))
        gate.leave("a")
        #expect(gate.enter("a"))
        #expect(!gate.enter("a"))
    }
}
