import Access
import Border
import Testing

@testable import DataPlane

@Suite("Forwarded towards applications that want it")
struct ForwardedTests {
    private static let loopback = NetworkRange(base: NetworkAddress(v4: 0x7f00_0001), prefixLength: 128)

    private static func gateway(_ origin: TestOrigin, writes: Bool, trust: ClientAddressTrust? = nil) throws
        -> Gateway
    {
        var route = Facts.open(origin.port)
        route.writesForwarded = writes
        return try Gateway([route], addresses: trust)
    }

    private static func lines(_ text: String) -> [String] {
        text.lowercased().split(separator: "\r\n").filter { $0.hasPrefix("forwarded:") }.map(String.init)
    }

    @Test(arguments: [false, true])
    func `one line, made from the connection, whatever the client said`(_ writes: Bool) throws {
        let origin = TestOrigin.echo()
        let gateway = try Self.gateway(origin, writes: writes)
        let forged =
            "Forwarded: for=6.6.6.6;host=evil.test\r\nforwarded: for=7.7.7.7\r\nX-Forwarded-For: 8.8.8.8\r\n"
        let text = try #require(try gateway.client().get(fields: forged)).text
        #expect(
            Self.lines(text) == (writes ? ["forwarded: for=127.0.0.1;host=\"wiki.test\";proto=https"] : []))
        #expect(text.lowercased().contains("x-forwarded-for: 127.0.0.1\r\n"))
        let client = try HTTP2Client(gateway)
        let over = try #require(client.get(1, "/", [("forwarded", "for=6.6.6.6")])).text
        #expect(Self.lines(over) == Self.lines(text))
    }

    @Test func `a listed peer names the client in it, by a field or a header in front of the connection`()
        throws
    {
        let origin = TestOrigin.echo()
        let trust = ClientAddressTrust(forwardedFrom: [Self.loopback], field: .forwarded)
        let gateway = try Self.gateway(origin, writes: true, trust: trust)
        let named = "Forwarded: for=6.6.6.6, for=\"[2001:db8::7]:80\"\r\n"
        let text = try #require(try gateway.client().get(fields: named)).text
        #expect(
            Self.lines(text) == ["forwarded: for=\"[2001:db8:0:0:0:0:0:7]\";host=\"wiki.test\";proto=https"])
        let balanced = try Self.gateway(
            origin, writes: true, trust: ClientAddressTrust(proxyProtocolFrom: [Self.loopback]))
        let header = ProxyHeaderTests.header(ProxyHeaderTests.v4)
        let client = try #require(try TestClient(port: balanced.port, preamble: [header]))
        let other = try #require(client.get(fields: named)).text
        #expect(Self.lines(other) == ["forwarded: for=203.0.113.7;host=\"wiki.test\";proto=https"])
    }
}
