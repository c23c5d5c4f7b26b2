import Access
import Border
import Testing

@testable import DataPlane

@Suite("HTTP/2 goes the way of every request")
struct HTTP2Tests {
    /// The session's cookie as an HTTP/2 field, in crumbs as browsers may send it.
    static func cookie(_ number: UInt8) -> [(String, String)] {
        let line = Facts.cookie(number).dropFirst("Cookie: ".count).dropLast()
        return line.split(separator: "; ").map { ("cookie", String($0)) }
    }

    @Test func `a GET reaches the upstream as HTTP 1.1 and its answer the client`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        for number in 0..<5 {
            let response = try #require(client.get(UInt32(2 * number + 1), "/page/\(number)?q=1"))
            #expect(response.status == 200 && response.isEnded)
            #expect(response.text.hasPrefix("GET /page/\(number)?q=1 HTTP/1.1\r\nhost: wiki.test\r\n"))
            #expect(response.field("gatepost-request-id")?.count == 32)
            #expect(response.field("connection") == nil)
            #expect(response.field("transfer-encoding") == nil)
            #expect(Int(response.field("content-length") ?? "") == response.body.count)
        }
        #expect(origin.connectionCount == 1)
        let metrics = gateway.engine.metrics()
        #expect(metrics.sum("http2_connections") == 1 && metrics.sum("http2_streams") == 5)
        #expect(metrics.sum("upstream_reuses") == 4)
    }

    @Test func `the settings say what the gateway holds to`() throws {
        let gateway = try Gateway([Facts.open(1)])
        let client = try HTTP2Client(gateway)
        #expect(client.readUntil { !$0.settings.isEmpty && $0.acknowledgedSettings == 1 })
        #expect(client.settings[3] == 100)
        #expect(client.settings[6] == UInt32(Limits().headBytesMax))
        #expect(client.settings[8] == 1)
        #expect(client.settings[9] == 1)
    }

    @Test
    func `a session is found by its cookie, however it was crumbled, and others go upstream as one line`()
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: RevocationTests.control)
        let client = try HTTP2Client(gateway)
        let response = try #require(client.get(1, "/", Self.cookie(1)))
        #expect(response.status == 200)
        #expect(response.text.contains("Gatepost-Assertion: token-1\r\n"))
        #expect(response.text.contains("Cookie: a=b; c=d\r\n"))
        #expect(!response.text.contains("__Host-gatepost"))
        #expect(client.get(3, "/")?.status == 401)
        #expect(client.get(5, "/", Self.cookie(2))?.status == 200)
    }

    @Test func `a body goes up and comes back, with and without its length`() throws {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                if head.lowercased().contains("transfer-encoding: chunked") {
                    connection.answer(connection.readUntil("0\r\n\r\n") ?? "broken")
                } else {
                    connection.answer(String(decoding: connection.read(11) ?? [], as: UTF8.self))
                }
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(
            HTTP2Client.headers(
                1, HTTP2Client.request(method: "POST", [("content-length", "11")]), ends: false)
                + HTTP2Client.data(1, Array("hello ".utf8))
                + HTTP2Client.data(1, Array("world".utf8), ends: true))
        #expect(client.receive(1)?.text == "hello world")
        client.send(
            HTTP2Client.headers(3, HTTP2Client.request(method: "POST"), ends: false)
                + HTTP2Client.data(3, Array("hello ".utf8))
                + HTTP2Client.data(3, Array("world".utf8), ends: true))
        #expect(client.receive(3)?.text == "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n")
    }

    @Test func `trailers end a request, and stay with the gateway as the parser decides`() throws {
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                connection.answer(connection.readUntil("\r\n\r\n") ?? "broken")
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(
            HTTP2Client.headers(1, HTTP2Client.request(method: "POST"), ends: false)
                + HTTP2Client.data(1, Array("body".utf8)) + HTTP2Client.headers(1, [("x-sum", "1")]))
        let text = try #require(client.receive(1)?.text)
        #expect(text.hasPrefix("4\r\nbody\r\n0\r\n") && text.hasSuffix("\r\n\r\n"))
        client.send(HTTP2Client.headers(3, HTTP2Client.request(method: "POST"), ends: false))
        client.send(HTTP2Client.headers(3, [(":path", "/")]))
        #expect(client.receive(3)?.resetCode == 1)
        client.send(HTTP2Client.headers(5, HTTP2Client.request(method: "POST"), ends: false))
        client.send(HTTP2Client.headers(5, [("connection", "close")]))
        #expect(client.receive(5)?.resetCode == 1)
    }

    @Test func `HEAD, 204 and 304 end with their head; chunked and endless bodies come as data`() throws {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                if head.hasPrefix("HEAD") {
                    connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                } else if head.contains("/204") {
                    connection.socket.write("HTTP/1.1 204 No Content\r\nETag: \"x\"\r\n\r\n")
                } else if head.contains("/304") {
                    connection.socket.write("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n")
                } else if head.contains("/chunks") {
                    connection.socket.write(
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
                    connection.socket.write("4\r\ndefg\r\n0\r\n\r\n")
                } else {
                    connection.socket.write("HTTP/1.1 200 OK\r\n\r\nuntil the end")
                    return
                }
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, HTTP2Client.request(method: "HEAD")))
        let head = try #require(client.receive(1))
        #expect(head.status == 200 && head.field("content-length") == "1000" && head.body.isEmpty)
        #expect(client.get(3, "/204")?.status == 204)
        #expect(client.get(5, "/304")?.field("etag") == "\"x\"")
        #expect(client.get(7, "/chunks")?.text == "abcdefg")
        let endless = try #require(client.get(9, "/endless"))
        #expect(endless.text == "until the end" && endless.isEnded)
    }

    @Test func `a hundred streams of one connection are answered with what each asked for`() throws {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                let path = head.split(separator: " ")[1]
                if path.hasPrefix("/broken") { return }
                connection.answer("\(path)", status: path.hasPrefix("/404") ? "404 Not Found" : "200 OK")
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        let kinds = ["/ok", "/404", "/broken", "/a//b", "/ok"]
        var bytes: [UInt8] = []
        for number in 0..<100 {
            let path = kinds[number % 5] + "/\(number)"
            bytes += HTTP2Client.headers(UInt32(2 * number + 1), HTTP2Client.request(path))
        }
        client.send(bytes)
        let expected = [200, 404, 502, 400, 200]
        for number in 0..<100 {
            let response = try #require(client.receive(UInt32(2 * number + 1)))
            #expect(response.status == expected[number % 5], "stream \(2 * number + 1)")
            if response.status < 500, response.status != 400 {
                #expect(response.text == kinds[number % 5] + "/\(number)")
            }
        }
        #expect(client.goaway == nil)
        #expect(gateway.waitUntil { gateway.engine.metrics().sum("open_streams") == 0 ? true : nil } == true)
    }

    @Test func `a host that the connection's certificate does not cover is 421, and the connection goes on`()
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([
            Facts.open(origin.port), Facts.open(origin.port, host: "other.example", name: "other"),
            Facts.open(origin.port, host: "docs.test", name: "docs"),
        ])
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, HTTP2Client.request(host: "other.example")))
        #expect(client.receive(1)?.status == 421)
        client.send(HTTP2Client.headers(3, HTTP2Client.request(host: "unknown.test")))
        #expect(client.receive(3)?.status == 421)
        client.send(HTTP2Client.headers(5, HTTP2Client.request(host: "docs.test")))
        #expect(client.receive(5)?.status == 200)
        #expect(client.goaway == nil)
    }
}
