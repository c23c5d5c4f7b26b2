import Access
import Border
import Testing

@testable import DataPlane

@Suite("Routes of an application: the bytes that policy judges are the bytes that are forwarded")
struct PathRouteTests {
    private static func forward(_ path: String, strips: Bool = true, adds: String = "") -> PathRoute {
        PathRoute(path: path, isExact: false, action: .forward(stripsPrefix: strips, addedPrefix: adds))
    }

    private static func redirect(
        _ path: String, to target: String, isExact: Bool = false, keepsRest: Bool = false,
        keepsQuery: Bool = true, status: Int = 307
    ) -> PathRoute {
        PathRoute(
            path: path, isExact: isExact,
            action: .redirect(status: status, target: target, keepsRest: keepsRest, keepsQuery: keepsQuery))
    }

    private static func answer(_ path: String, _ status: Int = 200, _ body: String = "closed") -> PathRoute {
        PathRoute(
            path: path, isExact: true,
            action: .answer(status: status, contentType: "text/plain", body: Array(body.utf8)))
    }

    /// Everybody may go below `prefixes`, and nowhere else.
    private static func onlyBelow(_ port: UInt16, _ prefixes: [String], _ routes: [PathRoute])
        -> ApplicationRoute
    {
        var route = Facts.open(port)
        var policy = Facts.bypass
        policy.restriction = Restriction(pathPrefixes: prefixes)
        route.anonymous = Facts.residual(signedIn: false, [policy])
        route.pathRoutes = PathRoutes(routes)
        return route
    }

    static let judged: [(path: String, upstream: String?)] = [
        ("/api/open/x?q=/secret", "/open/x?q=/secret"), ("/api/open", "/open"), ("/api/%6Fpen/x", "/open/x"),
        ("/api/secret", nil), ("/api/openx", nil), ("/open/x", "/open/x"), ("/secret", nil),
        // Both are the stripped path's business alone: nothing below /api is judged as /api.
        ("/api/api/open", nil), ("/apiopen", nil), ("/new/a", "/open/v2/a"), ("/new", "/open/v2"),
        ("/api/open/../secret", nil), ("/api/%2e%2e/secret", nil), ("/api//open", nil),
        ("/api/open%2fx", nil), ("/api/open/a;b", "/open/a;b"),
    ]

    @Test func `policy sees what is forwarded, and what it does not let in reaches nobody`() throws {
        let origin = TestOrigin.echo()
        let route = Self.onlyBelow(
            origin.port, ["/open"], [Self.forward("/api"), Self.forward("/new", adds: "/open/v2")])
        let gateway = try Gateway([route])
        for row in Self.judged {
            let response = try #require(try gateway.client().get(row.path), "\(row.path)")
            if let upstream = row.upstream {
                #expect(response.status == 200, "\(row.path)")
                #expect(
                    response.text.hasPrefix("GET \(upstream) HTTP/1.1\r\n"), "\(row.path): \(response.text)")
            } else {
                #expect([400, 403].contains(response.status), "\(row.path): \(response.status)")
            }
        }
    }

    @Test func `the same holds for heads that come byte by byte, and on one connection`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Self.onlyBelow(origin.port, ["/open"], [Self.forward("/api")])])
        let client = try gateway.client()
        for path in ["/api/open/a", "/open/b", "/api/open/c"] {
            for byte in "GET \(path) HTTP/1.1\r\nHost: wiki.test\r\n\r\n".utf8 { client.send([byte]) }
            let seen = path.hasPrefix("/api") ? String(path.dropFirst(4)) : path
            #expect(client.receive()?.text.hasPrefix("GET \(seen) ") == true)
        }
    }

    @Test func `the application is told what was taken away, and clients cannot tell it`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Self.onlyBelow(origin.port, ["/"], [Self.forward("/api")])])
        let forged = "X-Forwarded-Prefix: /evil\r\n"
        let stripped = try #require(try gateway.client().get("/api/x", fields: forged)).text
        #expect(stripped.contains("\r\nX-Forwarded-Prefix: /api\r\n") && !stripped.contains("/evil"))
        let plain = try #require(try gateway.client().get("/x", fields: forged)).text
        #expect(!plain.lowercased().contains("x-forwarded-prefix"))
    }

    @Test func `nothing of ours is below a prefix, and nothing of ours is behind one`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Self.onlyBelow(origin.port, ["/"], [Self.forward("/api")])])
        for path in ["/api/.gatepost/sign-in", "/api/.Gatepost", "/api/.gatepost"] {
            let response = try gateway.client().get(path)
            #expect(response?.status == 404 && response?.field("Gatepost-Reason") == "route-not-found")
        }
        #expect(origin.connectionCount == 0)
        #expect(try gateway.client().get("/api/.gatepostx")?.status == 200)
    }

    @Test func `a path that would grow beyond what any target may have is refused, one byte less is not`()
        throws
    {
        var limits = Limits()
        limits.targetBytesMax = 1_024
        let origin = TestOrigin.echo()
        let prefix = "/" + String(repeating: "p", count: 1_023)
        let gateway = try Gateway(
            [Self.onlyBelow(origin.port, ["/"], [Self.forward("/", strips: false, adds: prefix)])],
            limits: limits)
        let path = "/" + String(repeating: "x", count: 1_023)
        #expect(try gateway.client().get(path)?.text.hasPrefix("GET \(prefix)\(path) ") == true)
        #expect(try gateway.client().get(path + "x")?.status == 414)
    }

    static let redirects: [(PathRoute, String, String)] = [
        (redirect("/old", to: "/new"), "/old/x?a=b", "https://wiki.test:8443/new?a=b"),
        (redirect("/old", to: "/new", keepsQuery: false), "/old?a=b", "https://wiki.test:8443/new"),
        (redirect("/old", to: "/new", keepsRest: true), "/old/x/y?", "https://wiki.test:8443/new/x/y?"),
        (redirect("/old", to: "/new/", keepsRest: true), "/old/x", "https://wiki.test:8443/new/x"),
        (redirect("/old", to: "/", keepsRest: true), "/old/x", "https://wiki.test:8443/x"),
        (
            redirect("/old", to: "https://n.test", keepsRest: true), "/old/.evil.test",
            "https://n.test/.evil.test"
        ),
        (redirect("/old", to: "https://n.test", keepsRest: true), "/old", "https://n.test"),
        (
            redirect("/old", to: "https://n.test", keepsRest: true), "/old?@evil.test/",
            "https://n.test?@evil.test/"
        ),
        (
            redirect("/", to: "https://n.test/b", keepsRest: true), "/@evil.test",
            "https://n.test/b/@evil.test"
        ),
        (redirect("/", to: "/start/", isExact: true), "/", "https://wiki.test:8443/start/"),
    ]

    @Test(arguments: redirects)
    func `scheme and host of a redirect are the configuration's, whatever is asked for`(
        _ route: PathRoute, _ path: String, _ location: String
    ) throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Self.onlyBelow(origin.port, ["/"], [route])])
        let response = try #require(try gateway.client().get(path))
        #expect(response.status == 307 && response.field("Location") == location)
        #expect(response.isComplete && origin.connectionCount == 0)
    }

    @Test
    func `an answer of ours is one to every method, without a body to HEAD, and the connection goes on`()
        throws
    {
        let gateway = try Gateway([
            Self.onlyBelow(
                TestOrigin.closedPort(), ["/"], [Self.answer("/a", 503), Self.answer("/b", 204, "")])
        ])
        let client = try gateway.client()
        client.send("POST /a HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 0\r\n\r\n")
        var response = try #require(client.receive())
        #expect(response.status == 503 && response.text == "closed")
        #expect(response.field("Content-Type") == "text/plain")
        #expect(response.field("X-Content-Type-Options") == "nosniff")
        client.send("HEAD /a HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        response = try #require(client.receive(isHead: true))
        #expect(response.status == 503 && response.field("Content-Length") == "6")
        response = try #require(client.get("/b"))
        #expect(response.status == 204 && response.field("Content-Length") == nil)
        // A body that nobody reads ends the connection behind the answer.
        client.send("POST /a HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 9\r\n\r\n")
        response = try #require(client.receive())
        #expect(response.status == 503 && response.field("Connection") == "close")
    }

    @Test func `redirects and answers obey the application's policies`() throws {
        let routes = [Self.answer("/a"), Self.redirect("/old", to: "/new")]
        var route = Facts.closed(TestOrigin.closedPort())
        route.pathRoutes = PathRoutes(routes)
        let gateway = try Gateway([route], answer: RevocationTests.control)
        for path in ["/a", "/old"] {
            let response = try #require(try gateway.client().get(path))
            #expect(response.status == 401 && response.field("Location") == nil && response.text != "closed")
        }
        #expect(try gateway.client().get("/a", fields: Facts.cookie(1))?.text == "closed")
        #expect(try gateway.client().get("/old", fields: Facts.cookie(1))?.status == 307)
    }

    @Test func `limits hold for answers of ours as well`() throws {
        var route = Facts.open(
            TestOrigin.closedPort(), limits: [.blocksDownloads, .responseField(name: "X-Mark", value: "a")])
        route.pathRoutes = PathRoutes([
            Self.answer("/text"),
            PathRoute(
                path: "/file", isExact: true,
                action: .answer(status: 200, contentType: "application/pdf", body: [1, 2])),
        ])
        route.responseFields = FieldChanges(written: [Field("X-Mark", "b"), Field("X-Other", "c")])
        let gateway = try Gateway([route])
        let text = try #require(try gateway.client().get("/text"))
        #expect(text.status == 200 && text.field("X-Mark") == "a" && text.field("X-Other") == "c")
        #expect(text.head.components(of: "X-Mark") == 1)
        let file = try #require(try gateway.client().get("/file"))
        #expect(file.status == 403 && file.field("Gatepost-Reason") == "restricted-download")
    }

    @Test func `a preflight is forwarded under the path that is judged, and never answered by a route`()
        throws
    {
        let origin = TestOrigin.echo()
        var route = Facts.closed(origin.port)
        route.crossOrigin = CrossOriginRules(origins: ["https://friend.test"], preflight: .forward)
        route.pathRoutes = PathRoutes([Self.forward("/api"), Self.answer("/a")])
        let gateway = try Gateway([route])
        func preflight(_ path: String) throws -> TestResponse? {
            let client = try gateway.client()
            client.send(
                "OPTIONS \(path) HTTP/1.1\r\nHost: wiki.test\r\nOrigin: https://friend.test\r\n"
                    + "Access-Control-Request-Method: PUT\r\n\r\n")
            return client.receive()
        }
        #expect(try preflight("/api/x")?.text.hasPrefix("OPTIONS /x ") == true)
        #expect(try preflight("/a")?.status == 401)
    }

    @Test func `the log names the path that was judged`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway(
            [Self.onlyBelow(origin.port, ["/"], [Self.forward("/api")])], accessLog: true)
        _ = try gateway.client().get("/api/x")
        #expect(gateway.logLine()?.contains(#""path":"/x""#) == true)
    }
}

extension String {
    /// How often a text stands in this one.
    func components(of text: String) -> Int { ranges(of: text).count }
}

@Suite("Fields that the configuration sets and removes")
struct FieldChangeTests {
    @Test func `requests carry what is set and lack what is removed, whatever clients send`() throws {
        let origin = TestOrigin.echo()
        var route = Facts.open(origin.port)
        route.requestFields = FieldChanges(
            written: [Field("X-Tenant", "corp")], removed: ["Authorization", "X-Debug", "Accept-Language"])
        let gateway = try Gateway([route])
        let text = try #require(
            try gateway.client().get(
                fields: "X-Tenant: evil\r\nX_TENANT: evil\r\nauthorization: evil\r\nx-debug: evil\r\n"
                    + "Accept-Language: evil\r\nX-Kept: kept\r\n")
        ).text
        #expect(text.contains("\r\nX-Tenant: corp\r\n") && text.contains("kept") && !text.contains("evil"))
        // And they cannot be said to end here either.
        #expect(
            try gateway.client().get(fields: "Connection: x-tenant\r\nX-Tenant: evil\r\n")?.status == 400)
    }

    static let answers = ["200 OK", "404 Not Found"]

    @Test(arguments: answers)
    func `answers carry what is set and lack what is removed, interim ones as well`(_ status: String) throws {
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                connection.socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nserver: x\r\n\r\n")
                connection.answer(
                    "hello", status: status, fields: "SERVER: x\r\nX-Frame-Options: ALLOW\r\nX-Kept: 1\r\n")
            }
        }
        var route = Facts.open(origin.port)
        route.responseFields = FieldChanges(written: [Field("X-Frame-Options", "DENY")], removed: ["Server"])
        let gateway = try Gateway([route])
        let client = try gateway.client()
        for _ in 0..<2 {
            let interim = try #require(client.get())
            #expect(interim.status == 103 && interim.field("Server") == nil && interim.field("Link") != nil)
            #expect(interim.field("X-Frame-Options") == nil)
            let final = try #require(client.receive())
            #expect(final.text == "hello" && final.field("Server") == nil && final.field("X-Kept") == "1")
            #expect(final.field("X-Frame-Options") == "DENY")
            #expect(final.head.components(of: "X-Frame-Options") == 1)
        }
    }

    @Test func `the gateway's own refusals are the gateway's alone`() throws {
        var route = Facts.closed(TestOrigin.closedPort())
        route.responseFields = FieldChanges(written: [Field("X-Frame-Options", "DENY")])
        let gateway = try Gateway([route])
        #expect(try gateway.client().get()?.field("X-Frame-Options") == nil)
    }
}
