import Access
import Border
import Foundation
import Synchronization
import Testing

@testable import DataPlane

@Suite("banner, in both protocols")
struct BannerTests {
    static let limit = AccessLimit.banner("Read-only: <this> device isn’t managed.")
    static let html =
        "<div role=\"status\" class=\"gatepost-banner\">Read-only: &lt;this&gt; device isn&#8217;t managed.</div>"
    static let navigation = "Sec-Fetch-Mode: navigate\r\nAccept-Encoding: gzip, br\r\n"
    static let page =
        "<!DOCTYPE html><html><head><title>é</title></head><body class=\"a\"><p>Hello.</p></body></html>"
    static let edited = page.replacing("<body class=\"a\">", with: "<body class=\"a\">" + html)

    /// The origin lives as long as the gateway.
    static func gateway(_ origin: TestOrigin) throws -> Gateway {
        try Gateway([Facts.open(origin.port, limits: [limit])]) { _, _ in withExtendedLifetime(origin) {} }
    }

    /// Answers each request with the same pieces, each in a segment of its own once the one before was taken.
    static func origin(_ pieces: [[UInt8]], ends: Bool = false) -> TestOrigin {
        TestOrigin { connection in
            while connection.readHead() != nil {
                for piece in pieces { connection.socket.write(piece) }
                if ends { return }
            }
        }
    }

    static func head(_ fields: String = "") -> String {
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\(fields)\r\n"
    }

    static func answer(_ framing: String, _ body: String, _ fields: String = "") -> [UInt8] {
        switch framing {
        case "length": Array((head("Content-Length: \(body.utf8.count)\r\n" + fields) + body).utf8)
        case "chunked":
            Array(
                (head("Transfer-Encoding: chunked\r\n" + fields) + chunks(body, size: 7) + "0\r\n\r\n").utf8)
        case _: Array((head(fields) + body).utf8)
        }
    }

    private static func chunks(_ body: String, size: Int) -> String {
        var text = ""
        var rest = Array(body.utf8)[...]
        while !rest.isEmpty {
            let piece = rest.prefix(size)
            text += "\(String(piece.count, radix: 16))\r\n" + String(decoding: piece, as: UTF8.self) + "\r\n"
            rest = rest.dropFirst(size)
        }
        return text
    }

    @Test(arguments: ["length", "chunked", "close"], ClientVersion.allCases)
    func `the sentence stands on top of the page, in every framing and for old clients`(
        _ framing: String, _ version: ClientVersion
    ) throws {
        let page = Self.page.replacing("é", with: "e")
        let origin = Self.origin([Self.answer(framing, page)], ends: framing == "close")
        let gateway = try Self.gateway(origin)
        let client = try EitherClient(gateway, version)
        for spoken in ["1.1", "1.1"] + (version == .http1 ? ["1.0"] : []) {
            client.send("GET / HTTP/\(spoken)\r\nHost: wiki.test\r\n\(Self.navigation)\r\n")
            let response = try #require(client.receive())
            #expect(response.text == Self.edited.replacing("é", with: "e"), "\(framing) \(spoken)")
            #expect(response.isComplete)
            if framing == "length" {
                #expect(response.field("Content-Length") == "\(page.utf8.count + Self.html.utf8.count)")
            }
        }
    }

    /// The response in two pieces: the second is sent when the first has been worked off.
    private func split(_ bytes: [UInt8], at places: [Int], _ expected: String, _ version: ClientVersion)
        throws
    {
        let place = Atomic<Int>(0)
        let shared = BodyTests.Shared(place)
        let turns = TurnCounter()
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                let at = shared.count.load(ordering: .relaxed)
                let before = turns.now
                connection.socket.write(Array(bytes[..<at]))
                if at > 0 { turns.wait(after: before) }
                connection.socket.write(Array(bytes[at...]))
            }
        }
        let gateway = try Self.gateway(origin)
        turns.gateway.withLock { $0 = gateway }
        defer { turns.gateway.withLock { $0 = nil } }
        let client = try EitherClient(gateway, version)
        for at in places {
            shared.count.store(at, ordering: .relaxed)
            let response = try #require(client.get(fields: Self.navigation))
            #expect(response.text == expected && response.isComplete, "split at \(at)")
        }
    }

    final class TurnCounter: Sendable {
        let gateway = Mutex<Gateway?>(nil)
        var now: UInt64 { gateway.withLock { $0 }?.engine.metrics().sum("turns") ?? 0 }
        /// The reactor has looked at what was sent.
        func wait(after turns: UInt64) {
            let end = Clock.monotonicNanoseconds() + 1_000_000_000
            while now <= turns, Clock.monotonicNanoseconds() < end { sched_yield() }
        }
    }

    @Test(arguments: ["length", "chunked"], ClientVersion.allCases)
    func `it is put in at the same place, wherever the answer is split`(
        _ framing: String, _ version: ClientVersion
    ) throws {
        let bytes = Self.answer(framing, "<html><!-- <body> --><body a='>'>x</body>")
        try split(
            bytes, at: Array(0..<bytes.count), "<html><!-- <body> --><body a='>'>\(Self.html)x</body>",
            version)
    }

    @Test(arguments: ClientVersion.allCases)
    func `pages without a body tag, without anything visible, and framesets`(_ version: ClientVersion) throws
    {
        for (page, expected) in [
            ("Hello", Self.html + "Hello"), ("<title>t</title><p>", "<title>t</title>\(Self.html)<p>"),
            ("<title>t</title>", "<title>t</title>" + Self.html), ("<script>", "<script>" + Self.html),
            ("<bod", "<bod" + Self.html), ("<body", "<body" + Self.html), (" ", " " + Self.html),
            ("<frameset></frameset>", "<frameset></frameset>" + Self.html),
        ] {
            for framing in ["length", "chunked"] {
                let gateway = try Self.gateway(Self.origin([Self.answer(framing, page)]))
                let client = try EitherClient(gateway, version)
                for _ in 0..<2 {
                    let response = try #require(client.get(fields: Self.navigation))
                    #expect(response.text == expected && response.isComplete, "\(framing) \(page)")
                }
            }
        }
    }

    @Test(arguments: ClientVersion.allCases)
    func `a head of megabytes streams by`(_ version: ClientVersion) throws {
        let filler = "<!--" + String(repeating: "<body>", count: 500_000) + "-->"
        let gateway = try Self.gateway(Self.origin([Self.answer("length", filler + "<body>x")]))
        let response = try #require(try EitherClient(gateway, version).get(fields: Self.navigation))
        #expect(response.isComplete && response.text.hasSuffix("--><body>\(Self.html)x"))
        #expect(response.body.count == filler.utf8.count + 7 + Self.html.utf8.count)
    }

    struct Untouched: Sendable, CustomTestStringConvertible {
        let what: String
        var request = "GET / HTTP/1.1\r\nHost: wiki.test\r\n\(BannerTests.navigation)\r\n"
        let answer: String
        var testDescription: String { what }
    }

    private static func ok(_ fields: String, status: String = "200 OK") -> String {
        "HTTP/1.1 \(status)\r\nETag: \"e\"\r\n\(fields)Content-Length: 8\r\n\r\n<body>xy"
    }

    static let untouched: [Untouched] = [
        Untouched(what: "another type", answer: ok("Content-Type: text/plain\r\n")),
        Untouched(what: "XHTML", answer: ok("Content-Type: application/xhtml+xml\r\n")),
        Untouched(what: "a type that begins alike", answer: ok("Content-Type: text/html-x\r\n")),
        Untouched(what: "no type", answer: ok("")),
        Untouched(what: "two types", answer: ok("Content-Type: text/html\r\nContent-Type: text/html\r\n")),
        Untouched(what: "UTF-16", answer: ok("Content-Type: text/html; charset=\"UTF-16le\"\r\n")),
        Untouched(
            what: "coded all the same", answer: ok("Content-Type: text/html\r\nContent-Encoding: gzip\r\n")),
        Untouched(
            what: "coded twice",
            answer: ok("Content-Type: text/html\r\nContent-Encoding: identity\r\nContent-Encoding: br\r\n")),
        Untouched(
            what: "a part",
            answer: ok(
                "Content-Type: text/html\r\nContent-Range: bytes 0-7/9\r\n", status: "206 Partial Content")),
        Untouched(
            what: "not modified",
            answer:
                "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\nContent-Type: text/html\r\nContent-Length: 8\r\n\r\n"
        ),
        Untouched(
            what: "no content",
            answer: "HTTP/1.1 204 No Content\r\nETag: \"e\"\r\nContent-Type: text/html\r\n\r\n"),
        Untouched(
            what: "an empty body",
            answer: "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"),
        Untouched(
            what: "HEAD", request: "HEAD / HTTP/1.1\r\nHost: wiki.test\r\n\(navigation)\r\n",
            answer: "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Type: text/html\r\nContent-Length: 8\r\n\r\n"),
        Untouched(
            what: "a script's own request",
            request: "GET / HTTP/1.1\r\nHost: wiki.test\r\nSec-Fetch-Mode: cors\r\n\r\n",
            answer: ok("Content-Type: text/html\r\n")),
        Untouched(
            what: "a program's", request: "GET / HTTP/1.1\r\nHost: wiki.test\r\nAccept: */*\r\n\r\n",
            answer: ok("Content-Type: text/html\r\n")),
    ]

    @Test(arguments: untouched, ClientVersion.allCases)
    func `what is no whole, uncoded page that somebody looks at stays as it is`(
        _ row: Untouched, _ version: ClientVersion
    ) throws {
        let gateway = try Self.gateway(Self.origin([Array(row.answer.utf8)]))
        let client = try EitherClient(gateway, version)
        for _ in 0..<2 {
            client.send(row.request)
            let response = try #require(client.receive(isHead: row.what == "HEAD"))
            let body = row.answer.hasSuffix("<body>xy") ? "<body>xy" : ""
            #expect(response.text == body && response.isComplete)
            #expect(response.field("ETag") == "\"e\"")
            if row.what == "HEAD" { #expect(response.field("Content-Length") == "8") }
        }
    }

    @Test(arguments: ClientVersion.allCases)
    func `an edited page has no name, date, hash or shelf life of the one that the application wrote`(
        _ version: ClientVersion
    ) throws {
        let lies = [
            "ETag: \"e\"", "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT", "content-md5: a",
            "Digest: sha-256=a",
            "Content-Digest: sha-256=:a:", "Repr-Digest: sha-256=:a:", "Accept-Ranges: bytes", "Expires: 0",
            "Age: 1",
            "Cache-Control: max-age=3600",
        ]
        let keeps = ["Content-Security-Policy: default-src 'none'", "Set-Cookie: a=b", "Vary: Cookie"]
        let fields = (lies + keeps).map { $0 + "\r\n" }.joined()
        let gateway = try Self.gateway(Self.origin([Self.answer("length", "<body>x", fields)]))
        let response = try #require(try EitherClient(gateway, version).get(fields: Self.navigation))
        #expect(response.text == "<body>\(Self.html)x")
        for line in lies { #expect(!response.has(line), "\(line)") }
        for line in keeps { #expect(response.has(line), "\(line)") }
        #expect(response.field("Cache-Control") == "private, no-cache")
        // Markup alone: a policy that forbids every script and style forbids nothing of it.
        #expect(!Self.html.contains("style") && !Self.html.contains("script") && !Self.html.contains(" on"))
    }

    @Test(arguments: ClientVersion.allCases)
    func `a page is asked for whole and uncoded, everything else as the client asks`(_ version: ClientVersion)
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try Self.gateway(origin)
        let client = try EitherClient(gateway, version)
        let own =
            "Accept-Encoding: gzip\r\nIf-None-Match: \"e\"\r\nIf-Modified-Since: x\r\nRange: bytes=0-1\r\n"
        let page = try #require(client.get(fields: "Sec-Fetch-Mode: navigate\r\n" + own)).text.lowercased()
        #expect(page.contains("accept-encoding: identity\r\n") && !page.contains("gzip"))
        #expect(
            !page.contains("if-none-match") && !page.contains("if-modified-since") && page.contains("range:"))
        let script = try #require(client.get(fields: "Sec-Fetch-Mode: cors\r\n" + own)).text.lowercased()
        #expect(script.contains("gzip") && script.contains("if-none-match") && !script.contains("identity"))
        // A form that was sent shows a page too; its preconditions stay.
        client.send(
            "POST / HTTP/1.1\r\nHost: wiki.test\r\nAccept: text/html\r\nIf-Match: \"e\"\r\n\(own)\r\n")
        let form = try #require(client.receive()).text.lowercased()
        #expect(form.contains("identity") && form.contains("if-match: \"e\""))
    }

    @Test(arguments: ["length", "chunked"], ClientVersion.allCases)
    func `half a page is never passed off as a whole one`(_ framing: String, _ version: ClientVersion) throws
    {
        let whole = Self.answer(framing, Self.page.replacing("é", with: "e"))
        for cut in [20, 40, 1] {
            let origin = Self.origin([Array(whole.dropLast(cut))], ends: true)
            let gateway = try Self.gateway(origin)
            let client = try EitherClient(gateway, version)
            let response = client.get(fields: Self.navigation)
            // A stream can be reset before its head has left.
            #expect(response != nil || client.isReset)
            #expect(response?.isComplete != true, "\(cut) bytes missing")
        }
    }

    @Test(arguments: ClientVersion.allCases)
    func `a broken chunk in a page is refused, and a length beyond counting is left alone`(
        _ version: ClientVersion
    ) throws {
        let broken = Self.head("Transfer-Encoding: chunked\r\n") + "6\r\n<body>zz"
        let first = try Self.gateway(Self.origin([Array(broken.utf8)]))
        #expect(try EitherClient(first, version).get(fields: Self.navigation)?.status == 502)
        let huge = Self.head("Content-Length: 9223372036854775807\r\n") + "<body>"
        let second = try Self.gateway(Self.origin([Array(huge.utf8)]))
        let client = try EitherClient(second, version)
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\(Self.navigation)\r\n")
        #expect(client.receiveHead()?.field("Content-Length") == "9223372036854775807")
    }
}
