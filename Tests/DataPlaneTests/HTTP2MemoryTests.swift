import Border
import Foundation
import Testing

@testable import DataPlane

@Suite("What an HTTP/2 connection may send ahead and hold")
struct HTTP2MemoryTests {
    /// Reads whatever comes and says how much it was.
    private static func sink() -> TestOrigin {
        TestOrigin { connection in
            while let head = connection.readHead() {
                let start = head.lowercased().range(of: "content-length: ")
                var left =
                    start.map { Int(head.lowercased()[$0.upperBound...].prefix { $0.isNumber }) ?? 0 } ?? 0
                while left > 0, let bytes = connection.read(min(left, 65_536)) { left -= bytes.count }
                connection.answer(left == 0 ? "all" : "half")
            }
        }
    }

    /// Sends a body by turns: all that there is window for, then waits for more, as a path with delay makes it.
    ///
    /// - Returns: how often it had to wait, and the most that it was allowed to send at once.
    private static func upload(_ client: HTTP2Client, _ stream: UInt32, bytes: Int) throws -> (
        turns: Int, most: Int
    ) {
        let length = [("content-length", "\(bytes)")]
        client.send(
            HTTP2Client.headers(stream, HTTP2Client.request("/up", method: "POST", length), ends: false))
        var sent = 0
        var turns = 0
        var most = 0
        while sent < bytes {
            let window = min(65_535 + (client.window[stream] ?? 0), 65_535 + (client.window[0] ?? 0)) - sent
            guard window > 0 else {
                try #require(client.next() != nil)
                continue
            }
            turns += 1
            most = max(most, window)
            let end = min(bytes, sent + window)
            while sent < end {
                let part = min(16_384, end - sent)
                client.send(
                    HTTP2Client.data(stream, [UInt8](repeating: 1, count: part), ends: sent + part == bytes))
                sent += part
            }
            // Window that the application makes meanwhile, as far as a few answers of the gateway's reach.
            for _ in 0..<4 where sent < bytes {
                _ = client.client.hasMore(withinMilliseconds: 30)
                let pongs = client.pongs.count
                client.send(HTTP2Frame.bytes(.ping, 0, 0, [UInt8](repeating: 7, count: 8)))
                try #require(client.readUntil { $0.pongs.count > pongs })
            }
        }
        return (turns, most)
    }

    @Test func `an upload of 8 MiB waits about as often as TCP's own beginning, not 128 times`() throws {
        let origin = Self.sink()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        #expect(client.readUntil { $0.window[0] != nil && $0.acknowledgedSettings > 0 })
        let (turns, most) = try Self.upload(client, 1, bytes: 8 << 20)
        #expect(client.receive(1)?.text == "all")
        // Doubling from 64 KiB to 2 MiB and more.
        #expect(turns <= 28, "\(turns) turns")
        #expect(most > 1 << 20 && most <= 65_535 + (2 << 20), "\(most) bytes")
    }

    @Test func `no window grows beyond a quarter of what a connection may hold`() throws {
        let origin = Self.sink()
        var limits = Limits()
        limits.connectionMemoryBytesMax = 1 << 20
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let client = try HTTP2Client(gateway)
        #expect(client.readUntil { $0.window[0] != nil && $0.acknowledgedSettings > 0 })
        let (_, most) = try Self.upload(client, 1, bytes: 3 << 20)
        #expect(client.receive(1)?.text == "all")
        #expect(most > 65_535 && most <= 65_535 + (256 << 10), "\(most) bytes")
    }

    @Test func `what a stream was given beyond the first is given back when it ends`() throws {
        let origin = Self.sink()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        #expect(client.readUntil { $0.window[0] != nil && $0.acknowledgedSettings > 0 })
        var sentInAll = 0
        for number in 0..<4 {
            let stream = UInt32(2 * number + 1)
            let before = client.window[0] ?? 0
            let size = 2 << 20
            let length = [("content-length", "\(size)")]
            client.send(
                HTTP2Client.headers(stream, HTTP2Client.request("/up", method: "POST", length), ends: false))
            var sent = 0
            while sent < size {
                // The connection's window comes back by halves, and may be less than the stream's meanwhile.
                let window = min(
                    65_535 + (client.window[stream] ?? 0) - sent,
                    65_535 + (client.window[0] ?? 0) - sentInAll, 16_384, size - sent)
                guard window > 0 else {
                    try #require(client.next() != nil)
                    continue
                }
                client.send(
                    HTTP2Client.data(
                        stream, [UInt8](repeating: 1, count: window), ends: sent + window == size))
                sent += window
                sentInAll += window
            }
            #expect(client.receive(stream)?.text == "all")
            #expect((client.window[0] ?? 0) - before < 4 << 20, "stream \(stream)")
        }
    }

    /// Sixteen requests that wait for the control plane take all of the connection's window with their bodies.
    @Test func `a body that has no window left is not late: its client is never told that it is slow`() throws
    {
        let origin = Self.sink()
        var limits = Limits()
        limits.bodyPatienceMilliseconds = 1_000
        limits.parkedMilliseconds = 4_000
        limits.bodyIdleMilliseconds = 1_500
        let gateway = try Gateway(
            [Facts.closed(1), Facts.open(origin.port, host: "open.test", name: "open")], limits: limits)
        let client = try HTTP2Client(gateway)
        #expect(client.readUntil { $0.window[0] != nil && $0.acknowledgedSettings > 0 })
        let length = [("content-length", "100000")]
        for number in 0..<16 {
            let stream = UInt32(2 * number + 1)
            let fields = HTTP2Client.request("/up", method: "POST", length + HTTP2Tests.cookie(1))
            client.send(HTTP2Client.headers(stream, fields, ends: false))
            for part in [16_384, 16_384, 16_384, 16_383] {
                client.send(HTTP2Client.data(stream, [UInt8](repeating: 1, count: part)))
            }
        }
        client.send(
            HTTP2Client.headers(
                33,
                HTTP2Client.request("/up", method: "POST", host: "open.test", [("content-length", "1000")]),
                ends: false))
        #expect(gateway.waitForCounter("upstream_connects", atLeast: 1))
        // They are answered 503 when nobody comes to know the session, and their window comes back.
        #expect(client.readUntil { $0.responses[31]?.isEnded == true || $0.responses[33] != nil })
        #expect(client.responses[31]?.status == 503 && client.responses[33] == nil)
        #expect(gateway.engine.metrics().sum("slow_clients_cut") == 0)
        client.send(HTTP2Client.data(33, [UInt8](repeating: 1, count: 1_000), ends: true))
        #expect(client.receive(33)?.text == "all")
    }

    // MARK: What is held

    private static func flood() -> TestOrigin {
        TestOrigin { connection in
            while let head = connection.readHead() {
                guard head.contains("/flood") else {
                    connection.answer("small")
                    continue
                }
                connection.socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                let block = Array("10000\r\n".utf8) + [UInt8](repeating: 121, count: 65_536) + [13, 10]
                while connection.socket.write(block) {}
                return
            }
        }
    }

    @Test func `a hundred answers that nobody reads hold no more than one connection may`() throws {
        let origin = Self.flood()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway, settings: [(4, 0)])
        client.send(
            (0..<100).flatMap { HTTP2Client.headers(UInt32(2 * $0 + 1), HTTP2Client.request("/flood")) })
        #expect(client.readUntil { client in client.responses.values.count { $0.status == 200 } == 100 })
        // Two looks of the gateway at what everybody holds.
        let end = Clock.monotonicNanoseconds() + 2_500_000_000
        #expect(gateway.waitUntil { Clock.monotonicNanoseconds() > end ? true : nil } == true)
        #expect(gateway.engine.metrics().sum("connection_memory_exceeded") == 0)
        #expect(gateway.engine.metrics().sum("open_streams") == 100)
    }

    /// Bodies in frames of one byte take six in the coding that stages read.
    @Test func `a connection that holds more than one may loses the stream that holds most, and no other`()
        throws
    {
        let echo = TestOrigin.echo()
        var limits = Limits()
        limits.connectionMemoryBytesMax = 192 << 10
        limits.parkedMilliseconds = 6_000
        let gateway = try Gateway(
            [Facts.closed(1), Facts.open(echo.port, host: "open.test", name: "open")], limits: limits)
        let client = try HTTP2Client(gateway)
        let fields = HTTP2Client.request("/up", method: "POST", HTTP2Tests.cookie(1))
        client.send(HTTP2Client.headers(1, fields, ends: false) + HTTP2Client.data(1, [1, 2, 3]))
        client.send(HTTP2Client.headers(3, fields, ends: false))
        let drop = HTTP2Client.data(3, [1])
        for _ in 0..<60 { client.send(Array(repeatElement(drop, count: 1_000).joined())) }
        #expect(client.receive(3)?.resetCode != nil)
        #expect(gateway.waitForCounter("connection_memory_exceeded", atLeast: 1))
        #expect(gateway.engine.metrics().sum("http2_streams_shed") == 1)
        #expect(client.responses[1] == nil)
        client.send(HTTP2Client.headers(5, HTTP2Client.request(host: "open.test")))
        #expect(client.receive(5)?.status == 200)
        #expect(client.receive(1)?.status == 503)
    }
}
