import Border
import Testing

@testable import DataPlane

/// RFC 9113 where it depends on what was said before, RFC 7541 and RFC 8441: clause, bytes, what must come of them.
extension HTTP2ConformanceTests {
    private static func frame(
        _ kind: HTTP2Frame.Kind, _ flags: UInt8 = 0, _ stream: UInt32 = 0, _ payload: [UInt8] = []
    ) -> [UInt8] { HTTP2Frame.bytes(kind, flags, stream, payload) }

    private static let good = HTTP2Client.headers(1, HTTP2Client.request())
    private static let post = HTTP2Client.headers(1, HTTP2Client.request(method: "POST"), ends: false)
    private static let whole = HTTP2Frame.block(HTTP2Client.request())

    private static func block(_ clause: String, _ bytes: [UInt8], _ expected: Expected = .goaway([9])) -> Row
    {
        Row(clause: clause, bytes: frame(.headers, 5, 1, bytes), expected: expected)
    }

    static let tableRows: [Row] = [
        block("7541 §6.1 index 0", [0x80]),
        block("7541 §2.3.3 one index beyond the tables", [0xbe]),
        block("7541 §2.3.3 a name's index beyond the tables", [0x7e, 0x01, 0x61]),
        block("7541 §5.1 an index beyond numbers", [0xff] + .init(repeating: 0xff, count: 8) + [0x01]),
        block("7541 §5.1 a length beyond numbers", [0x10, 0x7f] + .init(repeating: 0xff, count: 8) + [0x01]),
        block("7541 §5.2 a length beyond the block", [0x10, 0x05, 0x61]),
        block("7541 §5.2 more than seven bits of padding", whole + [0x10, 0x82, 0x1f, 0xff, 0x01, 0x62]),
        block("7541 §5.2 padding that is not ones", whole + [0x10, 0x81, 0x18, 0x01, 0x62]),
        block("7541 §5.2 seven bits of padding", whole + [0x10, 0x81, 0x1f, 0x01, 0x62], .status(200)),
        block("7541 §5.2 the end of string as a character", whole + [0x10, 0x84, 0xff, 0xff, 0xff, 0xff, 0]),
        block("7541 §6.3 a table at its bound", [0x3f, 0xe1, 0x1f] + whole, .status(200)),
        block("7541 §6.3 a table one beyond it", [0x3f, 0xe2, 0x1f] + whole),
        block("7541 §4.2 a table's size behind a field", whole + [0x20]),
        block("7541 §4.2 two sizes in front", [0x20, 0x3f, 0xe1, 0x1f] + whole, .status(200)),
        block("7541 §4.3 an index that the new size evicted", [0x20, 0xbe] + whole),
    ]

    static let stateRows: [Row] = [
        Row(
            clause: "9113 §5.1 HEADERS behind the client's end", bytes: HTTP2Client.all(good, good),
            expected: .ended),
        Row(
            clause: "9113 §5.1 DATA behind the client's end",
            bytes: HTTP2Client.all(good, HTTP2Client.data(1, [1])), expected: .ended),
        Row(
            clause: "9113 §5.1 DATA on a stream that was reset",
            bytes: HTTP2Client.all(
                post, HTTP2Client.reset(1), HTTP2Client.data(1, [1]),
                HTTP2Client.headers(3, HTTP2Client.request())),
            expected: .ended),
        Row(
            clause: "9113 §5.1 WINDOW_UPDATE on an idle stream",
            bytes: frame(.windowUpdate, 0, 1, [0, 0, 0, 1]), expected: .goaway([1])),
        Row(
            clause: "9113 §6.3 PRIORITY of four bytes", bytes: frame(.priority, 0, 1, [0, 0, 0, 0]),
            expected: .goaway([6])),
        Row(
            clause: "9113 §6.3 PRIORITY of six bytes", bytes: frame(.priority, 0, 1, [0, 0, 0, 0, 1, 1]),
            expected: .goaway([6])),
        // An error of the connection there; nghttp2 ignores all of PRIORITY for whom priorities were turned off.
        Row(
            clause: "9113 §6.3 PRIORITY on stream 0",
            bytes: HTTP2Client.all(frame(.priority, 0, 0, [0, 0, 0, 0, 16]), good), expected: .status(200)),
        Row(
            clause: "9113 §6.7 an acknowledgement that nobody asked for",
            bytes: HTTP2Client.all(frame(.ping, 1, 0, .init(repeating: 7, count: 8)), good),
            expected: .status(200)),
        Row(
            clause: "9113 §6.8 GOAWAY on a stream",
            bytes: frame(.goaway, 0, 1, .init(repeating: 0, count: 8)), expected: .goaway([1])),
        Row(
            clause: "9113 §6.8 GOAWAY of seven bytes",
            bytes: frame(.goaway, 0, 0, .init(repeating: 0, count: 7)), expected: .goaway([6])),
        Row(
            clause: "9113 §6.9 WINDOW_UPDATE of three bytes", bytes: frame(.windowUpdate, 0, 0, [0, 0, 1]),
            expected: .goaway([6])),
        Row(
            clause: "9113 §6.9.1 a stream's window above 2^31-1",
            bytes: HTTP2Client.all(post, frame(.windowUpdate, 0, 1, [0x7f, 0xff, 0xff, 0xff])),
            expected: .reset(3)),
        Row(
            clause: "9113 §6.9.1 a stream's window at 2^31-1",
            bytes: HTTP2Client.all(
                post, frame(.windowUpdate, 0, 1, HTTP2Frame.big(0x7fff_ffff - 65_535)),
                HTTP2Client.data(1, [], ends: true)),
            expected: .status(200)),
    ]

    private static func connect(without name: String) -> [UInt8] {
        HTTP2Client.headers(1, HTTP2StreamTests.connect.filter { $0.0 != name }, ends: false)
    }

    static let tunnelRows: [Row] = [
        Row(clause: "8441 §4 no :scheme", bytes: connect(without: ":scheme"), expected: .reset(1)),
        Row(clause: "8441 §4 no :path", bytes: connect(without: ":path"), expected: .reset(1)),
        Row(clause: "8441 §4 no :authority", bytes: connect(without: ":authority"), expected: .reset(1)),
        Row(
            clause: "8441 §4 :protocol on another method",
            bytes: HTTP2Client.headers(
                1, HTTP2StreamTests.connect.map { $0.0 == ":method" ? (":method", "GET") : $0 }, ends: false),
            expected: .reset(1)),
        Row(
            clause: "8441 §4 :protocol twice",
            bytes: HTTP2Client.headers(
                1, [(":protocol", "websocket")] + HTTP2StreamTests.connect, ends: false),
            expected: .reset(1)),
        Row(
            clause: "8441 §5 the client's end in front of the handshake",
            bytes: HTTP2Client.headers(1, HTTP2StreamTests.connect, ends: true), expected: .reset(1)),
    ]

    @Test func `a stream below one that was begun is never looked at`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        #expect(client.get(3, "/three")?.status == 200)
        // RFC 9113 §5.1.1 wants the connection to end; it may as well have been reset, which nobody remembers.
        client.send(HTTP2Client.headers(1, HTTP2Client.request("/one")))
        let after = client.get(5, "/five")
        #expect(after?.status == 200 || client.goaway?.code == 1)
        #expect(client.responses[1] == nil)
        #expect(gateway.engine.metrics().sum("http2_streams") <= 2)
    }

    @Test func `PING comes back as it was, marked as an answer`() throws {
        let gateway = try Gateway([Facts.open(1)])
        let client = try HTTP2Client(gateway)
        let word: [UInt8] = [1, 2, 3, 4, 250, 251, 252, 253]
        client.send(HTTP2Frame.bytes(.ping, 0, 0, word))
        #expect(client.readUntil { $0.pongs.count == 1 } && client.pongs == [word])
        #expect(client.pings.isEmpty)
    }

    @Test func `a client that says GOAWAY is answered what it asked for, and the connection ends`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.all(Self.good, Self.frame(.goaway, 0, 0, .init(repeating: 0, count: 8))))
        #expect(client.receive(1)?.status == 200)
        #expect(client.readUntil { $0.client.hasEnded })
    }

    @Test func `§3.4 a connection preface without SETTINGS ends with GOAWAY`() throws {
        let gateway = try Gateway([Facts.open(1)])
        let client = try HTTP2Client(gateway, sendsPreface: false)
        client.send(HTTP2Client.preface + Self.good)
        #expect(client.readUntil { $0.goaway != nil } && client.goaway?.code == 1)
        #expect(client.readUntil { $0.client.hasEnded })
        #expect(gateway.engine.metrics().sum("http2_streams") == 0)
    }
}
