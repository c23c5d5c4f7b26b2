// RFC 9110 in its own order: what HTTP means, as the whole engine does it.
enum RFC9110Rows {
    private typealias Row = EngineRow
    static let all = connection + expect + methods + statuses + upgrade

    private static func named(_ options: String, _ fields: String = "") -> String {
        Row.head("GET / HTTP/1.1", "Connection: \(options)\r\n\(fields)")
    }

    static let connection: [EngineRow] = [
        .served(
            "§6.6.2 Trailer ends here", Row.head("GET / HTTP/1.1", "Trailer: X\r\n"), lacks: ["trailer:"]),
        .refused("§7.2 two Hosts", Row.head("GET / HTTP/1.1", "Host: wiki.test\r\n"), 400),
        .refused("§7.2 no Host", "GET / HTTP/1.1\r\n\r\n", 400),
        .refused("§7.2 a list in Host", "GET / HTTP/1.1\r\nHost: wiki.test, a.test\r\n\r\n", 400),
        .refused("§7.2 an empty Host (ours: it routes nowhere)", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        .refused("§7.4 a host that nobody serves", "GET / HTTP/1.1\r\nHost: else.test\r\n\r\n", 421),
        .served(
            "§7.6.1 fields that Connection names", named("X-Own", "X-Own: 1\r\nX-Other: 2\r\n"),
            arrives: ["x-other: 2"], lacks: ["x-own", "connection:"]),
        .served(
            "§7.6.1 in any case, in a list, in two fields",
            named("x-a,, X-B ", "Connection: X-C\r\nX-A: 1\r\nx-b: 1\r\nX-c: 1\r\nX-D: 1\r\n"),
            arrives: ["x-d: 1"], lacks: ["x-a:", "x-b:", "x-c:"]),
        .served(
            "§7.6.1 a field that nobody here looks at", named("Accept-Language", "Accept-Language: de\r\n"),
            lacks: ["accept-language"]),
        .served(
            "§7.6.1 hop-by-hop fields, named or not",
            Row.head(
                "GET / HTTP/1.1",
                "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nUpgrade: h2c\r\n"
                    + "Proxy-Authorization: Basic eA==\r\nHTTP2-Settings: AA\r\n"),
            lacks: ["keep-alive", "proxy-", "\r\nte:", "upgrade", "http2-settings"]),
        .refused("ours: Connection names an identity field", named("X-Remote-User"), 400),
        .refused("ours: … in a folded spelling", named("close, x_remote_user"), 400),
        .refused("ours: Connection names Host", named("Host"), 400),
        .refused(
            "ours: Connection names what somebody signs in with", named("close, Authorization"), 400),
        .refused("ours: Connection names Cookie", named("Cookie"), 400),
        .refused("ours: Connection names Content-Length", named("Content-Length"), 400),
        .refused("ours: Connection names a forwarded field", named("X-Forwarded-For"), 400),
        .refused("§7.6.1 no token", named("a b"), 400),
        .refused(
            "ours: more than 16 options", named(Array(repeating: "a", count: 17).joined(separator: ",")), 400),
        EngineRow(
            clause: "§7.6.1 the application's own connection ends here", parts: [Row.head()],
            reply: .whole(
                "HTTP/1.1 200 OK\r\nConnection: X-Inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=5\r\n"
                    + "Proxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"),
            answers: [200], arrives: [["get / "]], answersLack: ["inner", "keep-alive", "proxy-"]),
        .served(
            "§7.6.3 Via (ours: what is there passes, and none is added: it tells strangers what stands where)",
            Row.head("GET / HTTP/1.1", "Via: 1.0 fred\r\n"), arrives: ["via: 1.0 fred\r\n"],
            lacks: ["gatepost/", "via: 1.1", "fred,"]),
        EngineRow(
            clause: "§7.6.3 … nor to answers", parts: [Row.head()],
            reply: .whole("HTTP/1.1 200 OK\r\nVia: 1.1 inner\r\nContent-Length: 0\r\n\r\n"), answers: [200],
            arrives: [["get / "]], answersLack: ["inner,", "via: 1.1 wiki"]),
        EngineRow(
            clause: "§7.6.2 OPTIONS that may not be forwarded",
            parts: [Row.head("OPTIONS / HTTP/1.1", "Max-Forwards: 0\r\n")], answers: [204]),
        EngineRow(
            clause: "§7.6.2 … however it is spelt",
            parts: [Row.head("OPTIONS / HTTP/1.1", "MAX-FORWARDS:  000 \r\n")], answers: [204]),
        .served("§7.6.2 OPTIONS that may", Row.head("OPTIONS / HTTP/1.1", "Max-Forwards: 1\r\n")),
        .served("§7.6.2 no number", Row.head("OPTIONS / HTTP/1.1", "Max-Forwards: x0\r\n")),
        .served("§7.6.2 other methods may be forwarded", Row.head("GET / HTTP/1.1", "Max-Forwards: 0\r\n")),
        .refused(
            "§7.6.2 TRACE that may not be forwarded", Row.head("TRACE / HTTP/1.1", "Max-Forwards: 0\r\n"), 501
        ),
        .refused("§9.3.8 TRACE (ours: it would show what we add)", Row.head("TRACE / HTTP/1.1"), 501),
        .refused(
            "§9.3.6 CONNECT (ours: no tunnels)",
            "CONNECT wiki.test:443 HTTP/1.1\r\nHost: wiki.test:443\r\n\r\n", 501),
    ]

    private static func put(_ fields: String, version: String = "1.1") -> String {
        Row.head("PUT / HTTP/\(version)", fields)
    }
    private static let expecting = "Content-Length: 4\r\nExpect: 100-continue\r\n"

    static let expect: [EngineRow] = [
        EngineRow(
            clause: "§10.1.1 100 from the gateway, then the body", parts: [put(expecting), "body"],
            answers: [100, 200], arrives: [["content-length: 4", "\r\n\r\nbody"]], lacks: ["expect"]),
        EngineRow(
            clause: "§10.1.1 a body of unknown length",
            parts: [put("Transfer-Encoding: chunked\r\nExpect: 100-Continue\r\n"), "4\r\nbody\r\n0\r\n\r\n"],
            answers: [100, 200], arrives: [["transfer-encoding: chunked", "body"]], lacks: ["expect"]),
        EngineRow(
            clause: "§10.1.1 a client that does not wait gets no 100", parts: [put(expecting) + "body"],
            answers: [200], arrives: [["\r\n\r\nbody"]], lacks: ["expect"], drips: false),
        .served(
            "§10.1.1 no body to wait for", Row.head("GET / HTTP/1.1", "Expect: 100-continue\r\n"),
            lacks: ["expect"]),
        .served(
            "§10.1.1 an empty body", put("Content-Length: 0\r\nExpect: 100-continue\r\n"), lacks: ["expect"]),
        EngineRow(
            clause: "§10.1.1 the final answer comes before the body", parts: [put(expecting)],
            reply: .early("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"),
            answers: [100, 413],
            after: .closed, arrives: [["put / "]]),
        .refused("§10.1.1 an unknown expectation", put("Content-Length: 4\r\nExpect: a-cake\r\n"), 417),
        .refused(
            "§10.1.1 one that is known beside one that is not",
            put("Content-Length: 4\r\nExpect: 100-continue, a-cake\r\n"), 417),
        .refused("ours: the same twice", put(expecting + "Expect: 100-continue\r\n"), 400),
        .served(
            "§10.1.1 ignored in HTTP/1.0", put(expecting, version: "1.0") + "body", arrives: ["\r\n\r\nbody"],
            lacks: ["expect"], after: .closed),
    ]

    static let methods: [EngineRow] = [
        .answered(
            "§9.3.2 HEAD with a length", .whole("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"), [200],
            line: "HEAD / HTTP/1.1"),
        .answered(
            "§9.3.2 HEAD with chunks", .whole("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), [200],
            line: "HEAD / HTTP/1.1"),
        .answered(
            "§9.3.2 HEAD without a length", .whole("HTTP/1.1 200 OK\r\n\r\n"), [200], line: "HEAD / HTTP/1.1"),
        .served(
            "§9.3.7 OPTIONS of the whole server", Row.head("OPTIONS * HTTP/1.1"),
            arrives: ["options * http/1.1"]),
        .served(
            "§9.1 a method of the application's own", Row.head("PURGE / HTTP/1.1"), arrives: ["purge / "]),
    ]

    static let statuses: [EngineRow] = [
        .answered(
            "§15.2 103 goes on", .whole("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + Row.ok),
            [103, 200]),
        .answered("§15.2 so does what nobody knows", .whole("HTTP/1.1 199 X\r\n\r\n" + Row.ok), [199, 200]),
        .answered("§15.2 100 that nobody waits for", .whole("HTTP/1.1 100 Continue\r\n\r\n" + Row.ok), [200]),
        EngineRow(
            clause: "§15.2 none for HTTP/1.0", parts: [Row.head("GET / HTTP/1.0")],
            reply: .whole("HTTP/1.1 103 Early Hints\r\n\r\n" + Row.ok), answers: [200], after: .closed,
            arrives: [["get / "]]),
        .answered(
            "ours: 1xx with a body's length", .whole("HTTP/1.1 103 X\r\nContent-Length: 4\r\n\r\n" + Row.ok),
            [502]),
        .answered(
            "§15.2.2 101 that nobody asked for",
            .whole("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), [502]),
        .answered("§15.3.5 204", .whole("HTTP/1.1 204 No Content\r\n\r\n"), [204]),
        .answered(
            "§15.3.5 204 with chunks (RFC 9112 §6.1)",
            .whole("HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n"), [502]),
        .answered("§15.3.6 205 with a body", .whole("HTTP/1.1 205 X\r\nContent-Length: 2\r\n\r\nok"), [502]),
        .answered(
            "§15.4.5 304 with the length of what it is about",
            .whole("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), [304]),
        .answered("§15 a status below 100", .whole("HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n"), [502]),
        .answered(
            "§15 a status above 599 (ours: nobody knows its framing)",
            .whole("HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n"), [502]),
    ]

    private static func upgrading(_ fields: String, line: String = "GET / HTTP/1.1") -> String {
        Row.head(line, "Connection: Upgrade\r\n" + fields)
    }
    private static let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

    static let upgrade: [EngineRow] = [
        .served(
            "§7.8 a protocol that is not known here", upgrading("Upgrade: foo/2\r\n"), lacks: ["upgrade"]),
        .served(
            "§7.8 h2c (ours: its requests would not be judged)",
            Row.head(
                "GET / HTTP/1.1",
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
            lacks: ["upgrade", "http2-settings"]),
        .served(
            "§7.8 a choice of protocols is none", upgrading("Upgrade: websocket, h2c\r\n" + key),
            lacks: ["upgrade:"]),
        .served(
            "§7.8 Connection does not name it", Row.head("GET / HTTP/1.1", "Upgrade: websocket\r\n" + key),
            lacks: ["upgrade:"]),
        .served(
            "§7.8 ignored in HTTP/1.0", upgrading("Upgrade: websocket\r\n" + key, line: "GET / HTTP/1.0"),
            lacks: ["upgrade:"], after: .closed),
        .refused("RFC 6455 §4.1 no key", upgrading("Upgrade: websocket\r\n"), 400),
        .refused(
            "RFC 6455 §4.1 a key of 15 bytes",
            upgrading("Upgrade: websocket\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM=\r\n"), 400),
        .refused(
            "RFC 6455 §4.1 a POST", upgrading("Upgrade: websocket\r\n" + key, line: "POST / HTTP/1.1"), 400),
        .refused(
            "ours: WebSocket with a body (its bytes could pass for frames)",
            upgrading("Upgrade: websocket\r\nContent-Length: 2\r\n" + key) + "ok", 400),
        EngineRow(
            clause: "RFC 6455 §10.2 a page of somebody else's",
            parts: [upgrading("Upgrade: websocket\r\nOrigin: https://evil.test\r\n" + key)], answers: [403]),
        EngineRow(
            clause: "RFC 6455 §4.1 a 101 without the key's answer",
            parts: [upgrading("Upgrade: websocket\r\n" + key)],
            reply: .whole("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
            answers: [502],
            arrives: [["upgrade: websocket"]]),
        EngineRow(
            clause: "RFC 6455 §4.2.2 the application declines",
            parts: [upgrading("Upgrade: websocket\r\n" + key)],
            answers: [200], arrives: [["upgrade: websocket", "connection: upgrade"]]),
    ]
}
