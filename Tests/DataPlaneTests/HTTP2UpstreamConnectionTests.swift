import Border
import Foundation
import Synchronization
import Testing

@testable import DataPlane

@Suite("HTTP/2 connections to upstreams: made, shared, left")
struct HTTP2UpstreamConnectionTests {
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
        let unanswered = Mutex<Set<UInt32>>([])
        let origin = HTTP2Origin.serving { origin in
            var answered: Set<UInt32> = []
            while origin.next() != nil {
                for (id, asked) in origin.requests where asked.isEnded {
                    if asked.field(":path") == "/long" { unanswered.withLock { _ = $0.insert(id) } }
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
        func waitForLong(_ count: Int) -> Bool? {
            gateway.waitUntil { unanswered.withLock { $0.count } == count ? true : nil }
        }
        client.send(HTTP2Client.headers(1, HTTP2Client.request("/long")))
        #expect(waitForLong(1) == true)
        #expect(client.get(3, "/quick")?.status == 200)
        client.send(HTTP2Client.reset(1))
        do {
            let other = try gateway.client()
            other.send("GET /long HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
            #expect(waitForLong(2) == true)
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
        try gateway.engine.broadcast(
            configuration: Gateway.snapshot([HTTP2Origin.route(new.port)], revision: 2))
        #expect(
            gateway.waitUntil { gateway.engine.metrics().sum("open_upstreams") == 0 ? true : nil } == true)
        #expect(client.get()?.status == 200)
        #expect(old.connectionCount == 1 && new.connectionCount == 1)
    }
}
