import Border
import Foundation
import Testing

@testable import DataPlane

@Suite("Each limit that is met is counted by a name of its own")
struct LimitCounterTests {
    private static func value(_ gateway: Gateway, _ counter: String) -> UInt64 {
        gateway.engine.metrics().sum(counter)
    }

    struct HeadRow: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var status: Int
        var counter: String
        /// A request line and fields without their end.
        var head: String
    }

    private static let line = "GET / HTTP/1.1\r\nHost: wiki.test\r\n"
    static let heads: [HeadRow] = [
        HeadRow(
            testDescription: "head-bytes-max", status: 431, counter: "heads_too_large",
            head: line + "X: \(String(repeating: "x", count: 32_768))\r\n"),
        HeadRow(
            testDescription: "fields-max", status: 431, counter: "fields_too_many",
            head: line + (0..<100).map { "X-\($0): y\r\n" }.joined()),
        HeadRow(
            testDescription: "target-bytes-max", status: 414, counter: "targets_too_long",
            head: "GET /\(String(repeating: "a", count: 16_384)) HTTP/1.1\r\nHost: wiki.test\r\n"),
    ]

    @Test("a head past a bound is counted by it alone", arguments: heads)
    func isCounted(_ row: HeadRow) throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        client.send(row.head + "\r\n")
        #expect(client.receive()?.status == row.status)
        for other in Self.heads {
            #expect(Self.value(gateway, other.counter) == (other.counter == row.counter ? 1 : 0))
        }
    }

    @Test func `connections-max: who rests makes room, and where nobody does the next is refused`() throws {
        let origin = TestOrigin { connection in _ = connection.readHead().map { _ in connection.readSome() } }
        let echo = TestOrigin.echo()
        var limits = Limits()
        limits.connectionsMax = 1
        let gateway = try Gateway(
            [Facts.open(origin.port), Facts.open(echo.port, host: "echo.test", name: "echo")], limits: limits)
        let resting = try gateway.client()
        #expect(resting.get(host: "echo.test")?.status == 200)
        let next = try gateway.client()
        #expect(Self.value(gateway, "idle_connections_displaced") == 1)
        next.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(gateway.waitForCounter("upstream_connects", atLeast: 2))
        #expect(throws: Gateway.NoHandshake.self) { try gateway.client() }
        #expect(Self.value(gateway, "connections_refused") == 1)
        #expect(Self.value(gateway, "idle_connections_displaced") == 1)
    }

    @Test func `parked-max: one more request than may wait`() throws {
        var limits = Limits()
        limits.parkedMax = 1
        let gateway = try Gateway([Facts.closed(1)], limits: limits)
        let get = "GET / HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n"
        let waiting = try gateway.client()
        waiting.send(get)
        #expect(gateway.waitForCounter("session_pulls", atLeast: 1))
        #expect(Self.value(gateway, "parked_refused") == 0)
        let other = try gateway.client()
        other.send(get)
        #expect(other.receive()?.status == 503)
        #expect(Self.value(gateway, "parked_refused") == 1)
    }

    @Test func `sessions-cached-max: one more session than is kept`() throws {
        let origin = TestOrigin.echo()
        var limits = Limits()
        limits.sessionsCachedMax = 1
        let gateway = try Gateway([Facts.closed(origin.port)], limits: limits) { message, gateway in
            guard case .pullSession(let ticket, let digest, let application) = message else { return }
            let number: UInt8 = digest == Facts.digest(1) ? 1 : 2
            gateway.send(.session(ticket, Facts.record(number, application: application)))
        }
        let client = try gateway.client()
        #expect(client.get(fields: Facts.cookie(1))?.status == 200)
        #expect(Self.value(gateway, "sessions_evicted") == 0)
        #expect(client.get(fields: Facts.cookie(2))?.status == 200)
        #expect(Self.value(gateway, "sessions_evicted") == 1)
    }

    @Test func `upstream-head: an application that does not answer`() throws {
        let origin = TestOrigin { connection in _ = connection.readHead().map { _ in connection.readSome() } }
        var limits = Limits()
        limits.upstreamHeadMilliseconds = 100
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        #expect(try gateway.client().get()?.status == 504)
        #expect(Self.value(gateway, "upstream_heads_expired") == 1)
        #expect(Self.value(gateway, "upstream_connects_expired") == 0)
        #expect(Self.value(gateway, "bodies_expired") == 0)
    }

    @Test func `upstream-connect: an application whose handshake has no end`() throws {
        let origin = TestOrigin { connection in while connection.readSome() != nil {} }
        var limits = Limits()
        limits.upstreamConnectMilliseconds = 100
        var route = Facts.open(origin.port)
        route.upstreams = [
            UpstreamAddress(
                address: "127.0.0.1", port: origin.port, serverName: "wiki.test",
                authoritiesPEM: TestCertificates.shared.authorityPEM)
        ]
        let gateway = try Gateway([route], limits: limits)
        #expect(try gateway.client().get()?.status == 504)
        #expect(Self.value(gateway, "upstream_connects_expired") == 1)
        #expect(Self.value(gateway, "upstream_heads_expired") == 0)
    }

    @Test func `upstream-idle-per-reactor-max: a connection for which there is no place`() throws {
        let origin = TestOrigin.echo()
        var limits = Limits()
        limits.upstreamIdlePerReactorMax = 0
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let client = try gateway.client()
        for _ in 0..<2 { #expect(client.get()?.status == 200) }
        #expect(gateway.waitForCounter("upstreams_not_kept", atLeast: 2))
        #expect(origin.connectionCount == 2)
    }
}
