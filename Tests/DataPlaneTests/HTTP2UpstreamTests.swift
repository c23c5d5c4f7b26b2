import Border
import Foundation
import Synchronization
import Testing

@testable import DataPlane

@Suite("HTTP/2 towards upstreams")
struct HTTP2UpstreamTests {
    @Test func `an HTTP/1.1 client is answered by an h2c upstream, and the next one on the same connection`()
        throws
    {
        let origin = HTTP2Origin.echo()
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        for number in 0..<3 {
            let answer = try #require(try gateway.client().get("/a/\(number)?b=c", fields: "X-Mine: 1\r\n"))
            #expect(answer.status == 200 && answer.isComplete)
            #expect(
                answer.text.hasPrefix(
                    ":method: GET\r\n:scheme: http\r\n:path: /a/\(number)?b=c\r\n:authority: wiki.test\r\n"))
            #expect(answer.text.contains("\r\nx-mine: 1\r\n"))
            #expect(answer.text.contains("\r\ngatepost-request-id: "))
            for name in ["host", "connection", "transfer-encoding", "upgrade"] {
                #expect(!answer.text.contains("\r\n\(name): "))
            }
        }
        #expect(origin.connectionCount == 1)
    }

    @Test func `an HTTP/2 client and its streams share one connection to the upstream`() throws {
        let origin = HTTP2Origin.echo()
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try HTTP2Client(gateway)
        let streams = stride(from: UInt32(1), to: 101, by: 2)
        for stream in streams { client.send(HTTP2Client.headers(stream, HTTP2Client.request("/\(stream)"))) }
        for stream in streams {
            let answer = try #require(client.receive(stream))
            #expect(answer.status == 200 && answer.text.contains(":path: /\(stream)\r\n"))
        }
        #expect(origin.connectionCount == 1)
        #expect(
            gateway.waitUntil { gateway.engine.metrics().sum("open_upstreams") == 1 ? true : nil } == true)
    }

    @Test func `bodies of a length and in chunks arrive whole, far beyond any window`() throws {
        let origin = HTTP2Origin.echo()
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let body = String(repeating: "0123456789abcdef", count: 60_000)
        let client = try gateway.client()
        client.send(
            "POST /up HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        let answer = try #require(client.receive())
        #expect(answer.text.contains("\r\ncontent-length: \(body.utf8.count)\r\n"))
        #expect(answer.text.hasSuffix("\r\n\r\n960000 bytes"))
        client.send("POST /up HTTP/1.1\r\nHost: wiki.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<60 {
            let part = body.prefix(16_000)
            client.send("\(String(part.utf8.count, radix: 16))\r\n\(part)\r\n")
        }
        client.send("0\r\n\r\n")
        let second = try #require(client.receive())
        #expect(!second.text.contains("content-length: "))
        #expect(second.text.hasSuffix("\r\n\r\n960000 bytes") && second.isComplete)
        #expect(origin.connectionCount == 1)
    }

    @Test func `HEAD, 204, 304, an empty answer, and a length keep their meaning`() throws {
        let origin = HTTP2Origin.serving { origin in
            while let id = origin.nextRequest() {
                switch origin.requests[id]?.field(":path") {
                case "/204": origin.send(HTTP2Origin.head(id, 204, ends: true))
                case "/304": origin.send(HTTP2Origin.head(id, 304, [("content-length", "7")], ends: true))
                case "/head": origin.send(HTTP2Origin.head(id, 200, [("content-length", "7")], ends: true))
                case "/empty": origin.send(HTTP2Origin.head(id, 200, ends: true))
                case "/length":
                    // END_STREAM in a frame of its own, as many servers send it.
                    origin.send(
                        HTTP2Origin.head(id, 200, [("content-length", "5")]),
                        HTTP2Client.data(id, Array("hello".utf8)), HTTP2Client.data(id, [], ends: true))
                case _: origin.answer(id)
                }
            }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try gateway.client()
        #expect(client.get("/204")?.status == 204)
        let unchanged = client.get("/304")
        #expect(unchanged?.status == 304 && unchanged?.field("content-length") == "7")
        client.send("HEAD /head HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(client.receive(isHead: true)?.field("content-length") == "7")
        #expect(client.get("/empty")?.field("content-length") == "0")
        for _ in 0..<20 {
            let answer = client.get("/length")
            #expect(answer?.text == "hello" && answer?.field("content-length") == "5")
        }
        #expect(client.get("/chunks")?.field("transfer-encoding") == "chunked")
        #expect(origin.connectionCount == 1)
    }

    @Test func `interim answers go on, and an answer before the request's end ends the request`() throws {
        let origin = HTTP2Origin.serving { origin in
            while let id = origin.nextRequest() {
                origin.send(
                    HTTP2Origin.head(id, 103, [("link", "</a.css>; rel=preload")]),
                    HTTP2Origin.head(id, 413, [("content-length", "3")]),
                    HTTP2Client.data(id, Array("too".utf8), ends: true), HTTP2Client.reset(id, 0))
            }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        for _ in 0..<2 {
            let client = try gateway.client()
            client.send("POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 1000000\r\n\r\nbegin")
            #expect(client.receive()?.status == 103)
            let answer = client.receive()
            #expect(answer?.status == 413 && answer?.text == "too")
        }
        #expect(origin.connectionCount == 1)
    }

    @Test func `both directions of one request go on side by side`() throws {
        let origin = HTTP2Origin.serving { origin in
            guard let id = origin.nextRequest() else { return }
            origin.send(HTTP2Origin.head(id))
            var seen = 0
            while origin.requests[id]?.isEnded == false, origin.next() != nil {
                let body = origin.requests[id]?.body ?? []
                if body.count > seen { origin.send(HTTP2Client.data(id, Array(body[seen...]))) }
                seen = body.count
            }
            origin.send(HTTP2Client.headers(id, [("grpc-status", "0")]))
            origin.readToEnd()
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, HTTP2Client.request("/talk", method: "POST"), ends: false))
        #expect(client.readUntil { $0.responses[1]?.status == 200 })
        for number in 1...20 {
            client.send(HTTP2Client.data(1, [UInt8(number)]))
            #expect(client.readUntil { $0.responses[1]?.body.count == number })
        }
        client.send(HTTP2Client.data(1, [], ends: true))
        let answer = client.receive(1)
        #expect(answer?.body == (1...20).map { UInt8($0) })
        #expect(answer?.trailers.map(\.0) == ["grpc-status"])
    }

    // MARK: Flow control

    private static let size = 24 << 20

    @Test func `a client that does not read stops its own stream, and no other`() throws {
        let sent = Mutex(0)
        let origin = HTTP2Origin.serving { origin in
            var big: UInt32?
            var answered: Set<UInt32> = []
            while origin.next() != nil {
                for (id, asked) in origin.requests where asked.isEnded && answered.insert(id).inserted {
                    if asked.field(":path") == "/big" {
                        origin.send(HTTP2Origin.head(id))
                        big = id
                    } else {
                        origin.answer(id, body: "small")
                    }
                }
                guard let id = big else { continue }
                let window = 65_535 + (origin.window[id] ?? 0)
                while sent.withLock({ $0 }) < Self.size, sent.withLock({ $0 }) + 16_384 <= window {
                    let now = sent.withLock { sent in
                        sent += 16_384
                        return sent
                    }
                    let isLast = now >= Self.size
                    origin.send(
                        HTTP2Client.data(id, [UInt8](repeating: 120, count: 16_384), ends: isLast))
                }
            }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let slow = try gateway.client()
        slow.send("GET /big HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(gateway.waitUntil { sent.withLock { $0 } > 65_536 ? true : nil } == true)
        let client = try gateway.client()
        for _ in 0..<50 { #expect(client.get("/small")?.text == "small") }
        #expect(sent.withLock { $0 } < Self.size)
        #expect(origin.connectionCount == 1)
        let answer = slow.receive()
        #expect(answer?.body.count == Self.size)
        #expect(answer?.isComplete == true)
    }

    @Test func `an upload waits for the upstream's window, and holds no more than a little of it`() throws {
        let finish = Finish()
        let received = Mutex(0)
        let origin = HTTP2Origin.serving { origin in
            origin.givesWindow = false
            guard let id = origin.nextRequest() else { return }
            _ = origin.readUntil { $0.requests[id]?.body.count == 65_535 }
            finish.wait()
            origin.send(
                HTTP2Frame.bytes(.windowUpdate, 0, 0, HTTP2Frame.big(8 << 20)),
                HTTP2Frame.bytes(.windowUpdate, 0, id, HTTP2Frame.big(8 << 20)))
            _ = origin.readUntil { $0.requests[id]?.isEnded == true }
            received.withLock { $0 = origin.requests[id]?.body.count ?? 0 }
            origin.answer(id)
            origin.readToEnd()
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, HTTP2Client.request("/up", method: "POST"), ends: false))
        #expect(client.readUntil { $0.acknowledgedSettings > 0 })
        var sent = 0
        var (isOpened, held) = (false, 0)
        let size = 4 << 20
        while sent < size {
            // As much as the gateway gives.
            let most = 65_535 + min(client.window[1] ?? 0, 1 << 30) - sent
            if most >= 16_384 {
                client.send(
                    HTTP2Client.data(1, [UInt8](repeating: 1, count: 16_384), ends: sent + 16_384 >= size))
                sent += 16_384
            } else {
                if !isOpened { held = sent }
                isOpened = true
                finish.signal()
                guard client.next() != nil else { break }
            }
        }
        #expect(held < 1 << 20)
        finish.signal()
        #expect(client.receive(1)?.status == 200)
        #expect(received.withLock { $0 } == size)
    }

    // MARK: Connections

    /// Answers nobody before `count` requests are there.
    private static func together(_ count: Int, settings: [(UInt16, UInt32)]) -> (TestOrigin, Finish) {
        let waiting = Mutex(0)
        let finish = Finish()
        let origin = HTTP2Origin.serving(settings: settings) { origin in
            while let id = origin.nextRequest() {
                let isLast = waiting.withLock { waiting in
                    waiting += 1
                    return waiting == count
                }
                if isLast { finish.signal() }
                finish.wait()
                origin.answer(id, body: "\(origin.number)")
            }
        }
        return (origin, finish)
    }

    @Test func `another connection is made only when the upstream takes no more streams`() throws {
        let (origin, _) = Self.together(3, settings: [(3, 1)])
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try HTTP2Client(gateway)
        for stream in [1, 3, 5] as [UInt32] {
            client.send(HTTP2Client.headers(stream, HTTP2Client.request()))
        }
        let answers = [1, 3, 5].compactMap { client.receive(UInt32($0))?.text }
        #expect(Set(answers) == ["0", "1", "2"])
        for stream in stride(from: UInt32(7), to: 27, by: 2) { #expect(client.get(stream)?.status == 200) }
        #expect(origin.connectionCount == 3)
    }

    @Test func `beyond the bound of connections a request is told to come again`() throws {
        let (origin, finish) = Self.together(9, settings: [(3, 1)])
        let gateway = try Gateway([HTTP2Origin.route(origin.port) { $0.http2ConnectionsMax = 2 }])
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, HTTP2Client.request()))
        client.send(HTTP2Client.headers(3, HTTP2Client.request()))
        #expect(gateway.waitUntil { origin.connectionCount == 2 ? true : nil } == true)
        let refused = client.get(5)
        #expect(refused?.status == 503 && refused?.field("gatepost-reason") == "upstream-busy")
        finish.signal()
        #expect(client.receive(1)?.status == 200 && client.receive(3)?.status == 200)
        #expect(client.get(7)?.status == 200)
        #expect(origin.connectionCount == 2)
    }

    @Test(
        "a request that the upstream did not look at goes again, whatever its method; a body is not kept",
        arguments: [
            ("GET", "", 200), ("POST", "Content-Length: 0\r\n", 200), ("DELETE", "", 200),
            ("POST", "Content-Length: 4\r\n", 503),
        ], [true, false])
    func refused(_ what: (method: String, fields: String, status: Int), byGoaway: Bool) throws {
        let seen = Mutex(0)
        let origin = HTTP2Origin.serving { origin in
            while let id = origin.nextRequest() {
                let count = seen.withLock { seen in
                    seen += 1
                    return seen
                }
                if count == 2, byGoaway {
                    origin.send(HTTP2Frame.bytes(.goaway, 0, 0, HTTP2Frame.big(id - 2) + HTTP2Frame.big(0)))
                } else if count == 2 {
                    origin.send(HTTP2Client.reset(id, 7))
                } else {
                    origin.answer(id)
                }
            }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try gateway.client()
        #expect(client.get()?.status == 200)
        let body = what.status == 503 ? "body" : ""
        client.send("\(what.method) / HTTP/1.1\r\nHost: wiki.test\r\n\(what.fields)\r\n\(body)")
        let answer = client.receive()
        #expect(answer?.status == what.status)
        if what.status == 503 { #expect(answer?.field("gatepost-reason") == "upstream-busy") }
        let next = try gateway.client()
        #expect(next.get()?.status == 200)
        #expect(origin.connectionCount == (byGoaway ? 2 : 1))
        #expect(gateway.engine.metrics().sum("upstream_streams_refused") == 1)
        #expect(gateway.engine.metrics().sum("upstream_failures") == 0, "who says so is well")
    }

    @Test func `streams below a GOAWAY's last one are answered, and the connection then ends`() throws {
        let origin = HTTP2Origin.serving { origin in
            guard origin.number == 0 else {
                while let id = origin.nextRequest() { origin.answer(id, body: "new") }
                return
            }
            guard let id = origin.nextRequest() else { return }
            origin.send(HTTP2Frame.bytes(.goaway, 0, 0, HTTP2Frame.big(id) + HTTP2Frame.big(0)))
            origin.send(HTTP2Origin.head(id))
            origin.send(HTTP2Client.data(id, Array("old".utf8), ends: true))
            origin.readToEnd()
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try gateway.client()
        #expect(client.get()?.text == "old")
        #expect(client.get()?.text == "new")
        #expect(
            gateway.waitUntil { gateway.engine.metrics().sum("open_upstreams") == 1 ? true : nil } == true)
    }

    @Test func `what the client gives up the upstream is told to give up, and its connection stays`() throws {
        let codes = Mutex<[UInt32]>([])
        let origin = HTTP2Origin.serving { origin in
            var answered: Set<UInt32> = []
            while origin.next() != nil {
                for (id, asked) in origin.requests where asked.isEnded {
                    if let code = asked.resetCode, answered.insert(id).inserted {
                        codes.withLock { $0.append(code) }
                    }
                    guard asked.field(":path") == "/quick", answered.insert(id).inserted else { continue }
                    origin.answer(id)
                }
            }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, HTTP2Client.request("/long")))
        #expect(gateway.waitForCounter("upstream_connects", atLeast: 1))
        #expect(client.get(3, "/quick")?.status == 200)
        client.send(HTTP2Client.reset(1))
        do {
            let other = try gateway.client()
            other.send("GET /long HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
            #expect(gateway.waitForCounter("upstream_reuses", atLeast: 2))
        }
        #expect(gateway.waitUntil { codes.withLock { $0.count } == 2 ? true : nil } == true)
        #expect(codes.withLock { $0 } == [8, 8])
        #expect(client.get(5, "/quick")?.status == 200)
        #expect(origin.connectionCount == 1)
    }

    @Test func `a stream that the upstream gives up is its client's loss, and nobody else's`() throws {
        let origin = HTTP2Origin.serving { origin in
            while let id = origin.nextRequest() {
                switch origin.requests[id]?.field(":path") {
                case "/before": origin.send(HTTP2Client.reset(id, 2))
                case "/behind":
                    origin.send(HTTP2Origin.head(id), HTTP2Client.data(id, Array("part".utf8)))
                case "/now": origin.send(HTTP2Client.reset(id - 2, 2), HTTP2Origin.head(id, ends: true))
                case _: origin.answer(id)
                }
            }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try HTTP2Client(gateway)
        let before = client.get(1, "/before")
        #expect(before?.status == 502 && before?.field("gatepost-reason") == "upstream-unavailable")
        #expect(client.get(3)?.status == 200)
        client.send(HTTP2Client.headers(5, HTTP2Client.request("/behind")))
        #expect(client.readUntil { $0.responses[5]?.text == "part" })
        #expect(client.get(7, "/now")?.status == 200)
        let behind = client.receive(5)
        #expect(behind?.resetCode != nil && behind?.isEnded == false)
        #expect(origin.connectionCount == 1)
    }

    @Test func `an upstream that speaks HTTP/1.1 only gets no request`() throws {
        let heads = Mutex<[String]>([])
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                heads.withLock { $0.append(head) }
                connection.socket.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let answer = try gateway.client().get("/secret")
        #expect(answer?.status == 502 && answer?.field("gatepost-reason") == "upstream-unavailable")
        let seen = heads.withLock { $0 }
        #expect(seen.first == "PRI * HTTP/2.0\r\n\r\n" && !seen.contains { $0.contains("secret") })
    }

    @Test func `over TLS HTTP/2 must be agreed on`() throws {
        let origin = UpstreamTLSTests.origin(UpstreamTLSTests.server("DNS:wiki.test"))
        var route = UpstreamTLSTests.route(origin.port) { $0.speaksHTTP2 = true }
        route.upstreamRules.health = HealthRules(path: "/")
        let gateway = try Gateway([route])
        #expect(try gateway.client().get()?.status == 502)
        let news = UpstreamTests.news(gateway, .unhealthy, of: origin.port)
        #expect(news?.why == "does not speak HTTP/2" || news?.why == "TLS handshake failed")
    }

    @Test func `a WebSocket is not opened where no upgrade can be, and nothing of it is sent`() throws {
        let origin = HTTP2Origin.echo()
        let gateway = try Gateway([HTTP2Origin.route(origin.port)], answer: RevocationTests.control)
        let client = try gateway.client()
        client.send(RevocationTests.webSocket(1))
        #expect(client.receive()?.status == 502)
        #expect(origin.connectionCount == 0)
    }

    // MARK: Health

    @Test func `health checks are asked over HTTP/2, on connections of their own`() throws {
        let paths = Mutex<Set<String>>([])
        let isWell = Mutex(true)
        let origin = HTTP2Origin.serving { origin in
            while let id = origin.nextRequest() {
                let path = origin.requests[id]?.field(":path") ?? ""
                _ = paths.withLock { $0.insert(path) }
                origin.answer(id, path == "/healthz" && !isWell.withLock { $0 } ? 500 : 200)
            }
        }
        let gateway = try Gateway([
            HTTP2Origin.route(origin.port) { rules in
                var health = HealthRules(path: "/healthz")
                health.intervalMilliseconds = 50
                health.unhealthyAfter = 1
                rules.health = health
            }
        ])
        #expect(UpstreamTests.news(gateway, .healthy, of: origin.port) != nil)
        isWell.withLock { $0 = false }
        #expect(UpstreamTests.news(gateway, .unhealthy, of: origin.port)?.why == "health check answered 500")
        #expect(paths.withLock { $0 } == ["/healthz"])
        #expect(gateway.engine.metrics().sum("open_upstreams") <= 1)
    }

    @Test func `an endpoint that is no longer configured loses its connection when it is idle`() throws {
        let (old, new) = (HTTP2Origin.echo(), HTTP2Origin.echo())
        let gateway = try Gateway([HTTP2Origin.route(old.port)])
        let client = try gateway.client()
        #expect(client.get()?.status == 200)
        gateway.send(.configuration(Gateway.snapshot([HTTP2Origin.route(new.port)], revision: 2)))
        #expect(
            gateway.waitUntil { gateway.engine.metrics().sum("open_upstreams") == 0 ? true : nil } == true)
        #expect(client.get()?.status == 200)
        #expect(old.connectionCount == 1 && new.connectionCount == 1)
    }
}
