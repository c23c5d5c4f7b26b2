import Testing

@testable import HTTP

struct ForwardCase: Sendable, CustomTestStringConvertible {
    var what: String
    /// Field lines behind `Host: a`, each ended by CRLF.
    var sent: String
    /// Field lines behind `Host: a` that the upstream sees.
    var forwarded: String
    var testDescription: String { what }
    init(_ what: String, _ sent: String, _ forwarded: String) {
        self.what = what
        self.sent = sent
        self.forwarded = forwarded
    }
}

@Suite("What of a request reaches the upstream")
struct RequestWriterTests {
    static let ours = "__Host-gatepost"
    static let fields: [ForwardCase] = [
        .init(
            "end-to-end fields byte for byte", "Accept: */*\r\nX-Own: 1\r\n", "Accept: */*\r\nX-Own: 1\r\n"),
        .init("no blank after the colon is tight too", "A:1\r\nB: \r\nC:\r\n", "A:1\r\nB: \r\nC:\r\n"),
        .init("a tab after the colon becomes a space", "A:\t1\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n"),
        .init("blanks around a value are cut", "A: \t 1\r\nB: 2 \t\r\nC: 3\r\n", "A: 1\r\nB: 2\r\nC: 3\r\n"),
        .init(
            "hop-by-hop fields end here",
            "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nTE: gzip\r\nTrailer: X\r\nA: 1\r\n",
            "A: 1\r\n"),
        .init(
            "of TE only trailers goes on", "TE: gzip;q=0.5, Trailers\r\nA: 1\r\n",
            "TE: trailers\r\nConnection: TE\r\nA: 1\r\n"),
        .init(
            "proxy fields end here",
            "Proxy-Connection: x\r\nProxy-Authorization: x\r\nProxy: x\r\nProxy-X: y\r\n", ""),
        .init(
            "fields that Connection names end here", "X-Own: 1\r\nConnection: x-OWN, close\r\nB: 2\r\n",
            "B: 2\r\n"),
        .init(
            "an upgrade that is not WebSocket",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n", ""),
        .init(
            "identity fields", "Gatepost-Assertion: x\r\nX-Forwarded-User: x\r\nRemote-User: x\r\nA: 1\r\n",
            "A: 1\r\n"),
        .init(
            "identity fields in folded spellings",
            "gatepost_assertion: x\r\nX_Auth-Request_Email: x\r\nREMOTE_USER: x\r\n", ""),
        .init(
            "client address fields",
            "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\nX-Real-IP: x\r\nX_Forwarded_Proto: y\r\n", ""),
        .init(
            "other views of the URL",
            "X-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\nX-HTTP-Method-Override: PUT\r\n", ""),
        .init("trace fields are ours", "traceparent: x\r\ntracestate: y\r\n", ""),
        .init("our cookie alone", "Cookie: \(ours)=s\r\nA: 1\r\n", "A: 1\r\n"),
        .init("our cookie first", "Cookie: \(ours)=s; b=2; c=\"3\"\r\n", "Cookie: b=2; c=\"3\"\r\n"),
        .init("our cookie in the middle", "Cookie: a=1; \(ours)=s; c=3\r\n", "Cookie: a=1; c=3\r\n"),
        .init("our cookie at the end", "Cookie: a=1;b=2;  \(ours)=s\r\n", "Cookie: a=1;b=2\r\n"),
        .init(
            "all cookies of ours, in any case", "Cookie: \(ours)-login-1=x; a=1; __host-GATEPOST=y\r\n",
            "Cookie: a=1\r\n"),
        .init("our cookie without a name", "Cookie: =\(ours)=s; \(ours); a\r\n", "Cookie: a\r\n"),
        .init(
            "other cookies stay byte for byte", "Cookie: a=1;;  b=\u{e9}; x\(ours)=1\r\n",
            "Cookie: a=1;;  b=\u{e9}; x\(ours)=1\r\n"),
        .init(
            "two Cookie fields", "Cookie: a=1; \(ours)=s\r\nCookie: \(ours)=t; b=2\r\n",
            "Cookie: a=1\r\nCookie: b=2\r\n"),
    ]

    @Test("fields", arguments: fields)
    func forwards(_ row: ForwardCase) {
        var bench = Bench()
        let bytes = latin("GET /p?q HTTP/1.0\r\nHost: A\r\n" + row.sent + "\r\n")
        guard case .head(let request) = bench.parse(bytes) else {
            Issue.record("\(bench.see(bytes))")
            return
        }
        #expect(
            bench.written(request, bytes)
                == latin("GET /p?q HTTP/1.1\r\nHost: a\r\n" + row.forwarded + "\r\n"))
    }

    @Test("fields behind a request line and a Host that are canonical as they were sent", arguments: fields)
    func forwardsAsSent(_ row: ForwardCase) {
        var bench = Bench()
        let bytes = latin("GET /p?q HTTP/1.1\r\nHost: a:1\r\n" + row.sent + "\r\n")
        guard case .head(let request) = bench.parse(bytes) else {
            Issue.record("\(bench.see(bytes))")
            return
        }
        #expect(
            bench.written(request, bytes)
                == latin("GET /p?q HTTP/1.1\r\nHost: a:1\r\n" + row.forwarded + "\r\n"))
    }

    private func forwarded(
        _ bytes: [UInt8], identity: [String] = [], options: RequestWriter.Options = []
    ) -> String? {
        var bench = Bench()
        guard case .head(let request) = bench.parse(bytes) else { return nil }
        return bench.written(request, bytes, identity: identity, options: options).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    @Test("framing is written anew: one spelling of one length, or chunked")
    func framing() {
        let length = forwarded(headOf("POST / HTTP/1.1", "Content-Length: 007", "Host: a:0443"))
        #expect(length == "POST / HTTP/1.1\r\nHost: a:443\r\nContent-Length: 7\r\n\r\n")
        let chunked = forwarded(headOf("POST / HTTP/1.1", "Transfer-Encoding: CHUNKED", "Host: a"))
        #expect(chunked == "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    }

    @Test("an upgrade to WebSocket is the only one that is forwarded")
    func upgrade() {
        let bytes = headOf(
            "GET / HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Key: k")
        #expect(
            forwarded(bytes) == "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: k\r\n"
                + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    }

    @Test("an absolute-form target goes upstream in origin-form, with its query and without its host")
    func absoluteForm() {
        for (target, expected) in [
            ("https://a/x/y?z=1", "/x/y?z=1"), ("HTTPS://A/x", "/x"), ("https://a", "/"),
            ("https://a?q", "/?q"),
            ("https://a/%41?%41", "/A?%41"),
        ] {
            let bytes = headOf("GET \(target) HTTP/1.1", "Host: a", "A: 1")
            #expect(
                forwarded(bytes) == "GET \(expected) HTTP/1.1\r\nHost: a\r\nA: 1\r\n\r\n", "\(target)")
        }
    }

    @Test("Expect and tracestate go upstream only when asked for")
    func options() {
        let bytes = headOf(
            "PUT / HTTP/1.1", "Host: a", "Expect: 100-continue", "tracestate: x", "Content-Length: 1")
        let without = forwarded(bytes) ?? ""
        #expect(!without.contains("Expect") && !without.contains("tracestate"))
        let with = forwarded(bytes, options: [.forwardsExpect, .keepsTracestate]) ?? ""
        #expect(with.contains("Expect: 100-continue\r\n") && with.contains("tracestate: x\r\n"))
    }

    @Test("configured identity fields are removed too, known or not, and Connection may not name them")
    func configuredIdentity() {
        let bytes = headOf("GET / HTTP/1.1", "Host: a", "X_Employee-ID: 1", "Authorization: Basic x", "A: 1")
        let kept = forwarded(bytes) ?? ""
        #expect(kept.contains("X_Employee-ID") && kept.contains("Authorization"))
        let identity = ["X-Employee-Id", "authorization", "--"]
        #expect(forwarded(bytes, identity: identity) == "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\n\r\n")
        let named = headOf("GET / HTTP/1.1", "Host: a", "Connection: xEmployeeID")
        #expect(forwarded(named) != nil)
        #expect(forwarded(named, identity: identity) == nil)
    }

    @Test("an output that is too small says so instead of sending half a head")
    func overflow() {
        var bench = Bench()
        let bytes = headOf("GET / HTTP/1.1", "Host: a", "A: 1")
        guard case .head(let request) = bench.parse(bytes) else {
            Issue.record("refused")
            return
        }
        let count = bench.written(request, bytes)?.count ?? 0
        for capacity in 0...count {
            let written = writeAll(capacity: capacity) { output in
                do throws(HeadError) {
                    try RequestWriter().begin(
                        request, head: bytes.span, fields: bench.fields, scratch: bench.scratch, into: &output
                    )
                } catch {
                    return false
                }
                RequestWriter.end(into: &output)
                return true
            }
            #expect((written != nil) == (capacity == count), "capacity \(capacity)")
        }
    }

    @Test("own forwarding lines carry the canonical host and the real client")
    func forwardedLines() {
        var bench = Bench()
        let bytes = headOf("GET / HTTP/1.1", "Host: A.b:8443")
        guard case .head(let request) = bench.parse(bytes) else {
            Issue.record("refused")
            return
        }
        let written = writeAll(capacity: 500) { output in
            let forwarded = ForwardedFields(client: latin("2001:db8::1").span, isSecure: true)
            forwarded.write(request, head: bytes.span, scratch: bench.scratch, into: &output)
            return true
        }
        let expected =
            "X-Forwarded-For: 2001:db8::1\r\nX-Real-IP: 2001:db8::1\r\n"
            + "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.b:8443\r\n"
        #expect(written == latin(expected))
    }

    private func isWellFormed(_ block: String) -> Bool {
        let bytes = latin(block)
        return FieldBlock.isWellFormed(bytes.span)
    }

    @Test("a block of field lines made elsewhere is checked before it is trusted")
    func fieldBlocks() {
        for good in ["", "A: 1\r\n", "A: 1\r\nB:\r\n"] {
            #expect(isWellFormed(good), "\(good)")
        }
        for bad in [
            "\r\n", "A: 1", "A: 1\r", "A: 1\n", "A: 1\r\n\r\n", "A: 1\r\n\r\nGET / HTTP/1.1\r\n", "A : 1\r\n",
            ": 1\r\n",
            "A: 1\r\n b\r\n", "A: \0\r\n", "A\r\n", "A: 1\rB: 2\r\n",
        ] { #expect(!isWellFormed(bad), "\(bad)") }
    }
}

@Suite("What of a response reaches the client")
struct ResponseWriterTests {
    private func relayed(
        _ bytes: [UInt8], answering method: HTTP.Method = .get, _ framing: BodyFraming,
        keepsAlive: Bool = true
    ) -> String? {
        var fields = FieldTable()
        guard case .head(let head) = ResponseHeadParser().parse(bytes.span, answering: method, into: &fields)
        else {
            return nil
        }
        let written = writeAll(capacity: 4_096) { output in
            ResponseWriter().begin(
                head, head: bytes.span, fields: fields, framing: framing, keepsAlive: keepsAlive,
                into: &output)
            ResponseWriter.end(into: &output)
            return true
        }
        return written.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test("end-to-end fields stay, hop-by-hop fields and those that Connection names end here")
    func hopByHop() {
        let bytes = headOf(
            "HTTP/1.0 200 Fine", "Server: s", "Connection: x-own", "Keep-Alive: 5", "X-Own: 1", "Trailer: X",
            "Upgrade: h2c", "Proxy-Authenticate: Basic", "Proxy-X: 1", "Date: d", "Content-Length: 3")
        #expect(
            relayed(bytes, .length(3))
                == "HTTP/1.1 200 Fine\r\nServer: s\r\nDate: d\r\nContent-Length: 3\r\n\r\n")
    }

    @Test("an application cannot plant a session cookie or speak for the gateway")
    func forgeries() {
        let bytes = headOf(
            "HTTP/1.1 200 OK", "Set-Cookie: a=1", "Set-Cookie: __Host-gatepost=x; Path=/",
            "Set-Cookie: \t__host-GATEPOST-login=x", "Set-Cookie: =__Host-gatepost=x",
            "Gatepost-Reason: none",
            "Set-Cookie: b=2", "Transfer-Encoding: chunked")
        #expect(
            relayed(bytes, .chunked) == "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n")
    }

    /// What an application sends of `Clear-Site-Data`, and what browsers get; nil: no line.
    static let deletions: [(String, String?)] = [
        ("\"cookies\"", nil), ("\"cache\"", "\"cache\""), ("", nil), (",,", nil),
        ("\"cache\", \"cookies\", \"storage\"", "\"cache\", \"storage\""),
        (" \"cookies\" ,\t\"executionContexts\",", "\"executionContexts\""),
        (
            "\"clientHints\",\"prefetchCache\",\"prerenderCache\"",
            "\"clientHints\", \"prefetchCache\", \"prerenderCache\""
        ),
        ("\"*\"", "\"cache\", \"clientHints\", \"storage\", \"executionContexts\""),
        (
            "\"prerenderCache\", \"*\"",
            "\"prerenderCache\", \"cache\", \"clientHints\", \"storage\", \"executionContexts\""
        ),
        // Neither one that browsers may add, nor what one of them might read as another.
        ("\"sessions\"", nil), ("cookies", nil), ("*", nil), ("cache", nil), ("\"COOKIES\"", nil),
        ("\"cook\\ies\"", nil), ("\"cache\";x, \"storage\"", "\"storage\""), ("\"cache\"\"cookies\"", nil),
        ("\"cache, cookies\"", nil), ("\"storage", nil), ("\"cache\u{e9}\"", nil),
    ]

    @Test("an application cannot have a browser delete the gateway's cookies", arguments: deletions)
    func keepsOurCookies(_ row: (sent: String, kept: String?)) {
        let line = row.kept.map { "Clear-Site-Data: \($0)\r\n" } ?? ""
        for name in ["Clear-Site-Data", "clear-site-data", "CLEAR-SITE-DATA"] {
            let bytes = headOf("HTTP/1.1 200 OK", "A: 1", "\(name): \(row.sent)", "B: 2")
            #expect(relayed(bytes, .none) == "HTTP/1.1 200 OK\r\nA: 1\r\n\(line)B: 2\r\n\r\n")
        }
        let twice = headOf("HTTP/1.1 200 OK", "Clear-Site-Data: \(row.sent)", "Clear-Site-Data: \"cookies\"")
        #expect(relayed(twice, .none) == "HTTP/1.1 200 OK\r\n\(line)\r\n")
    }

    @Test("an application registers and asks no sessions that are bound to a key")
    func boundSessions() {
        let bytes = headOf(
            "HTTP/1.1 200 OK", "Secure-Session-Registration: (ES256);path=\"/x\"", "A: 1",
            "SECURE-SESSION-CHALLENGE: \"c\";id=\"theirs\"", "secure-session-challenge:\"c\"",
            "Secure-Session-Other: 1")
        #expect(
            relayed(bytes, .none) == "HTTP/1.1 200 OK\r\nA: 1\r\nSecure-Session-Other: 1\r\n\r\n")
    }

    @Test("a body without length becomes chunked, or the connection closes with it")
    func untilClose() {
        let bytes = headOf("HTTP/1.1 200 OK")
        #expect(relayed(bytes, .chunked) == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        #expect(
            relayed(bytes, .untilClose, keepsAlive: false) == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    }

    @Test("a length that describes no body of this message stays where the protocol allows it")
    func lengthWithoutBody() {
        let length = "Content-Length: 9"
        #expect(relayed(headOf("HTTP/1.1 200 OK", length), answering: .head, .none)?.contains(length) == true)
        #expect(relayed(headOf("HTTP/1.1 304 x", length), .none)?.contains(length) == true)
        #expect(relayed(headOf("HTTP/1.1 204 x", "Content-Length: 0"), .none) == "HTTP/1.1 204 x\r\n\r\n")
        #expect(relayed(headOf("HTTP/1.1 103 x", "Link: l"), .none) == "HTTP/1.1 103 x\r\nLink: l\r\n\r\n")
    }

    @Test("a switch of protocols names WebSocket, whatever the upstream called it")
    func switching() {
        let bytes = headOf(
            "HTTP/1.1 101 x", "Upgrade: WebSocket", "Connection: Upgrade", "Sec-WebSocket-Accept: k")
        #expect(
            relayed(bytes, .none) == "HTTP/1.1 101 x\r\nSec-WebSocket-Accept: k\r\n"
                + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    }
}
