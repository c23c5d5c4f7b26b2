import JSON
import Signatures
import Testing

@testable import gatepost_lab

@Suite("The lab's OpenID Provider, told to misbehave in no way")
struct OpenIDProviderTests {
    let fixture: LabFixture
    init() throws { fixture = try LabFixture() }

    @Test("a whole sign-in ends in an id_token that verifies against the published key set")
    func wholeSignIn() throws {
        let redirect = try fixture.signIn()
        #expect(redirect.status == 303)
        let returned = try #require(LabFixture.location(redirect))
        #expect(returned["state"] == "state-1")
        #expect(returned["iss"] == fixture.lab.openidAddress)
        let answer = try fixture.redeem(try #require(returned["code"]))
        #expect(answer.status == 200)
        let body = try JSONValue(parsing: answer.body)
        let token = try JWS(compact: try #require(body["id_token"]?.string))
        let keys = try JWKSet(parsing: try fixture.openid.send("GET", "/keys").body)
        let candidates = keys.candidates(keyID: token.header["kid"]?.string, algorithm: .es256)
        let key = try #require(candidates.first)
        #expect(token.verify(with: key))
        let claims = try token.payloadObject
        #expect(claims["iss"]?.string == fixture.lab.openidAddress)
        #expect(claims["aud"]?.string == "gatepost")
        #expect(claims["nonce"]?.string == "nonce-1")
        #expect(claims["email"]?.string == "alice@corp.example")
        #expect(claims["groups"]?.array == ["staff", "engineering"])
        let bearer = try #require(body["access_token"]?.string)
        let person = try fixture.openid.send(
            "GET", "/userinfo", fields: [("Authorization", "Bearer \(bearer)")])
        #expect(try JSONValue(parsing: person.body)["sub"] == claims["sub"])
    }

    @Test("discovery names the issuer byte for byte and asks for PKCE with S256")
    func discovery() throws {
        let body = try JSONValue(
            parsing: try fixture.openid.send("GET", "/.well-known/openid-configuration").body)
        #expect(body["issuer"]?.string == fixture.lab.openidAddress)
        #expect(body["code_challenge_methods_supported"] == ["S256"])
    }

    @Test("a code works once, and its second use takes the first one's access token away")
    func replayedCode() throws {
        let code = try fixture.code()
        let first = try JSONValue(parsing: try fixture.redeem(code).body)
        let second = try fixture.redeem(code)
        #expect(second.status == 400)
        #expect(fixture.error(second) == "invalid_grant")
        let bearer = try #require(first["access_token"]?.string)
        let person = try fixture.openid.send(
            "GET", "/userinfo", fields: [("Authorization", "Bearer \(bearer)")])
        #expect(person.status == 401)
    }

    @Test(
        "a code is worth nothing with a wrong proof, address or client",
        arguments: [
            ("a wrong verifier", ["code_verifier": String(repeating: "x", count: 43)], "invalid_grant"),
            ("a verifier that is too short", ["code_verifier": "short"], "invalid_grant"),
            ("no verifier", ["code_verifier": ""], "invalid_grant"),
            ("another redirect URI", ["redirect_uri": LabFixture.redirectURI + "/"], "invalid_grant"),
            ("another grant type", ["grant_type": "password"], "unsupported_grant_type"),
            ("a wrong secret", ["client_secret": "gatepost-demo-secreT"], "invalid_client"),
            ("no secret", ["client_secret": ""], "invalid_client"),
            ("an unknown client", ["client_id": "nobody"], "invalid_client"),
            (
                "the other client",
                ["client_id": "gatepost-hr", "client_secret": "gatepost-hr-demo-secret"], "invalid_grant"
            ),
            ("an invented code", ["code": "invented"], "invalid_grant"),
        ])
    func refusedRedemption(_ name: String, _ replaced: [String: String], _ expected: String) throws {
        let answer = try fixture.redeem(try fixture.code(), replaced)
        #expect(answer.status == (expected == "invalid_client" ? 401 : 400), "\(name)")
        #expect(fixture.error(answer) == expected, "\(name)")
    }

    @Test(
        "a code lives for 60 seconds: it is good one second before and refused exactly then",
        arguments: [59, 60])
    func codeAge(_ seconds: Int64) throws {
        let code = try fixture.code()
        fixture.clock.setOffset(seconds: seconds)
        #expect(try fixture.redeem(code).status == (seconds < 60 ? 200 : 400))
    }

    @Test("Basic authentication is form-decoded, and two methods at once are refused")
    func basicAuthentication() throws {
        let value = "Basic " + Base64.encode(Array("gatepost:gatepost%2Ddemo-secret".utf8))
        var pairs = [
            ("grant_type", "authorization_code"), ("code", try fixture.code()),
            ("redirect_uri", LabFixture.redirectURI), ("code_verifier", LabFixture.verifier),
        ]
        let both = pairs + [("client_secret", "gatepost-demo-secret")]
        let field = [("Authorization", value)]
        #expect(
            fixture.error(try fixture.post(fixture.openid, "/token", both, fields: field)) == "invalid_client"
        )
        #expect(try fixture.post(fixture.openid, "/token", pairs, fields: field).status == 200)
        pairs.append(("code", "twice"))
        #expect(
            fixture.error(try fixture.post(fixture.openid, "/token", pairs, fields: field))
                == "invalid_request")
    }

    @Test(
        "nobody is redirected to an address that is not registered, byte for byte",
        arguments: [
            "https://evil.example/", LabFixture.redirectURI + "/", LabFixture.redirectURI + "?x=1",
            "https://AUTH.lab.example/.gatepost/callback/staff",
            "https://auth.lab.example/.gatepost/callback/hr-staff",
        ])
    func unregisteredAddress(_ address: String) throws {
        let answer = try fixture.openid.send("GET", LabFixture.authorization(["redirect_uri": address]))
        #expect(answer.status == 400)
        #expect(!answer.fields.contains { $0.name == "location" })
    }

    @Test(
        "an authorization request that is wrong otherwise goes back with its error and state",
        arguments: [
            ("code_challenge", nil, "invalid_request"), ("code_challenge", "short", "invalid_request"),
            ("code_challenge_method", "plain", "invalid_request"),
            ("code_challenge_method", nil, "invalid_request"),
            ("response_type", "token", "unsupported_response_type"), ("scope", "email", "invalid_scope"),
            ("prompt", "none", "login_required"),
        ] as [(String, String?, String)])
    func refusedRequest(_ name: String, _ value: String?, _ expected: String) throws {
        let answer = try fixture.openid.send("GET", LabFixture.authorization([name: value]))
        let returned = try #require(LabFixture.location(answer))
        #expect(returned["error"] == expected)
        #expect(returned["state"] == "state-1")
        #expect(returned["code"] == nil)
    }

    @Test("an unknown client sees a page, not a redirect")
    func unknownClient() throws {
        let answer = try fixture.openid.send("GET", LabFixture.authorization(["client_id": "nobody"]))
        #expect(answer.status == 400)
    }

    @Test(
        "a wrong password asks again and says so",
        arguments: [("alice", "bob-demo"), ("nobody", "x"), ("", "")])
    func wrongPassword(_ user: String, _ password: String) throws {
        let answer = try fixture.signIn(user: user, password: password)
        #expect(answer.status == 403)
        #expect(String(decoding: answer.body, as: UTF8.self).contains("role=\"alert\""))
    }

    @Test("what a person typed comes back escaped")
    func escaped() throws {
        let answer = try fixture.signIn(user: "\"><script>x</script>", password: "x")
        let text = String(decoding: answer.body, as: UTF8.self)
        #expect(!text.contains("<script>"))
        #expect(text.contains("&lt;script&gt;"))
    }

    @Test(
        "a remembered person is asked again by the other client and after signing out, not before"
    )
    func remembered() throws {
        let answer = try fixture.signIn()
        let cookie = try #require(answer.fields.first { $0.name == "set-cookie" }?.value.prefix { $0 != ";" })
        let fields = [("Cookie", String(cookie))]
        let again = try fixture.openid.send(
            "GET", LabFixture.authorization(["prompt": "none"]), fields: fields)
        #expect(LabFixture.location(again)?["code"] != nil)
        let other = LabFixture.authorization([
            "client_id": "gatepost-hr",
            "redirect_uri": "https://auth.lab.example/.gatepost/callback/hr-staff",
        ])
        #expect(try fixture.openid.send("GET", other, fields: fields).status == 200)
        let login = LabFixture.authorization(["prompt": "login"])
        #expect(try fixture.openid.send("GET", login, fields: fields).status == 200)
        _ = try fixture.openid.send("GET", "/sign-out?client_id=gatepost", fields: fields)
        let after = try fixture.openid.send(
            "GET", LabFixture.authorization(["prompt": "none"]), fields: fields)
        #expect(LabFixture.location(after)?["error"] == "login_required")
    }

    @Test("signing out returns only to a registered address")
    func signOut() throws {
        func path(_ address: String) -> String {
            "/sign-out?"
                + Parameters.encode([("client_id", "gatepost"), ("post_logout_redirect_uri", address)])
        }
        #expect(
            try fixture.openid.send("GET", path("https://auth.lab.example/.gatepost/signed-out")).status
                == 303)
        #expect(try fixture.openid.send("GET", path("https://evil.example/")).status == 400)
    }
}
