import Border
import Foundation
import Synchronization
import Testing

@testable import DataPlane

/// What an upstream sends on its first connection after the request of stream 1.
struct HTTP2UpstreamCase: Sendable, CustomTestStringConvertible {
    enum Outcome: Sendable {
        /// The client is told: 502 and `upstream-malformed`.
        case told
        /// Told, or half an answer that does not look whole: the head may have gone out before the breach.
        case broken
        /// The answer is whole, and what came behind it reaches nobody.
        case answered
    }
    var testDescription: String
    var bytes: [UInt8]
    var outcome: Outcome
    var method = "GET"

    init(_ clause: String, _ outcome: Outcome, method: String = "GET", _ parts: [UInt8]...) {
        (testDescription, self.outcome, self.method) = (clause, outcome, method)
        bytes = parts.flatMap { $0 }
    }

    init(_ clause: String, _ parts: [UInt8]...) {
        (testDescription, outcome) = (clause, .told)
        bytes = parts.flatMap { $0 }
    }
}

@Suite("An HTTP/2 upstream that breaks the rules: its clients are told, its connection is never used again")
struct HostileHTTP2UpstreamTests {
    private static func lines(_ fields: (String, String)..., ends: Bool = true) -> [UInt8] {
        HTTP2Client.headers(1, fields, ends: ends)
    }
    private static func ok(_ fields: (String, String)..., ends: Bool = false) -> [UInt8] {
        HTTP2Client.headers(1, [(":status", "200")] + fields, ends: ends)
    }
    private static func data(_ text: String, ends: Bool = true) -> [UInt8] {
        HTTP2Client.data(1, Array(text.utf8), ends: ends)
    }
    private static func repeated(_ count: Int, _ frame: [UInt8]) -> [UInt8] {
        (0..<count).flatMap { _ in frame }
    }
    private static let open = HTTP2Frame.bytes(.headers, 0, 1, HTTP2Frame.block([(":status", "200")]))

    static let heads: [HTTP2UpstreamCase] = [
        .init("9113 §8.3.2 no status", lines(("x", "y"))),
        .init("9113 §8.3.2 two statuses", lines((":status", "200"), (":status", "200"))),
        .init("9113 §8.3.2 a status of two digits", lines((":status", "20"))),
        .init("9113 §8.3.2 a status of letters", lines((":status", "abc"))),
        .init("9113 §8.3.2 a status beyond 599", lines((":status", "700"))),
        .init("9113 §8.6 101", lines((":status", "101"), ends: false)),
        .init("9113 §8.3 a pseudo-field behind a field", lines(("x", "y"), (":status", "200"))),
        .init("9113 §8.3 a request's pseudo-field", ok((":path", "/"))),
        .init("9113 §8.3 an unknown pseudo-field", ok((":other", "x"))),
        .init("9113 §8.2.1 a name in upper case", ok(("X-Upper", "y"))),
        .init("9113 §8.2.1 a blank in a name", ok(("a b", "y"))),
        .init("9113 §8.2.1 an empty name", ok(("", "y"))),
        .init("9113 §8.2.1 CRLF in a value", ok(("x", "a\r\nSet-Cookie: b=c"))),
        .init("9113 §8.2.1 LF in a value", ok(("x", "a\nb"))),
        .init("9113 §8.2.1 NUL in a value", ok(("x", "a\0b"))),
        .init("9113 §8.2.1 a blank at a value's end", ok(("x", "a "))),
        .init("9113 §8.2.2 connection", ok(("connection", "close"))),
        .init("9113 §8.2.2 transfer-encoding", ok(("transfer-encoding", "chunked"))),
        .init("9113 §8.2.2 keep-alive", ok(("keep-alive", "5"))),
        .init("9113 §8.2.2 upgrade", ok(("upgrade", "h2c"))),
        .init("9113 §8.2.2 proxy-connection", ok(("proxy-connection", "close"))),
        .init("9110 §8.6 two lengths", ok(("content-length", "5"), ("content-length", "6"))),
        .init("9110 §8.6 one length twice", ok(("content-length", "5"), ("content-length", "5"))),
        .init("9110 §8.6 a length with a sign", ok(("content-length", "+5"))),
        .init("9110 §8.6 a length beyond numbers", ok(("content-length", "99999999999999999999"))),
        .init("9113 §8.1 an interim answer that ends the stream", lines((":status", "103"))),
        .init("9113 §8.1.1 a length without its data", ok(("content-length", "5"), ends: true)),
        .init("9113 §8.1 data in front of a head", data("hello")),
        .init(
            "9113 §6.10 CONTINUATION without end", open,
            repeated(40, HTTP2Frame.bytes(.continuation, 0, 1, HTTP2Frame.block([("x", "y")])))),
        .init(
            "9113 §6.10 another frame inside of a section", open,
            HTTP2Frame.bytes(.ping, 0, 0, .init(repeating: 0, count: 8))),
        .init("9113 §6.10 CONTINUATION of nothing", HTTP2Frame.bytes(.continuation, 4, 1, [])),
        .init("7541 §6.1 index 0", HTTP2Frame.bytes(.headers, 5, 1, [0x80])),
        .init("7541 §2.3.3 one index beyond the tables", HTTP2Frame.bytes(.headers, 5, 1, [0xbe])),
        .init(
            "7541 §5.1 an integer beyond numbers",
            HTTP2Frame.bytes(.headers, 5, 1, [0xff] + .init(repeating: 0xff, count: 8) + [0x01])),
        .init(
            "7541 §5.2 more than seven bits of padding",
            HTTP2Frame.bytes(.headers, 5, 1, [0x88, 0x10, 0x82, 0x1f, 0xff, 0x01, 0x62])),
        .init(
            "7541 §4.2 a table beyond its bound", HTTP2Frame.bytes(.headers, 5, 1, [0x3f, 0xe2, 0x1f, 0x88])),
        .init("7541 §4.2 a table's size behind a field", HTTP2Frame.bytes(.headers, 5, 1, [0x88, 0x20])),
        .init("7541 §2.3.3 an index of nothing", HTTP2Frame.bytes(.headers, 5, 1, [0xff, 0x80, 0x01])),
        .init(
            "7541 §5.2 a broken Huffman code",
            HTTP2Frame.bytes(.headers, 5, 1, [0x10, 0x81, 0xff, 0x01, 0x61])),
    ]

    static let connections: [HTTP2UpstreamCase] = [
        .init(
            "9113 §6.6 a pushed answer",
            HTTP2Frame.bytes(.pushPromise, 4, 1, HTTP2Frame.big(2) + HTTP2Frame.block(HTTP2Client.request()))),
        .init("9113 §5.1.1 a stream of the upstream's own", HTTP2Client.headers(2, [(":status", "200")])),
        .init("9113 §5.1 a stream that nobody opened", HTTP2Client.headers(9, [(":status", "200")])),
        .init("9113 §5.1 data of a stream that nobody opened", HTTP2Client.data(9, [1])),
        .init("9113 §6.4 a reset of a stream that nobody opened", HTTP2Client.reset(9)),
        .init("9113 §6.4 a reset of the connection", HTTP2Client.reset(0)),
        .init(
            "9113 §4.2 a frame of more than 16 KiB",
            HTTP2Frame.bytes(.data, 0, 1, .init(repeating: 0, count: 16_385))),
        .init("9113 §6.1 more padding than frame", HTTP2Frame.bytes(.data, 8, 1, [9, 0, 0])),
        .init("9113 §6.1 data of the connection", HTTP2Client.data(0, [1])),
        .init("9113 §6.5 half an entry", HTTP2Frame.bytes(.settings, 0, 0, [0, 1, 0])),
        .init("9113 §6.5 SETTINGS of a stream", HTTP2Frame.bytes(.settings, 0, 1)),
        .init(
            "9113 §6.5 an acknowledgement with content",
            HTTP2Frame.bytes(.settings, 1, 0, .init(repeating: 0, count: 6))),
        .init("9113 §6.5.2 a window beyond 2^31", HTTP2Origin.settings([(4, 0x8000_0000)])),
        .init("9113 §6.5.2 a frame size below 16 KiB", HTTP2Origin.settings([(5, 100)])),
        .init(
            "9113 §6.7 a PING of seven bytes", HTTP2Frame.bytes(.ping, 0, 0, .init(repeating: 0, count: 7))),
        .init("9113 §6.7 a PING of a stream", HTTP2Frame.bytes(.ping, 0, 1, .init(repeating: 0, count: 8))),
        .init("9113 §6.9 no window more", HTTP2Frame.bytes(.windowUpdate, 0, 0, HTTP2Frame.big(0))),
        .init(
            "9113 §6.9.1 a window beyond 2^31",
            repeated(2, HTTP2Frame.bytes(.windowUpdate, 0, 0, HTTP2Frame.big(0x7fff_ffff)))),
        .init(
            "9113 §6.9.1 a stream's window beyond 2^31",
            repeated(2, HTTP2Frame.bytes(.windowUpdate, 0, 1, HTTP2Frame.big(0x7fff_ffff)))),
        .init(
            "9113 §6.8 GOAWAY of a stream",
            HTTP2Frame.bytes(.goaway, 0, 1, HTTP2Frame.big(1) + HTTP2Frame.big(0))),
        .init(
            "9113 §10.5 PING without end",
            repeated(1_000, HTTP2Frame.bytes(.ping, 0, 0, .init(repeating: 0, count: 8)))),
        .init("9113 §10.5 SETTINGS without end", repeated(1_000, HTTP2Frame.bytes(.settings))),
        .init(
            "9113 §10.5 PRIORITY without end",
            repeated(1_000, HTTP2Frame.bytes(.priority, 0, 3, [0, 0, 0, 0, 16]))),
        .init(
            "9113 §10.5 windows without end",
            repeated(1_000, HTTP2Frame.bytes(.windowUpdate, 0, 1, HTTP2Frame.big(1)))),
        .init(
            "9113 §3.4 bytes of another protocol", Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8)),
    ]

    static let bodies: [HTTP2UpstreamCase] = [
        .init("9113 §8.1.1 fewer bytes than the length", .broken, ok(("content-length", "9")), data("hello")),
        .init("9113 §8.1.1 more bytes than the length", .broken, ok(("content-length", "3")), data("hello")),
        .init("9113 §8.1 data on HEAD", .broken, method: "HEAD", ok(), data("poison")),
        .init(
            "9110 §15.3.5 data on 204", .broken, HTTP2Client.headers(1, [(":status", "204")], ends: false),
            data("poison")),
        .init(
            "9110 §15.4.5 data on 304", .broken, HTTP2Client.headers(1, [(":status", "304")], ends: false),
            data("poison")),
        .init("9113 §10.5 empty data without end", .broken, ok(), repeated(1_000, data("", ends: false))),
        .init(
            "9113 §8.1 trailers without end", .broken, ok(), data("hello", ends: false),
            lines(("x", "y"), ends: false)),
        .init(
            "9113 §8.1 a status behind the body", .broken, ok(), data("hello", ends: false),
            lines((":status", "200"))),
        .init(
            "9113 §8.2.1 a trailer in upper case", .broken, ok(), data("hello", ends: false),
            lines(("X", "y"))),
        .init(
            "9113 §8.2.2 a trailer of the connection's", .broken, ok(), data("hello", ends: false),
            lines(("connection", "y"))),
        .init(
            "trailers of more than 8 KiB", .broken, ok(), data("hello", ends: false),
            lines(("x", String(repeating: "a", count: 9_000)))),
        .init(
            "9113 §5.1 a second answer", .answered, ok(("content-length", "5")), data("hello"), ok(),
            data("poison")),
    ]

    /// The first connection misbehaves; every other one is honest.
    private static func origin(_ row: HTTP2UpstreamCase, bytewise: Bool, _ isClosed: Finish) -> TestOrigin {
        HTTP2Origin.serving { origin in
            guard origin.number == 0 else {
                while let id = origin.nextRequest() {
                    origin.answer(id, body: "clean \(origin.requests[id]?.field(":path") ?? "")")
                }
                return
            }
            guard origin.nextRequest() != nil else { return }
            if bytewise {
                for byte in row.bytes where !origin.send([byte]) { break }
            } else {
                origin.send(row.bytes)
            }
            origin.readToEnd()
            isClosed.signal()
        }
    }

    private static func run(_ row: HTTP2UpstreamCase, bytewise: Bool) throws {
        let isClosed = Finish()
        let origin = origin(row, bytewise: bytewise, isClosed)
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let (one, other) = (try gateway.client(), try gateway.client())
        one.send("\(row.method) /first HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        var response = one.receive(isHead: row.method == "HEAD")
        while let interim = response, interim.status < 200 { response = one.receive() }
        switch row.outcome {
        case .told:
            #expect(response?.status == 502)
            #expect(response?.field("Gatepost-Reason") == "upstream-malformed")
            #expect(one.get("/again")?.text == "clean /again", "the client's own connection goes on")
        case .broken:
            #expect(response?.text.contains("poison") != true)
            let isWhole = response?.isComplete == true && response?.status == 200
            #expect(!isWhole || row.method == "HEAD")
        case .answered:
            #expect(response?.status == 200 && response?.text == "hello")
            isClosed.wait()
            #expect(one.get("/again")?.text == "clean /again", "what came behind is nobody's answer")
        }
        isClosed.wait()
        for path in ["/other1", "/other2"] { #expect(other.get(path)?.text == "clean \(path)") }
        #expect(origin.connectionCount >= 2)
        let isOver = gateway.waitUntil { gateway.engine.metrics().sum("open_exchanges") == 0 ? true : nil }
        #expect(isOver == true)
        if case .answered = row.outcome { return }
        #expect(gateway.engine.metrics().sum("upstream_protocol_errors") == 1)
    }

    @Test(arguments: heads + connections + bodies)
    func `whole: no other request sees a byte of it`(_ row: HTTP2UpstreamCase) throws {
        try Self.run(row, bytewise: false)
    }

    @Test(arguments: (heads + connections + bodies).filter { $0.bytes.count < 400 })
    func `byte by byte: the same`(_ row: HTTP2UpstreamCase) throws { try Self.run(row, bytewise: true) }

    @Test func `others' requests on the connection end, those answered whole are read whole`() throws {
        let isClosed = Finish()
        let origin = HTTP2Origin.serving { origin in
            guard origin.number == 0 else {
                while let id = origin.nextRequest() { origin.answer(id, body: "clean") }
                return
            }
            guard origin.readUntil({ $0.requests.count == 3 }) else { return }
            func id(_ path: String) -> UInt32 {
                origin.requests.first { $0.value.field(":path") == path }?.key ?? 0
            }
            origin.send(
                HTTP2Origin.head(id("/1")),
                HTTP2Client.data(id("/1"), [UInt8](repeating: 120, count: 10_000), ends: true),
                HTTP2Origin.head(id("/3")), HTTP2Client.data(id("/3"), Array("half".utf8)),
                HTTP2Frame.bytes(.settings, 0, 1))
            origin.readToEnd()
            isClosed.signal()
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try HTTP2Client(gateway)
        for stream in [1, 3, 5] as [UInt32] {
            client.send(HTTP2Client.headers(stream, HTTP2Client.request("/\(stream)", method: "POST")))
        }
        #expect(client.receive(1)?.body.count == 10_000)
        let half = client.receive(3)
        #expect(half?.status == 502 || half?.resetCode != nil)
        #expect(client.receive(5)?.field("gatepost-reason") == "upstream-malformed")
        isClosed.wait()
        #expect(client.get(7)?.text == "clean")
    }

    @Test func `an upstream that heeds no window is cut off, before it fills our memory`() throws {
        let isClosed = Finish()
        let sent = Mutex(0)
        let origin = HTTP2Origin.serving { origin in
            guard origin.number == 0 else {
                while let id = origin.nextRequest() { origin.answer(id, body: "clean") }
                return
            }
            guard let id = origin.nextRequest() else { return }
            origin.send(HTTP2Origin.head(id))
            let frame = HTTP2Client.data(id, [UInt8](repeating: 1, count: 16_384))
            while origin.send(frame), sent.withLock({ $0 }) < 256 << 20 { sent.withLock { $0 += 16_384 } }
            isClosed.signal()
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let slow = try #require(try TestClient(port: gateway.port, receiveBuffer: 4_096))
        slow.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        isClosed.wait()
        #expect(sent.withLock { $0 } < 64 << 20)
        #expect(try gateway.client().get()?.text == "clean")
    }

    @Test func `an upstream that says nothing first, or something else, gets no request`() throws {
        for first in [
            HTTP2Frame.bytes(.ping, 0, 0, .init(repeating: 0, count: 8)), HTTP2Frame.bytes(.settings, 1),
        ] {
            let origin = HTTP2Origin.serving(settings: nil) { origin in
                origin.send(first)
                origin.readToEnd()
                #expect(origin.requests.isEmpty)
            }
            let gateway = try Gateway([HTTP2Origin.route(origin.port)])
            let answer = try gateway.client().get()
            #expect(answer?.status == 502 && answer?.field("gatepost-reason") == "upstream-unavailable")
        }
        let silent = HTTP2Origin.serving(settings: nil) { origin in
            origin.readToEnd()
            #expect(origin.requests.isEmpty)
        }
        let gateway = try Gateway([HTTP2Origin.route(silent.port) { $0.connectMilliseconds = 100 }])
        let answer = try gateway.client().get()
        #expect(answer?.status == 504 && answer?.field("gatepost-reason") == "upstream-timeout")
    }
}
