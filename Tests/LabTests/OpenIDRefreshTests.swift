import JSON
import Signatures
import Testing

@testable import gatepost_lab

@Suite("The lab's OpenID Provider gives refresh tokens, rotates them and takes them back")
struct OpenIDRefreshTests {
    let fixture: LabFixture
    init() throws { fixture = try LabFixture() }

    /// The first refresh token of a sign-in; nil: none.
    private func first(_ scope: String = "openid email offline_access") throws -> String? {
        let redirect = try fixture.signIn(["scope": scope])
        let code = try #require(LabFixture.location(redirect)?["code"])
        return try JSONValue(parsing: try fixture.redeem(code).body)["refresh_token"]?.string
    }

    private func refresh(_ token: String?, client: String = "gatepost") throws -> LabFixture.Answer {
        try fixture.post(
            fixture.openid, "/token",
            [
                ("grant_type", "refresh_token"), ("client_id", client),
                ("client_secret", "\(client)-demo-secret"),
            ] + (token.map { [("refresh_token", $0)] } ?? []))
    }

    private func revoke(_ token: String, client: String = "gatepost") throws -> LabFixture.Answer {
        try fixture.post(
            fixture.openid, "/revoke",
            [("token", token), ("client_id", client), ("client_secret", "\(client)-demo-secret")])
    }

    private func next(_ answer: LabFixture.Answer) throws -> String {
        try #require(try JSONValue(parsing: answer.body)["refresh_token"]?.string)
    }

    @Test("only a sign-in that asks for offline_access gets one, and discovery says how it is used")
    func scope() throws {
        #expect(try first("openid email") == nil)
        #expect(try first() != nil)
        let body = try JSONValue(
            parsing: try fixture.openid.send("GET", "/.well-known/openid-configuration").body)
        #expect(body["grant_types_supported"]?.array?.contains("refresh_token") == true)
        #expect(body["revocation_endpoint"]?.string == fixture.lab.openidAddress + "/revoke")
    }

    @Test("a refresh brings tokens of the same person without a nonce, at a userinfo that knows them")
    func refreshed() throws {
        let answer = try refresh(try first())
        #expect(answer.status == 200)
        let body = try JSONValue(parsing: answer.body)
        let claims = try JWS(compact: try #require(body["id_token"]?.string)).payloadObject
        #expect(claims["sub"] == "lab-0001" && claims["aud"] == "gatepost" && claims["nonce"] == nil)
        let bearer = try #require(body["access_token"]?.string)
        let person = try fixture.openid.send(
            "GET", "/userinfo", fields: [("Authorization", "Bearer \(bearer)")])
        #expect(try JSONValue(parsing: person.body)["sub"] == "lab-0001")
    }

    @Test("a token is good once; whoever uses it twice ends all of its family")
    func rotation() throws {
        let one = try #require(try first())
        let two = try next(try refresh(one))
        let three = try next(try refresh(two))
        #expect(Set([one, two, three]).count == 3)
        #expect(fixture.error(try refresh(one)) == "invalid_grant")
        #expect(fixture.error(try refresh(three)) == "invalid_grant")
        let other = try #require(try first())
        #expect(try refresh(other).status == 200, "another family lives")
    }

    @Test("no other client can use one, and none is needed that is invented or missing")
    func refused() throws {
        let token = try #require(try first())
        #expect(fixture.error(try refresh(token, client: "gatepost-hr")) == "invalid_grant")
        #expect(fixture.error(try refresh("invented")) == "invalid_grant")
        #expect(fixture.error(try refresh(nil)) == "invalid_request")
        #expect(fixture.error(try revoke(token, client: "nobody")) == "invalid_client")
        #expect(try revoke(token, client: "gatepost-hr").status == 200)
        #expect(try refresh(token).status == 200, "another client takes nothing back")
    }

    @Test("a token that was given back, or whose code came twice, is none; unknown ones are answered alike")
    func revoked() throws {
        let one = try #require(try first())
        let two = try next(try refresh(one))
        #expect(try revoke(one).status == 200)
        #expect(fixture.error(try refresh(two)) == "invalid_grant")
        #expect(try revoke("invented").status == 200)
        let code = try #require(
            LabFixture.location(try fixture.signIn(["scope": "openid offline_access"]))?["code"])
        let token = try next(try fixture.redeem(code))
        _ = try fixture.redeem(code)
        #expect(fixture.error(try refresh(token)) == "invalid_grant")
    }

    @Test(
        "it fails in the way it was told to, and the token is not used up",
        arguments: [
            ("refresh-invalid-grant", 400, "invalid_grant"), ("refresh-aadsts50173", 400, "invalid_grant"),
            ("refresh-aadsts53000", 400, "interaction_required"),
            ("refresh-interaction-required", 400, "interaction_required"),
            ("refresh-invalid-client", 401, "invalid_client"),
            ("refresh-throttle", 429, "temporarily_unavailable"), ("refresh-outage", 503, nil),
        ] as [(String, Int, String?)])
    func faults(_ name: String, _ status: Int, _ error: String?) throws {
        let token = try #require(try first())
        fixture.lab.provider.faults.activate(try #require(OpenIDFault(rawValue: name)), times: 1)
        let answer = try refresh(token)
        #expect(answer.status == status)
        if let error { #expect(fixture.error(answer) == error) }
        #expect(try refresh(token).status == 200)
    }

    @Test("a lost answer has used its token up; without rotation it is good again and again")
    func lost() throws {
        let token = try #require(try first())
        fixture.lab.provider.faults.activate(.refreshAnswerLost, times: 1)
        #expect(throws: (any Error).self) { try refresh(token) }
        #expect(fixture.error(try refresh(token)) == "invalid_grant")
        fixture.lab.provider.faults.activate(.keepsRefreshToken)
        let lasting = try #require(try first())
        for _ in 0..<3 {
            let answer = try refresh(lasting)
            #expect(answer.status == 200)
            #expect(try JSONValue(parsing: answer.body)["refresh_token"] == nil)
        }
    }

    @Test("a refreshed id token lies in one member alone when told to")
    func lies() throws {
        fixture.lab.provider.faults.activate(.keepsRefreshToken)
        let token = try #require(try first())
        let rows: [(OpenIDFault, String, JSONValue)] = [
            (.refreshNonce, "nonce", "another"), (.refreshSubject, "sub", "lab-9999"),
            (.refreshAudience, "aud", "somebody-else"),
            (.refreshProofNow, "auth_time", .integer(LabFixture.startSeconds)),
        ]
        for (fault, name, value) in rows {
            fixture.lab.provider.faults.activate(fault, times: 1)
            let body = try JSONValue(parsing: try refresh(token).body)
            let claims = try JWS(compact: try #require(body["id_token"]?.string)).payloadObject
            #expect(claims[name] == value, "\(fault.rawValue)")
        }
        fixture.lab.provider.faults.activate(.refreshWithoutIDToken, times: 1)
        #expect(try JSONValue(parsing: try refresh(token).body)["id_token"] == nil)
    }
}
