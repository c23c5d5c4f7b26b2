import Testing

@testable import HTTP

@Suite("Requests that two parsers would end at different places")
struct SmugglingTests {
    /// Spellings of Transfer-Encoding that some server takes for chunked and another does not.
    static let encodings = [
        "Transfer-Encoding: xchunked", "Transfer-Encoding : chunked", "Transfer-Encoding\t:chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "Transfer-Encoding:\u{b}chunked",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked", " Transfer-Encoding: chunked",
        "X: X\r\n Transfer-Encoding: chunked", "X: X\nTransfer-Encoding: chunked",
        "X: X\rTransfer-Encoding: chunked", "Transfer-Encoding\r\n: chunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'", "Transfer-Encoding: chunk", "Transfer-Encoding: CHUNKED, identity",
        "Transfer-Encoding: identity, chunked", "Transfer-Encoding: chunked;", "Transfer-Encoding: chunked\0",
        "Transfer-Encoding:\0chunked", "Transfer-Encoding: \u{ff}chunked", "Transfer-Encoding: ch\u{fc}nked",
        "Transfer-Encoding\0: chunked", "Transfer-Encoding\u{a0}: chunked",
        "Transfer-Encoding: chunked\u{a0}",
        "Transfer-Encoding:", "Transfer-Encoding: ,chunked", "Transfer-Encoding: chunked,,",
        "\0Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\n\tx", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 0\r\nTransfer-Encoding: chunked", "Content-Length: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length:", "Transfer-Encoding:chunked\r\ncontent-length: +5",
    ]

    /// The same for Content-Length.
    static let lengths = [
        "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5,6",
        "Content-Length: 5,5", "Content-Length : 5", "Content-Length: 5 \r\n 6", "Content-Length: +5",
        "Content-Length: -5", "Content-Length: 0x5", "Content-Length: 5x", "Content-Length: 5 6",
        "Content-Length: ",
        "Content-Length: 5e1", "Content-Length: 5.0", "Content-Length: \"5\"", "Content-Length: \u{b2}",
        "Content-Length: 5\0", "Content-Length: 5;a", "Content-Length\0: 5", " Content-Length: 5",
        "Content-Length",
        "Content-Length: 99999999999999999999", "Connection: content-length\r\nContent-Length: 5",
        "Content-Length: 5\rContent-Length: 6", "Content-Length: 5\nContent-Length: 6",
        "Content-Length:5\r\n\tX",
    ]

    @Test("an obfuscated Transfer-Encoding is refused, never interpreted", arguments: encodings)
    func transferEncoding(_ fields: String) {
        var bench = Bench()
        let seen = bench.see(latin("POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"))
        guard case .refused = seen else {
            Issue.record("\(seen)")
            return
        }
    }

    @Test("an obfuscated Content-Length is refused, never interpreted", arguments: lengths)
    func contentLength(_ fields: String) {
        var bench = Bench()
        let seen = bench.see(latin("POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\nabcde"))
        guard case .refused = seen else {
            Issue.record("\(seen)")
            return
        }
    }

    @Test("a name that only looks like a framing field does not frame, here or at a server that folds names")
    func otherNames() {
        var bench = Bench()
        let names = [
            "Transfer_Encoding", "TransferEncoding", "Transfer-Encodin_g", "Content_Length", "ContentLength",
            "HO_ST", "Keep_Alive", "TE_", "Ex-pect",
        ]
        for name in names {
            let bytes = headOf("POST / HTTP/1.1", "Host: a", "\(name): chunked", "A: 1")
            guard case .head(let request) = bench.parse(bytes) else {
                Issue.record("refused \(name)")
                continue
            }
            #expect(request.framing == .none)
            #expect(bench.written(request, bytes) == headOf("POST / HTTP/1.1", "Host: a", "A: 1"), "\(name)")
        }
    }

    @Test(
        "the same obfuscations in a response are refused: one person's answer must not reach another",
        arguments: encodings + lengths)
    func responses(_ fields: String) {
        var table = FieldTable()
        let bytes = latin("HTTP/1.1 200 OK\r\n\(fields)\r\n\r\n")
        let outcome = ResponseHeadParser().parse(bytes.span, answering: .get, into: &table)
        guard case .refused = outcome else {
            Issue.record("\(outcome)")
            return
        }
    }

    @Test("the second request behind a first one with a body begins exactly behind that body")
    func pipelining() {
        var bench = Bench()
        let second = headOf("GET /2 HTTP/1.1", "Host: a")
        let first = headOf("POST /1 HTTP/1.1", "Host: a", "Content-Length: 4")
        let bytes = first + latin("\r\n\r\n") + second
        guard case .head(let request) = bench.parse(bytes) else {
            Issue.record("refused")
            return
        }
        #expect(request.headBytes == first.count && request.framing == .length(4))
        #expect(bench.see(Array(bytes[(request.headBytes + 4)...])) == .head("GET /2 a"))
    }
}
