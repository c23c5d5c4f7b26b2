import Access
import Border
import ChildPrograms
import Foundation
import Testing

@testable import DataPlane

@Suite("HTTP/2 streams that live long, and how they end")
struct HTTP2StreamTests {
    static let connect: [(String, String)] = [
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", "wiki.test"),
        (":path", "/ws"), ("sec-websocket-version", "13"), ("origin", "https://wiki.test:8443"),
    ]

    /// Answers upgrades rightly (or with what `accept` says) and echoes; `/events` streams; everything else is short.
    static func origin(accept wrong: String? = nil) -> TestOrigin {
        TestOrigin { connection in
            while let head = connection.readHead() {
                if head.contains("/events") {
                    connection.socket.write(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
                    while connection.readSome() != nil {}
                    return
                }
                guard let answer = switching(head, accept: wrong) else {
                    connection.answer(head)
                    continue
                }
                connection.socket.write(answer)
                while let bytes = connection.socket.read() { connection.socket.write(bytes) }
                return
            }
        }
    }

    /// The right answer to an upgrade's key, or with what `accept` says; nil: the head asks for none.
    static func switching(_ head: String, accept wrong: String? = nil) -> String? {
        let lines = head.split(separator: "\r\n")
        guard let line = lines.first(where: { $0.lowercased().hasPrefix("sec-websocket-key: ") }) else {
            return nil
        }
        let key = Array(line.utf8.suffix(24))
        let value = wrong ?? String(decoding: WebSocketAccept.value(of: key.span), as: UTF8.self)
        return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            + "Sec-WebSocket-Accept: \(value)\r\n\r\n"
    }

    /// Whole frames of a server's, so that the gateway knows where they end.
    private static let early = [0x81, 5] + Array("early".utf8)
    private static let more = [0x81, 4] + Array("more".utf8)

    private static func open(_ client: HTTP2Client, _ stream: UInt32, session: UInt8) -> Bool {
        client.send(
            HTTP2Client.headers(stream, connect + HTTP2Tests.cookie(session), ends: false)
                + HTTP2Client.data(stream, early))
        return client.readUntil { $0.responses[stream]?.status == 200 && $0.responses[stream]?.body == early }
    }

    @Test func `the answer to a WebSocket key is that of RFC 6455`() {
        let text = Array("dGhlIHNhbXBsZSBub25jZQ==".utf8)
        let accept = WebSocketAccept.value(of: text.span)
        #expect(String(decoding: accept, as: UTF8.self) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test func `a WebSocket is opened by extended CONNECT and carries both directions until its end`() throws
    {
        let origin = Self.origin()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: RevocationTests.control)
        let client = try HTTP2Client(gateway)
        #expect(Self.open(client, 1, session: 1))
        #expect(client.responses[1]?.field("sec-websocket-accept") == nil)
        client.send(HTTP2Client.data(1, Self.more))
        #expect(client.readUntil { $0.responses[1]?.body == Self.early + Self.more })
        client.send(HTTP2Client.data(1, [], ends: true))
        #expect(client.receive(1)?.isEnded == true)
        #expect(client.get(3, "/", HTTP2Tests.cookie(1))?.status == 200)
    }

    @Test func `a wrong or missing Sec-WebSocket-Accept is 502, and a stranger's page 403`() throws {
        let origin = Self.origin(accept: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        let gateway = try Gateway([Facts.closed(origin.port)], answer: RevocationTests.control)
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, Self.connect + HTTP2Tests.cookie(1), ends: false))
        #expect(client.receive(1)?.status == 502)
        let stranger = Self.connect.map { $0.0 == "origin" ? ("origin", "https://evil.test") : $0 }
        client.send(HTTP2Client.headers(3, stranger + HTTP2Tests.cookie(1), ends: false))
        #expect(client.receive(3)?.status == 403)
        client.send(HTTP2Client.headers(5, Self.connect, ends: false))
        #expect(client.receive(5)?.status == 401)
        let other = Self.connect.map { $0.0 == ":protocol" ? (":protocol", "connect-udp") : $0 }
        client.send(HTTP2Client.headers(7, other + HTTP2Tests.cookie(1), ends: false))
        #expect(client.receive(7)?.status == 501)
    }

    @Test func `a revocation cuts exactly its streams, in one turn: 1008 and an end, or a reset`() throws {
        let origin = Self.origin()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: RevocationTests.control)
        let client = try HTTP2Client(gateway)
        #expect(Self.open(client, 1, session: 1))
        #expect(Self.open(client, 3, session: 3))
        for (stream, session) in [(UInt32(5), UInt8(2)), (7, 3)] {
            client.send(
                HTTP2Client.headers(stream, HTTP2Client.request("/events", HTTP2Tests.cookie(session))))
            #expect(client.readUntil { $0.responses[stream]?.body.isEmpty == false })
        }
        gateway.engine.revoke(RevocationTests.revocation(1, .endDevice("device-1")))
        #expect(client.receive(1)?.isEnded == true)
        let closing = [0x88, 15, 0x03, 0xf0] + Array("session-ended".utf8)
        #expect(client.responses[1].map { Array($0.body.suffix(closing.count)) } == closing)
        // CANCEL.
        #expect(client.receive(5)?.resetCode == 8)
        guard case .cut(1, 0, 2, _)? = gateway.waitFor({ if case .cut = $0 { true } else { false } }) else {
            Issue.record("no report of two cut streams")
            return
        }
        client.send(HTTP2Client.data(3, Self.more))
        #expect(client.readUntil { $0.responses[3]?.body == Self.early + Self.more })
        #expect(client.responses[7]?.isEnded == false && client.responses[7]?.resetCode == nil)
        #expect(client.get(9, "/", HTTP2Tests.cookie(3))?.status == 200)
    }

    @Test func `a client that resets a stream takes its upstream with it, and nothing else`() throws {
        let origin = Self.origin()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, HTTP2Client.request("/events")))
        #expect(client.readUntil { $0.responses[1]?.body.isEmpty == false })
        #expect(gateway.engine.metrics().sum("open_upstreams") == 1)
        client.send(HTTP2Client.reset(1))
        #expect(client.get(3)?.status == 200)
        let isGone = gateway.waitUntil { gateway.engine.metrics().sum("open_upstreams") == 1 ? true : nil }
        #expect(isGone == true)
        #expect(gateway.engine.metrics().sum("http2_streams_reset") == 1)
    }

    @Test func `1xx heads pass, Expect is answered, and an early answer ends the request`() throws {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                if head.contains("/hints") {
                    connection.socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
                    connection.answer("hinted")
                } else if head.contains("/expect") {
                    connection.answer(String(decoding: connection.read(4) ?? [], as: UTF8.self))
                } else {
                    connection.answer("too much", status: "413 Content Too Large")
                    return
                }
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        let hinted = try #require(client.get(1, "/hints"))
        #expect(hinted.interim == [103] && hinted.text == "hinted")
        let post = HTTP2Client.request(
            "/expect", method: "POST", [("content-length", "4"), ("expect", "100-continue")])
        client.send(HTTP2Client.headers(3, post, ends: false))
        #expect(client.readUntil { $0.responses[3]?.interim == [100] })
        client.send(HTTP2Client.data(3, Array("body".utf8), ends: true))
        #expect(client.receive(3)?.text == "body")
        client.send(HTTP2Client.headers(5, HTTP2Client.request("/early", method: "POST"), ends: false))
        let early = try #require(client.receive(5))
        #expect(early.status == 413 && early.text == "too much" && early.isEnded)
        #expect(client.readUntil { $0.responses[5]?.resetCode == 0 })
        #expect(client.get(7, "/hints")?.status == 200)
    }

    @Test func `the access log names the protocol`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)], accessLog: true)
        #expect(try HTTP2Client(gateway).get(1, "/page")?.status == 200)
        let line = try #require(gateway.logLine())
        #expect(line.contains("\"protocol\":\"h2\"") && line.contains("\"path\":\"/page\""))
        #expect(try gateway.client().get()?.status == 200)
        #expect(try #require(gateway.logLine()).contains("\"protocol\":\"http/1.1\""))
    }

    /// What a program of nghttp2's prints.
    private static func run(_ program: String, _ arguments: [String]) throws -> String {
        try ChildProgram("/usr/bin/\(program)", arguments, output: .kept, errors: .kept).outcome().text
    }

    @Test func `h2load and nghttp are served`() throws {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                if let length = head.lowercased().range(of: "content-length: ") {
                    let start = head.lowercased()[length.upperBound...]
                    guard let count = Int(start.prefix { $0.isNumber }), connection.read(count) != nil else {
                        return
                    }
                }
                connection.answer(head)
            }
        }
        let gateway = try Gateway([Facts.open(origin.port, host: "localhost")])
        let url = "https://localhost:\(gateway.port)/"
        let load = try Self.run("h2load", ["-n", "600", "-c", "4", "-m", "10", url])
        #expect(load.contains("600 succeeded, 0 failed"), "\(load)")
        let posted = try Self.run("h2load", ["-n", "60", "-c", "2", "-m", "10", "-d", "/etc/services", url])
        #expect(posted.contains("60 succeeded, 0 failed"), "\(posted)")
        let page = try Self.run("nghttp", ["-H", "x-mark: here", url])
        #expect(page.contains("GET / HTTP/1.1") && page.contains("x-mark: here"), "\(page)")
    }
}
