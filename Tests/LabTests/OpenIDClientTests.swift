import JSON
import Signatures
import Testing

@testable import gatepost_lab

@Suite("The lab's OpenID Provider: pushed requests, clients with a key, and what takes access tokens")
struct OpenIDClientTests {
    let fixture: LabFixture
    let key = SigningKey.generateP256()
    init() throws { fixture = try LabFixture() }

    private func register() throws {
        let body: JSONValue = [
            "client": "gatepost", "pem": .string(String(decoding: Self.publicPEM(key), as: UTF8.self)),
        ]
        let answer = try fixture.openid.send("POST", "/lab/client-key", body: body.serialized())
        try #require(answer.status == 200)
    }

    /// SubjectPublicKeyInfo of a key on P-256: everything before the point is always the same (RFC 5480 §2).
    private static func publicPEM(_ key: SigningKey) -> [UInt8] {
        let head: [UInt8] = [
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x86,
            0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
        ]
        let jwk = key.publicKey.jwk
        let point = ["x", "y"].flatMap { Base64URL.decode(jwk[$0]?.string ?? "") ?? [] }
        return Array(
            "-----BEGIN PUBLIC KEY-----\n\(Base64.encode(head + point))\n-----END PUBLIC KEY-----\n".utf8)
    }

    private func assertion(_ change: (inout JSONObject) -> Void = { _ in }, key: SigningKey? = nil) -> String
    {
        var claims: JSONObject = [
            "iss": "gatepost", "sub": "gatepost", "aud": .string(fixture.lab.openidAddress),
            "exp": .integer(LabFixture.startSeconds + 300), "jti": .string(ProviderState.secretText()),
        ]
        change(&claims)
        return JWS.sign(header: ["kid": "k"], payload: claims, with: key ?? self.key)
    }

    private func redeem(_ assertion: String) throws -> Int {
        try fixture.post(
            fixture.openid, "/token",
            [
                ("grant_type", "authorization_code"), ("code", try fixture.code()),
                ("redirect_uri", LabFixture.redirectURI), ("code_verifier", LabFixture.verifier),
                ("client_assertion_type", OpenIDProvider.assertionType), ("client_assertion", assertion),
            ]
        ).status
    }

    @Test("a registered key is taken, each assertion once, and the secret is void from then on")
    func assertions() throws {
        #expect(try redeem(assertion()) == 401, "before it is registered")
        try register()
        let first = assertion()
        #expect(try redeem(first) == 200)
        #expect(try redeem(first) == 401, "a second time")
        #expect(try redeem(assertion { $0["exp"] = .integer(LabFixture.startSeconds) }) == 401)
        #expect(try redeem(assertion { $0["exp"] = .integer(LabFixture.startSeconds + 301) }) == 401)
        #expect(try redeem(assertion { $0["aud"] = "https://other.example" }) == 401)
        #expect(try redeem(assertion { $0["sub"] = "gatepost-hr" }) == 401)
        #expect(try redeem(assertion { $0["jti"] = nil }) == 401)
        #expect(try redeem(assertion(key: SigningKey.generateP256())) == 401)
        #expect(try fixture.redeem(try fixture.code()).status == 401, "by its secret")
        try fixture.fault(fixture.openid, "assertion-refused")
        #expect(try redeem(assertion()) == 401)
    }

    private func push(_ replaced: [String: String] = [:], secret: String = "gatepost-demo-secret") throws
        -> LabFixture.Answer
    {
        var pairs = [
            "response_type": "code", "client_id": "gatepost", "redirect_uri": LabFixture.redirectURI,
            "scope": "openid", "state": "s", "code_challenge": LabFixture.challenge,
            "code_challenge_method": "S256", "client_secret": secret,
        ]
        for (name, value) in replaced { pairs[name] = value }
        return try fixture.post(fixture.openid, "/par", pairs.map { ($0.key, $0.value) })
    }

    private func authorize(_ pairs: [(String, String)]) throws -> Int {
        try fixture.openid.send("GET", "/authorize?" + Parameters.encode(pairs)).status
    }

    @Test("a pushed request is named once, for its client, for a minute") func pushed() throws {
        func name() throws -> String {
            let answer = try push()
            #expect(answer.status == 201)
            return try #require(try JSONValue(parsing: answer.body)["request_uri"]?.string)
        }
        let first = try name()
        #expect(try authorize([("client_id", "gatepost"), ("request_uri", first)]) == 200)
        #expect(try authorize([("client_id", "gatepost"), ("request_uri", first)]) == 400)
        #expect(try authorize([("client_id", "gatepost-hr"), ("request_uri", try name())]) == 400)
        #expect(
            try authorize([("client_id", "gatepost"), ("request_uri", try name()), ("scope", "x")]) == 400)
        #expect(try authorize([("request_uri", try name())]) == 400)
        let late = try name()
        _ = try fixture.openid.send("POST", "/lab/clock", body: Array(#"{"offsetSeconds":60}"#.utf8))
        #expect(try authorize([("client_id", "gatepost"), ("request_uri", late)]) == 400)
    }

    @Test("what could not be asked through a browser cannot be pushed") func pushRefused() throws {
        #expect(try push(secret: "wrong").status == 401)
        #expect(try push(["redirect_uri": "https://evil.example/"]).status == 400)
        #expect(try push(["client_id": "gatepost-hr"]).status == 401)
        #expect(try push(["code_challenge": "x"]).status == 400)
        #expect(try push(["request_uri": "urn:x:y"]).status == 400)
    }

    @Test(
        "each fault of pushing is what it says",
        arguments: [
            ("par-refused", 400), ("par-unavailable", 503), ("par-without-name", 201),
            ("par-short-lived", 201),
        ])
    func pushFaults(_ fault: String, _ status: Int) throws {
        try fixture.fault(fixture.openid, fault)
        let answer = try push()
        #expect(answer.status == status)
        guard status == 201 else { return }
        let body = try JSONValue(parsing: answer.body)
        #expect((body["request_uri"] == nil) == (fault == "par-without-name"))
        #expect(body["expires_in"] == (fault == "par-short-lived" ? 1 : 60))
    }

    @Test("where pushing is required other requests are refused, and discovery says so") func required()
        throws
    {
        func document() throws -> JSONValue {
            try JSONValue(parsing: try fixture.openid.send("GET", "/.well-known/openid-configuration").body)
        }
        #expect(try document()["require_pushed_authorization_requests"] == false)
        try fixture.fault(fixture.openid, "par-required")
        #expect(try document()["require_pushed_authorization_requests"] == true)
        #expect(try fixture.openid.send("GET", LabFixture.authorization()).status == 400)
        try fixture.fault(fixture.openid, "no-par")
        #expect(try document()["pushed_authorization_request_endpoint"] == nil)
    }

    // MARK: Resources

    private func accessToken(_ replaced: [String: String?] = [:]) throws -> String {
        let code = try #require(LabFixture.location(try fixture.signIn(replaced))?["code"])
        return try #require(try JSONValue(parsing: try fixture.redeem(code).body)["access_token"]?.string)
    }

    private func userinfo(_ token: String) throws -> LabFixture.Answer {
        try fixture.openid.send("GET", "/userinfo", fields: [("Authorization", "Bearer \(token)")])
    }

    @Test(
        "userinfo is signed on demand, and each fault of it spoils its own part",
        arguments: [
            ("userinfo-signed", "iss", nil), ("userinfo-wrong-iss", "iss", "https://evil.example"),
            ("userinfo-wrong-aud", "aud", "somebody-else"), ("userinfo-wrong-sub", "sub", "lab-0000"),
            ("userinfo-bad-signature", "aud", "gatepost"),
        ] as [(String, String, JSONValue?)])
    func signed(_ fault: String, _ name: String, _ value: JSONValue?) throws {
        let token = try accessToken()
        try fixture.fault(fixture.openid, fault)
        let answer = try userinfo(token)
        #expect(answer.fields.contains { $0.name == "content-type" && $0.value == "application/jwt" })
        let jws = try JWS(compact: String(decoding: answer.body, as: UTF8.self))
        let keys = try JWKSet(parsing: try fixture.openid.send("GET", "/keys").body).keys
        #expect(keys.contains { jws.verify(with: $0) } == (fault != "userinfo-bad-signature"))
        #expect(try jws.payloadObject[name] == value ?? .string(fixture.lab.openidAddress))
    }

    @Test("a resource demands claims until the sign-in asked for them, or for ever") func demands() throws {
        let plain = try accessToken()
        let asking = try accessToken(["claims": OpenIDProvider.demand])
        #expect(try userinfo(plain).status == 200)
        try fixture.fault(fixture.openid, "userinfo-demands-claims")
        let refused = try userinfo(plain)
        #expect(refused.status == 401)
        #expect(
            refused.fields.contains {
                $0.name == "www-authenticate" && $0.value.contains("insufficient_claims")
            })
        #expect(try userinfo(asking).status == 200)
        try fixture.fault(fixture.openid, "demand-again")
        #expect(try userinfo(asking).status == 401)
    }

    @Test("hidden groups are known to Graph, for the person of the token alone") func graph() throws {
        try fixture.fault(fixture.openid, "group-overage")
        let token = try accessToken()
        func ask(_ object: String, _ body: String = #"{"securityEnabledOnly":false}"#, token: String) throws
            -> LabFixture.Answer
        {
            try fixture.openid.send(
                "POST", "/graph/v1.0/users/\(object)/getMemberObjects",
                fields: [("Authorization", "Bearer \(token)"), ("Content-Type", "application/json")],
                body: Array(body.utf8))
        }
        let (alice, bob) = (
            OpenIDProvider.object(of: Person.demo[0]), OpenIDProvider.object(of: Person.demo[1])
        )
        let answer = try ask(alice, token: token)
        #expect(try JSONValue(parsing: answer.body)["value"] == ["staff", "engineering"])
        #expect(try ask(bob, token: token).status == 404)
        #expect(try ask(alice, "{}", token: token).status == 400)
        #expect(try ask(alice, token: "other").status == 401)
        try fixture.fault(fixture.openid, "graph-demands-claims")
        #expect(try ask(alice, token: token).status == 401)
        try fixture.fault(fixture.openid, "graph-down")
        #expect(try ask(alice, token: token).status == 503)
    }

    @Test("a scope of the resource gets a signed access token, which userinfo takes too") func resourceToken()
        throws
    {
        let scopes = ["scope": "openid api://lab/access"] as [String: String?]
        let token = try accessToken(scopes)
        let claims = try JWS(compact: token).payloadObject
        #expect(
            claims["aud"] == "api://lab" && claims["client_id"] == "gatepost" && claims["deviceid"] != nil)
        #expect(try userinfo(token).status == 200)
        try fixture.fault(fixture.openid, "access-token-wrong-aud")
        #expect(try JWS(compact: try accessToken(scopes)).payloadObject["aud"] == "api://other")
        try fixture.fault(fixture.openid, "none")
        try fixture.fault(fixture.openid, "access-token-bad-signature")
        let keys = try JWKSet(parsing: try fixture.openid.send("GET", "/keys").body).keys
        let forged = try JWS(compact: try accessToken(scopes))
        #expect(!keys.contains { forged.verify(with: $0) })
    }
}
