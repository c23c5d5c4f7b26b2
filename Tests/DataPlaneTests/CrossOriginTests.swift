import Access
import Border
import Foundation
import Synchronization
import Testing

@testable import DataPlane

@Suite("Scripts of other origins, at an application that says who they may be")
struct CrossOriginTests {
    private static let portal = "https://portal.test"

    private static func rules(_ preflight: CrossOriginRules.Preflight = .answer) -> CrossOriginRules {
        var rules = CrossOriginRules(origins: [portal, "https://second.test:8443"], preflight: preflight)
        guard preflight == .answer else { return rules }
        rules.methods = ["PUT", "DELETE"]
        rules.requestFields = ["Content-Type", "X-Own"]
        rules.responseFields = ["X-Total"]
        rules.allowsCredentials = true
        rules.maxAgeSeconds = 600
        return rules
    }

    private static func route(_ port: UInt16, isOpen: Bool = false, _ rules: CrossOriginRules?)
        -> ApplicationRoute
    {
        var route = isOpen ? Facts.open(port) : Facts.closed(port)
        route.crossOrigin = rules
        return route
    }

    private static func preflight(_ origin: String = portal, method: String = "PUT", more: String = "")
        -> String
    {
        "OPTIONS /a?b=c HTTP/1.1\r\nHost: wiki.test\r\nOrigin: \(origin)\r\n"
            + "Access-Control-Request-Method: \(method)\r\nAccess-Control-Request-Headers: x-own\r\n\(more)\r\n"
    }

    private static func said(_ response: TestResponse) -> [String] {
        response.head.components(separatedBy: "\r\n").filter {
            $0.lowercased().hasPrefix("access-control-") || $0.lowercased().hasPrefix("vary:")
        }
    }

    @Test func `the preflight of a listed origin is answered without a sign-in and without the application`()
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Self.route(origin.port, Self.rules())])
        let client = try gateway.client()
        client.send(Self.preflight())
        let answer = try #require(client.receive())
        #expect(answer.status == 204 && answer.body.isEmpty)
        #expect(
            Self.said(answer) == [
                "Access-Control-Allow-Origin: https://portal.test", "Access-Control-Allow-Credentials: true",
                "Access-Control-Allow-Methods: PUT, DELETE",
                "Access-Control-Allow-Headers: Content-Type, X-Own",
                "Access-Control-Max-Age: 600",
                "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
            ])
        #expect(answer.field("Set-Cookie") == nil && answer.field("Content-Length") == nil)
        // The connection is as good as before.
        client.send(Self.preflight("https://second.test:8443"))
        #expect(client.receive()?.field("Access-Control-Allow-Origin") == "https://second.test:8443")
        #expect(client.get("/api")?.status == 401)
        #expect(origin.connectionCount == 0 && gateway.received.withLock { $0.isEmpty })
    }

    @Test(
        "an origin that is not listed gets 403 and no word of permission, however much it looks like one",
        arguments: [
            "https://evil.test", "null", "*", "https://portal.test.evil.test", "https://portal.test:443",
            "http://portal.test", "https://PORTAL.test", "https://portal.test/", "https://portal.test ,",
            "https://xportal.test", "https://portal.tes", "https://second.test",
            "https://portal.test\thttps://a.test",
        ], [CrossOriginRules.Preflight.answer, .forward])
    func unlisted(_ sent: String, _ preflight: CrossOriginRules.Preflight) throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Self.route(origin.port, isOpen: true, Self.rules(preflight))])
        let client = try gateway.client()
        client.send(Self.preflight(sent))
        let answer = try #require(client.receive())
        #expect(answer.status == 403)
        #expect(answer.text.hasPrefix("{\"reason\":\"origin-not-allowed\""))
        #expect(!answer.head.lowercased().contains("access-control-"))
        #expect(answer.field("Vary")?.hasPrefix("Origin") == true)
        #expect(origin.connectionCount == 0)
    }

    /// None of these is what a browser sends before a call.
    static let ordinary: [(String, String)] = [
        ("no method", "Origin: https://portal.test\r\n"),
        ("an empty method", "Origin: https://portal.test\r\nAccess-Control-Request-Method:\r\n"),
        ("no origin", "Access-Control-Request-Method: PUT\r\n"),
        (
            "two origins",
            "Origin: https://portal.test\r\nOrigin: https://portal.test\r\nAccess-Control-Request-Method: PUT\r\n"
        ),
        (
            "two methods",
            "Origin: https://portal.test\r\nAccess-Control-Request-Method: PUT\r\n"
                + "Access-Control-Request-Method: PUT\r\n"
        ),
        (
            "a body",
            "Origin: https://portal.test\r\nAccess-Control-Request-Method: PUT\r\nContent-Length: 1\r\n"
        ),
        (
            "a body of unknown length",
            "Origin: https://portal.test\r\nAccess-Control-Request-Method: PUT\r\nTransfer-Encoding: chunked\r\n"
        ),
    ]

    @Test(
        "an OPTIONS that is no preflight is a request like all others, under policy", arguments: ordinary,
        [CrossOriginRules.Preflight.answer, .forward])
    func notPreflight(_ row: (String, String), _ preflight: CrossOriginRules.Preflight) throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Self.route(origin.port, Self.rules(preflight))])
        let client = try gateway.client()
        client.send("OPTIONS / HTTP/1.1\r\nHost: wiki.test\r\n\(row.1)\r\n")
        #expect(client.receive()?.status == 401, "\(row.0)")
        #expect(origin.connectionCount == 0, "\(row.0)")
    }

    @Test func `without rules a preflight needs a sign-in like everything, and reserved paths have none`()
        throws
    {
        let origin = TestOrigin.echo()
        let plain = try Gateway([Self.route(origin.port, nil)])
        let client = try plain.client()
        client.send(Self.preflight())
        #expect(client.receive()?.status == 401)
        let gateway = try Gateway([Self.route(origin.port, Self.rules(.forward))])
        let other = try gateway.client()
        other.send(Self.preflight().replacingOccurrences(of: "/a?b=c", with: "/.gatepost/sign-in"))
        #expect(gateway.waitFor { if case .request = $0 { true } else { false } } != nil)
        #expect(origin.connectionCount == 0)
    }

    @Test func `a forwarded preflight has what makes it one, and no credential, identity or other field`()
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Self.route(origin.port, Self.rules(.forward))]) { message, gateway in
            SessionTests.control(message, gateway)
        }
        let client = try gateway.client()
        let extra =
            Facts.cookie(1) + "Authorization: Bearer x\r\nX-Own: y\r\nGatepost-Assertion: forged\r\n"
            + "X-Forwarded-For: 1.2.3.4\r\nContent-Length: 0\r\nAccess-Control-Request-Private-Network: true\r\n"
        client.send(Self.preflight(more: extra))
        let answer = try #require(client.receive())
        #expect(answer.status == 200)
        let lines = answer.text.components(separatedBy: "\r\n").filter { !$0.isEmpty }
        #expect(lines.first == "OPTIONS /a?b=c HTTP/1.1")
        let names = Set(lines.dropFirst().map { String($0.prefix { $0 != ":" }).lowercased() })
        let wanted: Set = [
            "host", "origin", "access-control-request-method", "access-control-request-headers",
            "x-forwarded-for",
            "x-forwarded-proto", "x-forwarded-host", "traceparent", "gatepost-hop", "gatepost-request-id",
            "x-request-id",
            "x-real-ip", "x-forwarded-port", "forwarded",
        ]
        #expect(names.isSubset(of: wanted), "\(names.subtracting(wanted))")
        #expect(!answer.text.contains("1.2.3.4") && !answer.text.contains("__Host-gatepost"))
        #expect(gateway.engine.metrics().sum("session_pulls") == 0)
        // The next request of the connection is judged as ever.
        #expect(client.get("/api")?.status == 401)
    }

    @Test func `limits of the request before are none of a forwarded preflight's`() throws {
        let origin = TestOrigin.echo()
        var route = Facts.open(
            origin.port,
            limits: [
                .upstreamField(name: "X-Access", value: "less"), .responseField(name: "X-A", value: "b"),
            ])
        route.crossOrigin = Self.rules(.forward)
        let gateway = try Gateway([route])
        let client = try gateway.client()
        #expect(client.get()?.text.contains("X-Access: less") == true)
        client.send(Self.preflight())
        let answer = try #require(client.receive())
        #expect(!answer.text.contains("X-Access") && answer.field("X-A") == nil)
        #expect(client.get()?.field("X-A") == "b")
    }

    /// An application that lets everybody read everything.
    private static func lax() -> TestOrigin {
        TestOrigin { connection in
            while connection.readHead() != nil {
                connection.answer(
                    fields: "Access-Control-Allow-Origin: *\r\naccess-control-allow-credentials: true\r\n"
                        + "ACCESS-CONTROL-EXPOSE-HEADERS: *\r\nAccess-Control-Anything: x\r\nVary: Accept\r\n"
                        + "X-Access-Control-Like: y\r\n")
            }
        }
    }

    @Test("one writer: what the application says of other origins is replaced", arguments: [false, true])
    func replaced(_ isLimited: Bool) throws {
        let origin = Self.lax()
        var route =
            isLimited
            ? Facts.open(origin.port, limits: [.responseField(name: "X-A", value: "b")])
            : Facts.open(origin.port)
        route.crossOrigin = Self.rules()
        let gateway = try Gateway([route])
        let client = try gateway.client()
        let listed = try #require(client.get(fields: "Origin: https://portal.test\r\n"))
        #expect(
            Set(Self.said(listed)) == [
                "Vary: Accept", "Access-Control-Allow-Origin: https://portal.test",
                "Access-Control-Allow-Credentials: true", "Access-Control-Expose-Headers: X-Total",
                "Vary: Origin",
            ])
        #expect(Self.said(listed).count == 5)
        for fields in [
            "", "Origin: https://evil.test\r\n", "Origin: null\r\n", "Origin: https://wiki.test:8443\r\n",
        ] {
            let other = try #require(client.get(fields: fields))
            #expect(Self.said(other).sorted() == ["Vary: Accept", "Vary: Origin"], "\(fields)")
            #expect(other.field("X-Access-Control-Like") == "y")
            #expect(other.field("X-A") == (isLimited ? "b" : nil))
        }
        // A body, so that the head is gone when the answer comes.
        client.send(
            "POST / HTTP/1.1\r\nHost: wiki.test\r\nOrigin: https://second.test:8443\r\nContent-Length: 0\r\n\r\n"
        )
        #expect(client.receive()?.field("Access-Control-Allow-Origin") == "https://second.test:8443")
    }

    @Test("where the application answers preflights it writes the rest too", arguments: [true, false])
    func passed(_ isForwarded: Bool) throws {
        let origin = Self.lax()
        let gateway = try Gateway([
            Self.route(origin.port, isOpen: true, isForwarded ? Self.rules(.forward) : nil)
        ])
        let client = try gateway.client()
        let answer = try #require(client.get(fields: "Origin: https://evil.test\r\n"))
        #expect(answer.field("Access-Control-Allow-Origin") == "*")
        #expect(answer.head.contains("access-control-allow-credentials: true"))
        #expect(!answer.head.contains("Vary: Origin"))
    }

    @Test func `a head that is followed by an interim answer says it once, on the last`() throws {
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                connection.socket.write(
                    "HTTP/1.1 103 Early Hints\r\nAccess-Control-Allow-Origin: *\r\nLink: a\r\n\r\n")
                connection.answer()
            }
        }
        let gateway = try Gateway([Self.route(origin.port, isOpen: true, Self.rules())])
        let client = try gateway.client()
        let hint = try #require(client.get(fields: "Origin: https://portal.test\r\n"))
        #expect(hint.status == 103 && Self.said(hint).isEmpty && hint.field("Link") == "a")
        #expect(client.receive()?.field("Access-Control-Allow-Origin") == "https://portal.test")
    }

    @Test func `refusals are read by listed origins alone, with cookies only where the rules say so`() throws
    {
        var plain = Self.rules()
        plain.allowsCredentials = false
        for (rules, credentials) in [(Self.rules(), "true"), (plain, nil), (Self.rules(.forward), nil)] {
            let gateway = try Gateway([Self.route(1, rules)])
            let client = try gateway.client()
            let answer = try #require(client.get("/api", fields: "Origin: https://portal.test\r\n"))
            #expect(answer.status == 401)
            #expect(answer.field("Access-Control-Allow-Origin") == "https://portal.test")
            #expect(answer.field("Access-Control-Allow-Credentials") == credentials)
            #expect(answer.field("Access-Control-Expose-Headers")?.contains("Gatepost-Reason") == true)
            // `origins` of the application goes on as before.
            let friend = try #require(client.get("/api", fields: "Origin: https://friend.test\r\n"))
            #expect(friend.field("Access-Control-Allow-Credentials") == "true")
            for other in ["null", "*", "https://evil.test", "https://portal.test.evil.test"] {
                let stranger = try #require(client.get("/api", fields: "Origin: \(other)\r\n"))
                #expect(
                    stranger.status == 401 && stranger.field("Access-Control-Allow-Origin") == nil, "\(other)"
                )
            }
            let twice = client.get(
                "/api", fields: "Origin: https://portal.test\r\nOrigin: https://portal.test\r\n")
            #expect(twice?.field("Access-Control-Allow-Origin") == nil)
        }
    }

    @Test func `whoever may call may not for that open WebSockets, whose cookies no rule can hold back`()
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Self.route(origin.port, isOpen: true, Self.rules())])
        let client = try gateway.client()
        let answer = client.get(
            fields: "Origin: https://portal.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
        #expect(answer?.field("Gatepost-Reason") == "origin-not-allowed")
        #expect(origin.connectionCount == 0)
    }

    @Test("rules that change while a request is on its way are read anew", arguments: [true, false])
    func reloaded(_ isForwarded: Bool) throws {
        let reload = Mutex<(@Sendable () -> Void)?>(nil)
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                // The second request on the first connection dies there, and is walked once more.
                if connection.number == 0, let reload = reload.withLock({ $0 }) { return reload() }
                connection.answer(fields: "Access-Control-Allow-Origin: https://their.test\r\n")
            }
        }
        let gateway = try Gateway([Self.route(origin.port, isOpen: true, Self.rules())])
        let client = try gateway.client()
        let second = "Origin: https://second.test:8443\r\n"
        #expect(
            client.get(fields: second)?.field("Access-Control-Allow-Origin") == "https://second.test:8443")
        let fewer = CrossOriginRules(origins: [Self.portal], preflight: .forward)
        let routes = [
            Self.route(origin.port, isOpen: true, isForwarded ? fewer : nil),
            Facts.open(origin.port, host: "new.test", name: "new"),
        ]
        reload.withLock {
            $0 = { [weak gateway] in
                guard let gateway else { return }
                _ = try? gateway.engine.broadcast(configuration: Gateway.snapshot(routes, revision: 2))
                _ = gateway.waitUntil {
                    (try? gateway.client().get(host: "new.test"))?.status == 200 ? true : nil
                }
            }
        }
        let answer = try #require(client.get(fields: second))
        #expect(answer.status == 200)
        #expect(answer.field("Access-Control-Allow-Origin") == "https://their.test")
    }
}
