// RFC 9112 in its own order: how messages are framed, as the whole engine does it. The parser's own table is
// HTTPTests/RFC9112Rows; here is what comes of it on the wire.
enum RFC9112EngineRows {
    private typealias Row = EngineRow
    static let all = lines + target + fields + framing + chunks + answers + connection

    private static let two = Row.head("GET /1 HTTP/1.1") + Row.head("GET /2 HTTP/1.1")

    static let lines: [EngineRow] = [
        .served("§2.2 one empty line before a request", "\r\n" + Row.head()),
        .refused("§2.2 two of them (ours)", "\r\n\r\n" + Row.head(), 400),
        .refused(
            "§2.2 bare LF (ours: others end lines elsewhere)", "GET / HTTP/1.1\nHost: wiki.test\n\n", 400),
        .refused("§2.2 bare CR", "GET / HTTP/1.1\r\nHost: wiki.test\r\nX: a\rb\r\n\r\n", 400),
        .refused("§2.2 a blank before the first field", "GET / HTTP/1.1\r\n Host: wiki.test\r\n\r\n", 400),
        .served("§2.3 HTTP/1.0", Row.head("GET / HTTP/1.0"), arrives: ["get / http/1.1"], after: .closed),
        .served(
            "§9.3 HTTP/1.0 that asks to stay (ours: it closes)",
            Row.head("GET / HTTP/1.0", "Connection: keep-alive\r\n"), after: .closed),
        .refused("§2.3 HTTP/1.2", Row.head("GET / HTTP/1.2"), 505),
        .refused("§2.3 the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        .refused("§2.3 HTTP/0.9", "GET /\r\n\r\n", 400),
        .refused("§3 two spaces", "GET  / HTTP/1.1\r\nHost: wiki.test\r\n\r\n", 400),
        .refused(
            "§3.1 a method of 33 letters", Row.head(String(repeating: "M", count: 33) + " / HTTP/1.1"), 501),
    ]

    static let target: [EngineRow] = [
        EngineRow(
            clause: "§3 a target of 16,385 bytes",
            parts: [Row.head("GET /\(String(repeating: "a", count: 16_384)) HTTP/1.1")], answers: [414],
            after: .closed, drips: false),
        .served(
            "§3.2.2 absolute-form", "GET https://wiki.test/a?b HTTP/1.1\r\nHost: WIKI.test\r\n\r\n",
            arrives: ["get /a?b http/1.1\r\nhost: wiki.test\r\n"]),
        .refused(
            "§3.2.2 absolute-form of another host (ours: refused, not overridden)",
            "GET https://a.test/ HTTP/1.1\r\nHost: wiki.test\r\n\r\n", 400),
        .refused(
            "§3.2.2 another scheme than the connection's", Row.head("GET http://wiki.test/ HTTP/1.1"), 400),
        .refused("§3.2.3 authority-form", Row.head("GET wiki.test:443 HTTP/1.1"), 400),
        .served(
            "§3.2.4 OPTIONS of an authority alone", Row.head("OPTIONS https://wiki.test HTTP/1.1"),
            arrives: ["options * http/1.1"]),
        .refused("§3.2.4 GET of it", Row.head("GET * HTTP/1.1"), 400),
        .refused("§3.2 a fragment", Row.head("GET /a#b HTTP/1.1"), 400),
    ]

    static let fields: [EngineRow] = [
        .served(
            "§5 blanks around a value", Row.head("GET / HTTP/1.1", "X: \t a b \t\r\n"), arrives: ["\r\nx: "]),
        .refused("§5.1 a blank before the colon", Row.head("GET / HTTP/1.1", "X : 1\r\n"), 400),
        .refused("§5.2 obs-fold", Row.head("GET / HTTP/1.1", "X: 1\r\n 2\r\n"), 400),
        .refused("RFC 9110 §5.5 NUL", Row.head("GET / HTTP/1.1", "X: \0\r\n"), 400),
        .refused("RFC 9110 §5.1 no token", Row.head("GET / HTTP/1.1", "X(: 1\r\n"), 400),
        .refused(
            "§5 more than 100 of them", Row.head("GET / HTTP/1.1", String(repeating: "X: 1\r\n", count: 100)),
            431),
        EngineRow(
            clause: "§5 a head of more than 32 KiB",
            parts: [Row.head("GET / HTTP/1.1", "X: \(String(repeating: "a", count: 32_768))\r\n")],
            answers: [431],
            after: .closed, drips: false),
    ]

    private static func post(_ fields: String, _ body: String = "") -> String {
        Row.head("POST / HTTP/1.1", fields) + body
    }

    static let framing: [EngineRow] = [
        .served(
            "§6.2 a length", post("Content-Length: 2\r\n", "hi"),
            arrives: ["content-length: 2", "\r\n\r\nhi"]),
        .refused("§6.3-5 a list of equal lengths (ours)", post("Content-Length: 2, 2\r\n", "hi"), 400),
        .refused(
            "§6.3-5 two equal lengths (ours)", post("Content-Length: 2\r\nContent-Length: 2\r\n", "hi"), 400),
        .refused("§6.3-5 two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "hi"), 400),
        .refused("RFC 9110 §8.6 a sign", post("Content-Length: +2\r\n", "hi"), 400),
        .refused("RFC 9110 §8.6 beyond 63 bits", post("Content-Length: 9223372036854775808\r\n", "hi"), 400),
        .refused(
            "§6.1 length and coding (ours)",
            post("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
        .refused("§6.1 another coding", post("Transfer-Encoding: gzip\r\n"), 501),
        .refused(
            "§6.1 a list of codings (ours)", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400),
        .refused(
            "§6.1 chunked in HTTP/1.0",
            Row.head("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400),
        EngineRow(
            clause: "§6.3 what stands behind a body is the next request",
            parts: [post("Content-Length: 2\r\n", "hi") + Row.head("GET /2 HTTP/1.1")], answers: [200, 200],
            arrives: [["post / ", "\r\n\r\nhi"], ["get /2 "]]),
        EngineRow(
            clause: "§8 a body that ends too early", parts: [post("Content-Length: 9\r\n", "hi")],
            answers: [],
            after: .closed, endsSide: true),
        EngineRow(
            clause: "§8 a head that ends too early", parts: ["GET / HTTP/1.1\r\nHost: wiki"], answers: [],
            after: .closed, endsSide: true),
    ]

    private static func chunked(_ body: String) -> String { post("Transfer-Encoding: chunked\r\n", body) }

    static let chunks: [EngineRow] = [
        .served(
            "§7.1 a body of unknown length", chunked("2\r\nhi\r\n3;x=\"y\"\r\nyou\r\n000\r\n\r\n"),
            arrives: ["transfer-encoding: chunked", "\r\n\r\nhiyou"],
            // §7.1.1: extensions are between two hops.
            lacks: ["content-length", "x="]),
        .refused("§7.1 no size", chunked("\r\nhi\r\n"), 400),
        .refused("§7.1 a size in no digits", chunked("z\r\nhi\r\n"), 400),
        .refused("§7.1 0x", chunked("0x2\r\nhi\r\n0\r\n\r\n"), 400),
        .refused("§7.1 a size beyond 63 bits", chunked("fffffffffffffffff\r\nhi"), 400),
        .refused("§7.1 more data than its size", chunked("2\r\nhij\r\n0\r\n\r\n"), 400),
        .refused("§7.1 bare LF behind a size (ours)", chunked("2\nhi\r\n0\r\n\r\n"), 400),
        .refused("§7.1 bare LF behind data (ours)", chunked("2\r\nhi\n0\r\n\r\n"), 400),
        .refused("§7.1.1 a control in an extension", chunked("2;\0\r\nhi\r\n0\r\n\r\n"), 400),
        .refused("§7.1.2 a trailer line that is none", chunked("0\r\nX y: 1\r\n\r\n"), 400),
        .refused("§7.1.2 obs-fold in a trailer", chunked("0\r\nX: 1\r\n 2\r\n\r\n"), 400),
        EngineRow(
            clause: "§7.1 the next request behind the last chunk",
            parts: [chunked("0\r\n\r\n") + Row.head("GET /2 HTTP/1.1")], answers: [200, 200],
            arrives: [["post / "], ["get /2 "]]),
    ]

    private static let length = "HTTP/1.1 200 OK\r\nContent-Length: "

    static let answers: [EngineRow] = [
        .answered("§6.3-8 an answer until its end", .last("HTTP/1.1 200 OK\r\n\r\nall"), [200]),
        .answered("§6.3-8 … of HTTP/1.0", .last("HTTP/1.0 200 OK\r\n\r\nall"), [200]),
        .answered("§9.3 the application ends behind its answer", .last(length + "2\r\n\r\nok"), [200]),
        .answered("§8 it ends inside of its answer", .last(length + "9\r\n\r\nok"), [200], after: .broken),
        .answered(
            "§8 it ends inside of a chunk",
            .last("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok"), [200], after: .broken),
        // On a connection that was used before it would be taken for one that had died there, and asked once more.
        EngineRow(
            clause: "§9.6 it ends without a word", parts: [Row.head()], reply: .last(""), answers: [502],
            arrives: [["get / "]], drips: false),
        .answered("§9.6 it ends inside of its head", .last("HTTP/1.1 200 OK\r\nX:"), [502]),
        .answered(
            "§6.3-5 an answer with two lengths", .whole(length + "2\r\nContent-Length: 3\r\n\r\nok"), [502]),
        .answered(
            "§6.3-3 length and coding", .whole(length + "2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            [502]),
        .answered("§2.2 bare LF", .whole("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), [502]),
        .answered(
            "§5.2 obs-fold (ours: a proxy may refuse it)",
            .whole("HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nContent-Length: 0\r\n\r\n"), [502]),
        .answered("§4 no HTTP", .whole("SSH-2.0-OpenSSH_9.2\r\n\r\n"), [502]),
        .answered("§4 a phrase is not needed", .whole("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), [200]),
    ]

    static let connection: [EngineRow] = [
        EngineRow(
            clause: "§9.3.2 pipelined requests are answered in order",
            parts: [two + Row.head("GET /3 HTTP/1.1")], answers: [200, 200, 200],
            arrives: [["get /1 "], ["get /2 "], ["get /3 "]]),
        EngineRow(
            clause: "§9.3.2 … up to the one that is refused",
            parts: [two + "GET / HTTP/9.9\r\n\r\n" + Row.head()],
            answers: [200, 200, 505], after: .closed, arrives: [["get /1 "], ["get /2 "]]),
        EngineRow(
            clause: "§9.6 nothing is read behind close",
            parts: [Row.head("GET / HTTP/1.1", "Connection: close\r\n") + Row.head("GET /2 HTTP/1.1")],
            answers: [200], after: .closed, arrives: [["get / "]]),
        EngineRow(
            clause: "§9.6 a client that ends its side behind its request is answered", parts: [Row.head()],
            answers: [200], after: .closed, arrives: [["get / "]], endsSide: true),
        EngineRow(
            clause: "§9.6 … behind a body", parts: [post("Content-Length: 2\r\n", "hi")], answers: [200],
            after: .closed, arrives: [["post / ", "\r\n\r\nhi"]], endsSide: true),
        EngineRow(
            clause: "§9.6 … behind pipelined requests", parts: [two], answers: [200, 200], after: .closed,
            arrives: [["get /1 "], ["get /2 "]], endsSide: true),
        EngineRow(
            clause: "§9.6 an answer while the body still comes ends the connection",
            parts: [post("Content-Length: 1000000\r\n", "start")], reply: .early(Row.ok), answers: [200],
            after: .closed, arrives: [["post / "]]),
        EngineRow(
            clause: "§9.6 … also one of unknown length", parts: [chunked("5\r\nstart\r\n")],
            reply: .early(Row.ok),
            answers: [200], after: .closed, arrives: [["post / "]]),
    ]
}
