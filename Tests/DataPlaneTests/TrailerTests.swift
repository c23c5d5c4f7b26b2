import Border
import Foundation
import Synchronization
import Testing

@testable import DataPlane

@Suite("Trailers, in both directions and protocols")
struct TrailerTests {
    /// Answers with what it saw behind the body, and with trailers of its own.
    private static func http2Origin(_ trailers: [(String, String)]) -> TestOrigin {
        HTTP2Origin.serving { origin in
            while let id = origin.nextRequest() {
                guard
                    origin.readUntil({ $0.requests[id]?.isEnded == true || $0.requests[id]?.resetCode != nil }
                    )
                else { return }
                guard let asked = origin.requests[id], asked.resetCode == nil else { continue }
                let te = asked.field("te") ?? "none"
                let text = asked.trailers.map { "\($0.0): \($0.1)\n" }.joined() + "te: \(te)"
                origin.send(
                    HTTP2Origin.head(id), HTTP2Client.data(id, Array(text.utf8)),
                    HTTP2Client.headers(id, trailers))
            }
        }
    }

    private static func http1Origin(_ trailers: String) -> TestOrigin {
        TestOrigin { connection in
            while let head = connection.readHead() {
                var seen = ""
                if head.lowercased().contains("transfer-encoding: chunked") {
                    guard let body = connection.readUntil("\r\n0\r\n") else { return }
                    _ = body
                    while let line = connection.readUntil("\r\n"), line != "\r\n" { seen += line }
                }
                let te = head.contains("TE: trailers\r\nConnection: TE\r\n") ? "trailers" : "none"
                let text = seen.replacing("\r\n", with: "\n") + "te: \(te)"
                connection.socket.write(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                        + "\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n0\r\n\(trailers)\r\n")
            }
        }
    }

    private static func chunked(_ trailers: String, _ fields: String = "") -> String {
        "POST / HTTP/1.1\r\nHost: wiki.test\r\nTransfer-Encoding: chunked\r\n\(fields)\r\n4\r\nbody\r\n0\r\n\(trailers)\r\n"
    }

    /// The bytes behind the last chunk's size.
    private static func behind(_ client: TestClient) -> String {
        var text = ""
        while !text.contains("\r\n0\r\n") || !text.hasSuffix("\r\n\r\n"), let more = client.readSome() {
            text += String(decoding: more, as: UTF8.self)
        }
        guard let end = text.range(of: "\r\n0\r\n") else { return "nothing" }
        return String(text[end.upperBound...])
    }

    @Test(arguments: [true, false])
    func `a client that reads trailers gets them, another one does not`(http2: Bool) throws {
        let origin =
            http2
            ? Self.http2Origin([("x-sum", "1"), ("x-two", "b c")])
            : Self.http1Origin("X-Sum: 1\r\nX-Two:  b c \r\n")
        let gateway = try Gateway([http2 ? HTTP2Origin.route(origin.port) : Facts.open(origin.port)])
        let client = try gateway.client()
        for accepted in ["TE: trailers\r\n", "te: gzip;q=0.5 , Trailers\r\n"] {
            client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\(accepted)\r\n")
            #expect(Self.behind(client).lowercased() == "x-sum: 1\r\nx-two: b c\r\n\r\n")
        }
        for none in ["", "TE: gzip\r\n", "TE: trailersx\r\n", "TE: trailers\r\nTE: trailers\r\n"] {
            client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\(none)\r\n")
            #expect(Self.behind(client) == "\r\n")
        }
        #expect(gateway.engine.metrics().sum("trailers_dropped") == 4)
        let streams = try HTTP2Client(gateway)
        let answer = streams.get(1, "/", [("te", "trailers")])
        #expect(answer?.trailers.map { "\($0.0)=\($0.1)" } == ["x-sum=1", "x-two=b c"])
        #expect(answer?.text == "te: trailers")
        #expect(streams.get(3)?.text == "te: none")
    }

    @Test(
        "an answer loses those of its trailers that would say something about the answer or the gateway",
        arguments: [
            "set-cookie", "content-length", "transfer-encoding", "content-type", "content-encoding",
            "location",
            "cache-control", "www-authenticate", "gatepost-reason", "access-control-allow-origin", "trailer",
            "proxy-authenticate", "age", "vary", "expires", "strict-transport-security", "clear-site-data",
            "date",
            "Set_Cookie", "host",
        ])
    func forbiddenInAnswers(_ name: String) throws {
        let origin = Self.http1Origin("X-A: 1\r\n\(name): v\r\nX-B: 2\r\n")
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\nTE: trailers\r\n\r\n")
        #expect(Self.behind(client) == "X-A: 1\r\nX-B: 2\r\n\r\n")
        #expect(gateway.engine.metrics().sum("trailers_dropped") == 1)
    }

    @Test func `fields that are configured away stay away behind the body, too`() throws {
        let origin = Self.http1Origin("X-A: 1\r\nx-internal-user: bob\r\nX-Mark: theirs\r\n")
        var route = Facts.open(origin.port)
        route.responseFields = FieldChanges(
            written: [Field("X-Mark", "ours")], removed: ["X-Internal-User"])
        let gateway = try Gateway([route])
        let client = try gateway.client()
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\nTE: trailers\r\n\r\n")
        #expect(Self.behind(client) == "X-A: 1\r\n\r\n")
        #expect(gateway.engine.metrics().sum("trailers_dropped") == 2)
    }

    @Test(arguments: [true, false])
    func `a request's trailers reach the upstream`(http2: Bool) throws {
        let origin = http2 ? Self.http2Origin([]) : Self.http1Origin("")
        let gateway = try Gateway([http2 ? HTTP2Origin.route(origin.port) : Facts.open(origin.port)])
        let client = try gateway.client()
        client.send(Self.chunked("X-Sum: 1\r\nx-two:b\r\n"))
        #expect(client.receive()?.text.lowercased() == "x-sum: 1\nx-two: b\nte: none")
        let text = Array(Self.chunked("X-Sum: 1\r\nx-two:b\r\n").utf8)
        for cut in [text.count - 1, text.count - 2, text.count - 3, text.count - 12, text.count - 22] {
            client.send(Array(text[..<cut]))
            #expect(gateway.waitForCounter("requests", atLeast: 1))
            client.send(Array(text[cut...]))
            #expect(client.receive()?.text.lowercased() == "x-sum: 1\nx-two: b\nte: none", "cut at \(cut)")
        }
        client.send(Self.chunked(""))
        #expect(client.receive()?.text == "te: none")
        let streams = try HTTP2Client(gateway)
        streams.send(
            HTTP2Client.headers(1, HTTP2Client.request(method: "POST"), ends: false)
                + HTTP2Client.data(1, Array("body".utf8)) + HTTP2Client.headers(1, [("x-sum", "1")]))
        #expect(streams.receive(1)?.text == "x-sum: 1\nte: none")
    }

    @Test(
        "a request whose trailers would change what was judged is refused, and never looks whole upstream",
        arguments: [
            "Content-Length", "Transfer-Encoding", "Host", "Authorization", "Cookie", "Content-Type",
            "Content_Type",
            "Gatepost-Assertion", "X-Forwarded-For", "Remote-User", "Remote_User", "Forwarded", "Expect",
            "Range",
            "If-Match", "Cache-Control", "TE", "Connection", "Upgrade", "X-HTTP-Method-Override",
            "Proxy-Authorization",
            "Set-Cookie", "Sec-Fetch-Site", "traceparent", "X-Staff", "x_staff",
        ])
    func forbiddenInRequests(_ name: String) throws {
        let origin = Self.http1Origin("")
        var route = Facts.open(origin.port)
        route.identityFieldNames = ["X-Staff"]
        let gateway = try Gateway([route])
        let client = try gateway.client()
        client.send(Self.chunked("X-A: 1\r\n\(name): v\r\n"))
        #expect(client.receive()?.status == 400)
        #expect(client.receive() == nil)
        #expect(try gateway.client().get()?.text == "te: none")
    }
}
