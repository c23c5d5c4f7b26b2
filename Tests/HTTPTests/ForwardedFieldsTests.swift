import Testing

@testable import HTTP

@Suite("Forwarded (RFC 7239) as the gateway writes it")
struct ForwardedFieldsTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let client: String
        let host: String
        let isSecure: Bool
        let line: String
    }

    static let rows: [Row] = [
        Row(
            testDescription: "§4 IPv4", client: "192.0.2.43", host: "wiki.test", isSecure: true,
            line: "Forwarded: for=192.0.2.43;host=\"wiki.test\";proto=https\r\n"),
        Row(
            testDescription: "§6 IPv6 in brackets and quotes", client: "2001:db8::1", host: "wiki.test",
            isSecure: true, line: "Forwarded: for=\"[2001:db8::1]\";host=\"wiki.test\";proto=https\r\n"),
        Row(
            testDescription: "§5.3 a host with a port", client: "192.0.2.43", host: "WIKI.test:8443",
            isSecure: false, line: "Forwarded: for=192.0.2.43;host=\"wiki.test:8443\";proto=http\r\n"),
        Row(
            testDescription: "§5.3 a host in brackets, the longest address",
            client: "2001:0db8:0000:0000:0000:0000:0000:0001", host: "[::1]:80", isSecure: true,
            line:
                "Forwarded: for=\"[2001:0db8:0000:0000:0000:0000:0000:0001]\";host=\"[::1]:80\";proto=https\r\n"
        ),
    ]

    @Test(arguments: rows)
    func `client, host and protocol, each quoted where it is no token`(_ row: Row) throws {
        var bench = Bench()
        let bytes = latin("GET / HTTP/1.1\r\nHost: \(row.host)\r\n\r\n")
        guard case .head(let request) = bench.parse(bytes) else {
            Issue.record("no head")
            return
        }
        let fields = ForwardedFields(client: latin(row.client).span, isSecure: row.isSecure)
        let written = writeAll(capacity: 256) { output in
            fields.writeStandard(request, head: bytes.span, scratch: bench.scratch, into: &output)
            return true
        }
        #expect(written.map { String(decoding: $0, as: UTF8.self) } == row.line)
    }
}
