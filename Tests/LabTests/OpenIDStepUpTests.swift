import JSON
import Signatures
import Testing

@testable import gatepost_lab

@Suite("The lab's OpenID Provider is asked for more than a name")
struct OpenIDStepUpTests {
    let fixture: LabFixture
    init() throws { fixture = try LabFixture() }

    private func claims(_ asked: [String: String?] = [:], fault: String? = nil) throws -> JSONObject {
        if let fault { try fixture.fault(fixture.openid, fault) }
        let code = try #require(LabFixture.location(try fixture.signIn(asked))?["code"])
        let body = try JSONValue(parsing: try fixture.redeem(code).body)
        let text = try #require(body["id_token"]?.string)
        return try JWS(compact: text).payloadObject
    }

    private static let wanted =
        #"{"id_token":{"acrs":{"essential":true,"value":"c2"},"amr":{"values":["mfa"]}}}"#

    @Test("002.20 acr_values, acrs and amr come back as asked")
    func asked() throws {
        let claims = try claims(["acr_values": "phr pwd", "claims": Self.wanted])
        #expect(claims["acr"] == "phr")
        #expect(claims["acrs"] == ["c2"])
        #expect(claims["amr"] == ["pwd", "mfa"])
        #expect(claims["auth_time"] == .integer(LabFixture.startSeconds))
    }

    @Test("what nobody asked for is not there")
    func plain() throws {
        let claims = try claims()
        #expect(claims["acr"] == nil && claims["acrs"] == nil)
        #expect(claims["amr"] == ["pwd"])
    }

    @Test("each fault of a step-up is what it says")
    func faults() throws {
        let ignored = try claims(["acr_values": "phr", "claims": Self.wanted], fault: "acr-ignored")
        #expect(ignored["acr"] == "0" && ignored["acrs"] == nil && ignored["amr"] == ["pwd"])
        try fixture.fault(fixture.openid, "none")
        let old = try claims(["max_age": "60"], fault: "old-auth-time")
        #expect(old["auth_time"] == .integer(LabFixture.startSeconds - 30 * 86_400))
        try fixture.fault(fixture.openid, "none")
        #expect(try claims(["max_age": "60"], fault: "no-auth-time")["auth_time"] == nil)
    }

    @Test(
        "requests that no specification knows are refused",
        arguments: [
            ["claims": "no json"], ["claims": "[]"], ["claims": #"{"id_token":{"acrs":"c1"}}"#],
            ["claims": #"{"id_token":{"acrs":{"value":1}}}"#],
            ["claims": #"{"id_token":{"amr":{"values":["a",1]}}}"#], ["prompt": "none login"],
            ["max_age": "-1"], ["max_age": "soon"],
        ])
    func refused(_ asked: [String: String]) throws {
        let replaced = asked.mapValues { Optional($0) }
        let answer = try fixture.openid.send("GET", LabFixture.authorization(replaced))
        #expect(LabFixture.location(answer)?["error"] == "invalid_request")
    }

    @Test("somebody remembered is asked again by prompt=login, and when the age is over, not at it")
    func age() throws {
        let signedIn = try fixture.signIn()
        let field = try #require(signedIn.fields.first { $0.name == "set-cookie" })
        let cookie = field.value.prefix { $0 != ";" }
        func ask(_ asked: [String: String?]) throws -> Int {
            try fixture.openid.send(
                "GET", LabFixture.authorization(asked), fields: [("Cookie", String(cookie))]
            ).status
        }
        _ = try fixture.openid.send("POST", "/lab/clock", body: Array(#"{"offsetSeconds":60}"#.utf8))
        #expect(try ask(["max_age": "60"]) == 303)
        #expect(try ask(["max_age": "59"]) == 200)
        #expect(try ask(["prompt": "login"]) == 200)
        #expect(try ask([:]) == 303)
    }
}
