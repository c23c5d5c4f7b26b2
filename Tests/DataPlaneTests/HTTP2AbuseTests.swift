import Border
import Testing

@testable import DataPlane

/// Each bound exactly at it and one past it; all of a row's bytes leave at once, so they fall into one second.
@Suite("HTTP/2 bounds what a client costs beyond what it is served")
struct HTTP2AbuseTests {
    private static let calm: UInt32 = 11

    private static func expectServed(_ bytes: [UInt8], last stream: UInt32, _ what: String) throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(bytes)
        #expect(client.get(stream)?.status == 200, "\(what)")
        #expect(gateway.engine.metrics().sum("http2_floods") == 0, "\(what)")
    }

    private static func expectEnded(_ bytes: [UInt8], _ what: String) throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        let polite = try HTTP2Client(gateway)
        client.send(bytes)
        #expect(client.readUntil { $0.goaway != nil }, "\(what)")
        #expect(client.goaway?.code == calm, "\(what)")
        #expect(gateway.waitForCounter("http2_floods", atLeast: 1))
        #expect(polite.get(1)?.status == 200, "\(what)")
        let isOver = gateway.waitUntil { gateway.engine.metrics().sum("open_streams") == 0 ? true : nil }
        #expect(isOver == true, "\(what)")
    }

    private static func resets(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for number in 0..<count {
            let stream = UInt32(2 * number + 1)
            bytes += HTTP2Client.headers(stream, HTTP2Client.request())
            bytes += HTTP2Client.reset(stream)
        }
        return bytes
    }

    @Test func `streams that are reset before they are answered`() throws {
        let most = HTTP2Limits().resetsPerSecondMax
        try Self.expectServed(Self.resets(most), last: UInt32(2 * most + 1), "at the bound")
        try Self.expectEnded(Self.resets(most + 1), "one past it")
    }

    @Test func `streams that the gateway has to reset count as well`() throws {
        func malformed(_ count: Int) -> [UInt8] {
            (0..<count).flatMap { (number: Int) -> [UInt8] in
                HTTP2Client.headers(UInt32(2 * number + 1), HTTP2Client.request("/", [("connection", "x")]))
            }
        }
        try Self.expectEnded(malformed(HTTP2Limits().resetsPerSecondMax + 120), "past it")
    }

    /// The first SETTINGS of the connection is one of them.
    @Test func `frames that ask for nothing`() throws {
        let most = HTTP2Limits().framesPerSecondMax - 1
        let kinds: [(String, [UInt8])] = [
            ("PING", HTTP2Frame.bytes(.ping, 0, 0, [UInt8](repeating: 0, count: 8))),
            ("SETTINGS", HTTP2Frame.bytes(.settings)),
            ("PRIORITY", HTTP2Frame.bytes(.priority, 0, 1, [0, 0, 0, 0, 16])),
            ("WINDOW_UPDATE", HTTP2Frame.bytes(.windowUpdate, 0, 0, [0, 0, 0, 1])),
        ]
        for (name, frame) in kinds {
            // Acknowledging our SETTINGS is one more, once they were read.
            let fewer = Array(repeatElement(frame, count: most - 1).joined())
            try Self.expectServed(fewer, last: 1, "\(name) at the bound")
            try Self.expectEnded(Array(repeatElement(frame, count: most + 1).joined()), "\(name) one past it")
        }
    }

    @Test func `empty DATA frames`() throws {
        let head = HTTP2Client.headers(1, HTTP2Client.request(method: "POST"), ends: false)
        let most = HTTP2Limits().framesPerSecondMax
        let empty = HTTP2Client.data(1, [])
        try Self.expectServed(
            head + Array(repeatElement(empty, count: most - 2).joined()), last: 3, "at the bound")
        try Self.expectEnded(head + Array(repeatElement(empty, count: most + 1).joined()), "past it")
    }

    @Test func `CONTINUATION frames of one field section`() throws {
        func section(_ count: Int) -> [UInt8] {
            let request = HTTP2Frame.block(HTTP2Client.request())
            var bytes = HTTP2Frame.bytes(.headers, HTTP2Frame.endStream, 1, request)
            for number in 1...count {
                let flags = number == count ? HTTP2Frame.endHeaders : 0
                bytes += HTTP2Frame.bytes(.continuation, flags, 1, HTTP2Frame.block([("x-\(number)", "1")]))
            }
            return bytes
        }
        try Self.expectServed(section(HTTP2Limits().continuationsMax), last: 3, "at the bound")
        try Self.expectEnded(section(HTTP2Limits().continuationsMax + 1), "one past it")
    }

    @Test func `a field list that is too large is 431, and one that is far too large is the end`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        func section(_ stream: UInt32, _ fields: [(String, String)]) -> [UInt8] {
            let block = HTTP2Frame.block(HTTP2Client.request("/", fields))
            var bytes: [UInt8] = []
            for start in stride(from: 0, to: block.count, by: 16_000) {
                let end = min(block.count, start + 16_000)
                let isLast: UInt8 = end == block.count ? HTTP2Frame.endHeaders : 0
                bytes += HTTP2Frame.bytes(
                    start == 0 ? .headers : .continuation, isLast | (start == 0 ? HTTP2Frame.endStream : 0),
                    stream, Array(block[start..<end]))
            }
            return bytes
        }
        let line = String(repeating: "x", count: 8_000)
        client.send(section(1, (0..<3).map { ("x-\($0)", line) }))
        #expect(client.receive(1)?.status == 200)
        client.send(section(3, (0..<5).map { ("x-\($0)", line) }))
        #expect(client.receive(3)?.status == 431)
        client.send(section(5, (0..<5).map { ("cookie", "\($0)=\(line)") }))
        #expect(client.receive(5)?.status == 431)
        // One indexed byte stands for 4,000 bytes of a field: RFC 7541 §2.3.2.
        var bomb = HTTP2Frame.block(HTTP2Client.request())
        bomb.append(0x40)
        bomb += HTTP2Frame.block([("x", String(repeating: "y", count: 4_000))]).dropFirst()
        bomb += [UInt8](repeating: 0xbe, count: 1_000)
        client.send(HTTP2Frame.bytes(.headers, 5, 7, bomb))
        #expect(client.readUntil { $0.goaway != nil })
        #expect(client.goaway?.code == Self.calm)
    }

    @Test func `streams beyond the hundredth are refused, and those before are answered`() throws {
        let finish = Finish()
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                finish.wait()
                finish.signal()
                connection.answer("finished")
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send((0..<101).flatMap { HTTP2Client.headers(UInt32(2 * $0 + 1), HTTP2Client.request()) })
        #expect(client.receive(201)?.resetCode == 7)
        let isHeld = gateway.waitUntil { gateway.engine.metrics().sum("open_streams") == 100 ? true : nil }
        #expect(isHeld == true)
        finish.signal()
        for stream in 0..<100 { #expect(client.receive(UInt32(2 * stream + 1))?.text == "finished") }
    }
}
