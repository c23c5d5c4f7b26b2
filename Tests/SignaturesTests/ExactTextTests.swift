import JSON
import Signatures
import Testing

@Suite("Key names and registry words have one spelling")
struct ExactTextTests {
    static let composed = "cl\u{e9}"
    static let decomposed = "cle\u{301}"

    static func jwk(_ change: (inout JSONObject) -> Void = { _ in }) -> JSONObject {
        var jwk = SigningKey.generateP256().publicKey.jwk
        change(&jwk)
        return jwk
    }

    @Test func `a token's kid finds the key of exactly that name`() throws {
        let key = try VerificationKey(jwk: Self.jwk { $0["kid"] = .string(Self.composed) })
        let set = JWKSet(keys: [key])
        #expect(set.candidates(keyID: Self.composed, algorithm: .es256).count == 1)
        #expect(set.candidates(keyID: Self.decomposed, algorithm: .es256).isEmpty)
    }

    @Test func `kty, crv and coordinates with a look-alike letter are refused`() throws {
        let words = [("kty", "O\u{212a}P"), ("crv", "P\u{2010}256"), ("x", "\u{212a}AAA")]
        for (name, text) in words {
            let jwk = Self.jwk { $0[name] = .string(text) }
            #expect(throws: SignatureError.self, "\(name)") { try VerificationKey(jwk: jwk) }
        }
        var ed25519 = JSONObject([("kty", "OKP"), ("crv", "Ed25519")])
        ed25519["x"] = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        #expect(throws: Never.self) { try VerificationKey(jwk: ed25519) }
        ed25519["kty"] = "O\u{212a}P"
        #expect(throws: SignatureError.self) { try VerificationKey(jwk: ed25519) }
    }

    @Test func `typ and claims of a token are compared by code points`() throws {
        let key = SigningKey.generateP256()
        let token = JWS.sign(
            header: JSONObject([("typ", .string(Self.composed))]),
            payload: JSONObject([("aud", .string(Self.composed))]), with: key)
        let parsed = try JWS(compact: token)
        #expect(parsed.header["typ"] != .string(Self.decomposed))
        #expect(try parsed.payloadObject["aud"] != .string(Self.decomposed))
        #expect(try parsed.payloadObject["aud"] == .string(Self.composed))
    }
}
