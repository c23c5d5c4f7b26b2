import Access
import Border
import Testing

@testable import DataPlane

/// A walk that waits for its upstream's connection is walked again when that is there: two times.
@Suite("Each stage leaves exactly the times that it was gone through")
struct StageTimesTests {
    private static func totals(_ gateway: Gateway) -> [String: UInt64] {
        let metrics = gateway.engine.metrics()
        return Dictionary(
            uniqueKeysWithValues: TimedStage.allCases.map { stage in
                let name = stage == .upstreamHead ? "upstream_head" : "\(stage)"
                return (name, metrics.merged(stage: name)?.total ?? .max)
            })
    }

    /// Waits until the reactor has said as much, and fails where it says something else or more.
    private static func expect(
        _ gateway: Gateway, _ after: Comment, handshake: UInt64, walk: UInt64, park: UInt64, head: UInt64,
        request: UInt64, cut: UInt64 = 0, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let expected = [
            "handshake": handshake, "walk": walk, "park": park, "upstream_head": head, "request": request,
            "cut": cut,
        ]
        _ = gateway.waitUntil { totals(gateway) == expected ? true : nil }
        #expect(totals(gateway) == expected, after, sourceLocation: sourceLocation)
    }

    @Test func `HTTP 1.1: who is asked for waits once, who is known does not, and what is cut is timed`()
        throws
    {
        let origin = RevocationTests.origin()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: RevocationTests.control)
        let client = try gateway.client()
        Self.expect(gateway, "a connection", handshake: 1, walk: 0, park: 0, head: 0, request: 0)
        #expect(client.get(fields: Facts.cookie(1))?.status == 200)
        Self.expect(gateway, "parked", handshake: 1, walk: 2, park: 1, head: 1, request: 1)
        #expect(client.get(fields: Facts.cookie(1))?.status == 200)
        Self.expect(gateway, "known", handshake: 1, walk: 3, park: 1, head: 2, request: 2)
        #expect(client.get()?.status == 401)
        Self.expect(gateway, "refused", handshake: 1, walk: 4, park: 1, head: 2, request: 3)
        client.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
        #expect(client.readSome() != nil)
        Self.expect(gateway, "a stream", handshake: 1, walk: 5, park: 1, head: 3, request: 3)
        gateway.engine.revoke(RevocationTests.revocation(1, .endSession("session-1")))
        Self.expect(gateway, "cut", handshake: 1, walk: 5, park: 1, head: 3, request: 4, cut: 1)
        // Nobody's stream: nothing was cut, so nothing took a time.
        gateway.engine.revoke(RevocationTests.revocation(2, .endSession("session-2")))
        #expect(gateway.waitForCounter("revocations", atLeast: 2))
        Self.expect(gateway, "cut in vain", handshake: 1, walk: 5, park: 1, head: 3, request: 4, cut: 1)
    }

    @Test func `HTTP 2: each stream leaves the times that a request leaves`() throws {
        let origin = RevocationTests.origin()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: RevocationTests.control)
        let client = try HTTP2Client(gateway)
        #expect(client.get(1, "/", HTTP2Tests.cookie(1))?.status == 200)
        Self.expect(gateway, "parked", handshake: 1, walk: 2, park: 1, head: 1, request: 1)
        #expect(client.get(3, "/", HTTP2Tests.cookie(1))?.status == 200)
        Self.expect(gateway, "known", handshake: 1, walk: 3, park: 1, head: 2, request: 2)
        client.send(
            HTTP2Client.headers(
                5,
                [
                    (":method", "GET"), (":scheme", "https"), (":authority", "wiki.test"),
                    (":path", "/events"),
                ] + HTTP2Tests.cookie(1)))
        #expect(client.readUntil { !($0.responses[5]?.body.isEmpty ?? true) })
        gateway.engine.revoke(RevocationTests.revocation(1, .endSession("session-1")))
        Self.expect(gateway, "cut", handshake: 1, walk: 4, park: 1, head: 3, request: 3, cut: 1)
    }

    @Test func `a reactor is marked while it is in a turn, and not while it waits`() throws {
        // Before any turn: the one that ended the handshake may still go on when the first request is sent.
        let began = Clock.monotonicNanoseconds()
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let mark = try #require(gateway.engine.marks.first)
        let client = try gateway.client()
        // A turn is short: asked for until one is seen.
        let seen = gateway.waitUntil { () -> UInt64? in
            client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
            var seen: UInt64 = 0
            for _ in 0..<50_000 where seen == 0 { seen = mark.beganNanoseconds }
            return client.receive() != nil && seen != 0 ? seen : nil
        }
        #expect((began...Clock.monotonicNanoseconds()).contains(try #require(seen)))
        #expect(gateway.waitUntil { mark.beganNanoseconds == 0 ? true : nil } == true, "still in a turn")
        #expect(gateway.engine.hung(afterMilliseconds: 0) == nil)
    }
}
