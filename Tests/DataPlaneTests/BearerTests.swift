import Access
import Border
import Synchronization
import Testing

@testable import DataPlane

@Suite("Bearer tokens as clients without a person")
struct BearerTests {
    static let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzY2FubmVyIn0." + String(repeating: "Q", count: 86)

    static func field(_ token: String = token) -> String { "Authorization: Bearer \(token)\r\n" }

    static func wire(_ token: String = token, host: String = "wiki.test") -> [UInt8] {
        BearerToken.digest(Array(token.utf8).span, host: Array(host.utf8)).bytes
    }

    static func route(
        _ port: UInt16, host: String = "wiki.test", name: String = "wiki", forwards: Bool = false
    ) -> ApplicationRoute {
        var route = Facts.closed(port, host: host, name: name)
        route.servesMachines = true
        route.readsBearerTokens = true
        route.forwardsBearerTokens = forwards
        return route
    }

    static func record(_ digest: [UInt8], sequence: UInt64 = 0, refusal: Reason? = nil) -> SessionRecord {
        MachineTests.record(digest, sequence: sequence, client: .bearerToken, refusal: refusal)
    }

    /// Knows one token.
    static let control: Gateway.Answer = { message, gateway in
        guard case .pullBearer(let ticket, let digest, let text, _) = message else { return }
        let isKnown = digest == wire() && text == Array(token.utf8)
        gateway.send(.session(ticket, isKnown ? record(digest) : nil))
    }

    private func gateway(_ origin: TestOrigin, forwards: Bool = false) throws -> Gateway {
        try Gateway(
            [
                Self.route(origin.port, forwards: forwards),
                MachineTests.route(origin.port, host: "localhost", name: "plain"),
            ], answer: Self.control)
    }

    private func pulls(_ gateway: Gateway) -> Int {
        gateway.received.withLock { all in
            all.count { if case .pullBearer = $0 { true } else { false } }
        }
    }

    // MARK: Accepted

    @Test func `a token lets in, is asked about once, and ends at the gateway`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        for _ in 0..<2 {
            let client = try gateway.client()
            for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  "] {
                let response = try #require(
                    client.get(fields: "Authorization: \(scheme) \(Self.token)\r\nX-Other: kept\r\n"))
                #expect(response.status == 200, "\(scheme)")
                #expect(
                    !response.text.contains(Self.token)
                        && !response.text.lowercased().contains("authorization"))
                #expect(response.text.contains("X-Other: kept"))
                #expect(response.text.contains("Gatepost-Assertion: token-1"))
            }
        }
        #expect(pulls(gateway) == 1)
    }

    @Test func `a token goes on to the upstream only where that is configured`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin, forwards: true)
        let response = try gateway.client().get(fields: Self.field())
        #expect(response?.status == 200)
        #expect(response?.text.contains("Authorization: Bearer \(Self.token)") == true)
    }

    @Test func `where no policy asks for an issuer, Authorization is the application's, whatever it says`()
        throws
    {
        let origin = TestOrigin.echo()
        var open = Facts.open(origin.port)
        open.servesMachines = true
        let gateway = try Gateway([open], answer: Self.control)
        for value in ["Bearer \(Self.token)", "Bearer", "Bearer a b", "Basic dTpw", "Bearer x.y.z"] {
            let response = try gateway.client().get(fields: "Authorization: \(value)\r\n")
            #expect(response?.status == 200)
            #expect(response?.text.contains("Authorization: \(value)") == true, "\(value)")
        }
        #expect(pulls(gateway) == 0)
    }

    @Test func `another scheme is the application's, also where tokens are read`() throws {
        let origin = TestOrigin.echo()
        var open = Self.route(origin.port)
        open.anonymous = Facts.open(origin.port).anonymous
        let gateway = try Gateway([open], answer: Self.control)
        for value in ["Basic dTpw", "Bearer2 \(Self.token)", "Bear", "Digest x=\"Bearer\"", "bearers x"] {
            let response = try gateway.client().get(fields: "Authorization: \(value)\r\n")
            #expect(response?.status == 200, "\(value)")
            #expect(response?.text.contains("Authorization: \(value)") == true, "\(value)")
        }
        #expect(pulls(gateway) == 0)
    }

    // MARK: Refused

    @Test(
        "what is no token of the right shape is refused without a question",
        arguments: [
            "Bearer", "Bearer x", "Bearer a.b.c", "Bearer e.b", "Bearer e.b.c.d", "Bearer e..c",
            "Bearer e.b.",
            "Bearer .b.c", "Bearer e.b.c, Bearer e.b.c", "Bearer e.b.c x", "Bearer e.b.c=", "Bearer e+.b.c",
            "Bearer e/.b.c", "Bearer \"e.b.c\"", "Bearer\te.b.c", "Bearer, e.b.c", "Bearer\u{e9} e.b.c",
            "Bearer e\u{e9}.b.c",
        ])
    func shapes(_ value: String) throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        let response = try gateway.client().get(
            fields: "Authorization: \(value)\r\nSec-Fetch-Mode: navigate\r\nAccept: text/html\r\n")
        #expect(response?.status == 401)
        #expect(response?.field("Gatepost-Reason") == "bearer-token-invalid")
        // Never a redirect, and RFC 6750's word.
        #expect(response?.field("Location") == nil)
        #expect(
            response?.field("WWW-Authenticate") == "Bearer realm=\"gatepost\", error=\"invalid_token\"")
        #expect(pulls(gateway) == 0)
    }

    @Test func `the size bound: exactly at it a question, one past it none`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        for (bytes, count) in [(BearerToken.bytesMax, 1), (BearerToken.bytesMax + 1, 1)] {
            let long = "e.b." + String(repeating: "c", count: bytes - 4)
            let response = try gateway.client().get(fields: Self.field(long))
            #expect(response?.status == 401)
            #expect(pulls(gateway) == count)
        }
    }

    @Test func `one wrong byte anywhere is another token, and an unknown one is refused after one question`()
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        let client = try gateway.client()
        #expect(client.get(fields: Self.field())?.status == 200)
        for index in stride(from: 1, to: Self.token.utf8.count, by: 5) {
            var bytes = Array(Self.token.utf8)
            bytes[index] = bytes[index] == UInt8(ascii: "x") ? UInt8(ascii: "y") : UInt8(ascii: "x")
            let response = client.get(fields: Self.field(String(decoding: bytes, as: UTF8.self)))
            #expect(response?.status == 401, "byte \(index)")
            #expect(response?.field("Gatepost-Reason") == "bearer-token-invalid")
        }
        #expect(client.get(fields: Self.field())?.status == 200)
    }

    @Test func `two Authorization fields, or a token beside another credential, are refused`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        for fields in [
            Self.field() + Self.field(), "Authorization: Basic dTpw\r\n" + Self.field(),
            Self.field() + "authorization: x\r\n", Self.field() + MachineTests.field(),
            Self.field() + "Gatepost-Service-Token: x\r\n", Self.field() + Facts.cookie(1),
            Self.field() + "Cookie: __Host-gatepost=a\r\nCookie: __Host-gatepost=b\r\n",
        ] {
            let response = try gateway.client().get(fields: fields)
            #expect(response?.status == 400, "\(fields)")
            #expect(response?.field("Gatepost-Reason") == "request-malformed")
        }
        #expect(pulls(gateway) == 0)
    }

    @Test func `a token of one host is none of another, and none in a query or under a similar name`() throws
    {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        #expect(Self.wire() != Self.wire(host: "localhost"))
        let other = try gateway.client("localhost").get(host: "localhost", fields: Self.field())
        #expect(other?.field("Gatepost-Reason") == "sign-in-required")
        let client = try gateway.client()
        #expect(client.get("/?access_token=\(Self.token)")?.status == 401)
        for name in ["Proxy-Authorization", "X-Authorization", "Authorisation"] {
            #expect(client.get(fields: "\(name): Bearer \(Self.token)\r\n")?.status == 401)
        }
        #expect(pulls(gateway) == 0)
    }

    @Test func `who comes without a token is told that there may be one`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        let response = try gateway.client().get()
        #expect(response?.status == 401)
        #expect(response?.head.contains("WWW-Authenticate: Bearer realm=\"gatepost\"\r\n") == true)
        let other = try gateway.client("localhost").get(host: "localhost")
        #expect(other?.head.contains("Bearer") == false)
    }

    @Test func `a machine that may not is refused, never sent to a sign-in`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Self.route(origin.port)]) { message, gateway in
            guard case .pullBearer(let ticket, let digest, _, _) = message else { return }
            gateway.send(.session(ticket, Self.record(digest, refusal: .noPolicyMatches)))
        }
        let response = try gateway.client().get(
            fields: Self.field() + "Sec-Fetch-Mode: navigate\r\nAccept: text/html\r\n")
        #expect(response?.status == 403)
        #expect(response?.field("Gatepost-Reason") == "no-policy-matches")
    }

    @Test func `an issuer that cannot be asked is a failure, not a refusal`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Self.route(origin.port)]) { message, gateway in
            guard case .pullBearer(let ticket, _, _, _) = message else { return }
            gateway.send(.sessionUnavailable(ticket, .identityProviderUnavailable))
        }
        let response = try gateway.client().get(fields: Self.field())
        #expect(response?.status == 503)
        #expect(response?.field("Gatepost-Reason") == "identity-provider-unavailable")
    }

    // MARK: Records

    @Test func `no cookie finds a token's record, and a revoked token's stream is cut`() throws {
        let origin = RevocationTests.origin()
        let answers = Mutex(0)
        let gateway = try Gateway([Self.route(origin.port)]) { message, gateway in
            guard case .pullBearer(let ticket, let digest, _, _) = message else { return }
            let isFirst = answers.withLock { count in
                count += 1
                return count == 1
            }
            gateway.send(.session(ticket, isFirst ? Self.record(digest) : nil))
        }
        let stream = try gateway.client()
        stream.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\(Self.field())\r\n")
        #expect(stream.readSome() != nil)
        #expect(try gateway.client().get(fields: Facts.cookie(secret: Self.wire()))?.status == 401)
        gateway.engine.revoke(RevocationTests.revocation(1, .endSession("machine@wiki")))
        while stream.readSome() != nil {}
        #expect(try gateway.client().get(fields: Self.field())?.status == 401)
    }

    @Test func `a record that is overtaken while it is made is asked for again, with the token's text`()
        throws
    {
        let origin = TestOrigin.echo()
        let texts = Mutex<[[UInt8]]>([])
        let gateway = try Gateway([Self.route(origin.port)]) { message, gateway in
            guard case .pullBearer(let ticket, let digest, let text, _) = message else { return }
            let isFirst = texts.withLock { all in
                all.append(text)
                return all.count == 1
            }
            if isFirst {
                gateway.engine.revoke(RevocationTests.revocation(1, .endSession("machine@wiki")))
            }
            gateway.send(.session(ticket, Self.record(digest, sequence: isFirst ? 0 : 1)))
        }
        #expect(try gateway.client().get(fields: Self.field())?.status == 200)
        #expect(texts.withLock { $0 } == [Array(Self.token.utf8), Array(Self.token.utf8)])
    }

    @Test func `unknown tokens have half of the places of those who wait: people still find one`() throws {
        var limits = Limits()
        limits.parkedMax = 4
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Self.route(origin.port)], limits: limits) { message, gateway in
            guard case .pullSession(let ticket, _, _) = message else { return }
            gateway.send(.session(ticket, Facts.record(1)))
        }
        let waiting = try (0..<2).map { _ in try gateway.client() }
        for (index, client) in waiting.enumerated() {
            client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\(Self.field("e.b.\(index)"))\r\n")
        }
        #expect(gateway.waitUntil { self.pulls(gateway) == 2 ? true : nil } == true)
        let refused = try gateway.client().get(fields: Self.field("e.b.c"))
        #expect(refused?.status == 503)
        #expect(refused?.field("Gatepost-Reason") == "overloaded")
        #expect(try gateway.client().get(fields: Facts.cookie(1))?.status == 200)
    }

    // MARK: Parsing

    /// What RFC 6750 says, read slowly.
    private static func expected(_ value: [UInt8]) -> BearerToken.Reading {
        let text = value.map { $0 < 0x80 ? Character(Unicode.Scalar($0)) : "\u{fffd}" }
        guard String(text.prefix(6)).lowercased() == "bearer", text.count >= 6 else { return .other }
        if text.count == 6 { return .malformed }
        let word = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~")
        if text[6] != " " { return word.contains(text[6]) ? .other : .malformed }
        guard let start = text[6...].firstIndex(where: { $0 != " " }) else { return .malformed }
        let parts = text[start...].split(separator: ".", omittingEmptySubsequences: false)
        let alphabet = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
        let isFine =
            parts.count == 3 && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy(alphabet.contains) }
            && parts[0].first == "e" && text.count - start <= BearerToken.bytesMax
        return isFine ? .token(start: start) : .malformed
    }

    @Test func `seeded values are read as a slow reading of the rule reads them`() {
        let pieces = [
            "Bearer", "bearer", "BEARER", " ", "  ", "\t", "e", "eyJ", ".", "..", "a-_", "=", "+", ",", "x",
            "Basic",
            "\u{e9}", "\0", "\u{7f}", "e.b.c", "@", "`", "{",
        ]
        var kinds = [0, 0, 0]
        for seed in UInt64(0)..<20_000 {
            var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1
            func next(_ bound: Int) -> Int {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Int((state >> 33) % UInt64(bound))
            }
            var value = next(4) == 0 ? [] : Array("Bearer ".utf8)
            if next(3) == 0 { value += Array("e.b.c".utf8) }
            for _ in 0..<next(6) { value += Array(pieces[next(pieces.count)].utf8) }
            let found = BearerToken.read(value.span)
            #expect(found == Self.expected(value), "seed \(seed): \(value)")
            switch found {
            case .other: kinds[0] += 1
            case .malformed: kinds[1] += 1
            case .token: kinds[2] += 1
            }
        }
        #expect(kinds.allSatisfy { $0 > 100 }, "\(kinds)")
    }

    @Test func `a request is read alike at every split`() throws {
        let origin = TestOrigin.echo()
        let gateway = try gateway(origin)
        let client = try gateway.client()
        let good = "GET / HTTP/1.1\r\nHost: wiki.test\r\n\(Self.field())\r\n"
        for split in 1..<good.utf8.count {
            client.send(records: [String(good.prefix(split)), String(good.dropFirst(split))])
            #expect(client.receive()?.status == 200, "split at \(split)")
        }
        let bad = "GET / HTTP/1.1\r\nHost: wiki.test\r\nAuthorization: Bearer e.b.c, e\r\n\r\n"
        for split in 1..<bad.utf8.count {
            client.send(records: [String(bad.prefix(split)), String(bad.dropFirst(split))])
            #expect(client.receive()?.status == 401, "split at \(split)")
        }
        #expect(pulls(gateway) == 1)
    }
}
