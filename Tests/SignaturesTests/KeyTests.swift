import JSON
import Signatures
import Testing

@Suite("Public keys")
struct KeyTests {
    static let good: JSONObject = [
        "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    ]

    static func changed(_ members: JSONObject) -> JSONObject {
        var jwk = good
        for member in members.members { jwk[member.name] = member.value }
        return jwk
    }

    static let refused: [(String, JSONObject)] = [
        ("nothing", [:]),
        ("a symmetric key", ["kty": "oct", "k": "AAAA"]),
        ("no curve", ["kty": "EC", "x": "AA", "y": "AA"]),
        ("another curve", changed(["crv": "P-384"])),
        ("Bitcoin's curve", changed(["crv": "secp256k1"])),
        (
            "a point beside the curve",
            changed(["y": .string("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1".replacingLast())])
        ),
        ("x and y swapped", changed(["x": good["y"] ?? nil, "y": good["x"] ?? nil])),
        ("the point zero", changed(["x": .string(zeros(32)), "y": .string(zeros(32))])),
        ("a short coordinate", changed(["x": .string(zeros(31))])),
        ("a long coordinate", changed(["x": .string(zeros(33))])),
        ("padding", changed(["x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU="])),
        ("for encryption", changed(["use": "enc"])),
        ("use is no text", changed(["use": 1])),
        ("key_ops without verify", changed(["key_ops": ["sign"]])),
        ("key_ops is no list", changed(["key_ops": "verify"])),
        ("an algorithm of another kind", changed(["alg": "RS256"])),
        ("an algorithm of another curve", changed(["alg": "ES384"])),
        ("an encryption algorithm", changed(["alg": "ECDH-ES"])),
        ("HMAC", changed(["alg": "HS256"])),
        ("a private member", changed(["d": "AAAA"])),
        ("kid is no text", changed(["kid": 7])),
        ("X25519", ["kty": "OKP", "crv": "X25519", "x": .string(zeros(32))]),
        ("Ed25519 of 31 bytes", ["kty": "OKP", "crv": "Ed25519", "x": .string(zeros(31))]),
        ("Ed25519, y = 0", ["kty": "OKP", "crv": "Ed25519", "x": .string(zeros(32))]),
        (
            "Ed25519, the neutral point",
            ["kty": "OKP", "crv": "Ed25519", "x": .string(Base64URL.encode([1] + zeroBytes(31)))]
        ),
        ("RSA of 2040 bits", rsa(bits: 2040, exponent: [1, 0, 1])),
        ("RSA of 2047 bits", rsa(bits: 2047, exponent: [1, 0, 1])),
        ("RSA of 8193 bits", rsa(bits: 8193, exponent: [1, 0, 1])),
        ("RSA, exponent 1", rsa(bits: 2048, exponent: [1])),
        ("RSA, even exponent", rsa(bits: 2048, exponent: [1, 0, 0])),
        ("RSA, empty exponent", rsa(bits: 2048, exponent: [])),
        ("RSA, exponent of 9 bytes", rsa(bits: 2048, exponent: [UInt8](repeating: 1, count: 9))),
        ("RSA, zero byte before the exponent", rsa(bits: 2048, exponent: [0, 1, 0, 1])),
        ("RSA, zero byte before the modulus", rsa(bits: 2048, exponent: [1, 0, 1], prefix: [0])),
    ]

    static func zeroBytes(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
    static func zeros(_ count: Int) -> String { Base64URL.encode(zeroBytes(count)) }

    static func rsa(bits: Int, exponent: [UInt8], prefix: [UInt8] = []) -> JSONObject {
        var modulus = [UInt8](repeating: 0xFF, count: (bits + 7) / 8)
        modulus[0] = 0xFF >> UInt8((8 - bits % 8) % 8)
        return [
            "kty": "RSA", "n": .string(Base64URL.encode(prefix + modulus)),
            "e": .string(Base64URL.encode(exponent)),
        ]
    }

    @Test(arguments: refused.indices) func `a JWK is refused`(row: Int) {
        let (title, jwk) = Self.refused[row]
        #expect(throws: SignatureError.self, "\(title)") { try VerificationKey(jwk: jwk) }
    }

    @Test(arguments: [2048, 2049, 8192]) func `RSA keys are accepted from 2048 to 8192 bits`(bits: Int) throws
    {
        #expect(try VerificationKey(jwk: Self.rsa(bits: bits, exponent: [3])).algorithm == .rs256)
    }

    @Test func `uses that allow verifying are accepted`() throws {
        for members: JSONObject in [
            [:], ["use": "sig"], ["key_ops": ["verify"]], ["alg": "ES256"],
            ["kid": "x", "x5t": "AA", "ext": true],
        ] {
            #expect(try VerificationKey(jwk: Self.changed(members)).algorithm == .es256)
        }
    }

    @Test(arguments: [
        "", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "-----BEGIN CERTIFICATE-----\n",
    ])
    func `PEM text without a key is refused`(text: String) {
        #expect(throws: SignatureError.self) { try VerificationKey(pem: Array(text.utf8)) }
        #expect(throws: SignatureError.self) { try SigningKey(pem: Array(text.utf8)) }
    }

    @Test func `PEM text beyond 64 KiB is refused`() {
        let key = SigningKey.generateP256()
        #expect(throws: SignatureError.self) {
            try SigningKey(pem: key.pem + [UInt8](repeating: 0x0A, count: 65_536))
        }
    }

    @Test func `a private key survives PEM, and is no public key`() throws {
        let key = SigningKey.generateP256()
        let again = try SigningKey(pem: key.pem)
        #expect(again.publicKey.thumbprint == key.publicKey.thumbprint)
        #expect(key.publicKey.verify(again.sign([1, 2]), over: [1, 2]))
        #expect(throws: SignatureError.self) { try VerificationKey(pem: key.pem) }
        #expect(SigningKey.generateP256().publicKey.thumbprint != key.publicKey.thumbprint)
    }

    @Test func `one key signs and verifies on many threads at once`() async {
        let key = SigningKey.generateP256()
        await withTaskGroup(of: Bool.self) { group in
            for worker in 0..<8 as Range<UInt8> {
                group.addTask {
                    (0..<50 as Range<UInt8>).allSatisfy { round in
                        let bytes = [worker, round]
                        return key.publicKey.verify(key.sign(bytes), over: bytes)
                            && !key.publicKey.verify(key.sign(bytes), over: [round, worker, 0])
                    }
                }
            }
            for await isRight in group { #expect(isRight) }
        }
    }

    @Test func `the published JWK has the public members only`() {
        let jwk = SigningKey.generateP256().publicKey.jwk
        #expect(jwk.names == ["kty", "crv", "x", "y", "use", "alg"])
    }

    @Test func `a set skips what it cannot use and says why`() throws {
        let set: JSONValue = [
            "keys": [
                .object(Self.changed(["kid": "a"])), .object(Self.changed(["kid": "b", "use": "enc"])),
                ["kty": "oct", "k": "AAAA"], 7, .object(Self.changed(["kid": "c"])), ["kty": "PQ"],
            ]
        ]
        let keys = try JWKSet(parsing: set.serialized())
        #expect(keys.keys.map(\.keyID) == ["a", "c"])
        #expect(keys.skipped.count == 4)
        #expect(keys.candidates(keyID: "c", algorithm: .es256).count == 1)
        #expect(keys.candidates(keyID: nil, algorithm: .es256).count == 2)
        #expect(keys.candidates(keyID: "d", algorithm: .es256).isEmpty)
        #expect(keys.candidates(keyID: "c", algorithm: .rs256).isEmpty)
    }

    @Test func `a set has at most 64 keys`() throws {
        func set(_ count: Int) -> [UInt8] {
            JSONValue.object(["keys": .array([JSONValue](repeating: .object(Self.good), count: count))])
                .serialized()
        }
        #expect(try JWKSet(parsing: set(64)).keys.count == 64)
        #expect(throws: SignatureError.self) { try JWKSet(parsing: set(65)) }
    }

    @Test(arguments: ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":null}", "{\"keys\":[],\"keys\":[]}"])
    func `what is no set is refused`(text: String) {
        #expect(throws: SignatureError.self) { try JWKSet(parsing: Array(text.utf8)) }
    }
}

extension String {
    /// The same coordinate with its last byte changed, still strict base64url.
    fileprivate func replacingLast() -> String {
        var bytes = Base64URL.decode(String(dropLast()) + "0") ?? []
        if !bytes.isEmpty { bytes[bytes.count - 1] ^= 1 }
        return Base64URL.encode(bytes)
    }
}
