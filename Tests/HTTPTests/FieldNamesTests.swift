import Testing

@testable import HTTP

@Suite("Fields that are taken out of a response")
struct FieldNamesTests {
    private func relayed(_ bytes: [UInt8], leavingOut names: [String]) -> String? {
        var fields = FieldTable()
        guard case .head(let head) = ResponseHeadParser().parse(bytes.span, answering: .get, into: &fields)
        else { return nil }
        let written = writeAll(capacity: 4_096) { output in
            ResponseWriter().begin(
                head, head: bytes.span, fields: fields, framing: .length(3), keepsAlive: true,
                leavingOut: FieldNames(names), into: &output)
            ResponseWriter.end(into: &output)
            return true
        }
        return written.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test("they go however they are spelled and however often they come, and nothing else goes")
    func leftOut() {
        let bytes = headOf(
            "HTTP/1.1 200 OK", "ETAG: 1", "Server: s", "etag:2", "X-ETag: 3", "ETag2: 4", "cache-CONTROL: a",
            "Date: d",
            "Content-Length: 3")
        let rest = "Server: s\r\nX-ETag: 3\r\nETag2: 4\r\n"
        #expect(
            relayed(bytes, leavingOut: ["ETag", "Cache-Control", "date"])
                == "HTTP/1.1 200 OK\r\n\(rest)Content-Length: 3\r\n\r\n")
        let all = "ETAG: 1\r\nServer: s\r\netag:2\r\nX-ETag: 3\r\nETag2: 4\r\ncache-CONTROL: a\r\nDate: d\r\n"
        for none in [[], ["ETa"], ["ETag "], ["Expires"]] {
            #expect(
                relayed(bytes, leavingOut: none) == "HTTP/1.1 200 OK\r\n\(all)Content-Length: 3\r\n\r\n",
                "\(none)")
        }
    }

    @Test("what never goes downstream does not come back, and framing stays the writer's")
    func always() {
        let bytes = headOf(
            "HTTP/1.0 200 Fine", "Set-Cookie: __Host-gatepost=x", "Gatepost-Reason: none",
            "Connection: x-own",
            "X-Own: 1", "A: 1", "Content-Length: 3")
        #expect(
            relayed(bytes, leavingOut: ["A", "Content-Length"])
                == "HTTP/1.1 200 Fine\r\nContent-Length: 3\r\n\r\n")
    }

    @Test(
        "a name that stands twice is known to, in any spelling",
        arguments: [
            ("A: 1\r\n", false), ("Content-Disposition: a\r\n", false),
            ("Content-Disposition: a\r\nX-Content-Disposition: b\r\n", false),
            ("Content-Disposition: a\r\nB: 1\r\ncontent-DISPOSITION: a\r\n", true),
        ])
    func repeated(_ lines: String, _ isRepeated: Bool) {
        let bytes = Array("HTTP/1.1 200 OK\r\n\(lines)\r\n".utf8)
        var fields = FieldTable()
        _ = ResponseHeadParser().parse(bytes.span, answering: .get, into: &fields)
        #expect(fields.isRepeated(named: "content-disposition", in: bytes.span) == isRepeated)
    }
}
