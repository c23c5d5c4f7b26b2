import Testing

@testable import HTTP

struct ResponseCase: Sendable, CustomTestStringConvertible {
    var clause: String
    var bytes: [UInt8]
    var method: HTTP.Method
    var expected: Seen
    var testDescription: String { clause }

    init(_ clause: String, _ text: String, _ head: String, answering method: HTTP.Method = .get) {
        self.clause = clause
        bytes = latin(text + "\r\n\r\n")
        self.method = method
        expected = .head(head)
    }

    init(_ clause: String, _ text: String, answering method: HTTP.Method = .get, refused: HeadError) {
        self.clause = clause
        bytes = latin(text + "\r\n\r\n")
        self.method = method
        expected = .refused(refused)
    }
}

@Suite("RFC 9112 response heads; each row whole, byte by byte and at every split")
struct ResponseHeadTests {
    static let statusLine: [ResponseCase] = [
        .init("§4 a status line", "HTTP/1.1 200 OK", "200 OK until-close close"),
        .init("§4 an empty reason phrase", "HTTP/1.1 404 ", "404  until-close close"),
        .init("§4 no reason phrase at all (lenient)", "HTTP/1.1 404", "404  until-close close"),
        .init("§4 a reason phrase above 0x7f", "HTTP/1.1 200 \u{e9}", "200 \u{e9} until-close close"),
        .init("§4 status 599", "HTTP/1.1 599 x", "599 x until-close close"),
        .init("§4 status 600", "HTTP/1.1 600 x", refused: .malformedStatusLine),
        .init("§4 status 099", "HTTP/1.1 099 x", refused: .malformedStatusLine),
        .init("§4 two digits", "HTTP/1.1 20 x", refused: .malformedStatusLine),
        .init("§4 four digits", "HTTP/1.1 2000 x", refused: .malformedStatusLine),
        .init("§4 two spaces", "HTTP/1.1  200 x", refused: .malformedStatusLine),
        .init("§2.3 HTTP/2", "HTTP/2.0 200 x", refused: .unsupportedVersion),
        .init("§2.3 another protocol", "ICY 200 OK", refused: .malformedVersion),
        .init("§2.2 an empty line before", "\r\nHTTP/1.1 200 OK", refused: .malformedVersion),
        .init("§2.2 bare LF", "HTTP/1.1 200 OK\nX: y", refused: .bareLineFeed),
        .init("§2.2 bare CR in the reason phrase", "HTTP/1.1 200 O\rK", refused: .bareCarriageReturn),
        .init("§4 a control in the reason phrase", "HTTP/1.1 200 O\0K", refused: .invalidFieldValue),
        .init("§5.2 obs-fold", "HTTP/1.1 200 OK\r\nX: y\r\n z", refused: .foldedLine),
        .init("§5.1 blank before the colon", "HTTP/1.1 200 OK\r\nX : y", refused: .whitespaceBeforeColon),
    ]

    static let framing: [ResponseCase] = [
        .init("§6.3-6 Content-Length", "HTTP/1.1 200 OK\r\nContent-Length: 3", "200 OK length=3"),
        .init("§6.3-4 chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED", "200 OK chunked"),
        .init("§6.3-8 until close", "HTTP/1.1 200 OK", "200 OK until-close close"),
        .init("§6.3-1 HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3", "200 OK none", answering: .head),
        .init(
            "§6.3-1 HEAD, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", "200 OK none",
            answering: .head),
        .init("§6.3-1 HEAD, nothing", "HTTP/1.1 200 OK", "200 OK none", answering: .head),
        .init("§6.3-1 204", "HTTP/1.1 204 x", "204 x none"),
        .init(
            "§6.3-1 204 with the length of nothing", "HTTP/1.1 204 x\r\nContent-Length: 0", "204 x none"),
        .init("§6.3-1 304 with a length", "HTTP/1.1 304 x\r\nContent-Length: 9", "304 x none"),
        .init("§6.3-1 100", "HTTP/1.1 100 x", "100 x none"),
        .init("§6.3-1 103", "HTTP/1.1 103 x\r\nLink: <a>", "103 x none"),
        .init("§6.3-1 101", "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket", "101 x none"),
        .init(
            "§6.1 204 with Transfer-Encoding", "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked",
            refused: .transferEncodingWithoutBody),
        .init(
            "§6.1 100 with Transfer-Encoding", "HTTP/1.1 100 x\r\nTransfer-Encoding: chunked",
            refused: .transferEncodingWithoutBody),
        .init(
            "RFC 9110 §8.6 101 with a length", "HTTP/1.1 101 x\r\nContent-Length: 5",
            refused: .invalidContentLength),
        .init(
            "§6.3-3 both", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
            refused: .contentLengthWithTransferEncoding),
        .init(
            "§6.3-3 both, answering HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked", answering: .head,
            refused: .contentLengthWithTransferEncoding),
        .init(
            "§6.3-5 two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3",
            refused: .multipleContentLength),
        .init("§6.3-5 a list", "HTTP/1.1 200 OK\r\nContent-Length: 3, 3", refused: .invalidContentLength),
        .init(
            "§6.1 another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
            refused: .unsupportedTransferCoding),
        .init(
            "§6.1 a list", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
            refused: .invalidTransferEncoding),
        .init(
            "§6.1 in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
            refused: .transferEncodingInOldVersion),
        .init("§9.3 HTTP/1.0 closes", "HTTP/1.0 200 OK\r\nContent-Length: 3", "200 OK length=3 close"),
        .init(
            "§9.3 HTTP/1.0 keep-alive", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: Keep-Alive",
            "200 OK length=3"),
        .init(
            "§9.6 close", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close", "200 OK length=3 close"
        ),
        .init(
            "ours: Connection names Set-Cookie", "HTTP/1.1 200 OK\r\nConnection: set-cookie",
            refused: .connectionNamesProtectedField),
    ]

    private func see(_ bytes: [UInt8], _ method: HTTP.Method, _ fields: inout FieldTable) -> Seen {
        switch ResponseHeadParser().parse(bytes.span, answering: method, into: &fields) {
        case .needMore: return .needMore
        case .refused(let error): return .refused(error)
        case .head(let head):
            var text = "\(head.status) " + latinText(Array(bytes[head.reasonPhrase.indices]))
            switch head.framing {
            case .none: text += " none"
            case .length(let length): text += " length=\(length)"
            case .chunked: text += " chunked"
            case .untilClose: text += " until-close"
            }
            return .head(head.keepsAlive ? text : text + " close")
        }
    }

    private func latinText(_ bytes: [UInt8]) -> String {
        var text = ""
        for byte in bytes { text.unicodeScalars.append(Unicode.Scalar(byte)) }
        return text
    }

    @Test("each row has its outcome however it is split", arguments: statusLine + framing)
    func outcome(_ row: ResponseCase) {
        var fields = FieldTable()
        #expect(see(row.bytes, row.method, &fields) == row.expected)
        #expect(see(row.bytes + [0, 10, 13], row.method, &fields) == row.expected, "with bytes behind")
        for split in 0..<row.bytes.count {
            let seen = see(Array(row.bytes[..<split]), row.method, &fields)
            #expect(seen == .needMore || seen == row.expected, "first \(split) bytes")
            if case .head = seen { Issue.record("a head out of \(split) bytes") }
        }
    }

    @Test("an interim response is not the final one")
    func interim() {
        var fields = FieldTable()
        for (status, expected) in [(100, true), (103, true), (101, false), (200, false)] {
            let bytes = headOf("HTTP/1.1 \(status) x")
            guard
                case .head(let head) = ResponseHeadParser().parse(bytes.span, answering: .get, into: &fields)
            else {
                Issue.record("refused \(status)")
                continue
            }
            #expect(head.isInterim == expected)
        }
    }
}
