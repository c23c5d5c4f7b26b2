import JSON
import Signatures
import Testing

@Suite("Vectors of the JOSE documents")
struct RFCVectorTests {
    static let joe =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

    @Test func `RFC 7515 A_2: RS256`() throws {
        let key = try VerificationKey(jwk: [
            "kty": "RSA", "e": "AQAB",
            "n": """
            ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4Ql\
            L-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUs\
            LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoud\
            F8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ
            """,
        ])
        let jws = try JWS(
            compact: "eyJhbGciOiJSUzI1NiJ9." + Self.joe + """
                .cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5juj\
                Gbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7\
                K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np\
                6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw
                """)
        #expect(key.algorithm == .rs256)
        #expect(jws.verify(with: key))
        #expect(
            try jws.payloadObject == ["iss": "joe", "exp": 1_300_819_380, "http://example.com/is_root": true])
    }

    @Test func `RFC 7515 A_3: ES256`() throws {
        let key = try VerificationKey(jwk: [
            "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        ])
        let jws = try JWS(
            compact: "eyJhbGciOiJFUzI1NiJ9." + Self.joe
                + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
        #expect(jws.verify(with: key))
        #expect(jws.algorithm == .es256)
        #expect(jws.keyID == nil)
    }

    @Test func `RFC 8037 A_2 to A_4: Ed25519 and its thumbprint`() throws {
        let key = try VerificationKey(jwk: [
            "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        ])
        let jws = try JWS(
            compact: "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
                + "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
        #expect(jws.verify(with: key))
        #expect(String(decoding: jws.payload, as: UTF8.self) == "Example of Ed25519 signing")
        #expect(key.thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
        #expect(throws: SignatureError.self) { try jws.payloadObject }
    }

    @Test func `RFC 7638 3_1: thumbprint of an RSA key, whatever else stands in the JWK`() throws {
        let key = try VerificationKey(jwk: [
            "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
            "n": """
            0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWK\
            RXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMic\
            AtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3\
            XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw
            """,
        ])
        #expect(key.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
        #expect(key.keyID == "2011-04-29")
    }
}

@Suite("Tokens that another implementation made")
struct CrossImplementationTests {
    @Test func `every algorithm is verified, from JWK and from PEM, and only by its own key`() throws {
        let rows = try #require(try VectorFile.load("jose.json")["accepted"]?.array)
        #expect(
            Set(rows.compactMap { $0["alg"]?.string }) == Set(SignatureAlgorithm.allCases.map(\.rawValue)))
        let keys = try rows.map { try VerificationKey(jwk: #require($0["jwk"]?.object)) }
        for (row, key) in zip(rows, keys) {
            let jws = try JWS(compact: #require(row["token"]?.string))
            #expect(jws.verify(with: key))
            #expect(jws.keyID == key.keyID)
            #expect(key.thumbprint == row["thumbprint"]?.string)
            let pem = try #require(row["public_key_pem"]?.string)
            let fromPEM = try VerificationKey(pem: Array(pem.utf8), algorithm: key.algorithm)
            #expect(jws.verify(with: fromPEM))
            #expect(fromPEM.thumbprint == key.thumbprint)
            #expect(try VerificationKey(jwk: key.jwk).thumbprint == key.thumbprint)
            for other in keys where other !== key { #expect(!jws.verify(with: other), "\(other.algorithm)") }
        }
    }

    @Test func `every changed byte of the signed part or of the signature makes it wrong`() throws {
        for row in try #require(try VectorFile.load("jose.json")["accepted"]?.array) {
            let key = try VerificationKey(jwk: #require(row["jwk"]?.object))
            let jws = try JWS(compact: #require(row["token"]?.string))
            for index in jws.signature.indices {
                var signature = jws.signature
                signature[index] ^= 1
                #expect(!key.verify(signature, over: jws.signingInput))
            }
            for index in stride(from: 0, to: jws.signingInput.count, by: 7) {
                var input = jws.signingInput
                input[index] ^= 1
                #expect(!key.verify(jws.signature, over: input))
            }
            for length in 0..<jws.signature.count {
                #expect(!key.verify(Array(jws.signature[..<length]), over: jws.signingInput))
            }
            #expect(!key.verify(jws.signature + [0], over: jws.signingInput))
            #expect(!key.verify([0] + jws.signature, over: jws.signingInput))
        }
    }

    @Test func `numbers of a signature that start with zero bytes keep their width`() throws {
        for row in try #require(try VectorFile.load("jose.json")["short_signatures"]?.array) {
            let key = try VerificationKey(jwk: #require(row["jwk"]?.object))
            #expect(try JWS(compact: #require(row["token"]?.string)).verify(with: key))
        }
        let own = SigningKey.generateP256()
        for number in 0..<600 {
            let signature = own.sign([UInt8(number & 255)])
            #expect(signature.count == 64)
            #expect(own.publicKey.verify(signature, over: [UInt8(number & 255)]))
        }
    }

    @Test func `weak and unsupported keys of other implementations are refused`() throws {
        let file = try VectorFile.load("jose.json")
        for name in ["weak_rsa", "p521"] {
            let jwk = try #require(file[name]?.object)
            #expect(throws: SignatureError.self, "\(name)") { try VerificationKey(jwk: jwk) }
        }
    }
}
