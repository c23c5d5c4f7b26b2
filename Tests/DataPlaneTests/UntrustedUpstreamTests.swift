import Border
import Testing

@testable import DataPlane

/// What an upstream says on its first connection in the place of an answer, and what becomes of it.
struct UpstreamCase: Sendable, CustomTestStringConvertible {
    enum Outcome: Sendable {
        /// The client is told: 502 and the reason.
        case badGateway
        /// The head had gone out: the client gets half an answer that does not look whole.
        case cut
        /// The answer is whole, and what came behind it reaches nobody.
        case answered(Int)
    }
    var testDescription: String
    var bytes: String
    var outcome: Outcome
    var method = "GET"
    /// The upstream ends its side behind the bytes.
    var ends = true

    init(_ clause: String, _ bytes: String, _ outcome: Outcome, method: String = "GET", ends: Bool = true) {
        (testDescription, self.bytes, self.outcome) = (clause, bytes, outcome)
        (self.method, self.ends) = (method, ends)
    }
}

@Suite("An upstream that breaks the rules: its client is told, its connection is never used again")
struct UntrustedUpstreamTests {
    private static let ok = "HTTP/1.1 200 OK\r\n"
    private static let chunked = ok + "Transfer-Encoding: chunked\r\n\r\n"

    static let heads: [UpstreamCase] = [
        .init(
            "9112 §6.3-3 length with chunked",
            ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .badGateway),
        .init(
            "9112 §6.3-5 two lengths", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", .badGateway
        ),
        .init(
            "9112 §6.3-5 one length twice", ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            .badGateway),
        .init("9112 §6.3-5 a list of lengths", ok + "Content-Length: 5, 5\r\n\r\nhello", .badGateway),
        .init("9110 §8.6 a length with a sign", ok + "Content-Length: +5\r\n\r\nhello", .badGateway),
        .init(
            "9110 §8.6 a length beyond numbers", ok + "Content-Length: 99999999999999999999\r\n\r\n",
            .badGateway),
        .init("9112 §6.1 another coding", ok + "Transfer-Encoding: gzip\r\n\r\nx", .badGateway),
        .init(
            "9112 §6.1 chunked twice", ok + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            .badGateway),
        .init(
            "9112 §6.1 chunked in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            .badGateway),
        .init("9112 §5.2 a folded line", ok + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n", .badGateway),
        .init("9112 §5.1 a blank before the colon", ok + "Content-Length : 0\r\n\r\n", .badGateway),
        .init("9112 §2.2 a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", .badGateway),
        .init("9110 §5.5 NUL in a value", ok + "X: a\0b\r\nContent-Length: 0\r\n\r\n", .badGateway),
        .init("9112 §4 another protocol", "SSH-2.0-OpenSSH_9\r\n\r\n", .badGateway),
        .init("9112 §4 HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .badGateway),
        .init("9112 §4 no status", "HTTP/1.1 OK\r\n\r\n", .badGateway),
        .init("9112 §2.2 half a head", ok + "Content-Length: 5\r\n", .badGateway),
        .init("9112 §8 nothing at all", "", .badGateway),
        .init(
            "9110 §15.2.2 a 101 that nobody asked for",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            .badGateway),
        .init(
            "9110 §15.2 interim answers without end",
            String(repeating: "HTTP/1.1 102 Processing\r\n\r\n", count: 17), .badGateway),
        .init(
            "9112 §6.1 chunked on 204",
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .badGateway),
        .init(
            "9110 §15.3.6 content on 205", "HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello",
            .badGateway),
        .init(
            "a head of 40 KiB", ok + "X: " + String(repeating: "a", count: 40_000) + "\r\n\r\n", .badGateway,
            ends: false),
        .init(
            "a head that never ends", ok + String(repeating: "X: y\r\n", count: 200), .badGateway, ends: false
        ),
    ]

    static let bodies: [UpstreamCase] = [
        .init("9112 §8 four of five bytes", ok + "Content-Length: 5\r\n\r\nhell", .cut),
        .init("9112 §8 chunked without its end", chunked + "5\r\nhello\r\n", .cut),
        .init("9112 §8 chunked without its last line", chunked + "5\r\nhello\r\n0\r\n", .cut),
        .init("9112 §7.1 a size that is none", chunked + "5\r\nhello\r\nxyz\r\n", .cut, ends: false),
        .init("9112 §7.1 a size with a sign", chunked + "5\r\nhello\r\n-1\r\n", .cut, ends: false),
        .init(
            "9112 §7.1 a size beyond numbers", chunked + "5\r\nhello\r\nfffffffffffffffff\r\n", .cut,
            ends: false),
        .init("9112 §7.1 data longer than its size", chunked + "4\r\nhello\r\n0\r\n\r\n", .cut, ends: false),
        .init("9112 §7.1 a bare LF behind a size", chunked + "5\nhello\r\n0\r\n\r\n", .cut, ends: false),
        .init(
            "9112 §7.1.2 a trailer that is none", chunked + "5\r\nhello\r\n0\r\nno colon\r\n\r\n", .cut,
            ends: false),
    ]

    static let surplus: [UpstreamCase] = [
        .init(
            "9112 §6.3 bytes behind a length",
            ok + "Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
            .answered(200), ends: false),
        .init(
            "9112 §6.3 bytes behind the last chunk",
            chunked + "5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
            .answered(200), ends: false),
        .init(
            "9112 §6.3-1 a body on 204",
            "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
            .answered(204), ends: false),
        .init(
            "9112 §6.3-1 a body on 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison",
            .answered(304), ends: false),
        .init(
            "9112 §6.3-1 a body on HEAD", ok + "Content-Length: 6\r\n\r\npoison", .answered(200),
            method: "HEAD", ends: false),
    ]

    /// The first connection misbehaves; every other one is honest.
    private static func origin(_ row: UpstreamCase, bytewise: Bool) -> TestOrigin {
        TestOrigin { connection in
            guard connection.number == 0 else {
                while let head = connection.readHead() {
                    connection.answer("clean \(head.prefix { $0 != "H" })")
                }
                return
            }
            guard connection.readHead() != nil else { return }
            if bytewise {
                for byte in row.bytes.utf8 where !connection.socket.write([byte]) { return }
            } else {
                connection.socket.write(row.bytes)
            }
            if !row.ends { while connection.readSome() != nil {} }
        }
    }

    private static func run(_ row: UpstreamCase, bytewise: Bool) throws {
        let origin = origin(row, bytewise: bytewise)
        let gateway = try Gateway([Facts.open(origin.port)])
        let (one, other) = (try gateway.client(), try gateway.client())
        // Never idempotent by mistake: a GET whose new connection says nothing is not repeated either.
        one.send("\(row.method) /first HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        var response = one.receive(isHead: row.method == "HEAD")
        while let interim = response, interim.status < 200 { response = one.receive() }
        switch row.outcome {
        case .badGateway:
            #expect(response?.status == 502, "\(row.bytes.prefix(80))")
            #expect(response?.field("Gatepost-Reason")?.hasPrefix("upstream-") == true)
            #expect(one.get("/again")?.text == "clean GET /again ", "the client's own connection goes on")
        case .cut:
            // Where nothing had gone out yet the client could be told.
            #expect(response == nil || response?.status == 502 || response?.isComplete == false)
            #expect(one.receive() == nil || response?.status == 502)
        case .answered(let status):
            #expect(response?.status == status && response?.text.contains("poison") == false)
            #expect(one.get("/again")?.text == "clean GET /again ", "what came behind is nobody's answer")
        }
        for path in ["/other1", "/other2"] {
            #expect(other.get(path)?.text == "clean GET \(path) ")
        }
        #expect(origin.connectionCount >= 2)
        let isOver = gateway.waitUntil { gateway.engine.metrics().sum("open_exchanges") == 0 ? true : nil }
        #expect(isOver == true)
    }

    @Test(arguments: heads + bodies + surplus)
    func `whole: no other request sees a byte of it`(_ row: UpstreamCase) throws {
        try Self.run(row, bytewise: false)
    }

    @Test(arguments: (heads + bodies + surplus).filter { $0.bytes.utf8.count < 2_000 })
    func `byte by byte: the same`(_ row: UpstreamCase) throws { try Self.run(row, bytewise: true) }
}
