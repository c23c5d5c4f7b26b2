import JSON
import Signatures
import Testing

@testable import gatepost_lab

@Suite("The lab's OpenID Provider, told to misbehave")
struct OpenIDFaultTests {
    let fixture: LabFixture
    init() throws { fixture = try LabFixture() }

    private func token(_ fault: String) throws -> (header: JSONValue, payload: JSONValue, text: String) {
        try fixture.fault(fixture.openid, fault)
        let body = try JSONValue(parsing: try fixture.redeem(try fixture.code()).body)
        let text = try #require(body["id_token"]?.string)
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        return (
            try JSONValue(parsing: try #require(Base64URL.decode(parts[0]))),
            try JSONValue(parsing: try #require(Base64URL.decode(parts[1]))), text
        )
    }

    @Test(
        "each fault of the id_token spoils exactly its own claim",
        arguments: [
            ("wrong-aud", "aud", "somebody-else"), ("empty-aud", "aud", []),
            ("aud-list", "aud", ["gatepost"]),
            ("wrong-iss", "iss", "https://evil.example"), ("wrong-azp", "azp", "somebody-else"),
            ("expired", "exp", .integer(LabFixture.startSeconds - 3600)),
            ("future-iat", "iat", .integer(LabFixture.startSeconds + 3600)), ("no-email", "email", nil),
            ("unverified-email", "email_verified", false), ("no-nonce", "nonce", nil),
        ] as [(String, String, JSONValue?)])
    func spoiledClaim(_ fault: String, _ name: String, _ value: JSONValue?) throws {
        let token = try token(fault)
        #expect(token.payload[name] == value)
        #expect(try JWS(compact: token.text).verify(with: signer()))
    }

    @Test("a wrong nonce is another one")
    func wrongNonce() throws { #expect(try token("wrong-nonce").payload["nonce"] != "nonce-1") }

    @Test("unsigned, symmetric, foreign and unnamed signatures are what they say")
    func signatures() throws {
        #expect(try token("unsigned").header["alg"] == "none")
        try fixture.fault(fixture.openid, "none")
        #expect(try token("hs256-public-key").header["alg"] == "HS256")
        try fixture.fault(fixture.openid, "none")
        #expect(try JWS(compact: try token("bad-signature").text).verify(with: signer()) == false)
        try fixture.fault(fixture.openid, "none")
        #expect(try token("no-kid").header["kid"] == nil)
        try fixture.fault(fixture.openid, "none")
        #expect(try token("unknown-kid").header["kid"] == "a-key-nobody-knows")
    }

    private func signer() throws -> VerificationKey {
        let keys = try JWKSet(parsing: try fixture.openid.send("GET", "/keys").body).keys
        return try #require(keys.first)
    }

    @Test("rotate-keys replaces the signing key at once and without overlap")
    func rotation() throws {
        let before = try signer().thumbprint
        try fixture.fault(fixture.openid, "rotate-keys")
        #expect(try signer().thumbprint != before)
    }

    @Test("a fault with a count happens that often and no more")
    func counted() throws {
        try fixture.fault(fixture.openid, "empty-400", count: 2)
        for _ in 0..<2 {
            let answer = try fixture.redeem("any")
            #expect(answer.status == 400)
            #expect(answer.body.isEmpty)
        }
        #expect(try fixture.redeem(try fixture.code()).status == 200)
    }

    @Test("an unknown fault is refused with the list of all there are, and changes nothing")
    func unknownFault() throws {
        let answer = try fixture.openid.send(
            "POST", "/lab/faults", body: Array("{\"name\":\"nonsense\"}".utf8))
        #expect(answer.status == 400)
        let known = try JSONValue(parsing: answer.body)["known"]?.array?.count
        #expect(known == OpenIDFault.allCases.count)
        #expect(try fixture.redeem(try fixture.code()).status == 200)
    }

    @Test("the token endpoint can lie about its format")
    func formats() throws {
        try fixture.fault(fixture.openid, "html-error", count: 1)
        #expect(String(decoding: try fixture.redeem("x").body, as: UTF8.self).hasPrefix("<!doctype html>"))
        try fixture.fault(fixture.openid, "malformed-json", count: 1)
        let answer = try fixture.redeem("x")
        #expect(answer.status == 200)
        #expect(throws: JSONError.self) { try JSONValue(parsing: answer.body) }
    }

    @Test("down answers nothing, but can still be switched off")
    func down() throws {
        try fixture.fault(fixture.openid, "down")
        #expect(throws: StreamError.self) { try fixture.openid.send("GET", "/keys") }
        try fixture.fault(fixture.openid, "none")
        #expect(try fixture.openid.send("GET", "/keys").status == 200)
    }

    @Test("the authorization response can lose or change state and issuer")
    func authorizationResponse() throws {
        try fixture.fault(fixture.openid, "state-stripped", count: 1)
        #expect(LabFixture.location(try fixture.signIn())?["state"] == nil)
        try fixture.fault(fixture.openid, "wrong-iss-parameter", count: 1)
        #expect(LabFixture.location(try fixture.signIn())?["iss"] == "https://evil.example")
        try fixture.fault(fixture.openid, "access-denied", count: 1)
        #expect(LabFixture.location(try fixture.signIn())?["error"] == "access_denied")
    }
}
