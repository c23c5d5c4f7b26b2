import Access
import JSON
import Signatures
import Testing

@testable import Posture

@Suite("What is wrong with a management server's statement is named, in mode stmt")
struct StatementFaultTests {
    static func statement(_ name: String, _ expected: Reason, _ member: String, _ value: JSONValue?) -> Fault
    {
        Fault("statement: " + name, expected) { answer, _ in answer.statement = { $0[member] = value } }
    }

    static let now = ModeSetting.now

    static let faults: [Fault] = [
        Fault("statement: typ of a plain JWT", .signatureInvalid) { answer, _ in
            answer.statementHeader = { $0["typ"] = "JWT" }
        },
        Fault("statement: typ of an answer", .signatureInvalid) { answer, _ in
            answer.statementHeader = { $0["typ"] = "posture+jwt" }
        },
        Fault("statement: brings a certificate", .signatureInvalid) { answer, _ in
            answer.statementHeader = { $0["x5c"] = ["AAAA"] }
        },
        Fault("statement: brings its key", .signatureInvalid) { answer, setting in
            let jwk = JSONValue.object(setting.management.publicKey.jwk)
            answer.statementHeader = { $0["jwk"] = jwk }
        },
        Fault("statement: signed by somebody", .certificateUntrusted) { answer, _ in
            answer.statementSigner = SigningKey.generateP256()
        },
        Fault("statement: signed by the device itself", .certificateUntrusted) { answer, setting in
            answer.statementSigner = setting.key
        },
        Fault("statement: alg none", .signatureInvalid) { answer, setting in
            let key = setting.management
            answer.statementText = {
                Fault.resigned($0, with: key) { $0.replacing("\"ES256\"", with: "\"none\"") }
            }
        },
        Fault("statement: alg HS256", .signatureInvalid) { answer, setting in
            let key = setting.management
            answer.statementText = {
                Fault.resigned($0, with: key) { $0.replacing("\"ES256\"", with: "\"HS256\"") }
            }
        },
        Fault("statement: alg of another kind of key", .certificateUntrusted) { answer, setting in
            let key = setting.management
            answer.statementText = {
                Fault.resigned($0, with: key) { $0.replacing("\"ES256\"", with: "\"RS256\"") }
            }
        },
        Fault("statement: one byte of it changed", .certificateUntrusted) { answer, _ in
            answer.statementText = { String($0.dropLast(3)) + "AAA" }
        },
        Fault("statement: no token at all", .signatureInvalid) { answer, _ in
            answer.statementText = { _ in "x" }
        },
        Fault("statement: one byte more than 8 KiB", .answerTooLarge) { answer, _ in
            answer.statementText = { $0 + String(repeating: "A", count: 8_193 - $0.utf8.count) }
        },
        statement("another issuer", .certificateUntrusted, "iss", "https://management.corp.example/"),
        statement("no issuer", .certificateUntrusted, "iss", nil),
        statement("another tenant", .certificateUntrusted, "tenant", "corp2"),
        statement("no tenant", .certificateUntrusted, "tenant", nil),
        statement("made 121 s ahead", .clockSkew, "iat", .integer(now + 121)),
        statement("no iat", .statementInvalid, "iat", nil),
        statement("no exp", .statementInvalid, "exp", nil),
        statement("exp as text", .statementInvalid, "exp", "1900003600"),
        statement("ended this second", .statementExpired, "exp", .integer(now)),
        statement("a life of a day and a second", .statementInvalid, "exp", .integer(now - 60 + 86_401)),
        statement("a life of nothing", .statementInvalid, "exp", .integer(now - 60)),
        statement("not managed", .deviceNotManaged, "managed", false),
        statement("managed as text", .statementInvalid, "managed", "true"),
        statement("managed as number", .statementInvalid, "managed", 1),
        statement("nothing about managed", .statementInvalid, "managed", nil),
        statement("last seen a second too long ago", .lastSeenStale, "last_seen", .integer(now - 604_801)),
        statement("last seen 121 s ahead", .lastSeenStale, "last_seen", .integer(now + 121)),
        statement("last seen before 1970", .statementInvalid, "last_seen", -1),
        statement("never seen", .statementInvalid, "last_seen", nil),
        statement("no key", .statementInvalid, "cnf", nil),
        statement("an empty cnf", .statementInvalid, "cnf", [:]),
        statement("a short thumbprint", .statementInvalid, "cnf", ["jkt": "AAAA"]),
        statement("a symmetric key", .statementInvalid, "cnf", ["jwk": ["kty": "oct", "k": "AAAA"]]),
        statement("another device", .signatureInvalid, "sub", "d2"),
        statement("a device name with a colon", .statementInvalid, "sub", "a:b"),
        statement(
            "a device name of 65 characters", .statementInvalid, "sub",
            .string(String(repeating: "d", count: 65))),
        statement("half an owner", .statementInvalid, "owner", ["iss": "https://idp.example"]),
        statement(
            "two kinds of owner", .statementInvalid, "owner",
            ["iss": "https://idp.example", "sub": "ada", "email": "ada@corp.example"]),
        statement(
            "another owner", .deviceOwnerMismatch, "owner",
            ["iss": "https://idp.example", "sub": "bob"]),
        statement(
            "an owner of another issuer", .deviceOwnerMismatch, "owner",
            ["iss": "https://idp2.example", "sub": "ada"]),
        statement(
            "an owner of another address", .deviceOwnerMismatch, "owner",
            ["email": "bob@corp.example"]),
        statement("nobody's device", .deviceOwnerMismatch, "owner", nil),
        Fault("statement: another key", .signatureInvalid) { answer, _ in
            let jwk = JSONValue.object(SigningKey.generateP256().publicKey.jwk)
            answer.statement = { $0["cnf"] = ["jwk": jwk] }
        },
        Fault("statement: a thumbprint, and the answer brings no key", .signatureInvalid) { answer, setting in
            let thumbprint = setting.key.publicKey.thumbprint
            answer.statement = { $0["cnf"] = ["jkt": .string(thumbprint)] }
        },
        Fault("statement: a thumbprint, and the answer brings another key", .signatureInvalid) {
            answer, setting in
            let thumbprint = setting.key.publicKey.thumbprint
            let other = SigningKey.generateP256()
            answer.statement = { $0["cnf"] = ["jkt": .string(thumbprint)] }
            answer.header = { $0["jwk"] = .object(other.publicKey.jwk) }
            answer.signer = other
        },
        Fault("statement: a key, and the answer brings it as well", .signatureInvalid) { answer, setting in
            let jwk = JSONValue.object(setting.key.publicKey.jwk)
            answer.header = { $0["jwk"] = jwk }
        },
        Fault("statement: a certificate beside it", .statementInvalid) { answer, setting in
            let leaf = JSONValue.string(Base64.encode(try setting.leaf()))
            answer.header = { $0["x5c"] = [leaf] }
        },
        Fault("statement: a private key in it", .statementInvalid) { answer, setting in
            var jwk = setting.key.publicKey.jwk
            jwk["d"] = "AAAA"
            let value = JSONValue.object(jwk)
            answer.statement = { $0["cnf"] = ["jwk": value] }
        },
        Fault("statement: a device key on another curve", .statementInvalid) { answer, _ in
            let jwk = JSONValue.object(try OpenSSLKeys.p384.get().publicKey.jwk)
            answer.statement = { $0["cnf"] = ["jwk": jwk] }
        },
        Fault("statement: a device key of RSA", .statementInvalid) { answer, _ in
            let jwk = JSONValue.object(try OpenSSLKeys.rsa.get().publicKey.jwk)
            answer.statement = { $0["cnf"] = ["jwk": jwk] }
        },
    ]

    @Test("004.10 faults of the statement (handshake.md 4.1)", arguments: faults)
    func fault(_ fault: Fault) async throws {
        #expect(try await HandshakeFaultTests.refusal(fault, isStated: true) == fault.expected)
    }

    /// What is wrong with the answer itself is wrong beside a statement, too. Only the last contact is the server's
    /// word there, and not the agent's.
    static let ofAnswers = HandshakeFaultTests.claims.filter { $0.name != "last seen a second too long ago" }

    @Test("004.10 faults of the answer count in mode stmt as well", arguments: ofAnswers)
    func answer(_ fault: Fault) async throws {
        #expect(try await HandshakeFaultTests.refusal(fault, isStated: true) == fault.expected)
    }
}
