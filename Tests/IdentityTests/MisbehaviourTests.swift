import Access
import Fetch
import JSON
import Signatures
import Store
import Testing

@testable import Identity

/// One way in which an id token can be wrong, or odd and still right.
struct TokenCase: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var isAccepted: Bool
    var edit: @Sendable (inout JSONObject) -> Void

    init(_ name: String, accepted: Bool = false, _ edit: @escaping @Sendable (inout JSONObject) -> Void) {
        testDescription = name
        isAccepted = accepted
        self.edit = edit
    }
}

@Suite("Id tokens of a provider at second 1,000,000, for client `client`, skew 120 s")
struct IDTokenTests {
    static let now: Int64 = 1_000_000

    static let table: [TokenCase] = [
        .init("as it should be", accepted: true) { _ in },
        .init("wrong nonce") { $0["nonce"] = "other" },
        .init("no nonce") { $0["nonce"] = nil },
        .init("empty nonce") { $0["nonce"] = "" },
        .init("nonce a number") { $0["nonce"] = 1 },
        .init("nonce right, in a list") { $0["nonce"] = [$0["nonce"] ?? .null] },
        .init("another issuer") { $0["iss"] = "https://idp.example/other" },
        .init("issuer with a slash more") { $0["iss"] = "https://idp.example/tenant/" },
        .init("issuer in other case") { $0["iss"] = "https://IDP.example/tenant" },
        .init("no issuer") { $0["iss"] = nil },
        .init("audience as a list of one", accepted: true) { $0["aud"] = ["client"] },
        .init("audience empty") { $0["aud"] = [] },
        .init("audience missing") { $0["aud"] = nil },
        .init("token for the other client of the same issuer") { $0["aud"] = "client-managed" },
        .init("audience with something that is no text") { $0["aud"] = ["client", 1] },
        .init("audience in other case") { $0["aud"] = "Client" },
        .init("two audiences without azp") { $0["aud"] = ["client", "api"] },
        .init("two audiences and azp ours", accepted: true) {
            $0["aud"] = ["api", "client"]
            $0["azp"] = "client"
        },
        .init("azp another client") { $0["azp"] = "client-managed" },
        .init("azp no text") { $0["azp"] = 1 },
        .init("expired one second before the skew ends", accepted: true) { $0["exp"] = .integer(now - 119) },
        .init("expired exactly at the skew") { $0["exp"] = .integer(now - 120) },
        .init("expired one second past the skew") { $0["exp"] = .integer(now - 121) },
        .init("no expiry") { $0["exp"] = nil },
        .init("expiry as text") { $0["exp"] = "2000000" },
        .init("expiry in a list") { $0["exp"] = [2_000_000] },
        .init("expiry beyond any calendar") { $0["exp"] = .number(1e300) },
        .init("expiry as float", accepted: true) { $0["exp"] = .number(Double(now) + 10.5) },
        .init("issued exactly at the skew in the future", accepted: true) { $0["iat"] = .integer(now + 120) },
        .init("issued one second past the skew in the future") { $0["iat"] = .integer(now + 121) },
        .init("issued 720 s ago", accepted: true) { $0["iat"] = .integer(now - 720) },
        .init("issued 721 s ago") { $0["iat"] = .integer(now - 721) },
        .init("no iat") { $0["iat"] = nil },
        .init("iat as text") { $0["iat"] = .string("\(now)") },
        .init("iat in a list") { $0["iat"] = [.integer(now)] },
        .init("not before exactly at the skew", accepted: true) { $0["nbf"] = .integer(now + 120) },
        .init("not before one second past the skew") { $0["nbf"] = .integer(now + 121) },
        .init("not before as text") { $0["nbf"] = "0" },
        .init("not before in a list") { $0["nbf"] = [0] },
        .init("auth_time as float", accepted: true) { $0["auth_time"] = .number(999_999.25) },
        .init("auth_time 0", accepted: true) { $0["auth_time"] = 0 },
        .init("auth_time in the future") { $0["auth_time"] = .integer(now + 121) },
        .init("auth_time as text") { $0["auth_time"] = "yesterday" },
        .init("at_hash right", accepted: true) {
            $0["at_hash"] = .string(
                Base64URL.encode(Array(Digest.sha256(Array("access-code-1".utf8)).prefix(16))))
        },
        .init("at_hash of another token") {
            $0["at_hash"] = .string(Base64URL.encode(Array(Digest.sha256(Array("other".utf8)).prefix(16))))
        },
        .init("at_hash no text") { $0["at_hash"] = 7 },
        .init("at_hash right, in a list") {
            $0["at_hash"] = [
                .string(Base64URL.encode(Array(Digest.sha256(Array("access-code-1".utf8)).prefix(16))))
            ]
        },
        .init("c_hash no text") { $0["c_hash"] = 7 },
        .init("c_hash right, in a list") {
            $0["c_hash"] = [.string(Base64URL.encode(Array(Digest.sha256(Array("code-1".utf8)).prefix(16))))]
        },
        .init("no subject") { $0["sub"] = nil },
        .init("subject a number") { $0["sub"] = 1 },
        .init("subject in a list") { $0["sub"] = ["alice"] },
        .init("empty subject") { $0["sub"] = "" },
        .init("subject of 255 characters", accepted: true) {
            $0["sub"] = .string(String(repeating: "s", count: 255))
        },
        .init("subject of 256 characters") { $0["sub"] = .string(String(repeating: "s", count: 256)) },
        .init("subject beyond ASCII") { $0["sub"] = "\u{212a}" },
        .init("groups no list") { $0["groups"] = 5 },
        .init("groups with a number") { $0["groups"] = ["a", 5] },
        .init("one group as text", accepted: true) { $0["groups"] = "staff" },
        .init("e-mail no text") { $0["email"] = 1 },
    ]

    @Test(arguments: table) func `a token is taken exactly when every rule holds`(_ row: TokenCase) async {
        let world = World()
        world.tenant.misbehave { $0.claims = row.edit }
        let landing = await Browser(world).go("\(wiki)/")
        #expect((landing.session != nil) == row.isAccepted, "\(landing)")
        if !row.isAccepted {
            #expect(landing.refusal?.reason == .identityProviderRefused)
            #expect(await world.store.rows.isEmpty)
        }
    }

    private func outcome(_ token: @escaping @Sendable (JSONObject) -> String) async -> Landing {
        let world = World()
        world.tenant.misbehave { $0.token = token }
        return await Browser(world).go("\(wiki)/")
    }

    private static func compact(_ header: JSONObject, _ claims: JSONObject, _ signature: [UInt8]) -> String {
        "\(Base64URL.encode(header.serialized())).\(Base64URL.encode(claims.serialized())).\(Base64URL.encode(signature))"
    }

    @Test func `alg none is refused, with and without a signature`() async {
        #expect(await outcome { Self.compact(["alg": "none"], $0, []) }.session == nil)
        #expect(await outcome { Self.compact(["alg": "none", "kid": "k1"], $0, [1, 2, 3]) }.session == nil)
    }

    @Test func `HS256 keyed with something public is refused`() async {
        let landing = await outcome { claims in
            let input =
                "\(Base64URL.encode(Array(#"{"alg":"HS256","kid":"k1"}"#.utf8))).\(Base64URL.encode(claims.serialized()))"
            return input + "."
                + Base64URL.encode(Digest.hmacSHA256(key: Array("s:e c+ret".utf8), Array(input.utf8)))
        }
        #expect(landing.refusal?.reason == .identityProviderRefused)
    }

    @Test func `a key that the token brings along is not looked at`() async {
        let stranger = SigningKey.generateP256()
        let landing = await outcome { claims in
            JWS.sign(
                header: ["kid": "k1", "jwk": .object(stranger.publicKey.jwk)], payload: claims, with: stranger
            )
        }
        #expect(landing.refusal?.reason == .identityProviderRefused)
    }

    @Test(arguments: ["", "a.b", "a.b.c", "....", String(repeating: "a", count: 20_000)])
    func `what is no token is refused`(_ text: String) async {
        #expect(await outcome { _ in text }.refusal?.reason == .identityProviderRefused)
    }

    @Test func `without kid exactly one key must fit`() async {
        let world = World()
        world.tenant.misbehave { $0.sendsKeyID = false }
        #expect(await Browser(world).go("\(wiki)/").session != nil)
        let two = World()
        two.tenant.misbehave { $0.sendsKeyID = false }
        two.tenant.change { $0.published.append(("k2", SigningKey.generateP256())) }
        #expect(await Browser(two).go("\(wiki)/").refusal?.reason == .identityProviderRefused)
    }

    @Test(
        arguments: [
            ("Ann@Corp.Example", JSONValue.bool(true), "ann@corp.example"), ("a@b", "true", "a@b"),
            ("a@b", false, nil),
            ("a@b", "false", nil), ("a@b", 0, nil), ("a@b", "perhaps", nil), ("a@b", .null, nil),
            ("a@b@c", true, nil),
            ("@b", true, nil), ("a@", true, nil), ("a b@c", true, nil), ("a\n@c", true, nil),
            ("\u{212a}@b", true, "\u{212a}@b"),
        ] as [(String, JSONValue, String?)])
    func `an address counts when it is one and nobody denies that it was verified`(
        _ address: String, _ verified: JSONValue, _ expected: String?
    ) throws {
        let reader = ClaimReader(claims: ["email": .string(address), "email_verified": verified])
        #expect(try reader.email() == expected)
    }

    @Test func `absent verification is recorded beside the address`() throws {
        let reader = ClaimReader(claims: [
            "email": "a@b", "gatepost-linked-sessions": ["x"], "tid": "t", "n": 4,
        ])
        let claims = try reader.otherClaims()
        #expect(claims["email_verified"] == .text("absent"))
        #expect(claims["gatepost-linked-sessions"] == nil)
        #expect(claims["tid"] == .text("t"))
        #expect(claims["n"] == .integer(4))
    }

    @Test func `more groups than fit refuse the sign-in instead of being cut`() throws {
        let exact = ClaimReader(claims: ["groups": .array((0..<2000).map { .string("\($0)") })])
        #expect(try exact.groups().count == 2000)
        let over = ClaimReader(claims: ["groups": .array((0..<2001).map { .string("\($0)") })])
        #expect(throws: IdentityError.self) { try over.groups() }
    }
}

@Suite("Providers that answer something else")
struct ProviderAnswerTests {
    struct Answer: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var response: FetchResponse
        var reason: Reason
        init(_ name: String, _ status: Int, _ body: String, _ reason: Reason) {
            testDescription = name
            response = FetchResponse(status: status, body: Array(body.utf8))
            self.reason = reason
        }
    }

    static let table: [Answer] = [
        .init("invalid_grant", 400, #"{"error":"invalid_grant"}"#, .identityProviderRefused),
        .init("400 with an empty body", 400, "", .identityProviderRefused),
        .init("403 with a code of its own", 403, #"{"error":"consent.missing!"}"#, .identityProviderRefused),
        .init("401 as HTML", 401, "<html>no</html>", .identityProviderRefused),
        .init("500", 500, "oops", .identityProviderUnavailable),
        .init("503", 503, "", .identityProviderUnavailable),
        .init("429", 429, "", .identityProviderUnavailable),
        .init("a redirect", 302, "", .identityProviderUnavailable),
        .init("200 as HTML", 200, "<html>sign in</html>", .identityProviderUnavailable),
        .init("200 and empty", 200, "", .identityProviderUnavailable),
        .init(
            "200 with a doubled member", 200, #"{"id_token":"a","id_token":"b"}"#,
            .identityProviderUnavailable),
        .init("200 as a list", 200, "[]", .identityProviderUnavailable),
        .init("200 without an id_token", 200, #"{"access_token":"x"}"#, .identityProviderRefused),
        .init("200 with an id_token that is no text", 200, #"{"id_token":5}"#, .identityProviderRefused),
        .init(
            "an access token that splits a field", 200, #"{"id_token":"a.b.c","access_token":"x\r\ny"}"#,
            .identityProviderUnavailable),
    ]

    @Test(arguments: table) func `a token endpoint's odd answer is a clear refusal`(_ row: Answer) async {
        let world = World()
        world.tenant.misbehave { $0.tokenAnswer = row.response }
        let refusal = await Browser(world).go("\(wiki)/page").refusal
        #expect(refusal?.reason == row.reason)
        #expect(refusal?.retryURL == "\(wiki)/page")
        #expect(await world.store.rows.isEmpty)
    }

    @Test(arguments: [FetchError.Kind.tooLarge, .timedOut, .unreachable, .tlsFailed])
    func `a token endpoint that cannot be used is unavailable`(_ kind: FetchError.Kind) async {
        let world = World()
        world.tenant.misbehave { $0.failure["/token"] = FetchError(kind, "") }
        #expect(await Browser(world).go("\(wiki)/").refusal?.reason == .identityProviderUnavailable)
    }

    @Test(
        "a code is 1 to 4,096 printing characters and blanks, and nothing else is redeemed",
        arguments: [
            (String(repeating: "a", count: 4_096), true), (String(repeating: "a", count: 4_097), false),
            ("a", true), ("", false), ("a b~", true), ("a%7F", false), ("a%0A", false), ("a%C3%A4", false),
        ])
    func code(_ code: String, _ isRedeemed: Bool) async throws {
        let world = World()
        let browser = Browser(world)
        let callback = try #require(await browser.go("\(wiki)/", pauseAtProvider: true).callback)
        let sent = code.replacing(" ", with: "%20")
        let url = callback.replacing("code=code-1", with: "code=\(sent)")
        let refusal = await browser.step(url)?.refusal
        #expect(world.tenant.count("/token") == (isRedeemed ? 1 : 0))
        // The provider does not know it.
        #expect(refusal?.reason == (isRedeemed ? .identityProviderRefused : .identityProviderUnavailable))
    }

    @Test func `the size of an answer is bounded by the request`() async {
        let world = World()
        await Browser(world).go("\(wiki)/")
        #expect(world.tenant.last("/token")?.bodyBytesMax == 128 << 10)
        #expect(world.tenant.last("/keys")?.bodyBytesMax == 512 << 10)
    }

    @Test func `userinfo that fails does not fail the sign-in, and leaves the groups unknown`() async {
        let world = World()
        world.tenant.misbehave {
            $0.claims = { $0["groups"] = nil }
            $0.failure["/userinfo"] = FetchError(.timedOut, "")
        }
        let session = await Browser(world).go("\(wiki)/").session
        #expect(session?.groups == [])
        #expect(session?.claims["hasgroups"] == .flag(true))
    }

    @Test func `userinfo about somebody else leaves the groups unknown`() async {
        let world = World()
        world.tenant.misbehave {
            $0.claims = { $0["groups"] = nil }
            $0.userinfo = ["sub": "person-2", "groups": ["admins"]]
        }
        let session = await Browser(world).go("\(wiki)/").session
        #expect(session?.groups == [])
        #expect(session?.claims["hasgroups"] == .flag(true))
    }

    @Test func `userinfo that answers without groups says that there are none`() async {
        let world = World()
        world.tenant.misbehave {
            $0.claims = { $0["groups"] = nil }
            $0.userinfo = ["sub": "person-1", "name": "A\u{7}B"]
        }
        let session = await Browser(world).go("\(wiki)/").session
        #expect(session?.groups == [])
        #expect(session?.claims["hasgroups"] == nil)
        #expect(session?.name?.contains("\u{7}") != true)
    }

    struct Metadata: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var edit: @Sendable (inout JSONObject) -> Void
        init(_ name: String, _ edit: @escaping @Sendable (inout JSONObject) -> Void) {
            testDescription = name
            self.edit = edit
        }
    }

    static let documents: [Metadata] = [
        .init("another issuer") { $0["issuer"] = "https://idp.example/other" },
        .init("issuer with a slash more") { $0["issuer"] = "https://idp.example/tenant/" },
        .init("no issuer") { $0["issuer"] = nil },
        .init("no code flow") { $0["response_types_supported"] = ["id_token"] },
        .init("no response types") { $0["response_types_supported"] = nil },
        .init("plain http token endpoint") { $0["token_endpoint"] = "http://idp.example/token" },
        .init("plain http on loopback without permission") {
            $0["token_endpoint"] = "http://127.0.0.1/token"
        },
        .init("authorization endpoint missing") { $0["authorization_endpoint"] = nil },
        .init("authorization endpoint as javascript") {
            $0["authorization_endpoint"] = "javascript:alert(1)"
        },
        .init("authorization endpoint with fragment") {
            $0["authorization_endpoint"] = "https://idp.example/a#b"
        },
        .init("key set with user information") { $0["jwks_uri"] = "https://idp.example@evil.example/keys" },
        .init("end session with a line break") { $0["end_session_endpoint"] = "https://idp.example/\r\nx" },
        .init("userinfo no text") { $0["userinfo_endpoint"] = 1 },
    ]

    @Test(arguments: documents) func `a discovery document that breaks a rule is not used`(_ row: Metadata)
        async
    {
        let world = World()
        world.tenant.misbehave { $0.metadata = row.edit }
        #expect(await Browser(world).go("\(wiki)/").refusal?.reason == .identityProviderUnavailable)
        #expect(world.tenant.count("/token") == 0)
    }

    @Test(arguments: [
        ("access_denied", Reason.identityProviderRefused), ("interaction_required", .identityProviderRefused),
        ("temporarily_unavailable", .identityProviderUnavailable),
        ("server_error", .identityProviderUnavailable),
    ]) func `an error answer is a refusal with the provider's code`(_ code: String, _ reason: Reason) async {
        let world = World()
        world.tenant.misbehave { $0.error = [("error", code), ("error_description", "<script>")] }
        let refusal = await Browser(world).go("\(wiki)/").refusal
        #expect(refusal?.reason == reason)
        #expect(refusal?.providerCode == code)
        #expect(refusal?.providerWords == "<script>", "as it came; pages escape")
        #expect(world.tenant.count("/token") == 0)
    }

    struct Sentence: Sendable {
        var text: String
        var shown: String?
    }

    private static let marks = "e" + String(repeating: "\u{301}", count: 299)
    static let sentences: [Sentence] = [
        Sentence(
            text: "Device is not compliant.\r\n\tTrace ID: 1", shown: "Device is not compliant. Trace ID: 1"),
        Sentence(text: "  a   b\u{2028}c ", shown: "a b c"),
        Sentence(text: "safe\u{202E}gnihsihp\u{200B}", shown: "safegnihsihp"),
        Sentence(text: "Gerät gesperrt", shown: "Gerät gesperrt"),
        Sentence(text: " \u{0}\u{7F}\n"),
        Sentence(text: ""),
        Sentence(text: String(repeating: "x", count: 300), shown: String(repeating: "x", count: 300)),
        Sentence(text: String(repeating: "x", count: 300) + " \n", shown: String(repeating: "x", count: 300)),
        Sentence(text: String(repeating: "x", count: 301), shown: String(repeating: "x", count: 300) + "…"),
        Sentence(text: marks + String(repeating: "\u{301}", count: 5_000), shown: marks + "…"),
    ]

    @Test(
        "002.14 a provider's sentence is one printable line of at most 300 characters", arguments: sentences)
    func words(_ sentence: Sentence) {
        let shown = ProviderCode.words(sentence.text)
        #expect(shown.map { Array($0.utf8) } == sentence.shown.map { Array($0.utf8) })
    }

    @Test("002.14 what the token endpoint says is about our registration and is not for the person")
    func tokenWords() async {
        let world = World()
        world.tenant.misbehave {
            $0.tokenAnswer = FetchResponse(
                status: 401, fields: [],
                body: Array(
                    #"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid secret."}"#.utf8))
        }
        let refusal = await Browser(world).go("\(wiki)/").refusal
        #expect(refusal?.reason == .identityProviderRefused)
        #expect(refusal?.providerWords == nil)
        #expect(refusal?.providerCode == "AADSTS7000215")
    }

    @Test func `a code that could do harm on a page is left out`() {
        #expect(ProviderCode.of(error: "<b>", description: nil) == nil)
        #expect(ProviderCode.of(error: String(repeating: "a", count: 65), description: nil) == nil)
        #expect(ProviderCode.of(error: "x", description: "AADSTS5300: short") == "x")
    }

    @Test func `iss in the answer must be the issuer, and must be there when it is announced`() async {
        let world = World()
        world.tenant.misbehave { $0.sendsIssuer = true }
        #expect(await Browser(world).go("\(wiki)/").session != nil)
        let announced = World()
        announced.tenant.misbehave {
            $0.metadata = { $0["authorization_response_iss_parameter_supported"] = true }
        }
        #expect(await Browser(announced).go("\(wiki)/").refusal?.reason == .identityProviderRefused)
        let mixed = World()
        let browser = Browser(mixed)
        let callback = await browser.go("\(wiki)/", pauseAtProvider: true).callback ?? ""
        let answer = await browser.step(callback + "&iss=https%3A%2F%2Fother.example")
        #expect(answer?.refusal?.reason == .identityProviderRefused)
        #expect(mixed.tenant.count("/token") == 0)
    }
}
