import Access
import Border
import Synchronization
import Testing

@testable import DataPlane

@Suite("WebSockets towards HTTP/2 upstreams are extended CONNECT (RFC 8441)")
struct HTTP2WebSocketUpstreamTests {
    /// What the upstream saw of its streams.
    private final class Seen: Sendable {
        let asked = Mutex<[HTTP2Asked]>([])
        var last: HTTP2Asked? { asked.withLock { $0.last } }
    }

    private static let takesTunnels: [(UInt16, UInt32)] = [(8, 1)]

    /// Answers each CONNECT with `status` and `fields`, then sends back what comes; every other request is answered.
    private static func origin(
        settings: [(UInt16, UInt32)] = takesTunnels, _ status: Int = 200, _ fields: [(String, String)] = [],
        ends: Bool = false, seen: Seen = Seen()
    ) -> TestOrigin {
        HTTP2Origin.serving(settings: settings) { origin in
            while let id = origin.nextRequest() {
                guard origin.requests[id]?.field(":method") == "CONNECT" else {
                    origin.answer(id)
                    continue
                }
                origin.send(HTTP2Origin.head(id, status, fields, ends: ends))
                var echoed = 0
                while origin.requests[id]?.isEnded == false, origin.requests[id]?.resetCode == nil,
                    status == 200, !ends
                {
                    let body = origin.requests[id]?.body ?? []
                    if body.count > echoed { origin.send(HTTP2Client.data(id, Array(body[echoed...]))) }
                    echoed = body.count
                    guard origin.next() != nil else { break }
                }
                if let asked = origin.requests[id] { seen.asked.withLock { $0.append(asked) } }
                if status == 200, !ends { origin.send(HTTP2Client.data(id, [], ends: true)) }
            }
        }
    }

    private static func gateway(_ origin: TestOrigin) throws -> Gateway {
        var route = HTTP2Origin.route(origin.port)
        route.anonymous = Facts.closed(origin.port).anonymous
        return try Gateway([route], answer: RevocationTests.control)
    }

    @Test func `a client of HTTP 1.1 is told the digest of its key, and the upstream gets no key`() throws {
        let seen = Seen()
        let origin = Self.origin(seen: seen)
        let gateway = try Self.gateway(origin)
        do {
            let client = try gateway.client()
            client.send(RevocationTests.webSocket(1))
            let answer = try #require(client.receive())
            #expect(answer.status == 101 && answer.field("upgrade") == "websocket")
            #expect(answer.field("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            #expect(RevocationTests.echoes(client) && RevocationTests.echoes(client))
        }
        #expect(gateway.waitUntil { seen.last } != nil)
        let asked = try #require(seen.last)
        #expect(
            asked.fields.prefix(5).map(\.0) == [":method", ":scheme", ":path", ":protocol", ":authority"])
        #expect(asked.field(":method") == "CONNECT" && asked.field(":protocol") == "websocket")
        #expect(asked.field(":path") == "/ws" && asked.field(":authority") == "wiki.test")
        #expect(asked.field("sec-websocket-version") == "13")
        #expect(asked.field("gatepost-assertion") == "token-1")
        for name in ["sec-websocket-key", "connection", "upgrade", "host"] {
            #expect(asked.field(name) == nil)
        }
        #expect(asked.text == "pingping" && asked.isEnded && asked.resetCode == nil)
        // The connection goes on.
        #expect(try gateway.client().get(fields: Facts.cookie(1))?.status == 200)
        #expect(origin.connectionCount == 1)
    }

    @Test func `over HTTP 2 on both sides, whole and to its end`() throws {
        let seen = Seen()
        let origin = Self.origin(seen: seen)
        let gateway = try Self.gateway(origin)
        let client = try HTTP2Client(gateway)
        client.send(
            HTTP2Client.headers(1, HTTP2StreamTests.connect + HTTP2Tests.cookie(1), ends: false)
                + HTTP2Client.data(1, Array("early".utf8)))
        #expect(client.readUntil { $0.responses[1]?.text == "early" })
        #expect(client.responses[1]?.status == 200)
        #expect(client.responses[1]?.field("sec-websocket-accept") == nil)
        client.send(HTTP2Client.data(1, Array(" last".utf8), ends: true))
        #expect(client.receive(1)?.isEnded == true)
        // What was written last leaves in front of the end.
        #expect(gateway.waitUntil { seen.last }?.text == "early last")
        #expect(seen.last?.isEnded == true && seen.last?.resetCode == nil)
        #expect(client.get(3, "/", HTTP2Tests.cookie(1))?.status == 200)
    }

    @Test func `the upstream's end ends the client's WebSocket`() throws {
        let origin = Self.origin(ends: true)
        let gateway = try Self.gateway(origin)
        let client = try gateway.client()
        client.send(RevocationTests.webSocket(1))
        #expect(client.receive()?.status == 101)
        #expect(client.readSome() == nil && client.hasEnded)
    }

    @Test func `whoever loses the right is told 1008 and why, and the upstream's stream ends`() throws {
        let seen = Seen()
        let origin = Self.origin(seen: seen)
        let gateway = try Self.gateway(origin)
        let client = try gateway.client()
        client.send(RevocationTests.webSocket(1))
        #expect(client.receive()?.status == 101)
        gateway.engine.revoke(RevocationTests.revocation(1, .endDevice("device-1")))
        #expect(client.readSome() == [0x88, 15, 0x03, 0xf0] + Array("session-ended".utf8))
        #expect(gateway.waitUntil { seen.last }?.isEnded == true)
    }

    @Test(arguments: [[], [(8, 0)]] as [[(UInt16, UInt32)]])
    func `an upstream whose SETTINGS do not allow it is sent nothing, and the reason says so`(
        _ settings: [(UInt16, UInt32)]
    ) throws {
        let seen = Mutex(0)
        let origin = HTTP2Origin.serving(settings: settings) { origin in
            while let id = origin.nextRequest() {
                seen.withLock { $0 += 1 }
                origin.answer(id)
            }
        }
        let gateway = try Self.gateway(origin)
        // The first one waits for the SETTINGS; the others know them.
        for _ in 0..<2 {
            let client = try gateway.client()
            client.send(RevocationTests.webSocket(1))
            let answer = client.receive()
            #expect(answer?.status == 502)
            #expect(answer?.field("gatepost-reason") == "websocket-unsupported")
        }
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, HTTP2StreamTests.connect + HTTP2Tests.cookie(1), ends: false))
        #expect(client.receive(1)?.field("gatepost-reason") == "websocket-unsupported")
        #expect(client.get(3, "/", HTTP2Tests.cookie(1))?.status == 200)
        #expect(seen.withLock { $0 } == 1 && origin.connectionCount == 1)
        #expect(gateway.engine.metrics().sum("upstream_failures") == 0)
    }

    @Test func `an upstream's refusal is heard, and its connection goes on`() throws {
        let origin = Self.origin(403, [("content-length", "0")], ends: true)
        let gateway = try Self.gateway(origin)
        for _ in 0..<3 {
            let client = try gateway.client()
            client.send(RevocationTests.webSocket(1))
            #expect(client.receive()?.status == 403)
        }
        #expect(origin.connectionCount == 1 && gateway.engine.metrics().sum("tunnels") == 0)
    }

    @Test func `an upstream that answers a key nobody told it is not believed`() throws {
        let accept = ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        let origin = Self.origin(200, [accept])
        let gateway = try Self.gateway(origin)
        let client = try gateway.client()
        client.send(RevocationTests.webSocket(1))
        let answer = client.receive()
        #expect(answer?.status == 502 && answer?.field("gatepost-reason") == "upstream-malformed")
    }
}
