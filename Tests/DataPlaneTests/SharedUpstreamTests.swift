import Border
import Foundation
import Synchronization
import Testing

@testable import DataPlane

@Suite("What happens to one request of an HTTP/2 upstream's connection is not the others' loss")
struct SharedUpstreamTests {
    /// Of an answer without a length 99 lines are taken: the hundredth is the framing that the gateway adds.
    @Test(
        "an answer head that is too large is the loss of whoever asked for it",
        arguments: [(99, 1, 200), (100, 1, 502), (2, 3_000, 200), (3, 3_000, 502), (5, 3_000, 502)])
    func largeHead(_ lines: Int, _ bytes: Int, _ status: Int) throws {
        let origin = HTTP2Origin.serving { origin in
            var open: UInt32?
            while let id = origin.nextRequest() {
                switch origin.requests[id]?.field(":path") {
                case "/open":
                    open = id
                    origin.send(HTTP2Origin.head(id), HTTP2Client.data(id, Array("be".utf8)))
                case "/large":
                    let fields = (0..<lines).map { ("x-large-\($0)", String(repeating: "y", count: bytes)) }
                    origin.send(HTTP2Origin.head(id, 200, fields), HTTP2Client.data(id, [], ends: true))
                case _:
                    if let open { origin.send(HTTP2Client.data(open, Array("gun".utf8), ends: true)) }
                    origin.answer(id)
                }
            }
        }
        var limits = Limits()
        limits.headBytesMax = 8_192
        let gateway = try Gateway([HTTP2Origin.route(origin.port)], limits: limits)
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, HTTP2Client.request("/open")))
        #expect(client.readUntil { $0.responses[1]?.text == "be" })
        #expect(client.get(3, "/large")?.status == status)
        #expect(client.get(5)?.status == 200)
        #expect(client.receive(1)?.text == "begun")
        #expect(origin.connectionCount == 1)
    }

    @Test func `resets of what was asked for are bounded by what was asked for`() throws {
        let origin = HTTP2Origin.serving { origin in
            while let id = origin.nextRequest() {
                switch origin.requests[id]?.field(":path") {
                case "/open": origin.send(HTTP2Origin.head(id), HTTP2Client.data(id, Array("here".utf8)))
                case _: origin.send(HTTP2Client.reset(id, 8))
                }
            }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, HTTP2Client.request("/open")))
        #expect(client.readUntil { $0.responses[1]?.text == "here" })
        // More than are taken of anybody within a second.
        let asker = try gateway.client()
        for _ in 0..<200 { #expect(asker.get("/shed")?.status == 502) }
        #expect(client.responses[1]?.resetCode == nil)
        #expect(origin.connectionCount == 1)
    }

    @Test func `a connection that takes nothing now does not keep another one's room`() throws {
        let finish = Finish()
        let origin = HTTP2Origin.serving(settings: nil) { origin in
            origin.send(HTTP2Origin.settings([(3, origin.number == 0 ? 1 : 0)]))
            while let id = origin.nextRequest() {
                if origin.requests[id]?.field(":path") == "/held" { finish.wait() }
                origin.answer(id, body: "\(origin.number)")
            }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, HTTP2Client.request("/held")))
        #expect(gateway.waitForCounter("upstream_connects", atLeast: 1))
        let refused = client.get(3)
        #expect(refused?.status == 503 && refused?.field("gatepost-reason") == "upstream-busy")
        #expect(origin.connectionCount == 2)
        finish.signal()
        #expect(client.receive(1)?.text == "0")
        #expect(client.get(5)?.text == "0")
    }

    // MARK: While it opens

    @Test func `who waits for a connection that its application leaves asks where it goes now`() throws {
        let old = HTTP2Origin.serving(settings: nil) { $0.readToEnd() }
        let new = HTTP2Origin.echo()
        let gateway = try Gateway([HTTP2Origin.route(old.port)])
        let client = try gateway.client()
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(gateway.waitUntil { old.connectionCount == 1 ? true : nil } == true)
        let begun = Clock.monotonicNanoseconds()
        try gateway.engine.broadcast(
            configuration: Gateway.snapshot([HTTP2Origin.route(new.port)], revision: 2))
        #expect(client.receive()?.status == 200)
        let milliseconds = (Clock.monotonicNanoseconds() - begun) / 1_000_000
        #expect(milliseconds < UInt64(Limits().upstreamConnectMilliseconds), "not by the deadline")
        #expect(new.connectionCount == 1)
        #expect(gateway.engine.metrics().sum("upstream_failures") == 0)
        #expect(
            gateway.waitUntil { gateway.engine.metrics().sum("open_upstreams") == 1 ? true : nil } == true)
    }

    @Test func `an upstream that says goodbye with its first word is asked on another connection`() throws {
        let origin = HTTP2Origin.serving(settings: nil) { origin in
            guard origin.number == 0 else {
                origin.send(HTTP2Origin.settings([]))
                while let id = origin.nextRequest() { origin.answer(id, body: "new") }
                return
            }
            origin.send(
                HTTP2Origin.settings([]),
                HTTP2Frame.bytes(.goaway, 0, 0, HTTP2Frame.big(0) + HTTP2Frame.big(0)))
            origin.readToEnd()
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        #expect(try gateway.client().get()?.text == "new")
        #expect(origin.connectionCount == 2)
        #expect(gateway.engine.metrics().sum("upstream_failures") == 0)
    }
}
