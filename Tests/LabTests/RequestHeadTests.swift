import Testing

@testable import gatepost_lab

@Suite("The lab's own reading of requests")
struct RequestHeadTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var head: String
        var status: Int?
    }

    static let rows: [Row] = [
        Row(testDescription: "a plain request", head: "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"),
        Row(testDescription: "RFC 9112 3.2 no Host", head: "GET / HTTP/1.1\r\n\r\n", status: 400),
        Row(
            testDescription: "RFC 9112 3.2 two Hosts", head: "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            status: 400),
        Row(
            testDescription: "an absolute target", head: "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
            status: 400),
        Row(testDescription: "HTTP/1.0", head: "GET / HTTP/1.0\r\nHost: x\r\n\r\n", status: 505),
        Row(testDescription: "two spaces", head: "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", status: 400),
        Row(
            testDescription: "RFC 9112 5.1 a space before the colon",
            head: "GET / HTTP/1.1\r\nHost : x\r\n\r\n", status: 400),
        Row(
            testDescription: "RFC 9112 5.2 a folded field", head: "GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n",
            status: 400),
        Row(testDescription: "a bare LF", head: "GET / HTTP/1.1\nHost: x\r\n\r\n", status: 400),
        Row(testDescription: "a bare CR", head: "GET / HTTP/1.1\r\nHost: x\ry\r\n\r\n", status: 400),
        Row(
            testDescription: "RFC 9112 6.1 length and chunked",
            head: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            status: 400),
        Row(
            testDescription: "RFC 9112 6.3 two lengths",
            head: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            status: 400),
        Row(
            testDescription: "a signed length",
            head: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
            status: 400),
        Row(
            testDescription: "a coding besides chunked",
            head: "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", status: 400),
        Row(testDescription: "100 fields", head: head(fields: 99)),
        Row(testDescription: "101 fields", head: head(fields: 100), status: 431),
    ]

    static func head(fields: Int) -> String {
        "GET / HTTP/1.1\r\nHost: x\r\n" + String(repeating: "A: b\r\n", count: fields) + "\r\n"
    }

    @Test("what is ambiguous is refused", arguments: rows)
    func read(_ row: Row) {
        do throws(HeadRefusal) {
            _ = try RequestHead(parsing: Array(row.head.utf8))
            #expect(row.status == nil)
        } catch {
            #expect(error.status == row.status)
        }
    }

    @Test(
        "parameters are decoded strictly",
        arguments: [
            ("a=b&c=%20+", 2), ("", 0), ("a=%2", nil), ("a=%zz", nil), ("a=%ff", nil), ("a=1&a=2", nil),
            ("a=1&%61=2", nil),
        ] as [(String, Int?)])
    func parameters(_ text: String, _ count: Int?) {
        #expect(Parameters(parsing: text)?.pairs.count == count)
    }

    @Test("the count of parameters is bounded", arguments: [64, 65])
    func parameterCount(_ count: Int) {
        let text = (0..<count).map { "a\($0)=1" }.joined(separator: "&")
        #expect((Parameters(parsing: text) != nil) == (count <= 64))
    }

    @Test("whatever is encoded decodes to itself, for 200 seeds")
    func roundTrip() {
        for seed in 1...200 as ClosedRange<UInt64> {
            var state = seed
            let scalars = (0..<20).compactMap { _ -> UnicodeScalar? in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UnicodeScalar(UInt32(state >> 40) % 0x3000)
            }
            let text = String(String.UnicodeScalarView(scalars))
            let decoded = Parameters.decode(Parameters.encode(text))
            #expect(decoded.map { Array($0.utf8) } == Array(text.utf8), "seed \(seed)")
        }
    }
}
