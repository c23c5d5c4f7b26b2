import JSON
import Signatures
import Testing

@Suite("Taking a token apart")
struct JWSTests {
    static let refusedHeaders: [String] = [
        "", "{}", "[]", "null", "\"alg\"", "{\"alg\":null}", "{\"alg\":1}", "{\"alg\":[\"ES256\"]}",
        "{\"alg\":\"none\"}", "{\"alg\":\"None\"}", "{\"alg\":\"nOnE\"}", "{\"alg\":\"\"}",
        "{\"alg\":\"es256\"}",
        "{\"alg\":\"ES256 \"}", "{\"alg\":\"HS256\"}", "{\"alg\":\"HS512\"}", "{\"alg\":\"ES256K\"}",
        "{\"alg\":\"RS1\"}", "{\"alg\":\"RSA-OAEP\"}",
        "{\"alg\":\"ES256\",\"alg\":\"ES256\"}", "{\"alg\":\"ES256\",\"\\u0061lg\":\"none\"}",
        "{\"alg\":\"ES256\",\"crit\":[\"exp\"]}", "{\"alg\":\"ES256\",\"crit\":[]}",
        "{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}", "{\"alg\":\"ES256\",\"b64\":true}",
        "{\"alg\":\"ES256\",\"b64\":false}", "{\"alg\":\"ES256\",\"crit\":null}",
        "{\"alg\":\"ES256\",\"kid\":1}",
        "{\"alg\":\"ES256\"} x", "\u{FEFF}{\"alg\":\"ES256\"}", "{\"Alg\":\"ES256\"}",
    ]

    @Test(arguments: refusedHeaders)
    func `a header is refused even when the signature over it is right`(header: String) {
        #expect(throws: SignatureError.self) {
            try JWS(compact: signed(header: header, with: .generateP256()))
        }
    }

    @Test func `none and HMAC with the public key as secret have no way in`() throws {
        let key = SigningKey.generateP256()
        let none = Base64URL.encode(Array("{\"alg\":\"none\"}".utf8)) + ".e30."
        #expect(throws: SignatureError.self) { try JWS(compact: none) }
        let input = Base64URL.encode(Array("{\"alg\":\"HS256\"}".utf8)) + ".e30"
        for secret in [key.publicKey.jwk.serialized(), Array(key.publicKey.thumbprint.utf8)] {
            let forged = input + "." + Base64URL.encode(Digest.hmacSHA256(key: secret, Array(input.utf8)))
            #expect(throws: SignatureError.self) { try JWS(compact: forged) }
        }
    }

    @Test func `a key of the right kind under another algorithm verifies nothing`() throws {
        let rows = try #require(try VectorFile.load("jose.json")["accepted"]?.array)
        let row = try #require(rows.first { $0["alg"] == "RS256" })
        let pem = Array(try #require(row["public_key_pem"]?.string).utf8)
        let jws = try JWS(compact: #require(row["token"]?.string))
        for algorithm in [SignatureAlgorithm.rs384, .rs512, .ps256] {
            #expect(!jws.verify(with: try VerificationKey(pem: pem, algorithm: algorithm)))
        }
        #expect(throws: SignatureError.self) { try VerificationKey(pem: pem, algorithm: .es256) }
        #expect(throws: SignatureError.self) { try VerificationKey(pem: pem, algorithm: .eddsa) }
    }

    static let refusedShapes: [String] = [
        "", ".", "..", "...", "a.b", "e30.e30", "e30.e30.AAAA.AAAA", ".e30.AAAA", "e30..", "e30.e30.",
        "eyJhbGciOiJFUzI1NiJ9.e30.", "eyJhbGciOiJFUzI1NiJ9.e30.AA==", "eyJhbGciOiJFUzI1NiJ9.e30=.AAAA",
        "eyJhbGciOiJFUzI1NiJ9.e30.AAA+", " eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA\n",
        "eyJhbGciOiJFUzI1NiJ9.e30.AB", "eyJhbGciOiJFUzI1NiJ9.e31.AAAA",
        "eyJhbGciOiJFUzI1NiJ9\u{3002}e30.AAAA",
        "{\"payload\":\"e30\",\"signatures\":[]}",
    ]

    @Test(arguments: refusedShapes) func `anything but three parts of strict base64url is refused`(
        text: String
    ) {
        #expect(throws: SignatureError.self) { try JWS(compact: text) }
    }

    @Test func `a token is accepted exactly at the length bound and refused one past it`() throws {
        let text = token(header: "{\"alg\":\"ES256\"}")
        _ = try JWS(compact: text, bytesMax: text.utf8.count)
        #expect(throws: SignatureError.self) { try JWS(compact: text, bytesMax: text.utf8.count - 1) }
        #expect(throws: SignatureError.self) {
            try JWS(
                compact: token(header: "{\"alg\":\"ES256\"}", payload: String(repeating: "a", count: 16_384)))
        }
    }

    @Test func `every strict prefix and every single changed character of a good token fails`() throws {
        let key = SigningKey.generateP256()
        let text = JWS.sign(header: ["typ": "JWT"], payload: ["sub": "p", "n": 1], with: key)
        #expect(try JWS(compact: text).verify(with: key.publicKey))
        let bytes = Array(text.utf8)
        for count in 0..<bytes.count { #expect(!verifies(bytes[..<count], key), "\(count) bytes") }
        for index in bytes.indices {
            for byte in [UInt8(ascii: "A"), UInt8(ascii: "."), UInt8(ascii: "="), bytes[index] ^ 1] {
                var changed = bytes
                guard changed[index] != byte else { continue }
                changed[index] = byte
                #expect(!verifies(changed[...], key), "byte \(index)")
            }
        }
    }

    private func verifies(_ bytes: ArraySlice<UInt8>, _ key: SigningKey) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self)
        return (try? JWS(compact: text))?.verify(with: key.publicKey) ?? false
    }

    @Test func `a DER signature is refused where r and s are expected`() throws {
        // 0x30 0x44/45/46 … as OpenSSL makes it: of another length than 64, or exactly 64 and still not r and
        // s.
        let key = SigningKey.generateP256()
        let raw = key.sign([1])
        func integer(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
            let digits = Array(bytes.drop { $0 == 0 })
            let padded = digits.first.map { $0 > 0x7F } == true ? [0] + digits : digits
            return [0x02, UInt8(padded.count)] + padded
        }
        let body = integer(raw[..<32]) + integer(raw[32...])
        #expect(!key.publicKey.verify([0x30, UInt8(body.count)] + body, over: [1]))
        #expect(!key.publicKey.verify([UInt8](repeating: 0, count: 64), over: [1]))
        #expect(!key.publicKey.verify([], over: [1]))
        #expect(key.publicKey.verify(raw, over: [1]))
    }

    @Test func `signing names the key's algorithm whatever the caller wrote`() throws {
        let key = SigningKey.generateP256()
        let jws = try JWS(
            compact: JWS.sign(header: ["alg": "none", "typ": "JWT"], payload: ["a": 1], with: key))
        #expect(jws.header == ["alg": "ES256", "typ": "JWT"])
        #expect(try jws.payloadObject == ["a": 1])
        #expect(!jws.verify(with: SigningKey.generateP256().publicKey))
    }

    @Test(arguments: ["", "[]", "1", "{\"a\":1,\"a\":2}", "{\"a\":1} ", "{\"a\":[[[[[[[[1]]]]]]]]}"])
    func `claims are one object without doubled members, at most 8 deep`(payload: String) throws {
        let jws = try JWS(
            compact: signed(header: "{\"alg\":\"ES256\"}", payload: payload, with: .generateP256()))
        if payload == "{\"a\":1} " {
            #expect(try jws.payloadObject == ["a": 1])
        } else {
            #expect(throws: SignatureError.self) { try jws.payloadObject }
        }
    }
}
