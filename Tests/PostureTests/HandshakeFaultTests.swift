import Access
import JSON
import Signatures
import Store
import Testing

@testable import Posture

/// One thing that is wrong with an otherwise good answer.
struct Fault: Sendable, CustomTestStringConvertible {
    var name: String
    var expected: Reason
    var change: @Sendable (inout ModeSetting.Answer, ModeSetting) throws -> Void

    init(
        _ name: String, _ expected: Reason,
        _ change: @escaping @Sendable (inout ModeSetting.Answer, ModeSetting) throws -> Void
    ) {
        self.name = name
        self.expected = expected
        self.change = change
    }

    var testDescription: String { name }

    static func header(_ name: String, _ expected: Reason, _ member: String, _ value: JSONValue?) -> Fault {
        Fault(name, expected) { answer, _ in answer.header = { $0[member] = value } }
    }

    static func payload(_ name: String, _ expected: Reason, _ member: String, _ value: JSONValue?) -> Fault {
        Fault(name, expected) { answer, _ in answer.payload = { $0[member] = value } }
    }

    /// The header is signed as it stands here, `alg` included: `JWS.sign` would write the key's own.
    static func rawHeader(_ name: String, _ expected: Reason, _ edit: @escaping @Sendable (String) -> String)
        -> Fault
    {
        Fault(name, expected) { answer, setting in
            let key = setting.key
            answer.assertion = { resigned($0, with: key, edit) }
        }
    }

    static func resigned(_ compact: String, with key: SigningKey, _ edit: (String) -> String) -> String {
        let parts = compact.split(separator: ".").map(String.init)
        let header = String(decoding: Base64URL.decode(parts[0]) ?? [], as: UTF8.self)
        let input = Base64URL.encode(Array(edit(header).utf8)) + "." + parts[1]
        return input + "." + Base64URL.encode(key.sign(Array(input.utf8)))
    }

    /// A text of three parts, one of them changed.
    static func part(_ name: String, _ expected: Reason, _ edit: @escaping @Sendable ([String]) -> [String])
        -> Fault
    {
        Fault(name, expected) { answer, _ in
            answer.assertion = { text in
                edit(text.split(separator: ".", omittingEmptySubsequences: false).map(String.init))
                    .joined(separator: ".")
            }
        }
    }
}

@Suite("What is wrong with an answer is named, one fault at a time, in mode x5c")
struct HandshakeFaultTests {
    static let jose: [Fault] = [
        .header("no typ", .signatureInvalid, "typ", nil),
        .header("typ of a plain JWT", .signatureInvalid, "typ", "JWT"),
        .header("typ of a renewal", .signatureInvalid, "typ", "renewal+jwt"),
        .header("typ in other letters", .signatureInvalid, "typ", "Posture+JWT"),
        .header("crit", .signatureInvalid, "crit", ["exp"]),
        .header("b64", .signatureInvalid, "b64", true),
        .header("a key address", .signatureInvalid, "jku", "https://evil.example/keys"),
        .header("a certificate address", .signatureInvalid, "x5u", "https://evil.example/c.pem"),
        Fault("its own key", .signatureInvalid) { answer, setting in
            let jwk = JSONValue.object(setting.key.publicKey.jwk)
            answer.header = { $0["jwk"] = jwk }
        },
        .rawHeader("alg none", .signatureInvalid) { $0.replacing("\"ES256\"", with: "\"none\"") },
        .rawHeader("alg HS256", .signatureInvalid) { $0.replacing("\"ES256\"", with: "\"HS256\"") },
        .rawHeader("alg ES384", .signatureInvalid) { $0.replacing("\"ES256\"", with: "\"ES384\"") },
        .rawHeader("alg RS256", .signatureInvalid) { $0.replacing("\"ES256\"", with: "\"RS256\"") },
        .rawHeader("alg of other letters", .signatureInvalid) {
            $0.replacing("\"ES256\"", with: "\"es256\"")
        },
        .rawHeader("alg twice", .signatureInvalid) { "{\"alg\":\"ES256\"," + $0.dropFirst() },
        .rawHeader("a header that is a list", .signatureInvalid) { "[" + $0 + "]" },
        .part("no signature", .signatureInvalid) { [$0[0], $0[1], ""] },
        .part("a signature of zeros", .signatureInvalid) {
            [$0[0], $0[1], String(repeating: "A", count: 86)]
        },
        .part("half a signature", .signatureInvalid) { [$0[0], $0[1], String($0[2].prefix(43))] },
        .part("a padded signature", .signatureInvalid) { [$0[0], $0[1], $0[2] + "=="] },
        .part("two parts", .statementInvalid) { [$0[0], $0[1]] },
        .part("four parts", .statementInvalid) { $0 + ["AA"] },
        .part("a payload that is no JSON", .statementInvalid) { [$0[0], "AAAA", $0[2]] },
        Fault("the signature of another key", .signatureInvalid) { answer, _ in
            answer.signer = SigningKey.generateP256()
        },
        Fault("the signature as DER", .signatureInvalid) { answer, _ in
            answer.assertion = { text in
                let parts = text.split(separator: ".").map(String.init)
                let raw = Base64URL.decode(parts[2]) ?? []
                let der = [0x30, 0x46, 0x02, 0x21, 0] + raw[..<32] + [0x02, 0x21, 0] + raw[32...]
                return parts[0] + "." + parts[1] + "." + Base64URL.encode(der)
            }
        },
        Fault("one byte more than 16 KiB", .answerTooLarge) { answer, _ in
            answer.assertion = { $0 + String(repeating: "A", count: 16_385 - $0.utf8.count) }
        },
    ]

    static let claims: [Fault] = [
        .payload("another device's name", .signatureInvalid, "sub", "d2"),
        .payload("the name in other letters", .signatureInvalid, "sub", "D1"),
        .payload(
            "another key's thumbprint", .signatureInvalid, "cnf",
            ["jkt": .string(String(repeating: "A", count: 43))]),
        .payload("another audience", .audienceMismatch, "aud", "https://other.example"),
        .payload("a list of audiences", .audienceMismatch, "aud", [.string(Setting.origin)]),
        .payload("iat as text", .statementInvalid, "iat", "1900000000"),
        .payload("iat below zero", .statementInvalid, "iat", -1),
        .payload("iat beyond 2^53", .statementInvalid, "iat", .integer(1 << 53 + 1)),
        .payload("iat 121 s behind", .clockSkew, "iat", .integer(ModeSetting.now - 121)),
        .payload("iat 121 s ahead", .clockSkew, "iat", .integer(ModeSetting.now + 121)),
        .payload("a life of 61 s", .statementInvalid, "exp", .integer(ModeSetting.now + 61)),
        .payload("a life of 0 s", .statementInvalid, "exp", .integer(ModeSetting.now)),
        .payload("an end before the beginning", .statementInvalid, "exp", .integer(ModeSetting.now - 1)),
        .payload(
            "a nonce of nobody", .nonceUnknown, "eat_nonce", .string(Base64URL.encode(Random.bytes(32)))),
        .payload(
            "a nonce of 31 bytes", .statementInvalid, "eat_nonce",
            .string(Base64URL.encode(Random.bytes(31)))),
        .payload("no nonce", .statementInvalid, "eat_nonce", nil),
        .payload(
            "another challenge's hash", .statementInvalid, "chh",
            .string(Base64URL.encode(Random.bytes(32)))),
        .payload("another origin", .originMismatch, "origin", "https://auth.corp.example.evil"),
        .payload("the origin with a slash", .originMismatch, "origin", "https://auth.corp.example/"),
        .payload("the origin over plain HTTP", .originMismatch, "origin", "http://auth.corp.example"),
        .payload("no origin where one is seen", .originMismatch, "origin", nil),
        .payload("a null origin where one is seen", .originMismatch, "origin", .null),
        .payload("a transport that nobody offers", .statementInvalid, "transport", "img"),
        .payload("protocol version 0", .statementInvalid, "version", 0),
        .payload("protocol version 2", .statementInvalid, "version", 2),
        .payload("a counter of zero", .statementInvalid, "counter", 0),
        .payload("a key level that is none", .statementInvalid, "key", "golden"),
        .payload("a posture that is a list", .statementInvalid, "posture", []),
        .payload("managed is false", .deviceNotManaged, "posture", ["managed": false]),
        .payload(
            "last seen a second too long ago", .lastSeenStale, "last_seen",
            .integer(ModeSetting.now - 604_801)),
        .payload("last seen 121 s ahead", .lastSeenStale, "last_seen", .integer(ModeSetting.now + 121)),
        .payload("an older agent", .agentOutdated, "swversion", "7.1.9"),
        Fault("another session", .sessionMismatch) { answer, _ in answer.session = "session-b" },
        Fault("another person", .deviceOwnerMismatch) { answer, _ in answer.subject = "bob" },
        Fault("a session that is bound to another device", .sessionMismatch) { answer, _ in
            answer.bound = "another"
        },
    ]

    static let missing = [
        "sub", "aud", "iat", "exp", "chh", "transport", "version", "cnf", "key", "counter",
        "swname", "swversion", "posture",
    ]

    static let x509: [Fault] = [
        certificate("no extended usage") { $0.extendedUsage = nil },
        certificate("the usage of web clients") { $0.extendedUsage = "clientAuth" },
        certificate("any extended usage") { $0.extendedUsage = "anyExtendedKeyUsage" },
        certificate("no key usage") { $0.usage = nil },
        certificate("a key for encryption") { $0.usage = "critical,keyEncipherment" },
        certificate("a key for certificates, too") { $0.usage = "critical,digitalSignature,keyCertSign" },
        certificate("an authority's") { $0.constraints = "critical,CA:TRUE" },
        certificate("no name") { $0.names = nil },
        certificate("a host's name") { $0.names = "DNS:d1" },
        certificate("another kind of URI") { $0.names = "URI:urn:machine:d1" },
        certificate("two device names") { $0.names = "URI:urn:device:d1,URI:urn:device:d2" },
        certificate("a device name with a slash") { $0.names = "URI:urn:device:d1/d2" },
        certificate("an empty device name") { $0.names = "URI:urn:device:" },
        Fault("ended this second", .certificateExpired) { answer, setting in
            answer.chain = [try made(setting, from: -7_200, until: 0)]
        },
        Fault("begins in a second", .certificateUntrusted) { answer, setting in
            answer.chain = [try made(setting, from: 1, until: 86_400)]
        },
        Fault("signed by itself", .certificateUntrusted) { answer, setting in
            let now = setting.clock.now
            answer.chain = [
                try CertificateBench.certificate(
                    for: setting.key, by: .init(key: setting.key, der: nil), from: now - 60, until: now + 60)
            ]
        },
        Fault("by an authority of the same name", .certificateUntrusted) { answer, setting in
            let now = setting.clock.now
            let key = SigningKey.generateP256()
            let other = try CertificateBench.authority(
                for: key, named: "Devices", by: .init(key: key, der: nil), from: now - 60, until: now + 60)
            answer.chain = [
                try CertificateBench.certificate(
                    for: setting.key, by: .init(key: key, der: other), from: now - 60, until: now + 60),
                other,
            ]
        },
        Fault("one bit of it changed", .certificateUntrusted) { answer, setting in
            var leaf = try setting.leaf()
            leaf[leaf.count - 20] ^= 1
            answer.chain = [leaf]
        },
        Fault("bytes behind it", .certificateUntrusted) { answer, setting in
            answer.chain = [try setting.leaf() + [0]]
        },
        Fault("no certificate in the list", .certificateUntrusted) { answer, _ in answer.chain = [] },
        Fault("five certificates", .certificateUntrusted) { answer, setting in
            answer.chain = Array(repeating: try setting.leaf(), count: 5)
        },
        Fault("more than 8 KiB of certificates", .certificateUntrusted) { answer, setting in
            let now = setting.clock.now
            let big = try CertificateBench.certificate(
                for: setting.key, by: .init(key: setting.key, der: nil), from: now, until: now + 60,
                .init(names: "URI:urn:x:" + String(repeating: "y", count: 7_600)))
            answer.chain = [try setting.leaf(), big]
        },
        Fault("a path of four", .certificateUntrusted) { answer, setting in
            answer.chain = try path(setting, intermediates: 2)
        },
        Fault("by an intermediate that is no authority", .certificateUntrusted) { answer, setting in
            answer.chain = try path(setting, intermediates: 1, constraints: "critical,CA:FALSE")
        },
        .header("x5c as text", .certificateUntrusted, "x5c", "AAAA"),
        .header("no base64 in x5c", .certificateUntrusted, "x5c", ["%%%"]),
        .header("neither certificate nor statement", .certificateUntrusted, "x5c", nil),
        Fault("another device's certificate and key", .deviceUnknown) { answer, setting in
            answer.chain = [try setting.leaf(.init(names: "URI:urn:device:d9"))]
            answer.payload = { $0["sub"] = "d9" }
        },
    ]

    private static func certificate(
        _ name: String, _ change: @escaping @Sendable (inout CertificateBench.Extensions) -> Void
    ) -> Fault {
        Fault(name, .certificateUntrusted) { answer, setting in
            var extensions = CertificateBench.Extensions()
            change(&extensions)
            answer.chain = [try setting.leaf(extensions)]
        }
    }

    private static func made(_ setting: ModeSetting, from: Int64, until: Int64) throws -> [UInt8] {
        try CertificateBench.certificate(
            for: setting.key, by: .init(key: setting.authorityKey, der: setting.authority.certificate.der),
            from: setting.clock.now + from, until: setting.clock.now + until)
    }

    static func path(
        _ setting: ModeSetting, intermediates: Int, constraints: String = "critical,CA:TRUE"
    ) throws -> [[UInt8]] {
        let now = setting.clock.now
        var issuer = CertificateBench.Issuer(
            key: setting.authorityKey, der: setting.authority.certificate.der)
        var chain: [[UInt8]] = []
        for index in 0..<intermediates {
            let key = SigningKey.generateP256()
            let der = try CertificateBench.authority(
                for: key, named: "Between \(index)", by: issuer, from: now - 60, until: now + 86_400,
                constraints: constraints)
            issuer = .init(key: key, der: der)
            chain.insert(der, at: 0)
        }
        let leaf = try CertificateBench.certificate(
            for: setting.key, by: issuer, from: now - 60, until: now + 86_400)
        return [leaf] + chain
    }

    static func refusal(_ fault: Fault, isStated: Bool = false) async throws -> Reason? {
        let setting = try ModeSetting(tenant: isStated ? "corp" : nil)
        if !isStated { try await setting.enroll() }
        var answer = ModeSetting.Answer()
        answer.isStated = isStated
        try fault.change(&answer, setting)
        if isStated {
            let edit = answer.statement
            answer.statement = { payload in
                payload["tenant"] = "corp"
                edit(&payload)
            }
        }
        return try await setting.refusal(answer)?.reason
    }

    @Test("004.10 faults of the signed answer (RFC 7515, RFC 8725)", arguments: jose)
    func signedAnswer(_ fault: Fault) async throws {
        #expect(try await Self.refusal(fault) == fault.expected)
    }

    @Test("004.10 faults of what it says (handshake.md M4)", arguments: claims)
    func claim(_ fault: Fault) async throws {
        #expect(try await Self.refusal(fault) == fault.expected)
    }

    @Test("004.10 each member that is needed is missed", arguments: missing)
    func absent(_ member: String) async throws {
        let reason = try await Self.refusal(.payload(member, .statementInvalid, member, nil))
        #expect(reason == .statementInvalid)
    }

    @Test("004.10 faults of the certificate and its path (RFC 5280)", arguments: x509)
    func certificates(_ fault: Fault) async throws {
        #expect(try await Self.refusal(fault) == fault.expected)
    }

    @Test("an answer without a fault passes, also through an intermediate and at every bound")
    func acceptance() async throws {
        let offsets: [Int64] = [-120, 0, 120]
        for offset in offsets {
            let setting = try ModeSetting()
            try await setting.enroll()
            let now = setting.clock.now
            let answer = ModeSetting.certified {
                $0["iat"] = .integer(now + offset)
                $0["exp"] = .integer(now + offset + 60)
                $0["last_seen"] = .integer(now - 604_800)
            }
            #expect(try await setting.refusal(answer) == nil, "\(offset)")
        }
        let setting = try ModeSetting()
        try await setting.enroll()
        var answer = ModeSetting.Answer()
        answer.chain = try Self.path(setting, intermediates: 1)
        #expect(try await setting.refusal(answer) == nil)
        // Certificates that are not needed do no harm, up to four and in any order.
        answer.chain = try Self.path(setting, intermediates: 1) + [setting.authority.certificate.der]
        answer.counter = 2
        #expect(try await setting.refusal(answer) == nil)
    }

    @Test("an answer of exactly 16 KiB is read") func largest() async throws {
        let setting = try ModeSetting()
        try await setting.enroll()
        let (transaction, challenge) = try await setting.challenge()
        for extra in 0..<8 {
            for count in 11_000..<11_600 {
                var answer = ModeSetting.Answer()
                answer.header = { $0["kid"] = .string(String(repeating: "k", count: extra)) }
                answer.payload = { $0["pad"] = .string(String(repeating: "p", count: count)) }
                // Lengths first: signing a thousand times would take seconds.
                let plain = try setting.assertion(
                    ModeSetting.certified(header: answer.header), for: challenge)
                guard plain.utf8.count + (count * 4) / 3 < 16_384 + 64 else { break }
                guard plain.utf8.count + (count * 4) / 3 > 16_384 - 64 else { continue }
                let text = try setting.assertion(answer, for: challenge)
                guard text.utf8.count == 16_384 else { continue }
                #expect(await setting.judge(transaction, text, nil, answer) == nil)
                return
            }
        }
        Issue.record("no answer of exactly 16 KiB could be made")
    }

    @Test("the tables hold at least sixty rows, each with its own name") func size() {
        let rows = Self.jose + Self.claims + Self.x509 + StatementFaultTests.faults
        #expect(rows.count >= 60)
        #expect(Set(rows.map(\.name)).count == rows.count)
    }
}
