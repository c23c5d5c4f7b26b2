import JSON
import Signatures
import Synchronization
import Testing

@testable import gatepost_agent

@Suite("Visits: a browser that comes to the agent itself, by navigation, in a popup or for a picture")
struct VisitTests {
    static let paths = ["/v1/nav", "/v1/popup", "/v1/p.gif"]
    static let back = AgentSetting.origin + "/.gatepost/posture/return"

    static func get(_ path: String, _ query: String?) -> AttestRequest {
        var request = AttestRequest(method: "GET", path: path, query: query, host: "127.0.0.1", port: 17472)
        request.bodyLength = 0
        return request
    }

    static func visit(
        _ setting: AgentSetting, _ path: String, _ challenge: String, now: Int64 = AgentSetting.now,
        milliseconds: Int64 = 0, change: (inout AttestRequest) -> Void = { _ in }
    ) -> AttestAnswer {
        var request = get(path, "c=" + challenge)
        change(&request)
        if let answer = setting.gate.judgeHead(request, peer: AgentSetting.peer) { return answer }
        return setting.gate.attest(
            request, body: [], peer: AgentSetting.peer, nowSeconds: now, nowMilliseconds: milliseconds)
    }

    static func location(_ answer: AttestAnswer) -> String? {
        answer.fields.first { $0.0 == "Location" }?.1
    }

    @Test("a navigation leads to the signed way back with the answer, once") func navigation() throws {
        let setting = try AgentSetting()
        let challenge = setting.challenge { _ in
        } payload: {
            $0["rtn"] = .string(Self.back + "?tx=abc")
        }
        let answer = Self.visit(setting, "/v1/nav", challenge)
        #expect(answer.status == 303 && answer.body.isEmpty)
        let target = try #require(Self.location(answer))
        let parts = target.split(separator: "&a=")
        #expect(parts.count == 2 && parts[0] == "\(Self.back)?tx=abc")
        let jws = try JWS(compact: String(parts[1]))
        #expect(jws.verify(with: setting.identity.key.publicKey))
        let payload = try jws.payloadObject
        #expect(payload["transport"] == "navigation" && payload["origin"] == .null)
        #expect(payload["chh"] == .string(Base64URL.encode(Digest.sha256(Array(challenge.utf8)))))
        let again = Self.visit(setting, "/v1/nav", challenge)
        #expect(Self.location(again) == "\(Self.back)?tx=abc&e=challenge-replayed")
    }

    @Test("a popup gets a page that tells its opener, to the signed origin only and under a strict policy")
    func popup() throws {
        let setting = try AgentSetting()
        let answer = Self.visit(setting, "/v1/popup", setting.challenge())
        #expect(answer.status == 200)
        let html = String(decoding: answer.body, as: UTF8.self)
        #expect(html.contains("data-origin=\"\(AgentSetting.origin)\""))
        #expect(html.contains("postMessage(JSON.parse(bytes), origin)") && !html.contains("'*'"))
        #expect(!html.contains("src=") && !html.contains("href="), "nothing is fetched")
        let policy = try #require(answer.fields.first { $0.0 == "Content-Security-Policy" }?.1)
        #expect(
            policy.hasPrefix(
                "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"))
        #expect(!policy.contains("unsafe") && policy.contains("script-src 'sha256-"))
        // The digests are of what stands in the page.
        for (tag, name) in [("script", "script-src"), ("style", "style-src")] {
            let body = try #require(
                html.firstRange(of: "<\(tag)>").flatMap { start in
                    html.firstRange(of: "</\(tag)>").map { String(html[start.upperBound..<$0.lowerBound]) }
                })
            let digest = Base64.encode(Digest.sha256(Array(body.utf8)))
            #expect(policy.contains("\(name) 'sha256-\(digest)'"), "\(tag)")
        }
        let message = try Self.message(html)
        let claims = try JWS(compact: try #require(message["assertion"]?.string)).payloadObject
        #expect(claims["transport"] == "popup" && claims["origin"] == .null)
    }

    static func message(_ html: String) throws -> JSONValue {
        let text = try #require(html.split(separator: "data-answer=\"").last?.prefix { $0 != "\"" })
        return try JSONValue(parsing: try #require(Base64URL.decode(String(text))))
    }

    @Test("the picture shows that the agent is here, and the challenge can still be answered") func probe()
        throws
    {
        let setting = try AgentSetting()
        let challenge = setting.challenge()
        for _ in 0..<3 {
            let answer = Self.visit(setting, "/v1/p.gif", challenge)
            #expect(answer.status == 200 && answer.body == AttestGate.point)
            #expect(answer.body.count == 43 && answer.body.prefix(6) == Array("GIF89a".utf8)[...])
        }
        #expect(setting.ask(challenge).status == 200)
        #expect(Self.visit(setting, "/v1/p.gif", challenge, now: AgentSetting.now + 181) == .silent)
    }

    @Test("004.3 a stranger's visit gets the same silent bytes as on every other path") func strangers()
        throws
    {
        let setting = try AgentSetting()
        let key = SigningKey.generateP256()
        let good = setting.challenge()
        let compacts = [
            setting.challenge(signer: key),
            setting.challenge {
                $0["kid"] = "challenge-2"
            } payload: { _ in
            },
            setting.challenge {
                $0["typ"] = "jwt"
            } payload: { _ in
            },
            setting.challenge { _ in
            } payload: {
                $0["iss"] = "https://evil.example"
            },
            setting.challenge { _ in
            } payload: {
                $0["origin"] = "https://evil.example"
            },
            "x", "x.y.z", String(good.dropLast()) + (good.hasSuffix("A") ? "B" : "A"),
        ]
        let reference = AttestAnswer.silent.serialized
        for path in Self.paths {
            for compact in compacts {
                #expect(
                    Self.visit(setting, path, compact).serialized == reference, "\(path) \(compact.prefix(9))"
                )
            }
        }
        for path in Self.paths + ["/", "/v1/attest", "/v1/nav/", "/v1/other", "/info"] {
            for query in [nil, "", "c=", "c", "d=\(good)", "c=\(good)&c=\(good)", "c=\(good)&x=1", "c=%41"] {
                let answer = setting.gate.judgeHead(Self.get(path, query), peer: AgentSetting.peer)
                #expect(answer?.serialized == reference, "\(path) \(query?.prefix(9) ?? "-")")
            }
        }
    }

    struct Head: Sendable, CustomTestStringConvertible {
        var what: String
        var change: @Sendable (inout AttestRequest) -> Void
        var testDescription: String { what }
    }

    static let heads: [Head] = [
        Head(what: "an Origin") {
            $0.origin = AgentSetting.origin
            $0.hasOrigin = true
        },
        Head(what: "two Origins") { $0.hasOrigin = true }, Head(what: "POST") { $0.method = "POST" },
        Head(what: "HEAD") { $0.method = "HEAD" }, Head(what: "a body") { $0.bodyLength = 1 },
        Head(what: "chunks") { $0.bodyLength = nil }, Head(what: "a script's mode") { $0.fetchMode = "cors" },
        Head(what: "a frame") { $0.fetchDestination = "iframe" },
        Head(what: "an object") { $0.fetchDestination = "object" },
        Head(what: "a doubled mode") { $0.fetchMode = "" },
    ]

    @Test("what no browser sends by that way is a stranger's", arguments: heads) func head(_ head: Head)
        throws
    {
        let setting = try AgentSetting()
        for path in Self.paths {
            #expect(Self.visit(setting, path, setting.challenge(), change: head.change) == .silent, "\(path)")
        }
    }

    @Test("the modes that browsers name for each way are let through, and not those of another way")
    func modes() throws {
        let setting = try AgentSetting()
        for path in Self.paths {
            let isImage = path == "/v1/p.gif"
            for (mode, destination, isRight) in [
                ("navigate", "document", !isImage), ("no-cors", "image", isImage),
                ("navigate", "image", false), ("no-cors", "document", false), ("no-cors", "empty", false),
            ] {
                let answer = Self.visit(setting, path, setting.challenge()) {
                    $0.fetchMode = mode
                    $0.fetchDestination = destination
                }
                #expect((answer != .silent) == isRight, "\(path) \(mode) \(destination)")
            }
        }
    }

    @Test("another name for this machine is refused as everywhere") func host() throws {
        let setting = try AgentSetting()
        for path in Self.paths {
            let answer = Self.visit(setting, path, setting.challenge()) { $0.host = "evil.example" }
            #expect(answer == .misdirected)
        }
    }

    static let ways = [
        "https://auth.corp.example.evil/x", "https://evil.example/", "http://auth.corp.example/x",
        "https://auth.corp.example", "https://auth.corp.example/\r\nSet-Cookie: a=b",
        "https://auth.corp.example/#x", "https://auth.corp.example/ x", "https://auth.corp.example/\u{e9}",
        "//auth.corp.example/x", "https://auth.corp.example@evil.example/",
        "https://auth.corp.example/" + String(repeating: "a", count: 2_048),
    ]

    @Test("nothing leads anywhere but to the gateway's own origin", arguments: ways) func back(_ way: String)
        throws
    {
        let setting = try AgentSetting()
        for path in Self.paths {
            let challenge = setting.challenge { _ in
            } payload: {
                $0["rtn"] = .string(way)
            }
            #expect(Self.visit(setting, path, challenge) == .silent)
        }
    }

    @Test("what is wrong beyond the signature is told to the gateway's page, on its own way")
    func refusals() throws {
        let setting = try AgentSetting()
        setting.peerBox.user.withLock { $0 = 1001 }
        let wrong: [(String, String, Int64)] = [
            (setting.challenge(), "wrong-user", 0),
            (
                setting.challenge { _ in
                } payload: {
                    $0["aud"] = "urn:other"
                }, "audience-mismatch", 0
            ),
            (setting.challenge(), "clock-skew", 121), (setting.challenge(), "challenge-expired", 181),
            (
                setting.challenge { _ in
                } payload: {
                    $0["versions"] = nil
                }, "request-malformed", 0
            ),
        ]
        for (index, (challenge, word, late)) in wrong.enumerated() {
            let now = AgentSetting.now + late
            let time = Int64(index) * 10_000
            let went = Self.visit(setting, "/v1/nav", challenge, now: now, milliseconds: time)
            #expect(Self.location(went) == "\(Self.back)?e=\(word)")
            let page = Self.visit(setting, "/v1/popup", challenge, now: now, milliseconds: time)
            let message = try Self.message(String(decoding: page.body, as: UTF8.self))
            #expect(message["error"] == .string(word) && message["now"] == .integer(now))
            #expect(message["assertion"] == nil)
        }
    }

    @Test("visits share the origin's rate, and strangers have one of their own that costs the page nothing")
    func rate() throws {
        let setting = try AgentSetting()
        for _ in 0..<90 { _ = Self.visit(setting, "/v1/p.gif", "x.y.z") }
        for _ in 0..<10 { #expect(Self.visit(setting, "/v1/nav", setting.challenge()).status == 303) }
        // One past the strangers' hundred.
        #expect(Self.visit(setting, "/v1/p.gif", setting.challenge()) == .silent)
        #expect(setting.ask(setting.challenge()).status == 429)
        let later = Self.visit(setting, "/v1/nav", setting.challenge(), milliseconds: 20)
        #expect(Self.location(later)?.hasSuffix("?e=rate-limited") == true)
    }

    @Test("a head with a visit is read with its query, its modes and every Origin")
    func reading() throws {
        func read(_ fields: String) -> AttestRequest? {
            var reader = HeadReader()
            let text = "GET /v1/nav?c=a.b-c_d HTTP/1.1\r\nHost: 127.0.0.1:17472\r\n\(fields)\r\n"
            guard case .head(let request, _) = reader.read(Array(text.utf8)) else { return nil }
            return request
        }
        let plain = try #require(read(""))
        #expect(plain.query == "c=a.b-c_d" && !plain.hasOrigin && plain.fetchMode == nil)
        #expect(Visit(plain)?.challenge == "a.b-c_d")
        let modes = try #require(read("Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"))
        #expect(modes.fetchMode == "navigate" && modes.fetchDestination == "document")
        let doubled = read("Sec-Fetch-Mode: navigate\r\nSec-Fetch-Mode: navigate\r\n")
        #expect(doubled.map { Visit($0) == nil } ?? true)
        for origins in ["Origin: null\r\n", "Origin: a\r\nOrigin: b\r\n"] {
            #expect(read(origins).map { Visit($0) == nil } ?? true)
        }
    }
}
