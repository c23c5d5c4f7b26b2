import Testing

@testable import HTTP

/// Two readers of upstream answers side by side: one remembers the head before, the other reads each for the first
/// time.
private struct Relays: ~Copyable {
    private let parser = ResponseHeadParser(limits: HeadLimits(headBytesMax: 8_192))
    private var fields = FieldTable()
    private var freshFields = FieldTable()
    private var memo = ResponseMemo()

    /// What is different; nil when nothing is.
    mutating func difference(
        _ bytes: [UInt8], answering method: HTTP.Method = .get, keepsAlive: Bool = true,
        framing: BodyFraming? = nil
    ) -> String? {
        let outcome = parser.parse(bytes.span, answering: method, into: &fields, memo: &memo)
        let expected = parser.parse(bytes.span, answering: method, into: &freshFields)
        guard outcome == expected else { return "\(outcome) instead of \(expected)" }
        guard case .head(let head) = expected else { return nil }
        guard fields.count == freshFields.count else { return "\(fields.count) lines" }
        for index in 0..<fields.count where fields[index] != freshFields[index] { return "line \(index)" }
        for known in KnownField.allCases
        where fields.contains(known) != freshFields.contains(known)
            || fields.isRepeated(known) != freshFields.isRepeated(known)
        {
            return "\(known.name)"
        }
        let framing = framing ?? head.framing
        let stays = keepsAlive && framing != .untilClose
        let wanted = writeAll(capacity: 16_384) { output in
            output.append("before ")
            ResponseWriter().begin(
                head, head: bytes.span, fields: freshFields, framing: framing, keepsAlive: stays,
                into: &output)
            return true
        }
        var written: [UInt8] = []
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 16_384, alignment: 1)
        defer { memory.deallocate() }
        var output = HeadOutput(memory)
        output.append("before ")
        ResponseWriter().begin(
            head, head: bytes.span, fields: fields, framing: framing, keepsAlive: stays, memo: &memo,
            into: &output)
        if !output.isOverflowed { written = [UInt8](memory[0..<output.count]) }
        return written == wanted ? nil : "written \(written.count) bytes"
    }

    /// Somebody else uses the table meanwhile.
    mutating func disturb(_ bytes: [UInt8]) { _ = parser.parse(bytes.span, answering: .get, into: &fields) }
}

@Suite("Answers that an upstream repeats")
struct ResponseMemoTests {
    private static let usual = headOf(
        "HTTP/1.1 200 OK", "Server: nginx", "Date: Sat, 21 Nov 2026 10:00:00 GMT", "Content-Type: text/html",
        "Content-Length: 5", "Connection: keep-alive", "Set-Cookie: __Host-gatepost=x", "X-Own:  1 ",
        "Gatepost-Request-Id: forged")

    @Test("the same head again is read and written as if for the first time, whatever body follows it")
    func again() {
        var relays = Relays()
        for body in ["hello", "", "other", "hello", "HTTP/1.1 500 No\r\n\r\n"] {
            #expect(relays.difference(Self.usual + latin(body)) == nil)
        }
    }

    @Test("one changed byte anywhere changes what a first reading of it would change, and leaves no trace")
    func everyByte() {
        var relays = Relays()
        for position in Self.usual.indices {
            for byte: UInt8 in [0, 9, 10, 13, 32, 48, 58, 65, 97, 255] {
                var changed = Self.usual
                changed[position] = byte
                for bytes in [Self.usual, Self.usual, changed, Self.usual] {
                    #expect(relays.difference(bytes) == nil, "byte \(byte) at \(position)")
                }
            }
        }
    }

    @Test("a remembered head that has not arrived in full is not taken for whole")
    func everySplit() {
        var relays = Relays()
        for end in Self.usual.indices {
            for bytes in [Self.usual, Self.usual, Array(Self.usual[..<end])] {
                #expect(relays.difference(bytes) == nil, "split at \(end)")
            }
        }
    }

    @Test("the answer to HEAD is not read as the same answer to GET, nor the other way round")
    func otherMethods() {
        var relays = Relays()
        for method in [HTTP.Method.get, .head, .head, .get, .get, .post, .head] {
            #expect(relays.difference(Self.usual, answering: method) == nil, "\(method)")
        }
    }

    @Test("another framing or the end of the connection is written, not what was written before")
    func otherFramings() {
        var relays = Relays()
        let framings: [BodyFraming] = [.length(5), .chunked, .length(6), .none, .untilClose]
        for round in 0..<3 {
            for framing in framings + framings.reversed() {
                for keepsAlive in [true, false, true] {
                    let difference = relays.difference(Self.usual, keepsAlive: keepsAlive, framing: framing)
                    #expect(difference == nil, "\(framing) \(keepsAlive) in round \(round)")
                }
            }
        }
    }

    @Test("a table that another head was read into meanwhile is read into anew")
    func disturbed() {
        var relays = Relays()
        let other = headOf("HTTP/1.1 404 Not Found", "Content-Length: 0", "X-Other: 1")
        let broken = latin("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
        for meanwhile in [other, broken, Array(other[..<9]), []] {
            for _ in 0..<3 { #expect(relays.difference(Self.usual) == nil) }
            relays.disturb(meanwhile)
            #expect(relays.difference(Self.usual) == nil)
        }
    }

    @Test(
        "heads of as many bytes as are remembered, and of one more, are read alike",
        arguments: [2_047, 2_048, 2_049])
    func longest(_ count: Int) {
        var relays = Relays()
        let start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Long: "
        let bytes = latin(start + String(repeating: "a", count: count - start.utf8.count - 4) + "\r\n\r\n")
        #expect(bytes.count == count)
        for _ in 0..<4 { #expect(relays.difference(bytes) == nil) }
        #expect(relays.difference(Self.usual) == nil)
    }

    @Test("interim heads, the answer behind them, and heads without fields follow one another")
    func inTurn() {
        var relays = Relays()
        let heads = [
            headOf("HTTP/1.1 103 Early Hints", "Link: </a>"), headOf("HTTP/1.1 200 OK", "Content-Length: 0"),
            headOf("HTTP/1.0 200"), headOf("HTTP/1.1 204 No Content"), headOf("HTTP/1.1 304 Not Modified"),
            headOf("HTTP/1.1 200 OK", "Content-Type: Text/Event-Stream; charset=utf-8"),
        ]
        for round in 0..<3 {
            for head in heads + heads.reversed() {
                #expect(relays.difference(head) == nil, "\(head.count) bytes in round \(round)")
            }
        }
    }

    @Test(
        "event streams are known by their type alone",
        arguments: [
            ("text/event-stream", true), ("TEXT/Event-Stream;x=1", true), ("text/event-strea", false),
            ("text/html", false), (" text/event-stream", true), ("x/text/event-stream", false),
        ])
    func eventStreams(_ type: String, _ isStream: Bool) throws {
        var fields = FieldTable()
        let bytes = headOf("HTTP/1.1 200 OK", "Content-Type: \(type)")
        guard
            case .head(let head) = ResponseHeadParser().parse(bytes.span, answering: .get, into: &fields)
        else {
            Issue.record("refused")
            return
        }
        #expect(head.isEventStream == isStream)
    }
}
