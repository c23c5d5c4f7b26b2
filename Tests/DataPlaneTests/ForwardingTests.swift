import Access
import Border
import Testing

@testable import DataPlane

@Suite("A public application behind the gateway")
struct ForwardingTests {
    @Test func `a request reaches the upstream and its answer the client, on a connection that is kept`()
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        for number in 0..<5 {
            let response = try #require(client.get("/page/\(number)?q=1"))
            #expect(response.status == 200)
            #expect(response.text.hasPrefix("GET /page/\(number)?q=1 HTTP/1.1\r\n"))
            #expect(response.field("Gatepost-Request-Id")?.count == 32)
            #expect(response.field("Gatepost-Reason") == nil)
        }
        #expect(origin.connectionCount == 1)
        #expect(gateway.engine.metrics().sum("upstream_reuses") == 4)
    }

    @Test func `the upstream hears who asked from the gateway, never from the client`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let forged =
            "X-Forwarded-For: 6.6.6.6\r\nGatepost-Assertion: forged\r\nGATEPOST_ASSERTION: forged\r\n"
        let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
        let text = try #require(try gateway.client().get(fields: forged + trace)).text
        #expect(!text.contains("6.6.6.6") && !text.contains("forged"))
        #expect(text.lowercased().contains("x-forwarded-for: 127.0.0.1\r\n"))
        #expect(text.contains("traceparent: 00-0af7651916cd43dd8448eb211c80319c-"))
        #expect(!text.contains("b7ad6b7169203331"))
    }

    @Test func `pipelined requests are answered one after the other, in order`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        client.send((0..<20).map { "GET /\($0) HTTP/1.1\r\nHost: wiki.test\r\n\r\n" }.joined())
        for number in 0..<20 {
            #expect(try #require(client.receive()).text.hasPrefix("GET /\(number) "))
        }
    }

    @Test func `two requests in two TLS records in one TCP segment are both answered`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        for _ in 0..<10 {
            client.send(records: [
                "GET /first HTTP/1.1\r\nHost: wiki.test\r\n\r\n",
                "GET /second HTTP/1.1\r\nHost: wiki.test\r\n\r\n",
            ])
            #expect(try #require(client.receive()).text.hasPrefix("GET /first "))
            #expect(try #require(client.receive()).text.hasPrefix("GET /second "))
        }
    }

    @Test func `a head that comes byte by byte is one request`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        for byte in "GET /slow HTTP/1.1\r\nHost: wiki.test\r\n\r\n".utf8 { client.send([byte]) }
        #expect(try #require(client.receive()).text.hasPrefix("GET /slow "))
    }

    @Test func `answers without a body have none: HEAD, 204 and 304`() throws {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                if head.hasPrefix("HEAD") {
                    connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                } else {
                    let status = head.contains("/204") ? "204 No Content" : "304 Not Modified"
                    connection.socket.write("HTTP/1.1 \(status)\r\nETag: \"x\"\r\n\r\n")
                }
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        client.send("HEAD / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(try #require(client.receive(isHead: true)).field("Content-Length") == "1000")
        #expect(client.get("/204")?.status == 204)
        #expect(client.get("/304")?.status == 304)
        #expect(origin.connectionCount == 1)
    }

    @Test
    func `interim answers of the upstream go on to the client, except the 100 that the gateway gives itself`()
        throws
    {
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                connection.socket.write("HTTP/1.1 100 Continue\r\n\r\n")
                connection.socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
                connection.answer()
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        #expect(client.get()?.status == 103)
        let final = try #require(client.receive())
        #expect(final.status == 200 && final.text == "hello")
    }

    @Test func `a request on a pooled connection that died meanwhile is repeated once, on a new one`() throws
    {
        let origin = TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            connection.answer("from \(connection.number)")
            // The second request is read and the connection closed without a word.
            if connection.number == 0 {
                _ = connection.readHead()
            } else {
                while connection.readHead() != nil { connection.answer("from \(connection.number)") }
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        #expect(client.get()?.text == "from 0")
        #expect(client.get()?.text == "from 1")
        #expect(gateway.engine.metrics().sum("upstream_retries") == 1)
    }

    @Test func `a POST on a pooled connection that died is never repeated`() throws {
        let origin = TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            connection.answer()
            _ = connection.readHead()
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        #expect(client.get()?.status == 200)
        client.send("POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 2\r\n\r\nhi")
        #expect(client.receive()?.status == 502)
        #expect(origin.connectionCount == 1)
    }

    @Test func `the second upstream is taken when the first refuses connections`() throws {
        let origin = TestOrigin.echo()
        var route = Facts.open(TestOrigin.closedPort())
        route.upstreams.append(UpstreamAddress(address: "127.0.0.1", port: origin.port))
        let gateway = try Gateway([route])
        #expect(try gateway.client().get()?.status == 200)
    }

    @Test func `a new configuration is used by the next request on an old connection`() throws {
        let first = TestOrigin { while $0.readHead() != nil { $0.answer("first") } }
        let second = TestOrigin { while $0.readHead() != nil { $0.answer("second") } }
        let gateway = try Gateway([Facts.open(first.port)])
        let client = try gateway.client()
        #expect(client.get()?.text == "first")
        try gateway.engine.broadcast(
            configuration: Gateway.snapshot([Facts.open(second.port)], revision: 2))
        let isChanged = gateway.waitUntil { client.get()?.text == "second" ? true : nil }
        #expect(isChanged == true)
    }

    @Test func `a configuration with a broken certificate is refused before anything is sent`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        var broken = Gateway.snapshot([], revision: 2)
        broken.certificates[0].keyPEM = TestCertificates.shared.otherKeyPEM
        #expect(throws: TLSConfigurationError.self) { try gateway.engine.broadcast(configuration: broken) }
        #expect(try gateway.client().get()?.status == 200)
    }

    /// In the middle of its body when the drain begins, whose rest comes when the test says so.
    private static func draining(deadlineMilliseconds: Int, _ rest: Finish) throws -> (Gateway, TestClient) {
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
                rest.wait()
                connection.socket.write("lf")
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)], workers: 2)
        let client = try gateway.client()
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(gateway.waitForCounter("bytes_downstream", atLeast: 1))
        gateway.engine.drain(deadlineMilliseconds: deadlineMilliseconds)
        return (gateway, client)
    }

    @Test func `a drain lets the request in progress finish, says goodbye behind it, and ends`() throws {
        let rest = Finish()
        let (gateway, client) = try Self.draining(deadlineMilliseconds: 60_000, rest)
        rest.signal()
        let answer = try #require(client.receive())
        #expect(answer.isComplete && answer.text == "half")
        #expect(client.readSome() == nil && client.hasEnded)
        gateway.engine.join()
        #expect(gateway.engine.metrics().sum("open_exchanges") == 0)
    }

    @Test func `what a drain's deadline finds unfinished is broken off, and does not look whole`() throws {
        let rest = Finish()
        let (gateway, client) = try Self.draining(deadlineMilliseconds: 100, rest)
        gateway.engine.join()
        #expect(client.receive()?.isComplete == false)
        rest.signal()
    }
}
