import Access
import Border
import Testing

@testable import DataPlane

@Suite("PROXY protocol version 2: strict, bounded, and at every split the same")
struct ProxyHeaderTests {
    private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]

    static func header(
        kind versionAndCommand: UInt8 = 0x21, family: UInt8 = 0x11, length: Int? = nil, _ body: [UInt8]
    ) -> [UInt8] {
        let count = length ?? body.count
        return signature + [versionAndCommand, family, UInt8(count >> 8), UInt8(count & 0xff)] + body
    }

    static let v4: [UInt8] = [203, 0, 113, 7, 10, 0, 0, 1, 0x30, 0x39, 1, 0xbb]
    static let v6: [UInt8] =
        [0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 0, count: 11) + [7] + [UInt8](repeating: 9, count: 16)
        + [0x30, 0x39, 1, 0xbb]
    static let client = NetworkAddress(v4: 0xcb00_7107)
    private static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var bytes: [UInt8]
        var expected: ProxyHeader.Outcome
        init(_ what: String, _ bytes: [UInt8], _ expected: ProxyHeader.Outcome) {
            (testDescription, self.bytes, self.expected) = (what, bytes, expected)
        }
    }

    static let rows: [Row] = [
        Row("§2.2 PROXY, TCP over IPv4", header(v4), .client(client)),
        Row(
            "§2.2 PROXY, TCP over IPv6", header(family: 0x21, v6),
            .client(NetworkAddress(high: 0x2001_0db8 << 32, low: 7))),
        Row(
            "an IPv4 address in its IPv6 form is the IPv4 address",
            header(family: 0x21, zeros(10) + [0xff, 0xff, 203, 0, 113, 7] + zeros(20)), .client(client)),
        Row("§2.2.7 records are skipped", header(v4 + [4, 0, 2, 1, 2] + [0xee, 0, 0]), .client(client)),
        Row("a record that ends one byte late", header(v4 + [4, 0, 2, 1]), .refused(.malformedTLV)),
        Row("a record without its length", header(v4 + [4, 0]), .refused(.malformedTLV)),
        Row("§2.2 LOCAL", header(kind: 0x20, family: 0, []), .local),
        Row("§2.2 LOCAL: what it says is skipped", header(kind: 0x20, family: 0x21, [1, 2, 3]), .local),
        Row("version 1", Array("PROXY TCP4 203.0.113.7 10.0.0.1 12345 443\r\n".utf8), .refused(.signature)),
        Row("TLS without a header", [0x16, 3, 1, 2, 0], .refused(.signature)),
        Row("version 3", header(kind: 0x31, v4), .refused(.version)),
        Row("version 1 in binary", header(kind: 0x11, v4), .refused(.version)),
        Row("command 2", header(kind: 0x22, v4), .refused(.command)),
        Row("no family", header(family: 0, []), .refused(.family)),
        Row("UDP over IPv4", header(family: 0x12, v4), .refused(.family)),
        Row("UDP over IPv6", header(family: 0x22, v6), .refused(.family)),
        Row("a socket of the balancer's own", header(family: 0x31, zeros(216)), .refused(.family)),
        Row("one byte short of addresses", header(Array(v4.dropLast())), .refused(.tooShort)),
        Row("IPv6 with IPv4's length", header(family: 0x21, v4), .refused(.tooShort)),
        Row(
            "exactly at the bound", header(v4 + [4, 0x0f, 0xe1] + zeros(4_065)),
            .client(client)),
        Row("one byte past the bound", header(length: 4_081, []), .refused(.tooLong)),
        Row("the longest length there is", header(length: 65_535, []), .refused(.tooLong)),
        Row("LOCAL past the bound", header(kind: 0x20, family: 0, length: 4_081, []), .refused(.tooLong)),
        Row("half a header", Array(header(v4).prefix(20)), .needMore(8)),
        Row("nothing", [], .needMore(16)),
    ]

    @Test(arguments: rows)
    func `each row has its outcome however it is split, and nothing behind it is asked for`(_ row: Row) {
        #expect(ProxyHeader.parse(row.bytes.span) == row.expected)
        for count in 0..<row.bytes.count {
            let part = Array(row.bytes[..<count])
            let outcome = ProxyHeader.parse(part.span)
            if case .needMore(let more) = outcome {
                if case .needMore = row.expected { continue }
                if case .refused = row.expected { continue }
                #expect(count + more <= row.bytes.count, "after \(count) bytes")
            } else {
                #expect(outcome == row.expected, "after \(count) bytes")
            }
        }
    }

    @Test func `every refusal has its row`() {
        for refusal in ProxyHeader.Refusal.allCases {
            #expect(Self.rows.contains { $0.expected == .refused(refusal) }, "\(refusal)")
        }
    }

    @Test func `no bytes make it read past its end, whatever they say: seeds 0 to 19,999`() {
        for seed in 0..<20_000 as Range<UInt64> {
            var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
            func next() -> UInt64 {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                return state
            }
            var bytes = Self.header(family: next() & 1 == 0 ? 0x11 : 0x21, Self.v6 + [4, 0, 2, 1, 2])
            for _ in 0..<3 { bytes[Int(next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: next()) }
            bytes.removeLast(Int(next() % UInt64(bytes.count)))
            if case .needMore(let count) = ProxyHeader.parse(bytes.span) {
                #expect(count > 0 && bytes.count + count <= ProxyHeader.bytesMax, "seed \(seed)")
            }
        }
    }
}

@Suite("A client's address and where it comes from")
struct ClientAddressTests {
    private static let loopback = NetworkRange(base: NetworkAddress(v4: 0x7f00_0001), prefixLength: 128)
    private static let elsewhere = NetworkRange(base: NetworkAddress(v4: 0x0a00_0000), prefixLength: 104)

    private static let origin = TestOrigin.echo()

    private static func gateway(
        _ trust: ClientAddressTrust?, accessLog: Bool = false
    ) throws -> Gateway {
        try Gateway([Facts.open(origin.port)], accessLog: accessLog, addresses: trust)
    }

    private static func seen(_ gateway: Gateway, _ preamble: [[UInt8]], fields: String = "") throws -> String?
    {
        guard let client = try TestClient(port: gateway.port, preamble: preamble) else { return nil }
        return client.get(fields: fields).map { $0.status == 200 ? $0.text.lowercased() : "\($0.status)" }
    }

    @Test func `a listed balancer's client is the one it names, byte by byte as well`() throws {
        let gateway = try Self.gateway(.init(proxyProtocolFrom: [Self.loopback]), accessLog: true)
        let header = ProxyHeaderTests.header(ProxyHeaderTests.v4)
        for preamble in [[header], header.map { [$0] }] {
            let text = try #require(try Self.seen(gateway, preamble, fields: "X-Forwarded-For: 6.6.6.6\r\n"))
            #expect(text.contains("\r\nx-forwarded-for: 203.0.113.7\r\nx-real-ip: 203.0.113.7\r\n"))
            #expect(!text.contains("6.6.6.6"))
            let line = try #require(gateway.logLine())
            #expect(line.contains(#""client":"203.0.113.7","client_from":"proxy-protocol""#))
        }
        let text = try Self.seen(gateway, [ProxyHeaderTests.header(kind: 0x20, family: 0, [])])
        #expect(text?.contains("\r\nx-forwarded-for: 127.0.0.1\r\n") == true)
        #expect(gateway.logLine()?.contains("client_from") == false)
    }

    @Test func `a listed balancer without a header, or with a broken one, is closed before TLS`() throws {
        let gateway = try Self.gateway(.init(proxyProtocolFrom: [Self.loopback]))
        #expect(try Self.seen(gateway, []) == nil)
        #expect(try Self.seen(gateway, [Array("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n".utf8)]) == nil)
        #expect(try Self.seen(gateway, [ProxyHeaderTests.header(kind: 0x21, family: 0, [])]) == nil)
        #expect(gateway.waitForCounter("proxy_headers_refused", atLeast: 3))
    }

    @Test func `nobody else's header is believed, or even passed over`() throws {
        let header = ProxyHeaderTests.header(ProxyHeaderTests.v4)
        for trust in [nil, ClientAddressTrust(proxyProtocolFrom: [Self.elsewhere])] {
            let gateway = try Self.gateway(trust)
            #expect(try Self.seen(gateway, [header]) == nil)
            #expect(gateway.waitForCounter("handshake_failures", atLeast: 1))
            let text = try Self.seen(
                gateway, [], fields: "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n")
            #expect(text?.contains("\r\nx-forwarded-for: 127.0.0.1\r\n") == true)
            #expect(text?.contains("6.6.6.6") == false)
        }
    }

    struct Row: Sendable {
        var fields: String
        var client: String?
        init(_ fields: String, _ client: String?) { (self.fields, self.client) = (fields, client) }
    }

    static let lists: [Row] = [
        Row("X-Forwarded-For: 203.0.113.7", "203.0.113.7"),
        Row("X-Forwarded-For: 6.6.6.6, 203.0.113.7", "203.0.113.7"),
        Row("X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        Row("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.7,10.1.2.3", "203.0.113.7"),
        Row("X-Forwarded-For: unknown, 203.0.113.7", "203.0.113.7"),
        Row("X-Forwarded-For: 10.9.9.9, 10.1.2.3", "10.9.9.9"),
        Row("X-Forwarded-For: 203.0.113.7:4711", "203.0.113.7"),
        Row("X-Forwarded-For: [2001:db8::7]:1", "2001:db8:0:0:0:0:0:7"),
        Row("X-Forwarded-For: 2001:db8::7", "2001:db8:0:0:0:0:0:7"),
        Row("X-Forwarded-For: 203.0.113.7, unknown", nil), Row("X-Forwarded-For:", nil),
        Row("X-Forwarded-For: 203.0.113.7,", nil), Row("X-Forwarded-For: 203.0.113.07", nil),
        Row("X-Forwarded-For: 203.0.113.7 6.6.6.6", nil), Row("X-Forwarded-For: 203.0.113.7:", nil),
        Row("X-Forwarded-For: 203.0.113.7:123456", nil), Row("X-Forwarded-For: [203.0.113.7]", nil),
        Row("X-Real-IP: 203.0.113.7", nil), Row("Forwarded: for=203.0.113.7", nil), Row("X: y", nil),
        Row("X_Forwarded_For: 203.0.113.7", nil),
        Row(
            "X-Forwarded-For: " + [String](repeating: "6.6.6.6", count: 31).joined(separator: ",")
                + ",203.0.113.7", "203.0.113.7"),
        Row(
            "X-Forwarded-For: " + [String](repeating: "6.6.6.6", count: 32).joined(separator: ",")
                + ",203.0.113.7", nil),
    ]

    static let forwarded: [Row] = [
        Row("Forwarded: for=203.0.113.7", "203.0.113.7"),
        Row("Forwarded: for=6.6.6.6, For=\"203.0.113.7:80\";proto=https;by=10.0.0.1", "203.0.113.7"),
        Row("Forwarded: for=6.6.6.6;host=\"a,b\" , for=203.0.113.7, for=10.1.1.1", "203.0.113.7"),
        Row("Forwarded: for=\"[2001:db8::7]\"", "2001:db8:0:0:0:0:0:7"),
        Row("Forwarded: for=\"6.6.6.6, for=203.0.113.7", nil),
        Row("Forwarded: for=203.0.113.7;for=6.6.6.6", nil), Row("Forwarded: for=_hidden", nil),
        Row("Forwarded: for=unknown, for=203.0.113.7", "203.0.113.7"),
        Row("Forwarded: for=203.0.113.7, by=10.0.0.1", nil), Row("Forwarded: for", nil),
        Row("Forwarded: for=2001:db8::7", nil), Row("Forwarded: for=203.0.113.7 x", nil),
        Row("X-Forwarded-For: 203.0.113.7", nil),
    ]

    private static func check(_ row: Row, _ field: ClientAddressTrust.Field) throws {
        let gateway = try gateway(
            .init(forwardedFrom: [loopback, elsewhere], field: field), accessLog: true)
        let text = try #require(try seen(gateway, [], fields: row.fields + "\r\n"))
        guard let client = row.client else {
            #expect(text == "400", "\(row.fields)")
            return
        }
        #expect(text.contains("\r\nx-forwarded-for: \(client)\r\n"), "\(text)")
        #expect(!text.contains("6.6.6.6") && !text.contains("\r\nforwarded:"))
        #expect(gateway.logLine()?.contains(#""client_from":"forwarded""#) == true)
    }

    @Test(arguments: lists)
    func `X-Forwarded-For: the rightmost address that is no proxy's, or a refusal`(_ row: Row) throws {
        try Self.check(row, .xForwardedFor)
    }

    @Test(arguments: forwarded)
    func `Forwarded (RFC 7239): the same rule`(_ row: Row) throws { try Self.check(row, .forwarded) }

    @Test func `each request of a connection has its own client, and policy judges by it`() throws {
        var route = Facts.open(Self.origin.port)
        var policy = Facts.bypass
        policy.allOf = [
            .network(
                NetworkCondition(ranges: [NetworkRange(base: ProxyHeaderTests.client, prefixLength: 128)]))
        ]
        route.anonymous = Facts.residual(signedIn: false, [policy])
        let gateway = try Gateway([route], addresses: .init(forwardedFrom: [Self.loopback]))
        let client = try gateway.client()
        for (address, status) in [("203.0.113.7", 200), ("203.0.113.8", 401), ("203.0.113.7", 200)] {
            #expect(client.get(fields: "X-Forwarded-For: \(address)\r\n")?.status == status, "\(address)")
        }
    }

    @Test func `who is no longer trusted is not believed from the next request on`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway(
            [Facts.open(origin.port)], addresses: .init(forwardedFrom: [Self.loopback]))
        let client = try gateway.client()
        let field = "X-Forwarded-For: 203.0.113.7\r\n"
        #expect(client.get(fields: field)?.text.contains("203.0.113.7") == true)
        try gateway.engine.broadcast(configuration: Gateway.snapshot([Facts.open(origin.port)], revision: 2))
        let isOver = gateway.waitUntil {
            client.get(fields: field)?.text.contains("203.0.113.7") == false ? true : nil
        }
        #expect(isOver == true)
    }
}
