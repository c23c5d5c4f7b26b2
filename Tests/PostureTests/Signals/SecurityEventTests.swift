import JSON
import Signatures
import Testing

@testable import Posture

/// A token and what becomes of it.
struct TokenCase: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var expected: SignalRefusal.Code?
    var change: @Sendable (inout SignalToken) -> Void

    init(
        _ name: String, _ expected: SignalRefusal.Code?,
        _ change: @escaping @Sendable (inout SignalToken) -> Void = { _ in }
    ) {
        testDescription = name
        self.expected = expected
        self.change = change
    }

    /// One claim has another value; null takes it away.
    init(_ name: String, _ expected: SignalRefusal.Code?, _ claim: String, _ value: JSONValue) {
        self.init(name, expected) { $0.claims[claim] = value.isNull ? nil : value }
    }
}

@Suite("Security event tokens: RFC 8417, Shared Signals 1.0 §4, every line of providers.md 11.2")
struct SecurityEventTests {
    static let now = SignalToken.now
    static let event: JSONValue = [SignalToken.revoked: [:]]

    static let table: [TokenCase] = [
        TokenCase("a good one", nil),
        // 1. typ and alg
        TokenCase("typ in another case", nil) { $0.header["typ"] = "SecEvent+JWT" },
        TokenCase("typ as a whole media type", nil) { $0.header["typ"] = "application/secevent+jwt" },
        TokenCase("no typ", .invalidRequest) { $0.header["typ"] = nil },
        TokenCase("typ of an access token", .invalidRequest) { $0.header["typ"] = "at+jwt" },
        TokenCase("typ of an id token", .invalidRequest) { $0.header["typ"] = "JWT" },
        TokenCase("typ is no text", .invalidRequest) { $0.header["typ"] = 1 },
        TokenCase("crit", .invalidRequest) { $0.header["crit"] = ["x"] },
        TokenCase("kid of nobody", .invalidKey) { $0.header["kid"] = "k2" },
        // 2. iss and aud
        TokenCase("another issuer", .invalidIssuer, "iss", "https://signals.idp.example/t2"),
        TokenCase("the issuer with a slash", .invalidIssuer, "iss", "https://signals.idp.example/t1/"),
        TokenCase("no issuer", .invalidIssuer, "iss", .null),
        TokenCase("aud as a list", nil, "aud", ["https://x.example", .string(SignalToken.audience)]),
        TokenCase("another aud", .invalidAudience, "aud", "https://x.example"),
        TokenCase("an empty aud", .invalidAudience, "aud", []),
        TokenCase("no aud", .invalidAudience, "aud", .null),
        TokenCase("aud is no text", .invalidAudience, "aud", 7),
        // 3. iat, exp, sub
        TokenCase("a year old", nil, "iat", .integer(now - 31_536_000)),
        TokenCase("issued exactly 5 min ahead", nil, "iat", .integer(now + 300)),
        TokenCase("issued 5 min and 1 s ahead", .invalidRequest, "iat", .integer(now + 301)),
        TokenCase("iat with a fraction", nil, "iat", .number(Double(now) + 0.5)),
        TokenCase("no iat", .invalidRequest, "iat", .null),
        TokenCase("iat is text", .invalidRequest, "iat", "1769932800"),
        TokenCase("iat in milliseconds", .invalidRequest, "iat", .integer(now * 1_000)),
        TokenCase("exp", .invalidRequest, "exp", .integer(now + 3_600)),
        TokenCase("exp in the past", .invalidRequest, "exp", .integer(1)),
        TokenCase("sub", .invalidRequest, "sub", "u-17"),
        // 4. jti
        TokenCase("no jti", .invalidRequest, "jti", .null),
        TokenCase("an empty jti", .invalidRequest, "jti", ""),
        TokenCase("jti is no text", .invalidRequest, "jti", 5),
        TokenCase("jti of exactly 512 bytes", nil, "jti", .string(String(repeating: "j", count: 512))),
        TokenCase("jti of 513 bytes", .invalidRequest, "jti", .string(String(repeating: "j", count: 513))),
        // 5. events
        TokenCase("no events", .invalidRequest, "events", .null),
        TokenCase("empty events", .invalidRequest, "events", [:]),
        TokenCase("events is a list", .invalidRequest, "events", [event]),
        TokenCase("an event is no object", .invalidRequest, "events", [SignalToken.revoked: true]),
        TokenCase(
            "two events", .invalidRequest, "events",
            [SignalToken.revoked: [:], SignalEvent.caep + "session-established": [:]]),
        TokenCase("an unknown event", nil, "events", ["https://x.example/event": [:]]),
        TokenCase("unknown members", nil, "events", [SignalToken.revoked: ["x": ["y": 1]]]),
        // 6. sub_id
        TokenCase("no sub_id", .invalidRequest, "sub_id", .null),
        TokenCase("sub_id is text", .invalidRequest, "sub_id", "mara"),
        TokenCase("sub_id without a format", .invalidRequest, "sub_id", ["email": "m@corp.example"]),
        TokenCase("an email that is missing", .invalidRequest, "sub_id", ["format": "email"]),
        TokenCase("half an iss_sub", .invalidRequest, "sub_id", ["format": "iss_sub", "iss": "https://i"]),
        TokenCase("an unknown format", nil, "sub_id", ["format": "did", "url": "did:example:1"]),
        TokenCase("`subject` in the event and no sub_id", .invalidRequest) {
            $0.claims["events"] = [SignalToken.revoked: ["subject": $0.claims["sub_id"] ?? .null]]
            $0.claims["sub_id"] = nil
        },
        // 7. complex subjects
        TokenCase(
            "a complex subject", nil, "sub_id",
            ["format": "complex", "user": ["format": "opaque", "id": "1"], "note": "x"]),
        TokenCase("a complex subject of nothing", .invalidRequest, "sub_id", ["format": "complex"]),
        TokenCase(
            "a nested one", .invalidRequest, "sub_id",
            ["format": "complex", "user": ["format": "complex", "user": ["format": "opaque", "id": "1"]]]),
        TokenCase(
            "aliases", nil, "sub_id",
            ["format": "aliases", "identifiers": [["format": "email", "email": "m@corp.example"]]]),
        TokenCase("no aliases", .invalidRequest, "sub_id", ["format": "aliases", "identifiers": []]),
        TokenCase(
            "nested aliases", .invalidRequest, "sub_id",
            ["format": "aliases", "identifiers": [["format": "aliases", "identifiers": []]]]),
        TokenCase("exactly 16 aliases", nil, "sub_id", aliases(16)),
        TokenCase("17 aliases", .invalidRequest, "sub_id", aliases(17)),
        // 8. txn
        TokenCase("a txn", nil, "txn", "tx-9"),
        // Size
        TokenCase("a claim of 30,000 bytes", nil, "pad", .string(String(repeating: "p", count: 30_000))),
        TokenCase("more than 64 KiB", .invalidRequest, "pad", .string(String(repeating: "p", count: 70_000))),
    ]

    static func aliases(_ count: Int) -> JSONValue {
        [
            "format": "aliases",
            "identifiers": .array(
                (0..<count).map { ["format": "email", "email": .string("m\($0)@x.example")] }),
        ]
    }

    @Test("001.23 what a token must be", arguments: table) func tokens(_ row: TokenCase) {
        #expect(SignalToken.refusal(SignalToken(row.change).compact())?.code == row.expected)
    }

    @Test("there are at least as many refusals as acceptances") func balance() {
        #expect(Self.table.count { $0.expected != nil } >= Self.table.count { $0.expected == nil })
    }

    @Test("an event of a draft is taken only where the stream is configured as one") func drafts() {
        let token = SignalToken {
            $0.claims["events"] = [
                SignalToken.revoked: [
                    "subject": ["subject_type": "iss-sub", "iss": "https://idp.example", "sub": "u-17"]
                ]
            ]
            $0.claims["sub_id"] = nil
        }.compact()
        #expect(SignalToken.refusal(token)?.code == .invalidRequest)
        #expect(SignalToken.refusal(token) { $0.acceptsDrafts = true } == nil)
    }

    @Test("a token that nobody signed, or that somebody else signed, is refused") func signatures() {
        let good = SignalToken().compact()
        let parts = good.split(separator: ".").map(String.init)
        let other =
            (try? SigningKey(pem: SigningKey.generateP256().pem, keyID: "k1"))
            ?? SigningKey.generateP256()
        #expect(SignalToken.refusal(SignalToken().compact(other))?.code == .authenticationFailed)
        let changed = SignalToken { $0.claims["jti"] = "other" }.compact().split(separator: ".")[1]
        #expect(
            SignalToken.refusal(parts[0] + "." + changed + "." + parts[2])?.code == .authenticationFailed)
        for header in [#"{"typ":"secevent+jwt","alg":"none"}"#, #"{"typ":"secevent+jwt","alg":"HS256"}"#] {
            let unsecured = Base64URL.encode(Array(header.utf8)) + "." + parts[1] + "."
            #expect(SignalToken.refusal(unsecured)?.code == .invalidRequest)
            #expect(SignalToken.refusal(unsecured + parts[2])?.code == .invalidRequest)
        }
        #expect(SignalToken.refusal(good, keys: [])?.code == .invalidKey)
    }

    @Test("only RS256 and ES256 are taken", arguments: ["EdDSA", "PS256", "ES384", "RS384", "RS512"])
    func algorithms(_ name: String) {
        let header = Base64URL.encode(Array(#"{"typ":"secevent+jwt","alg":"\#(name)"}"#.utf8))
        let parts = SignalToken().compact().split(separator: ".")
        #expect(SignalToken.refusal(header + "." + parts[1] + "." + parts[2])?.code == .invalidKey)
    }

    @Test("without a kid there must be exactly one key") func keyIDs() throws {
        let unnamed = SigningKey.generateP256()
        let other = SigningKey.generateP256()
        let token = SignalToken().compact(unnamed)
        #expect(SignalToken.refusal(token, keys: [unnamed.publicKey]) == nil)
        #expect(
            SignalToken.refusal(token, keys: [unnamed.publicKey, other.publicKey])?.code == .invalidKey)
    }

    @Test("what happened in the future happened when it was issued") func times() throws {
        let rows: [(JSONValue, Int64)] = [
            (.integer(Self.now - 10), Self.now - 10), (.integer(Self.now + 300), Self.now + 300),
            (.integer(Self.now + 301), Self.now), (.integer(Self.now * 1_000), Self.now), ("x", Self.now),
            (-1, Self.now),
        ]
        for (value, expected) in rows {
            let compact = SignalToken {
                $0.claims["events"] = [SignalToken.revoked: ["event_timestamp": value]]
            }.compact()
            let validator = SignalToken.validator
            let event = try validator.validate(
                try validator.parse(compact), keys: [SignalToken.key.publicKey])
            #expect(event.happenedAtSeconds == expected, "\(value)")
        }
    }

    @Test("mutated tokens are refused or taken, never more, and never with another signature")
    func mutations() {
        var random = Seeded(state: 0x5e7)
        let good = Array(SignalToken().compact().utf8)
        for round in 0..<4_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: at)
                case 2: bytes.insert(UInt8(ascii: "."), at: at)
                case _: bytes = Array(bytes[..<at]) + [UInt8(ascii: "A")]
                }
                if bytes.isEmpty { bytes = [0x2e] }
            }
            guard bytes != good else { continue }
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(SignalToken.refusal(text) != nil, "round \(round)")
        }
    }

    @Test("mutated contents with a good signature never crash, and what is taken has every required claim")
    func contents() throws {
        var random = Seeded(state: 0xc0ffee)
        let values: [JSONValue] = [
            .null, true, 0, -1, "", "x", [], [:], ["x": 1], .number(1e300), .integer(.max), .integer(.min),
            .string(String(repeating: "é", count: 300)), [[:]], ["format": "complex"], ["format": "opaque"],
        ]
        for round in 0..<4_000 {
            let token = SignalToken { token in
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    let names = token.claims.names + ["exp", "sub", "txn"]
                    let name = names[Int.random(in: 0..<names.count, using: &random)]
                    token.claims[name] = values[Int.random(in: 0..<values.count, using: &random)]
                }
            }
            guard SignalToken.refusal(token.compact()) == nil else { continue }
            let claims = token.claims
            #expect(
                claims["exp"] == nil && claims["sub"] == nil && claims["jti"]?.string?.isEmpty == false,
                "round \(round)")
            #expect(claims["sub_id"]?.object != nil && claims["events"]?.object?.count == 1, "round \(round)")
        }
    }
}

/// SplitMix64.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
