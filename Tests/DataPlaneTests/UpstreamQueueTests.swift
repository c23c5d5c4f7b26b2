import Access
import Border
import Foundation
import Synchronization
import Testing

@testable import DataPlane

/// Bounds on what is open at an application, exactly at them and one past.
@Suite("Places at an application")
struct UpstreamQueueTests {
    /// Holds every request until the test lets one go.
    private final class Holding: Sendable {
        let permits = DispatchSemaphore(value: 0)
        let order = Mutex<[String]>([])
        func origin() -> TestOrigin {
            TestOrigin { connection in
                while let head = connection.readHead() {
                    let path = String(head.split(separator: " ")[1])
                    self.order.withLock { $0.append(path) }
                    self.permits.wait()
                    connection.answer(path)
                }
            }
        }
    }

    private static func gateway(
        _ origin: TestOrigin, concurrency: Int, queue: Int, waits milliseconds: Int = 10_000
    ) throws -> Gateway {
        try Gateway([
            UpstreamTests.route([origin.port]) {
                $0.concurrencyMax = concurrency
                $0.waitingMax = queue
                $0.waitingMilliseconds = milliseconds
            }
        ])
    }

    private static func ask(_ gateway: Gateway, _ path: String) throws -> TestClient {
        let client = try gateway.client()
        client.send("GET \(path) HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        return client
    }

    private static func level(_ gateway: Gateway, _ name: String, is wanted: UInt64) -> Bool {
        gateway.waitUntil { gateway.engine.metrics().sum(name) == wanted ? true : nil } ?? false
    }

    @Test func `one more than there are places waits, and one more than may wait is told when to come again`()
        throws
    {
        let holding = Holding()
        let origin = holding.origin()
        let gateway = try Self.gateway(origin, concurrency: 2, queue: 2)
        // Both waiting ones are of one address, which has half of the places: one.
        let open = try (0..<2).map { try Self.ask(gateway, "/open\($0)") }
        #expect(gateway.waitUntil { holding.order.withLock { $0.count } == 2 ? true : nil } == true)
        let waiting = try Self.ask(gateway, "/waiting")
        #expect(Self.level(gateway, "waiting_for_upstream", is: 1))
        let refused = try #require(try gateway.client().get("/refused"))
        #expect(refused.status == 503 && refused.field("gatepost-reason") == "upstream-busy")
        #expect(refused.field("retry-after") == "10")
        #expect(holding.order.withLock { $0.count } == 2)
        for _ in 0..<3 { holding.permits.signal() }
        #expect(open.map { $0.receive()?.status } == [200, 200])
        #expect(waiting.receive()?.text == "/waiting")
        #expect(Self.level(gateway, "waiting_for_upstream", is: 0))
        let metrics = gateway.engine.metrics()
        #expect(metrics.sum("upstream_waits") == 1 && metrics.sum("upstream_busy") == 1)
    }

    @Test func `an IPv6 subscriber has half of the waiting places, whichever of its addresses it uses`()
        throws
    {
        let holding = Holding()
        let origin = holding.origin()
        let trust = ClientAddressTrust(proxyProtocolFrom: [
            NetworkRange(base: NetworkAddress(v4: 0x7f00_0001), prefixLength: 128)
        ])
        let gateway = try Gateway(
            [
                UpstreamTests.route([origin.port]) {
                    $0.concurrencyMax = 1
                    $0.waitingMax = 2
                }
            ], addresses: trust)
        func ask(_ path: String, subscriber: UInt8, interface: UInt8) throws -> TestClient {
            var body = ProxyHeaderTests.v6
            (body[7], body[15]) = (subscriber, interface)
            let header = ProxyHeaderTests.header(family: 0x21, body)
            let client = try #require(try TestClient(port: gateway.port, preamble: [header]))
            client.send("GET \(path) HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
            return client
        }
        let open = try ask("/open", subscriber: 1, interface: 1)
        #expect(gateway.waitUntil { holding.order.withLock { $0.count } == 1 ? true : nil } == true)
        let waiting = try ask("/waiting", subscriber: 1, interface: 2)
        #expect(Self.level(gateway, "waiting_for_upstream", is: 1))
        let refused = try ask("/refused", subscriber: 1, interface: 3)
        #expect(refused.receive()?.status == 503)
        let other = try ask("/other", subscriber: 2, interface: 3)
        #expect(Self.level(gateway, "waiting_for_upstream", is: 2))
        for _ in 0..<3 { holding.permits.signal() }
        for client in [open, waiting, other] { #expect(client.receive()?.status == 200) }
    }

    @Test func `who waited longest is next, and who went away is left out`() throws {
        let holding = Holding()
        let origin = holding.origin()
        let gateway = try Self.gateway(origin, concurrency: 1, queue: 8)
        let first = try Self.ask(gateway, "/0")
        #expect(gateway.waitUntil { holding.order.withLock { $0.count } == 1 ? true : nil } == true)
        var waiting: [TestClient?] = []
        for number in 1...4 {
            waiting.append(try Self.ask(gateway, "/\(number)"))
            #expect(Self.level(gateway, "waiting_for_upstream", is: UInt64(number)))
        }
        waiting[1] = nil
        #expect(Self.level(gateway, "waiting_for_upstream", is: 3))
        for _ in 0..<4 { holding.permits.signal() }
        #expect(first.receive()?.text == "/0")
        #expect(waiting.compactMap { $0?.receive()?.text } == ["/1", "/3", "/4"])
        #expect(holding.order.withLock { $0 } == ["/0", "/1", "/3", "/4"])
    }

    @Test func `who waited in vain hears so at the deadline, and the place is not lost`() throws {
        let holding = Holding()
        let origin = holding.origin()
        let gateway = try Self.gateway(origin, concurrency: 1, queue: 2, waits: 200)
        let open = try Self.ask(gateway, "/open")
        #expect(gateway.waitUntil { holding.order.withLock { $0.count } == 1 ? true : nil } == true)
        let late = try #require(try Self.ask(gateway, "/late").receive())
        #expect(late.status == 503 && late.field("gatepost-reason") == "upstream-busy")
        #expect(late.field("retry-after") == "1")
        #expect(gateway.engine.metrics().sum("upstream_waits_expired") == 1)
        for _ in 0..<2 { holding.permits.signal() }
        #expect(open.receive()?.status == 200)
        #expect(try Self.ask(gateway, "/next").receive()?.text == "/next")
    }

    @Test func `a client that goes away gives its place back`() throws {
        let holding = Holding()
        let origin = holding.origin()
        let gateway = try Self.gateway(origin, concurrency: 1, queue: 2)
        var gone: TestClient? = try Self.ask(gateway, "/gone")
        #expect(gateway.waitUntil { holding.order.withLock { $0.count } == 1 ? true : nil } == true)
        let next = try Self.ask(gateway, "/next")
        #expect(Self.level(gateway, "waiting_for_upstream", is: 1))
        withExtendedLifetime(gone) {}
        gone = nil
        for _ in 0..<2 { holding.permits.signal() }
        #expect(next.receive()?.text == "/next")
    }

    @Test func `a failed connection and its repetition take one place`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([
            UpstreamTests.route([TestOrigin.closedPort(), origin.port]) {
                $0.concurrencyMax = 1
                $0.ejection = nil
            }
        ])
        for _ in 0..<6 { #expect(try gateway.client().get()?.status == 200) }
    }

    @Test func `a reload that takes the bound away lets the waiting go on`() throws {
        let holding = Holding()
        let origin = holding.origin()
        let gateway = try Self.gateway(origin, concurrency: 1, queue: 2)
        let open = try Self.ask(gateway, "/open")
        #expect(gateway.waitUntil { holding.order.withLock { $0.count } == 1 ? true : nil } == true)
        let waiting = try Self.ask(gateway, "/waiting")
        #expect(Self.level(gateway, "waiting_for_upstream", is: 1))
        try gateway.engine.broadcast(
            configuration: Gateway.snapshot([UpstreamTests.route([origin.port])], revision: 2))
        #expect(gateway.waitUntil { holding.order.withLock { $0.count } == 2 ? true : nil } == true)
        for _ in 0..<2 { holding.permits.signal() }
        #expect(open.receive()?.text == "/open" && waiting.receive()?.text == "/waiting")
    }

    @Test func `a reload that takes the application away tells the waiting`() throws {
        let holding = Holding()
        let origin = holding.origin()
        let gateway = try Self.gateway(origin, concurrency: 1, queue: 2)
        let open = try Self.ask(gateway, "/open")
        #expect(gateway.waitUntil { holding.order.withLock { $0.count } == 1 ? true : nil } == true)
        let waiting = try Self.ask(gateway, "/waiting")
        #expect(Self.level(gateway, "waiting_for_upstream", is: 1))
        try gateway.engine.broadcast(
            configuration: Gateway.snapshot(
                [Facts.open(origin.port, host: "new.test", name: "new")], revision: 2))
        #expect(waiting.receive()?.status == 421)
        holding.permits.signal()
        #expect(open.receive()?.text == "/open")
    }
}
