import Access
import Border
import Testing

@testable import DataPlane

@Suite("What is wrong with a request or an upstream is answered by the gateway, in its own name")
struct RefusalTests {
    static let smuggling: [String] = [
        "POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nHost: wiki.test\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: wiki.test\r\nHost: other.test\r\n\r\n",
        "GET / HTTP/1.1\nHost: wiki.test\n\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET /a/../b HTTP/1.1\r\nHost: wiki.test\r\n\r\n",
        "GET /a%2fb HTTP/1.1\r\nHost: wiki.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: wiki.test\r\nConnection: gatepost-assertion\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : wiki.test\r\n\r\n",
    ]

    @Test(arguments: smuggling)
    func `an ambiguous request is refused, the connection closed and nothing goes upstream`(_ bytes: String)
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        client.send(bytes + "GET /smuggled HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        let response = try #require(client.receive())
        #expect((400...501).contains(response.status))
        #expect(response.field("Gatepost-Reason") == "request-malformed")
        #expect(response.field("Connection") == "close")
        #expect(client.receive() == nil)
        #expect(origin.connectionCount == 0)
    }

    @Test func `a host that nobody configured is 421 and a reason`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let response = try #require(try gateway.client().get(host: "unknown.test"))
        #expect(response.status == 421)
        #expect(response.field("Gatepost-Reason") == "route-not-found")
        #expect(origin.connectionCount == 0)
    }

    @Test func `a connection made for one certificate is no way to a host of another one`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([
            Facts.open(origin.port), Facts.open(origin.port, host: "other.example", name: "other"),
        ])
        #expect(try gateway.client("wiki.test").get(host: "other.example")?.status == 421)
        #expect(try gateway.client("other.example").get(host: "other.example")?.status == 200)
        #expect(try gateway.client("wiki.test").get(host: "wiki.test")?.status == 200)
    }

    @Test func `a head of exactly the limit passes, one byte more is 431`() throws {
        let origin = TestOrigin.echo()
        var limits = Limits()
        limits.headBytesMax = 2_000
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        func request(_ bytes: Int) -> String {
            let start = "GET / HTTP/1.1\r\nHost: wiki.test\r\nX-Long: "
            return start + String(repeating: "x", count: bytes - start.utf8.count - 4) + "\r\n\r\n"
        }
        let fits = try gateway.client()
        fits.send(request(2_000))
        #expect(fits.receive()?.status == 200)
        let exceeds = try gateway.client()
        exceeds.send(request(2_001))
        #expect(exceeds.receive()?.status == 431)
    }

    @Test func `half a head is 408 when its time is over`() throws {
        var limits = Limits()
        limits.headMilliseconds = 50
        let gateway = try Gateway([Facts.open(1)], limits: limits)
        let client = try gateway.client()
        client.send("GET / HTTP/1.1\r\nHo")
        let response = try #require(client.receive())
        #expect(response.status == 408)
        #expect(response.field("Gatepost-Reason") == "request-timeout")
    }

    @Test func `silence between requests ends the connection without a word`() throws {
        var limits = Limits()
        limits.idleMilliseconds = 50
        let gateway = try Gateway([Facts.open(1)], limits: limits)
        #expect(try gateway.client().receive() == nil)
    }

    @Test func `a client that never finishes its handshake is dropped`() throws {
        var limits = Limits()
        limits.handshakeMilliseconds = 50
        let gateway = try Gateway([Facts.open(1)], limits: limits)
        let socket = TestSocket.connected(gateway.port)
        socket.write([22, 3, 1])
        #expect(socket.read() == nil)
        socket.close()
        #expect(gateway.waitForCounter("deadlines_passed", atLeast: 1))
    }

    @Test func `bytes that are no TLS end the connection and nothing else`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let socket = TestSocket.connected(gateway.port)
        socket.write("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        while socket.read() != nil {}
        socket.close()
        #expect(try gateway.client().get()?.status == 200)
    }

    @Test func `an upstream that is down is 502`() throws {
        let gateway = try Gateway([Facts.open(TestOrigin.closedPort())])
        let client = try gateway.client()
        let response = try #require(client.get())
        #expect(response.status == 502)
        #expect(response.field("Gatepost-Reason") == "upstream-unavailable")
        #expect(client.get()?.status == 502)
    }

    static let garbage: [String] = [
        "SSH-2.0-OpenSSH_9\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: 1\n\na",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        String(repeating: "HTTP/1.1 103 Early Hints\r\n\r\n", count: 17),
    ]

    @Test(arguments: garbage)
    func `an upstream that talks nonsense is 502 at the end`(_ bytes: String) throws {
        let origin = TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            connection.socket.write(bytes)
            _ = connection.readSome()
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        var response = client.get()
        while response?.status == 103 { response = client.receive() }
        #expect(response?.status == 502)
        #expect(response?.field("Gatepost-Reason") == "upstream-malformed")
    }

    static let half: [String] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
    ]

    @Test(arguments: half)
    func `half an answer is never passed off as a whole one`(_ bytes: String) throws {
        let origin = TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            connection.socket.write(bytes)
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        let response = try #require(client.get())
        // Broken before anything was sent: the gateway can still say so. Afterwards only the connection can.
        #expect(response.status == 502 || !response.isComplete)
        #expect(client.receive() == nil)
    }

    @Test func `an upstream that says nothing is 504`() throws {
        let origin = TestOrigin { connection in
            _ = connection.readHead()
            _ = connection.readSome()
        }
        var limits = Limits()
        limits.upstreamHeadMilliseconds = 50
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let response = try #require(try gateway.client().get())
        #expect(response.status == 504)
        #expect(response.field("Gatepost-Reason") == "upstream-timeout")
    }

    @Test func `a body that stops coming is 408`() throws {
        let origin = TestOrigin { connection in
            _ = connection.readHead()
            _ = connection.read(100)
        }
        var limits = Limits()
        limits.bodyIdleMilliseconds = 50
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let client = try gateway.client()
        client.send("POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 100\r\n\r\nsome")
        #expect(client.receive()?.status == 408)
    }

    @Test func `more connections than allowed push out the one that is idle longest`() throws {
        let origin = TestOrigin.echo()
        var limits = Limits()
        limits.connectionsMax = 2
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let oldest = try gateway.client()
        #expect(oldest.get()?.status == 200)
        let middle = try gateway.client()
        #expect(middle.get()?.status == 200)
        let newest = try gateway.client()
        #expect(newest.get()?.status == 200)
        #expect(oldest.receive() == nil)
        #expect(middle.get()?.status == 200)
    }

    @Test func `a request that already passed this process is a loop, not a request`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let seen = try #require(try gateway.client().get()?.text)
        let hop = try #require(seen.split(separator: "\r\n").first { $0.hasPrefix("Gatepost-Hop: ") })
        #expect(try gateway.client().get(fields: "\(hop)\r\n")?.status == 508)
    }
}
