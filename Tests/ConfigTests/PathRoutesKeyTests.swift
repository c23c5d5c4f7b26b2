import Access
import Testing

@testable import Config

@Suite("Routes and field changes of an application")
struct PathRoutesKeyTests {
    let folder: ConfigFolder
    init() throws { folder = try ConfigFolder() }

    private func text(_ lines: String...) -> String {
        Sample.text.replacing(
            "    identity-providers: [ corp ]\n",
            with: "    identity-providers: [ corp ]\n" + lines.map { "    \($0)\n" }.joined())
    }

    @Test func `every key reaches its setting`() throws {
        try folder.write("page.html", "<p>Closed</p>\n")
        try folder.write(
            "gatepost.yaml",
            text(
                "routes:", "  - { path-prefix: /api, strip-prefix: true, add-prefix: /v2 }",
                "  - { path-prefix: /api/raw, strip-prefix: false }",
                "  - { path: /, redirect: { to: /start/, status: 308, keep-query: false } }",
                "  - { path-prefix: /old, redirect: { to: \"https://new.test\", keep-rest: true } }",
                "  - { path: /robots.txt, answer: { status: 200, body: \"User-agent: *\" } }",
                "  - { path: /gone, answer: { status: 410, content-type: text/html, body-file: page.html } }",
                "request-fields: { set: { X-Tenant: corp }, remove: [Authorization] }",
                "response-fields: { set: { X-Frame-Options: DENY }, remove: [Server, X-Powered-By] }"))
        let wiki = try #require(try folder.load().applications.first)
        #expect(
            wiki.pathRoutes
                == PathRoutes([
                    .init(
                        path: "/api", isExact: false,
                        action: .forward(stripsPrefix: true, addedPrefix: "/v2")),
                    .init(
                        path: "/api/raw", isExact: false,
                        action: .forward(stripsPrefix: false, addedPrefix: "")),
                    .init(
                        path: "/", isExact: true,
                        action: .redirect(
                            status: 308, target: "/start/", keepsRest: false, keepsQuery: false)),
                    .init(
                        path: "/old", isExact: false,
                        action: .redirect(
                            status: 307, target: "https://new.test", keepsRest: true, keepsQuery: true)),
                    .init(
                        path: "/robots.txt", isExact: true,
                        action: .answer(
                            status: 200, contentType: "text/plain; charset=utf-8",
                            body: Array("User-agent: *".utf8))),
                    .init(
                        path: "/gone", isExact: true,
                        action: .answer(
                            status: 410, contentType: "text/html", body: Array("<p>Closed</p>\n".utf8))),
                ]))
        #expect(wiki.requestFields.set == [.init(name: "X-Tenant", value: "corp")])
        #expect(wiki.requestFields.removed == ["Authorization"])
        #expect(wiki.responseFields.set == [.init(name: "X-Frame-Options", value: "DENY")])
        #expect(wiki.responseFields.removed == ["Server", "X-Powered-By"])
    }

    static let refusals: [(String, String)] = [
        ("{ redirect: { to: /x } }", ".path"),
        ("{ path: /a, path-prefix: /a, redirect: { to: /x } }", ".path"),
        ("{ path-prefix: /a }", ".path-prefix"),
        ("{ path-prefix: /a, strip-prefix: true, redirect: { to: /x } }", ".path-prefix"),
        ("{ path: /a, answer: { status: 200 }, redirect: { to: /x } }", ".path"),
        ("{ path: a, redirect: { to: /x } }", ".path"),
        ("{ path: /a/../b, redirect: { to: /x } }", ".path"),
        ("{ path: /a%2fb, redirect: { to: /x } }", ".path"),
        ("{ path-prefix: /a/, strip-prefix: true }", ".path-prefix"),
        ("{ path-prefix: \"/a*\", strip-prefix: true }", ".path-prefix"),
        ("{ path-prefix: /.gatepost, strip-prefix: true }", ".path-prefix"),
        ("{ path-prefix: /.Gatepost/x, redirect: { to: /x } }", ".path-prefix"),
        ("{ path-prefix: /a, add-prefix: /.gatepost }", ".add-prefix"),
        ("{ path-prefix: /a, add-prefix: / }", ".add-prefix"),
        ("{ path-prefix: /a, add-prefix: v2 }", ".add-prefix"),
        ("{ path-prefix: /a, add-prefix: /v2/ }", ".add-prefix"),
        ("{ path-prefix: /, strip-prefix: true }", ".strip-prefix"),
        ("{ path: /a, strip-prefix: true }", ".path"),
        ("{ path: /a, redirect: { to: \"//evil.test\" } }", ".redirect.to"),
        ("{ path: /a, redirect: { to: \"/\\\\evil.test\" } }", ".redirect.to"),
        ("{ path: /a, redirect: { to: \"http://x.test\" } }", ".redirect.to"),
        ("{ path: /a, redirect: { to: \"javascript:alert(1)\" } }", ".redirect.to"),
        ("{ path: /a, redirect: { to: \"https://u@x.test\" } }", ".redirect.to"),
        ("{ path: /a, redirect: { to: \"https://x.test/?a\" } }", ".redirect.to"),
        ("{ path: /a, redirect: { to: \"https://x.test//b\" } }", ".redirect.to"),
        ("{ path: /a, redirect: { to: /x, status: 304 } }", ".redirect.status"),
        ("{ path: /a, redirect: { to: /x, status: 200 } }", ".redirect.status"),
        ("{ path: /a, redirect: { to: /x, keep-rest: true } }", ".redirect.keep-rest"),
        ("{ path: /a, answer: { status: 101 } }", ".answer.status"),
        ("{ path: /a, answer: { status: 304 } }", ".answer.status"),
        ("{ path: /a, answer: { status: 401 } }", ".answer.status"),
        ("{ path: /a, answer: { status: 421 } }", ".answer.status"),
        ("{ path: /a, answer: { status: 600 } }", ".answer.status"),
        ("{ path: /a, answer: { status: 204, body: x } }", ".answer.body"),
        ("{ path: /a, answer: { status: 200, body: x, body-file: y } }", ".answer.body-file"),
        ("{ path: /a, answer: { status: 200, body-file: missing } }", ".answer.body-file"),
        ("{ path: /a, answer: { status: 200, content-type: html } }", ".answer.content-type"),
        ("{ path: /a, answer: { status: 200, content-type: \"text/html; a\" } }", ".answer.content-type"),
        ("{ path: /a, proxy: true }", ".proxy"),
    ]

    @Test("what could not be meant is refused, with the key named", arguments: refusals)
    func refused(_ route: String, _ key: String) throws {
        let problems = try folder.problems(text("routes: [ \(route) ]"))
        #expect(problems.contains { $0.contains("applications.wiki.routes[0]\(key)") }, "\(problems)")
    }

    static let lists: [(String, Bool)] = [
        ("{ path: /a, redirect: { to: /b } }, { path: /a, answer: { status: 200 } }", false),
        ("{ path: /a, redirect: { to: /b } }, { path-prefix: /a, answer: { status: 200 } }", true),
        ("{ path-prefix: /, redirect: { to: /b } }", false),
        ("{ path-prefix: /, redirect: { to: \"https://wiki.test/b\" } }", false),
        ("{ path-prefix: /, redirect: { to: \"https://other.test/b\" } }", true),
        ("{ path: /, redirect: { to: /b } }", true),
        ("{ path: /, redirect: { to: / } }", false),
    ]

    @Test("a route stands once, and no redirect leads back to itself", arguments: lists)
    func listed(_ routes: String, _ isTaken: Bool) throws {
        let sample = text("routes: [ \(routes) ]").replacing("wiki.corp.example", with: "wiki.test")
        #expect(try folder.problems(sample).isEmpty == isTaken)
    }

    @Test func `exactly 64 routes are taken, one more is refused`() throws {
        for (count, isTaken) in [(64, true), (65, false)] {
            let routes = (0..<count).map { "{ path: /p\($0), answer: { status: 404 } }" }
            let problems = try folder.problems(text("routes: [ \(routes.joined(separator: ", ")) ]"))
            #expect(problems.isEmpty == isTaken, "\(count)")
        }
    }

    @Test(
        "fields that frame messages, tell who somebody is or are the gateway's own cannot be changed",
        arguments: [
            "request-fields: {}", "request-fields: { set: {} }", "request-fields: { remove: [] }",
            "request-fields: { set: { Host: x } }", "request-fields: { set: { Content-Length: 1 } }",
            "request-fields: { remove: [Transfer-Encoding] }", "request-fields: { remove: [Connection] }",
            "request-fields: { set: { Gatepost-Assertion: x } }",
            "request-fields: { remove: [gatepost-hop] }",
            "request-fields: { set: { X-Forwarded-For: x } }", "request-fields: { set: { X-Real-IP: x } }",
            "request-fields: { set: { Cookie: x } }", "request-fields: { set: { Authorization: x } }",
            "request-fields: { set: { Traceparent: x } }",
            "request-fields: { set: { Proxy-Authorization: x } }",
            "request-fields: { remove: [Sec-WebSocket-Key] }", "request-fields: { set: { \"X Y\": x } }",
            "request-fields: { set: { X-Y: \"a\\r\\nb\" } }", "request-fields: { set: { X-Y: \"é\" } }",
            "request-fields: { set: { X-Y: \" x\" } }", "request-fields: { set: { X-Y: a, x_y: b } }",
            "request-fields: { set: { X-Y: a }, remove: [x-y] }", "request-fields: { add: { X-Y: a } }",
            "request-fields: { set: { X-Remote-User: x } }\n    fields: { X-Remote-User: email }",
            "request-fields: { remove: [XRemoteUser] }\n    fields: { X-Remote-User: email }",
            "response-fields: { set: { Set-Cookie: x } }", "response-fields: { set: { Location: x } }",
            "response-fields: { set: { Content-Type: x } }", "response-fields: { remove: [Content-Length] }",
            "response-fields: { set: { Access-Control-Allow-Origin: x } }",
            "response-fields: { remove: [Gatepost-Request-Id] }", "response-fields: { remove: [Date] }",
            "response-fields: { remove: [Sec-WebSocket-Accept] }", "response-fields: { set: { Trailer: x } }",
        ])
    func structural(_ line: String) throws {
        let problems = try folder.problems(text(line))
        let key = String(line.prefix { $0 != ":" })
        #expect(problems.contains { $0.contains("applications.wiki.\(key)") }, "\(problems)")
    }
}
