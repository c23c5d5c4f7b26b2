import Border
import Synchronization
import Testing

@testable import DataPlane

@Suite("What one stream of an HTTP/2 upstream does costs that stream alone")
struct HTTP2UpstreamStreamTests {
    private static func hints(_ id: UInt32, _ count: Int) -> [UInt8] {
        (0..<count).flatMap { _ in HTTP2Origin.head(id, 103, [("link", "</a>")]) }
    }

    @Test(arguments: [(16, 200), (17, 502), (60, 502)])
    func `interim answers: as many as the relay takes, and one more ends their stream and no other`(
        _ row: (count: Int, status: Int)
    ) throws {
        let resets = Mutex<[UInt32]>([])
        let origin = HTTP2Origin.serving { origin in
            // The first one is answered behind the flood.
            guard let one = origin.nextRequest(), let other = origin.nextRequest() else { return }
            let isHeld = origin.requests[one]?.field(":path") == "/held"
            let (held, flooded) = isHeld ? (one, other) : (other, one)
            origin.send(
                Self.hints(flooded, row.count),
                row.status == 200 ? HTTP2Origin.head(flooded, ends: true) : [])
            if row.status != 200 { _ = origin.readUntil { $0.requests[flooded]?.resetCode != nil } }
            resets.withLock { $0 = [origin.requests[flooded]?.resetCode ?? 0] }
            // What was on its way when the stream was given up.
            if row.status != 200 { origin.send(Self.hints(flooded, 5)) }
            origin.answer(held)
            while let id = origin.nextRequest() { origin.answer(id) }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, HTTP2Client.request("/held")))
        #expect(gateway.waitForCounter("upstream_connects", atLeast: 1))
        client.send(HTTP2Client.headers(3, HTTP2Client.request("/flood")))
        let flooded = client.receive(3)
        #expect(flooded?.status == row.status)
        if row.status == 200 { #expect(flooded?.interim.count == row.count) }
        #expect(client.receive(1)?.status == 200)
        #expect(client.get(5)?.status == 200)
        #expect(origin.connectionCount == 1)
        #expect(resets.withLock { $0 } == [row.status == 200 ? 0 : 8])
        #expect(gateway.engine.metrics().sum("upstream_protocol_errors") == 0)
    }

    @Test(arguments: [1, 2, 5, 9, 10, 100] as [UInt32])
    func `answers whose END_STREAM does not come leave the upstream's few streams to others`(
        _ streams: UInt32
    ) throws {
        let origin = HTTP2Origin.serving(settings: [(3, streams)]) { origin in
            while let id = origin.nextRequest() {
                origin.send(
                    HTTP2Origin.head(id, 200, [("content-length", "5")]),
                    HTTP2Client.data(id, Array("hello".utf8)))
            }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port) { $0.http2ConnectionsMax = 1 }])
        let client = try gateway.client()
        for _ in 0..<25 { #expect(client.get()?.text == "hello") }
        #expect(origin.connectionCount == 1)
    }

    @Test(arguments: [0, 1, 2, 8] as [UInt32])
    func `an upstream that resets what was read whole, with whatever code, is well`(_ code: UInt32) throws {
        let origin = HTTP2Origin.serving { origin in
            var last: UInt32 = 0
            while let id = origin.nextRequest() {
                if last > 0 { origin.send(HTTP2Client.reset(last, code)) }
                last = id
                origin.send(
                    HTTP2Origin.head(id, 200, [("content-length", "5")]),
                    HTTP2Client.data(id, Array("hello".utf8)))
            }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try gateway.client()
        for _ in 0..<20 { #expect(client.get()?.text == "hello") }
        #expect(origin.connectionCount == 1)
        #expect(gateway.engine.metrics().sum("upstream_protocol_errors") == 0)
    }

    // MARK: Silence

    private static func limits(pingAfter: Int, answer: Int) -> Limits {
        var limits = Limits()
        limits.http2.pingAfterMilliseconds = pingAfter
        limits.http2.pingAnswerMilliseconds = answer
        return limits
    }

    @Test func `a silent connection with a request on it is asked by PING, and lives while it answers`()
        throws
    {
        let origin = HTTP2Origin.serving { origin in
            guard let id = origin.nextRequest() else { return }
            guard origin.readUntil({ $0.pings >= 4 }) else { return }
            origin.answer(id)
            origin.readToEnd()
        }
        let gateway = try Gateway(
            [HTTP2Origin.route(origin.port)], limits: Self.limits(pingAfter: 30, answer: 20_000))
        #expect(try gateway.client().get()?.status == 200)
        #expect(origin.connectionCount == 1)
    }

    @Test func `one that does not answer in time is given up, after one question`() throws {
        let pings = Mutex(0)
        let isClosed = Finish()
        let origin = HTTP2Origin.serving { origin in
            origin.answersPing = false
            guard origin.nextRequest() != nil else { return }
            origin.readToEnd()
            pings.withLock { $0 = origin.pings }
            isClosed.signal()
        }
        let gateway = try Gateway(
            [HTTP2Origin.route(origin.port)], limits: Self.limits(pingAfter: 30, answer: 60))
        let began = Clock.monotonicNanoseconds()
        let answer = try gateway.client().get()
        #expect(answer?.status == 502 && answer?.field("gatepost-reason") == "upstream-unavailable")
        #expect(Clock.monotonicNanoseconds() - began >= 90_000_000)
        isClosed.wait()
        #expect(pings.withLock { $0 } == 1)
    }

    @Test func `one that speaks within the bound is not asked`() throws {
        let origin = HTTP2Origin.serving { origin in
            guard let id = origin.nextRequest() else { return }
            origin.answer(id, body: "\(origin.pings)")
            origin.readToEnd()
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        #expect(try gateway.client().get()?.text == "0")
    }
}
