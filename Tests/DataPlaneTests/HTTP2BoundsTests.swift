import Access
import Border
import Testing

@testable import DataPlane

/// The bounds as they are configured: exactly at each and one past it, each with its own counter.
@Suite("Configured bounds of HTTP/2 connections")
struct HTTP2BoundsTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let counter: String
        /// What is sent for a bound of so many, and how much of it was spent before.
        let bound: Int
        let set: @Sendable (inout HTTP2Limits, Int) -> Void
        let bytes: @Sendable (Int) -> [UInt8]
    }

    private static func section(_ count: Int) -> [UInt8] {
        let request = HTTP2Frame.block(HTTP2Client.request())
        var bytes = HTTP2Frame.bytes(.headers, HTTP2Frame.endStream, 1, request)
        for number in 1...count {
            let flags = number == count ? HTTP2Frame.endHeaders : 0
            bytes += HTTP2Frame.bytes(.continuation, flags, 1, HTTP2Frame.block([("x-\(number)", "1")]))
        }
        return bytes
    }

    static let rows: [Row] = [
        Row(
            testDescription: "http2-resets-per-second-max", counter: "http2_reset_floods", bound: 8,
            set: { $0.resetsPerSecondMax = $1 },
            bytes: { count in
                (0..<count).flatMap { (number: Int) -> [UInt8] in
                    let stream = UInt32(2 * number + 1)
                    return HTTP2Client.headers(stream, HTTP2Client.request()) + HTTP2Client.reset(stream)
                }
            }),
        // Our SETTINGS are acknowledged by one, and the client's own are another.
        Row(
            testDescription: "http2-frames-per-second-max", counter: "http2_frame_floods", bound: 32,
            set: { $0.framesPerSecondMax = $1 + 2 },
            bytes: { count in
                let ping = HTTP2Frame.bytes(.ping, 0, 0, [UInt8](repeating: 0, count: 8))
                return Array(repeatElement(ping, count: count).joined())
            }),
        Row(
            testDescription: "http2-continuations-max", counter: "http2_continuation_floods", bound: 2,
            set: { $0.continuationsMax = $1 }, bytes: section),
    ]

    @Test(arguments: rows)
    func `at the bound everybody is served, one past it is GOAWAY and counted`(_ row: Row) throws {
        for isPast in [false, true] {
            let origin = TestOrigin.echo()
            var limits = Limits()
            row.set(&limits.http2, row.bound)
            let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
            let client = try HTTP2Client(gateway)
            #expect(client.readUntil { $0.acknowledgedSettings > 0 })
            client.send(row.bytes(isPast ? row.bound + 1 : row.bound))
            if isPast {
                #expect(client.readUntil { $0.goaway != nil })
                #expect(client.goaway?.code == 11)
                #expect(gateway.waitForCounter(row.counter, atLeast: 1))
                #expect(gateway.engine.metrics().sum("http2_floods") == 1)
                #expect(gateway.logLine()?.contains("\"event\":\"http2-flood\"") == true)
            } else {
                #expect(client.get(1_001)?.status == 200)
                #expect(gateway.engine.metrics().sum("http2_floods") == 0)
            }
        }
    }

    @Test func `so many streams are open at once, one more is refused and counted`() throws {
        let finish = Finish()
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                finish.wait()
                connection.answer("finished")
            }
        }
        var limits = Limits()
        limits.http2.streamsMax = 3
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let client = try HTTP2Client(gateway)
        client.send((0..<4).flatMap { HTTP2Client.headers(UInt32(2 * $0 + 1), HTTP2Client.request()) })
        #expect(client.receive(7)?.resetCode == 7)
        #expect(client.settings[3] == 3)
        #expect(gateway.engine.metrics().sum("http2_streams_refused") == 1)
        finish.signal()
        for stream in [UInt32(1), 3, 5] { #expect(client.receive(stream)?.text == "finished") }
    }

    @Test func `no more streams are offered than a connection has memory for`() throws {
        var limits = Limits()
        limits.connectionMemoryBytesMax = 1 << 20
        let gateway = try Gateway([Facts.open(1)], limits: limits)
        let client = try HTTP2Client(gateway)
        #expect(client.readUntil { $0.settings[3] != nil })
        #expect(client.settings[3] == 25)
    }

    @Test func `a field list of exactly the bytes of a head is served, one more is 431`() throws {
        let origin = TestOrigin.echo()
        var limits = Limits()
        limits.headBytesMax = 4_096
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let client = try HTTP2Client(gateway)
        // "GET / HTTP/1.1", "host: wiki.test" and the empty line, each with its end, and "x: " with its own.
        let own = 16 + 17 + 2 + 5
        let value = String(repeating: "y", count: 4_096 - own)
        #expect(client.get(1, "/", [("x", value)])?.status == 200)
        #expect(client.get(3, "/", [("x", value + "y")])?.status == 431)
        #expect(client.readUntil { $0.settings[6] != nil } && client.settings[6] == 4_096)
    }

    @Test func `a field list of many times that is the end`() throws {
        var limits = Limits()
        limits.headBytesMax = 4_096
        let gateway = try Gateway([Facts.open(1)], limits: limits)
        let client = try HTTP2Client(gateway)
        var bomb = HTTP2Frame.block(HTTP2Client.request())
        bomb.append(0x40)
        bomb += HTTP2Frame.block([("x", String(repeating: "y", count: 2_000))]).dropFirst()
        bomb += [UInt8](repeating: 0xbe, count: 100)
        client.send(HTTP2Frame.bytes(.headers, 5, 1, bomb))
        #expect(client.readUntil { $0.goaway != nil })
        #expect(client.goaway?.code == 11)
        #expect(gateway.waitForCounter("http2_field_floods", atLeast: 1))
    }

    @Test func `sixteen streams count as one connection of the address, the next sixteen as another`() throws
    {
        let finish = Finish()
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                finish.wait()
                connection.answer("finished")
            }
        }
        var limits = Limits()
        limits.connectionsPerAddressMax = 2
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let client = try HTTP2Client(gateway)
        func open(_ streams: Range<Int>) {
            client.send(streams.flatMap { HTTP2Client.headers(UInt32(2 * $0 + 1), HTTP2Client.request()) })
        }
        open(0..<16)
        #expect(gateway.waitForCounter("http2_streams", atLeast: 16))
        // One place is left.
        var other: TestClient? = try gateway.client()
        open(16..<17)
        #expect(client.receive(33)?.resetCode == 7)
        #expect(gateway.engine.metrics().sum("address_connections_refused") == 1)
        other = nil
        let isLeft = gateway.waitUntil { gateway.engine.metrics().sum("open_connections") == 1 ? true : nil }
        #expect(isLeft == true && other == nil)
        open(17..<33)
        #expect(gateway.waitForCounter("http2_streams", atLeast: 32))
        #expect(throws: Gateway.NoHandshake.self) { try gateway.client() }
        open(33..<34)
        #expect(client.receive(67)?.resetCode == 7)
        finish.signal()
        for stream in (0..<16).map({ UInt32(2 * $0 + 1) }) { #expect(client.receive(stream)?.status == 200) }
    }

    @Test func `the places of a connection's streams are free when it ends`() throws {
        let table = ClientTable()
        let address = NetworkAddress(v4: 0x0a00_0001)
        let first = table.admit(
            address, connectionsMax: 2, handshakesPerSecondMax: 0, nowMilliseconds: 0)
        #expect(first == .admitted)
        #expect(table.admitMore(address, connectionsMax: 2))
        #expect(!table.admitMore(address, connectionsMax: 2))
        table.leave(address, nowMilliseconds: 0)
        #expect(table.admitMore(address, connectionsMax: 2))
        #expect(table.admitMore(NetworkAddress(v4: 9), connectionsMax: 0))
    }
}
