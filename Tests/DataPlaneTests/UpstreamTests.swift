import Border
import Foundation
import Synchronization
import Testing

@testable import DataPlane

/// Endpoints that are dead, slow, or lie.
@Suite("Several endpoints of one application")
struct UpstreamTests {
    static func route(_ ports: [UInt16], _ change: (inout UpstreamRules) -> Void = { _ in })
        -> ApplicationRoute
    {
        var route = Facts.open(ports[0])
        route.upstreams = ports.map { UpstreamAddress(address: "127.0.0.1", port: $0) }
        change(&route.upstreamRules)
        return route
    }

    static func news(_ gateway: Gateway, _ standing: UpstreamNews.Standing, of port: UInt16) -> UpstreamNews?
    {
        let message = gateway.waitFor {
            if case .upstream(let news) = $0 {
                news.standing == standing && news.endpoint.hasSuffix(":\(port)")
            } else {
                false
            }
        }
        if case .upstream(let news)? = message { return news }
        return nil
    }

    /// One request at a gateway of its own.
    static func get(_ route: ApplicationRoute) throws -> TestResponse? {
        let gateway = try Gateway([route])
        let answer = try gateway.client().get()
        return withExtendedLifetime(gateway) { answer }
    }

    /// Takes connections and closes each as soon as a request is there.
    private static func closing() -> TestOrigin { TestOrigin { _ = $0.readHead() } }

    @Test func `one that accepts and closes is left out after its failures, and no GET is lost on the way`()
        throws
    {
        let (bad, good) = (Self.closing(), TestOrigin { while $0.readHead() != nil { $0.answer("good") } })
        let gateway = try Gateway([Self.route([bad.port, good.port]) { $0.ejection?.failuresMax = 2 }])
        let client = try gateway.client()
        for _ in 0..<8 { #expect(client.get()?.text == "good") }
        let news = try #require(Self.news(gateway, .ejected, of: bad.port))
        #expect(
            news.why == "closed without a whole answer" && news.untilSeconds != nil
                && news.application == "wiki")
        #expect(bad.connectionCount == 2)
        #expect(gateway.engine.metrics().sum("upstream_ejections") == 1)
        #expect(gateway.engine.metrics().sum("upstream_retries") == 2)
    }

    @Test func `a POST is sent once, whatever becomes of it`() throws {
        let heads = Mutex(0)
        let origins = (0..<3).map { _ in
            TestOrigin { connection in
                guard let head = connection.readHead(), head.hasPrefix("POST") else { return }
                heads.withLock { $0 += 1 }
            }
        }
        let gateway = try Gateway([Self.route(origins.map(\.port))])
        for fields in ["Content-Length: 2\r\n\r\nhi", "Content-Length: 0\r\n\r\n"] {
            let client = try gateway.client()
            client.send("POST / HTTP/1.1\r\nHost: wiki.test\r\n" + fields)
            let answer = try #require(client.receive())
            #expect(answer.status == 502 && answer.field("gatepost-reason") == "upstream-unavailable")
        }
        #expect(heads.withLock { $0 } == 2)
        #expect(gateway.engine.metrics().sum("upstream_retries") == 0)
    }

    @Test func `where no connection could be made nothing was sent, so a POST goes elsewhere`() throws {
        let good = TestOrigin { connection in
            while connection.readHead() != nil {
                connection.answer(String(decoding: connection.read(2) ?? [], as: UTF8.self))
            }
        }
        let gateway = try Gateway([Self.route([TestOrigin.closedPort(), good.port])])
        let client = try gateway.client()
        client.send("POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 2\r\n\r\nhi")
        #expect(client.receive()?.text == "hi")
    }

    @Test func `without retries what fails has failed`() throws {
        let good = TestOrigin.echo()
        let gateway = try Gateway([Self.route([TestOrigin.closedPort(), good.port]) { $0.retriesMax = 0 }])
        let client = try gateway.client()
        #expect(client.get()?.status == 502)
        #expect(client.get()?.status == 200)
    }

    @Test func `the last endpoint is never left out, and is asked each time`() throws {
        let bad = Self.closing()
        let gateway = try Gateway([Self.route([bad.port]) { $0.ejection?.failuresMax = 1 }])
        for _ in 0..<4 { #expect(try gateway.client().get()?.status == 502) }
        #expect(bad.connectionCount == 4)
        #expect(gateway.engine.metrics().sum("upstream_ejections") == 0)
    }

    @Test func `answers of 500 are the application's, until a share of them is configured`() throws {
        let bad = TestOrigin { while $0.readHead() != nil { $0.answer("no", status: "500 Oh") } }
        let good = TestOrigin { while $0.readHead() != nil { $0.answer("yes") } }
        let gateway = try Gateway([
            Self.route([bad.port, good.port]) {
                $0.ejection?.errorPercent = 80
                $0.ejection?.milliseconds = 60_000
            }
        ])
        let client = try gateway.client()
        var statuses: [Int] = []
        for _ in 0..<60 { statuses.append(client.get()?.status ?? 0) }
        #expect(statuses.count { $0 == 500 } == 20 && statuses.suffix(15).allSatisfy { $0 == 200 })
        #expect(Self.news(gateway, .ejected, of: bad.port)?.why == "100% of answers are 500 or above")
    }

    @Test func `a deadline of the application's own ends what hangs, and says so`() throws {
        let hanging = TestOrigin { connection in while connection.readSome() != nil {} }
        let answer = try #require(
            try Self.get(Self.route([hanging.port]) { $0.headMilliseconds = 200 }))
        #expect(answer.status == 504 && answer.field("gatepost-reason") == "upstream-timeout")
        let silent = TestOrigin { connection in
            _ = connection.readHead()
            connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            while connection.readSome() != nil {}
        }
        let half = try #require(try Self.get(Self.route([silent.port]) { $0.idleMilliseconds = 200 }))
        #expect(half.text == "half" && !half.isComplete)
    }

    @Test func `health checks take an ill endpoint out and a well one back in`() throws {
        let isWell = Atomic<Bool>(false)
        let asked = Mutex<[String]>([])
        let flipping = TestOrigin { connection in
            while let head = connection.readHead() {
                guard head.hasPrefix("GET /healthz ") else {
                    connection.answer("flipped")
                    continue
                }
                asked.withLock { $0.append(head) }
                let status = isWell.load(ordering: .relaxed) ? "204 Fine" : "503 Ill"
                connection.socket.write("HTTP/1.1 \(status)\r\n\r\n")
            }
        }
        let good = TestOrigin { connection in
            while let head = connection.readHead() {
                connection.answer(head.hasPrefix("GET /healthz") ? "" : "good")
            }
        }
        let gateway = try Gateway([
            Self.route([flipping.port, good.port]) {
                var health = HealthRules(path: "/healthz")
                health.intervalMilliseconds = 30
                $0.health = health
            }
        ])
        let ill = try #require(Self.news(gateway, .unhealthy, of: flipping.port))
        #expect(ill.why == "health check answered 503")
        let client = try gateway.client()
        for _ in 0..<4 { #expect(client.get()?.text == "good") }
        isWell.store(true, ordering: .relaxed)
        #expect(Self.news(gateway, .healthy, of: flipping.port) != nil)
        let texts = Set((0..<4).compactMap { _ in client.get()?.text })
        #expect(texts == ["good", "flipped"])
        let head = try #require(asked.withLock { $0.first })
        #expect(head.contains("Host: wiki.test\r\n") && head.contains("Connection: close\r\n"))
    }

    @Test(arguments: [
        "SSH-2.0-x\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 101 No\r\n\r\n", "HTTP/1.1 200", "",
    ])
    func `what is no answer is no health`(_ bytes: String) throws {
        let odd = TestOrigin { connection in
            _ = connection.readHead()
            connection.socket.write(bytes)
        }
        let gateway = try Gateway([
            Self.route([odd.port]) {
                var health = HealthRules(path: "/")
                health.timeoutMilliseconds = 100
                $0.health = health
            }
        ])
        #expect(Self.news(gateway, .unhealthy, of: odd.port) != nil)
        #expect(gateway.engine.metrics().sum("upstream_probes_failed") >= 1)
    }

    @Test func `endpoints that are taken away lose their idle connections, those that stay keep theirs`()
        throws
    {
        let ended = Atomic<Bool>(false)
        let first = TestOrigin { connection in
            while connection.readHead() != nil { connection.answer("first") }
            ended.store(true, ordering: .relaxed)
        }
        let second = TestOrigin { while $0.readHead() != nil { $0.answer("second") } }
        let gateway = try Gateway([Self.route([first.port, second.port])])
        let client = try gateway.client()
        for _ in 0..<4 { #expect(client.get()?.status == 200) }
        let snapshot = Gateway.snapshot([Self.route([second.port])], revision: 2)
        try gateway.engine.broadcast(configuration: snapshot)
        #expect(gateway.waitUntil { ended.load(ordering: .relaxed) ? true : nil } == true)
        for _ in 0..<4 { #expect(client.get()?.text == "second") }
        #expect(second.connectionCount == 1)
    }

    @Test func `what was learnt of an endpoint survives a reload`() throws {
        let (bad, good) = (Self.closing(), TestOrigin { while $0.readHead() != nil { $0.answer("good") } })
        let route = Self.route([bad.port, good.port]) {
            $0.ejection?.failuresMax = 1
            $0.ejection?.milliseconds = 60_000
        }
        let gateway = try Gateway([route])
        let client = try gateway.client()
        for _ in 0..<2 { #expect(client.get()?.text == "good") }
        try gateway.engine.broadcast(configuration: Gateway.snapshot([route], revision: 2))
        for _ in 0..<6 { #expect(client.get()?.text == "good") }
        #expect(bad.connectionCount == 1)
    }

    @Test func `an application without any address answers 502 at once`() throws {
        var route = Facts.open(1)
        route.upstreams = []
        let answer = try #require(try Self.get(route))
        #expect(answer.status == 502 && answer.field("gatepost-reason") == "upstream-unavailable")
    }
}
