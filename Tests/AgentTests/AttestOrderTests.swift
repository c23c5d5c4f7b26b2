import JSON
import Signatures
import Synchronization
import Testing

@testable import gatepost_agent

/// The lines of handshake.md M3 in their order.
enum GateLine: Int, CaseIterable, Sendable {
    case peer, host, method, size, contentType, origin, rate, signature, audience, times, originClaim,
        replayed, user

    var status: Int {
        switch self {
        case .peer, .method, .size, .contentType, .origin: 403
        case .host: 421
        case .rate: 429
        case .signature, .audience, .times: 401
        case .originClaim, .replayed: 403
        case .user: 409
        }
    }

    /// nil: refused without a word.
    var word: String? {
        switch self {
        case .peer, .host, .method, .size, .contentType, .origin: nil
        case .rate: "rate-limited"
        case .signature: "gateway-not-trusted"
        case .audience: "audience-mismatch"
        case .times: "clock-skew"
        case .originClaim: "origin-not-allowed"
        case .replayed: "challenge-replayed"
        case .user: "wrong-user"
        }
    }
}

@Suite("handshake.md M3: the agent refuses by the first line that does not hold")
struct AttestOrderTests {
    static func outcome(_ broken: Set<GateLine>) throws -> AttestAnswer {
        let setting = try AgentSetting()
        var request = AgentSetting.post()
        var peer = AgentSetting.peer
        if broken.contains(.peer) { peer.address = .ipv4(10 << 24 | 1) }
        if broken.contains(.host) { request.host = "evil.example" }
        if broken.contains(.method) { request.method = "GET" }
        if broken.contains(.size) { request.bodyLength = 8193 }
        if broken.contains(.contentType) { request.contentType = "text/plain" }
        if broken.contains(.origin) { request.origin = "https://evil.example" }
        if broken.contains(.rate) { for _ in 0..<10 { _ = setting.ask("x.y.z") } }
        let challenge = setting.challenge(
            signer: broken.contains(.signature) ? SigningKey.generateP256() : nil
        ) {
            _ in
        } payload: { payload in
            if broken.contains(.audience) { payload["aud"] = "urn:other" }
            if broken.contains(.times) {
                payload["iat"] = .integer(AgentSetting.now + 121)
                payload["exp"] = .integer(AgentSetting.now + 181)
            }
            if broken.contains(.originClaim) { payload["origin"] = "https://other.example" }
            payload["jti"] = "the-only-one"
        }
        if broken.contains(.replayed) {
            let first = setting.challenge { _ in
            } payload: {
                $0["jti"] = "the-only-one"
            }
            #expect(setting.ask(first).status == (broken.contains(.rate) ? 429 : 200))
        }
        if broken.contains(.user) { setting.peerBox.user.withLock { $0 = 1001 } }
        return setting.ask(request, challenge, peer: peer)
    }

    @Test("a challenge that breaks nothing is answered once, with an assertion") func acceptance() throws {
        let setting = try AgentSetting()
        let challenge = setting.challenge()
        let answer = setting.ask(challenge)
        #expect(answer.status == 200)
        let text = try #require(try JSONValue(parsing: answer.body)["assertion"]?.string)
        let jws = try JWS(compact: text)
        #expect(jws.verify(with: setting.identity.key.publicKey))
        let payload = try jws.payloadObject
        #expect(payload["posture"] == ["platform": "linux", "os_name": "debian"], "only what was asked for")
        #expect(payload["origin"] == .string(AgentSetting.origin) && payload["counter"] == 1)
        #expect(setting.ask(challenge).status == 403)
    }

    @Test("each broken line gets its own refusal", arguments: GateLine.allCases)
    func refusal(_ line: GateLine) throws {
        let answer = try Self.outcome([line])
        #expect(answer.status == line.status)
        #expect(AgentSetting.word(answer) == line.word)
        #expect(answer.fields.contains { $0.0 == "Access-Control-Allow-Origin" } == (line.word != nil))
    }

    @Test("wrong in two ways gets the earlier line's refusal") func order() throws {
        for first in GateLine.allCases {
            for second in GateLine.allCases where second.rawValue > first.rawValue {
                let answer = try Self.outcome([first, second])
                #expect(
                    answer.status == first.status && AgentSetting.word(answer) == first.word,
                    "\(first), \(second)")
            }
        }
    }

    static let origins: [String?] = [
        nil, "null", "", "https://evil.example", "https://auth.corp.example.evil",
        "https://xauth.corp.example",
        "https://AUTH.corp.example", "http://auth.corp.example", "https://auth.corp.example:8443",
        "https://auth.corp.example/", "https://auth.corp.example ",
    ]

    @Test("004.3 any other origin gets the same silent bytes on every path and method", arguments: origins)
    func strangers(_ origin: String?) throws {
        let setting = try AgentSetting()
        for path in ["/", "/v1/attest", "/v1/nav", "/info"] {
            for method in ["POST", "GET", "OPTIONS", "PUT", "HEAD"] {
                var request = AgentSetting.post()
                request.origin = origin
                request.path = path
                request.method = method
                request.requestedMethod = "POST"
                #expect(setting.ask(request, setting.challenge()) == .silent)
            }
        }
    }

    static let hosts: [(String, UInt16?, Bool)] = [
        ("127.0.0.1", 17472, true), ("localhost", 17472, true), ("[::1]", 17472, true),
        ("127.0.0.1", nil, false),
        ("127.0.0.1", 80, false), ("evil.example", 17472, false), ("127.0.0.1.evil.example", 17472, false),
        ("localhost.", 17472, false),
    ]

    @Test("only the loopback names with the agent's port are hosts", arguments: hosts)
    func host(_ host: String, _ port: UInt16?, _ passes: Bool) throws {
        let setting = try AgentSetting()
        var request = AgentSetting.post()
        request.host = host
        request.port = port
        #expect(setting.ask(request, setting.challenge()).status == (passes ? 200 : 421))
    }

    @Test("the clock may be 120 s off either way and not one more", arguments: [-121, -120, 0, 120, 121])
    func clock(_ offset: Int64) throws {
        let setting = try AgentSetting()
        let answer = setting.ask(setting.challenge(), now: AgentSetting.now + offset)
        #expect(AgentSetting.word(answer) == (abs(offset) > 120 ? "clock-skew" : nil))
    }

    @Test("a challenge that ended long ago is expired, not skewed") func expired() throws {
        let setting = try AgentSetting()
        #expect(
            AgentSetting.word(setting.ask(setting.challenge(), now: AgentSetting.now + 180)) == "clock-skew")
        #expect(
            AgentSetting.word(setting.ask(setting.challenge(), now: AgentSetting.now + 181))
                == "challenge-expired")
    }

    @Test("only keys of the pinned set count, by name and by signature") func keys() throws {
        let setting = try AgentSetting()
        let stranger = SigningKey.generateP256()
        let changes: [(inout JSONObject) -> Void] = [
            { $0["kid"] = "challenge-2" }, { $0["kid"] = nil }, { $0["typ"] = "jwt" },
            {
                $0["jwk"] = .object(stranger.publicKey.jwk)
                $0["kid"] = "other"
            },
        ]
        for change in changes {
            #expect(
                AgentSetting.word(setting.ask(setting.challenge(header: change))) == "gateway-not-trusted")
        }
    }

    @Test("a challenge for another version, profile or way back is refused") func shape() throws {
        let setting = try AgentSetting()
        let changes: [(inout JSONObject) -> Void] = [
            { $0["versions"] = ["min": 2, "max": 3] }, { $0["profiles"] = ["dice"] },
            { $0["rtn"] = "https://auth.corp.example.evil/x" }, { $0["nonce"] = "AAAA" },
            { $0["versions"] = nil },
        ]
        for change in changes {
            #expect(AgentSetting.word(setting.ask(setting.challenge(payload: change))) == "request-malformed")
        }
    }

    @Test("preflight: CORS exactly as specified, private network only when asked") func preflight() throws {
        let setting = try AgentSetting()
        var request = AgentSetting.post()
        request.method = "OPTIONS"
        request.bodyLength = 0
        request.contentType = nil
        request.requestedMethod = "POST"
        request.requestedHeaders = "content-type"
        let answer = try #require(setting.gate.judgeHead(request, peer: AgentSetting.peer))
        #expect(answer.status == 204)
        #expect(
            answer.fields.map { "\($0.0): \($0.1)" } == [
                "Access-Control-Allow-Origin: https://auth.corp.example", "Vary: Origin",
                "Access-Control-Allow-Methods: POST", "Access-Control-Allow-Headers: content-type",
                "Access-Control-Max-Age: 600",
            ])
        request.asksForPrivateNetwork = true
        let asked = try #require(setting.gate.judgeHead(request, peer: AgentSetting.peer))
        #expect(asked.fields.contains { $0 == ("Access-Control-Allow-Private-Network", "true") })
        for change in [("PUT", "content-type"), ("POST", "authorization")] {
            request.requestedMethod = change.0
            request.requestedHeaders = change.1
            #expect(setting.gate.judgeHead(request, peer: AgentSetting.peer) == .silent)
        }
    }

    @Test("ten at once, then five a second") func rate() {
        var bucket = TokenBucket()
        var taken: [Bool] = []
        for time in [Int64](repeating: 0, count: 11) + [199, 200, 200] {
            taken.append(bucket.take(nowMilliseconds: time))
        }
        #expect(taken == [Bool](repeating: true, count: 10) + [false, false, true, false])
    }
}
