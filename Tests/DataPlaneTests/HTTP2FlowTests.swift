import Border
import CLinux
import Foundation
import Testing

@testable import DataPlane

@Suite("HTTP/2 flows at the pace of the slowest, stream by stream")
struct HTTP2FlowTests {
    private static let size = 4 << 20

    private static func bigOrigin() -> TestOrigin {
        TestOrigin { connection in
            while let head = connection.readHead() {
                guard head.contains("/big") else {
                    connection.answer("small")
                    continue
                }
                connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
                let block = [UInt8](repeating: 120, count: 65_536)
                for _ in 0..<(size / 65_536) { guard connection.socket.write(block) else { return } }
            }
        }
    }

    @Test func `a stream without window waits, its upstream too, and another stream goes on`() throws {
        let origin = Self.bigOrigin()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        client.givesWindow = false
        client.send(HTTP2Frame.bytes(.windowUpdate, 0, 0, HTTP2Frame.big(UInt32(2 * Self.size))))
        client.send(HTTP2Client.headers(1, HTTP2Client.request("/big")))
        #expect(client.readUntil { $0.responses[1]?.body.count == 65_535 })
        for stream in stride(from: UInt32(3), to: 23, by: 2) { #expect(client.get(stream)?.text == "small") }
        #expect(client.responses[1]?.body.count == 65_535)
        #expect(gateway.engine.metrics().sum("bytes_downstream") < 1 << 20)
        client.send(HTTP2Frame.bytes(.windowUpdate, 0, 1, HTTP2Frame.big(UInt32(Self.size))))
        #expect(client.receive(1)?.body.count == Self.size)
    }

    @Test func `an upload waits for its application, and another stream goes on`() throws {
        let finish = Finish()
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                guard head.contains("/upload") else {
                    connection.answer("small")
                    continue
                }
                finish.wait()
                var left = Self.size
                while left > 0, let bytes = connection.read(min(left, 65_536)) { left -= bytes.count }
                connection.answer("all")
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        let length = [("content-length", "\(Self.size)")]
        client.send(
            HTTP2Client.headers(1, HTTP2Client.request("/upload", method: "POST", length), ends: false))
        #expect(client.readUntil { $0.window[0] != nil && $0.acknowledgedSettings > 0 })
        var sent = 0
        var isReleased = false
        while sent < Self.size {
            let window = min(65_535 + (client.window[1] ?? 0), 65_535 + (client.window[0] ?? 0)) - sent
            let count = min(window, 16_384, Self.size - sent)
            guard count <= 0 else {
                let bytes = [UInt8](repeating: 1, count: count)
                client.send(HTTP2Client.data(1, bytes, ends: sent + count == Self.size))
                sent += count
                continue
            }
            if !isReleased, !client.client.hasMore(withinMilliseconds: 500) {
                // Nobody reads up there; everybody else is served.
                for stream in stride(from: UInt32(3), to: 23, by: 2) {
                    #expect(client.get(stream)?.text == "small")
                }
                isReleased = true
                finish.signal()
                // What came meanwhile may be the window that was waited for.
                continue
            }
            #expect(client.next() != nil)
        }
        if !isReleased { finish.signal() }
        #expect(client.receive(1)?.text == "all")
    }

    @Test func `who gives no window has its stream ended, and nothing else`() throws {
        let origin = Self.bigOrigin()
        var limits = Limits()
        limits.bodyIdleMilliseconds = 300
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let client = try HTTP2Client(gateway, settings: [(4, 0)])
        client.send(HTTP2Client.headers(1, HTTP2Client.request("/big")))
        let response = try #require(client.receive(1))
        #expect(response.status == 200 && response.body.isEmpty && response.resetCode != nil)
        client.send(HTTP2Client.headers(3, HTTP2Client.request(method: "HEAD")))
        #expect(client.receive(3)?.status == 200)
        #expect(gateway.engine.metrics().sum("open_streams") <= 1)
    }

    @Test func `who never reads loses the connection, and the gateway its memory of it`() throws {
        let origin = Self.bigOrigin()
        var limits = Limits()
        limits.bodyIdleMilliseconds = 500
        let gateway = try Gateway([Facts.open(origin.port)], limits: limits)
        let client = try HTTP2Client(gateway, settings: [(4, 1 << 30)], receiveBuffer: 4_096)
        client.send(HTTP2Frame.bytes(.windowUpdate, 0, 0, HTTP2Frame.big(1 << 30)))
        // In one write: what came later than the connection's last byte went out would find it ended.
        client.send((0..<20).flatMap { HTTP2Client.headers(UInt32(2 * $0 + 1), HTTP2Client.request("/big")) })
        #expect(gateway.waitForCounter("http2_streams", atLeast: 20))
        let isOver = gateway.waitUntil {
            let metrics = gateway.engine.metrics()
            return metrics.sum("open_connections") == 0 && metrics.sum("open_streams") == 0 ? true : nil
        }
        #expect(isOver == true)
        #expect(client.client.descriptor >= 0)
    }

    @Test func `a connection that asks for nothing ends with GOAWAY, however often it pings`() throws {
        var limits = Limits()
        limits.idleMilliseconds = 400
        let gateway = try Gateway([Facts.open(1)], limits: limits)
        let client = try HTTP2Client(gateway)
        while client.goaway == nil {
            client.send(HTTP2Frame.bytes(.ping, 0, 0, [UInt8](repeating: 7, count: 8)))
            // Its answer and 20 ms more: it stays far below what would be a flood.
            while client.goaway == nil, client.client.hasMore(withinMilliseconds: 20) { client.next() }
        }
        #expect(client.goaway?.code == 0 && !client.pongs.isEmpty)
    }

    @Test func `a stop lets open streams end and says which was the last`() throws {
        let arrived = Finish()
        let finish = Finish()
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                arrived.signal()
                finish.wait()
                connection.answer("finished")
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(5, HTTP2Client.request()))
        arrived.wait()
        gateway.engine.drain(deadlineMilliseconds: 10_000)
        #expect(client.readUntil { $0.goaways.count == 2 })
        #expect(client.goaway?.lastStream == 5 && client.goaway?.code == 0)
        client.send(HTTP2Client.headers(7, HTTP2Client.request()))
        finish.signal()
        #expect(client.receive(5)?.text == "finished")
        #expect(client.responses[7]?.isEnded != true)
        #expect(client.readUntil { $0.client.hasEnded })
    }
}
