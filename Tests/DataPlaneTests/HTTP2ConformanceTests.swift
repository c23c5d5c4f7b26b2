import Border
import Testing

@testable import DataPlane

/// RFC 9113 as a table: clause, bytes, what must come of them.
@Suite("HTTP/2 is refused where RFC 9113 says so")
struct HTTP2ConformanceTests {
    enum Expected: Sendable {
        /// The connection ends with GOAWAY and one of these codes (RFC 9113 §7).
        case goaway([UInt32])
        /// The stream ends with RST_STREAM and this code; the connection goes on.
        case reset(UInt32)
        /// The stream is answered; the connection goes on.
        case status(Int)
        /// GOAWAY or RST_STREAM with STREAM_CLOSED; what is late beside an answer that has gone out is left out.
        case ended
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let clause: String
        let bytes: [UInt8]
        let expected: Expected
        var testDescription: String { clause }
    }

    private static func frame(
        _ kind: HTTP2Frame.Kind, _ flags: UInt8 = 0, _ stream: UInt32 = 0, _ payload: [UInt8] = []
    ) -> [UInt8] { HTTP2Frame.bytes(kind, flags, stream, payload) }

    private static func setting(_ id: UInt16, _ value: UInt32) -> [UInt8] {
        frame(.settings, 0, 0, [UInt8(id >> 8), UInt8(id & 255)] + HTTP2Frame.big(value))
    }

    private static let good = HTTP2Client.headers(1, HTTP2Client.request())

    private static let post = HTTP2Client.headers(1, HTTP2Client.request(method: "POST"), ends: false)
    private static let unended = frame(.headers, 1, 1, HTTP2Frame.block(HTTP2Client.request()))

    private static func sized(_ length: String) -> [UInt8] {
        let fields = HTTP2Client.request("/", method: "POST", [("content-length", length)])
        return HTTP2Client.headers(1, fields, ends: false)
    }

    static let connectionRows: [Row] = [
        Row(
            clause: "4.2 a frame above 16,384 bytes",
            bytes: frame(.ping, 0, 0, [UInt8](repeating: 0, count: 16_385)), expected: .goaway([6])),
        Row(
            clause: "4.3 a field block that does not decode",
            bytes: frame(.headers, 5, 1, [0xff, 0xff, 0xff, 0xff, 0xff]), expected: .goaway([9])),
        Row(clause: "5.1 DATA on an idle stream", bytes: frame(.data, 1, 1, [1]), expected: .goaway([1, 5])),
        Row(
            clause: "5.1.1 an even stream number",
            bytes: HTTP2Client.headers(2, HTTP2Client.request()), expected: .goaway([1])),
        Row(clause: "6.1 DATA on stream 0", bytes: frame(.data, 0, 0, [1]), expected: .goaway([1])),
        Row(
            clause: "6.1 padding longer than the frame",
            bytes: HTTP2Client.all(post, frame(.data, 8, 1, [5, 1])), expected: .goaway([1])),
        Row(
            clause: "6.2 HEADERS on stream 0",
            bytes: HTTP2Client.headers(0, HTTP2Client.request()), expected: .goaway([1])),
        Row(
            clause: "6.4 RST_STREAM on an idle stream",
            bytes: HTTP2Client.reset(1), expected: .goaway([1])),
        Row(
            clause: "6.4 RST_STREAM of three bytes",
            bytes: frame(.reset, 0, 1, [0, 0, 0]), expected: .goaway([6])),
        Row(
            clause: "6.5 SETTINGS that acknowledge and say something",
            bytes: frame(.settings, 1, 0, [0, 3, 0, 0, 0, 1]), expected: .goaway([6])),
        Row(
            clause: "6.5 SETTINGS of five bytes",
            bytes: frame(.settings, 0, 0, [0, 3, 0, 0, 0]), expected: .goaway([6])),
        Row(
            clause: "6.5 SETTINGS on a stream",
            bytes: frame(.settings, 0, 1, [0, 3, 0, 0, 0, 1]), expected: .goaway([1])),
        Row(clause: "6.5.2 ENABLE_PUSH of 2", bytes: setting(2, 2), expected: .goaway([1])),
        Row(clause: "6.5.2 a window above 2^31-1", bytes: setting(4, 1 << 31), expected: .goaway([3])),
        Row(clause: "6.5.2 a frame size below 16,384", bytes: setting(5, 16_383), expected: .goaway([1])),
        Row(
            clause: "6.6 PUSH_PROMISE from a client",
            bytes: frame(.pushPromise, 4, 1, [0, 0, 0, 2]), expected: .goaway([1])),
        Row(
            clause: "6.7 PING of seven bytes",
            bytes: frame(.ping, 0, 0, [0, 0, 0, 0, 0, 0, 0]), expected: .goaway([6])),
        Row(
            clause: "6.7 PING on a stream",
            bytes: frame(.ping, 0, 1, [0, 0, 0, 0, 0, 0, 0, 0]), expected: .goaway([1])),
        Row(
            clause: "6.9 WINDOW_UPDATE of 0 for the connection",
            bytes: frame(.windowUpdate, 0, 0, [0, 0, 0, 0]), expected: .goaway([1])),
        // A stream error that nghttp2 takes for the connection's, as 5.4 allows.
        Row(
            clause: "6.9 WINDOW_UPDATE of 0 for a stream",
            bytes: HTTP2Client.all(post, frame(.windowUpdate, 0, 1, [0, 0, 0, 0])), expected: .goaway([1])),
        Row(
            clause: "6.9.1 a connection window above 2^31-1",
            bytes: frame(.windowUpdate, 0, 0, [0x7f, 0xff, 0xff, 0xff]), expected: .goaway([3])),
        Row(
            clause: "6.10 CONTINUATION behind nothing",
            bytes: frame(.continuation, 4, 1, [0x82]), expected: .goaway([1])),
        Row(
            clause: "6.10 another frame inside of a field section",
            bytes: HTTP2Client.all(unended, frame(.ping, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0])),
            expected: .goaway([1])),
    ]

    private static func fields(_ clause: String, _ fields: [(String, String)], _ expected: Expected) -> Row {
        Row(clause: clause, bytes: HTTP2Client.headers(1, fields), expected: expected)
    }

    private static func request(_ clause: String, _ more: (String, String), _ expected: Expected = .reset(1))
        -> Row
    { fields(clause, HTTP2Client.request("/", [more]), expected) }

    static let streamRows: [Row] = [
        request("8.2 an upper-case name", ("X-Upper", "1")),
        request("8.2.1 a name with a colon", ("a:b", "1")),
        request("8.2.1 a name with a blank", ("a b", "1")),
        request("8.2.1 a value with LF", ("a", "1\n2")),
        request("8.2.1 a value with CR and a line of its own", ("a", "1\r\nx: y")),
        request("8.2.1 a value with NUL", ("a", "1\u{0}2")),
        request("8.2.1 a value that begins with a blank", ("a", " 1")),
        request("8.2.1 a value that ends with a tab", ("a", "1\t")),
        request("8.2.2 Connection", ("connection", "close")),
        request("8.2.2 Keep-Alive", ("keep-alive", "1")),
        request("8.2.2 Proxy-Connection", ("proxy-connection", "close")),
        request("8.2.2 Transfer-Encoding", ("transfer-encoding", "chunked")),
        request("8.2.2 Upgrade", ("upgrade", "websocket")),
        request("8.2.2 TE other than trailers", ("te", "gzip")),
        request("8.2.2 TE: trailers", ("te", "trailers"), .status(200)),
        request("8.3 a pseudo-field behind a field", (":path", "/")),
        request("8.3 an unknown pseudo-field", (":other", "1")),
        request("8.3 a response's pseudo-field", (":status", "200")),
        request("8.3.1 Host that is another", ("host", "other.test")),
        request("8.3.1 Host that is the same", ("host", "wiki.test"), .status(200)),
        request("8.1.1 Content-Length without a body", ("content-length", "5")),
        request("8.6 of RFC 9110: Content-Length twice", ("content-length", "0, 0")),
        fields("8.3.1 no method", Array(HTTP2Client.request().dropFirst()), .reset(1)),
        fields("8.3.1 no path", Array(HTTP2Client.request().dropLast()), .reset(1)),
        fields("8.3.1 an empty path", HTTP2Client.request(""), .reset(1)),
        fields("8.3.1 a path without its slash", HTTP2Client.request("page"), .reset(1)),
        fields("8.3.1 a path with a blank", HTTP2Client.request("/a b"), .reset(1)),
        fields("8.3.1 a path that ends the request line", HTTP2Client.request("/ HTTP/1.1"), .reset(1)),
        fields(
            "8.3 a method twice", Array(HTTP2Client.request().prefix(1) + HTTP2Client.request()), .reset(1)),
        fields(
            "8.3.1 no authority and no Host", [(":method", "GET"), (":scheme", "https"), (":path", "/")],
            .reset(1)),
        fields(
            "8.3.1 Host alone",
            [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("a", "b"), ("host", "wiki.test")],
            .status(200)),
        fields(
            "8.3.1 a scheme that the connection has not",
            [(":method", "GET"), (":scheme", "http"), (":authority", "wiki.test"), (":path", "/")],
            .status(400)),
        fields("8.5 CONNECT", [(":method", "CONNECT"), (":authority", "wiki.test:443")], .status(501)),
        fields("ours: a path that climbs", HTTP2Client.request("/a/../b"), .status(400)),
        fields("ours: a fragment", HTTP2Client.request("/a#b"), .status(400)),
        fields("ours: user information", HTTP2Client.request(host: "a@wiki.test"), .status(400)),
        Row(
            clause: "8.1.1 a body longer than its Content-Length",
            bytes: HTTP2Client.all(sized("1"), HTTP2Client.data(1, [1, 2], ends: true)), expected: .reset(1)),
        Row(
            clause: "8.1.1 a body shorter than its Content-Length",
            bytes: HTTP2Client.all(sized("3"), HTTP2Client.data(1, [1, 2], ends: true)), expected: .reset(1)),
        Row(
            clause: "8.1 trailers that do not end the stream",
            bytes: HTTP2Client.all(post, HTTP2Client.headers(1, [("a", "b")], ends: false)),
            expected: .reset(1)),
        Row(
            clause: "5.3 PRIORITY is ignored",
            bytes: HTTP2Client.all(frame(.priority, 0, 1, [0, 0, 0, 0, 16]), good), expected: .status(200)),
        Row(
            clause: "5.5 a frame of no known kind is ignored",
            bytes: HTTP2Client.all(HTTP2Frame.bytes(raw: 0x77, 0, 0, [1, 2, 3]), good), expected: .status(200)
        ),
    ]

    private static func expect(_ row: Row, _ client: HTTP2Client) {
        switch row.expected {
        case .goaway(let codes):
            #expect(client.readUntil { $0.goaway != nil }, "\(row.clause): no GOAWAY")
            #expect(codes.contains(client.goaway?.code ?? 0), "\(row.clause): \(client.goaway?.code ?? 0)")
            #expect(client.readUntil { $0.client.hasEnded }, "\(row.clause): the connection goes on")
        case .reset(let code):
            let response = client.receive(1)
            #expect(response?.resetCode == code, "\(row.clause): \(String(describing: response))")
            #expect(client.get(3)?.status == 200, "\(row.clause): the connection is gone")
        case .status(let status):
            #expect(client.receive(1)?.status == status, "\(row.clause)")
            #expect(client.get(3)?.status == 200, "\(row.clause): the connection is gone")
        case .ended:
            client.send(HTTP2Frame.bytes(.ping, 0, 0, .init(repeating: 0, count: 8)))
            #expect(client.readUntil { $0.goaway != nil || !$0.pongs.isEmpty }, "\(row.clause)")
            if let goaway = client.goaway { #expect(goaway.code == 5, "\(row.clause)") }
            let code = client.responses[1]?.resetCode
            #expect(code == nil || code == 0 || code == 5, "\(row.clause)")
        }
    }

    private static var rows: [Row] {
        connectionRows + streamRows + stateRows + tableRows + tunnelRows
    }

    @Test(arguments: [false, true])
    func `every row holds, whole and byte by byte`(_ isSplit: Bool) throws {
        let origin = TestOrigin.patientEcho()
        let gateway = try Gateway([Facts.open(origin.port)])
        for row in Self.rows {
            let client = try HTTP2Client(gateway)
            // A big one says nothing more in pieces.
            if isSplit, row.bytes.count < 1_000 {
                for byte in row.bytes { guard client.send([byte]) else { break } }
            } else {
                client.send(row.bytes)
            }
            Self.expect(row, client)
        }
    }

    @Test func `a request is the same wherever its bytes are cut`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let bytes = HTTP2Client.preface + HTTP2Frame.bytes(.settings) + Self.good
        for cut in 1..<bytes.count {
            let client = try HTTP2Client(gateway, sendsPreface: false)
            client.send(Array(bytes[..<cut]))
            client.send(Array(bytes[cut...]))
            #expect(client.receive(1)?.status == 200, "cut at \(cut)")
        }
    }

    @Test func `what is no HTTP 2 ends with GOAWAY`() throws {
        let gateway = try Gateway([Facts.open(1)])
        let client = try HTTP2Client(gateway, sendsPreface: false)
        client.send(Array("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n".utf8))
        #expect(client.readUntil { $0.goaway != nil })
        #expect(client.goaway?.code == 1)
    }
}
