import Testing

@testable import HTTP

@Suite("Limits of a head: exactly at the bound is fine, one past is refused")
struct HeadLimitTests {
    private func see(_ limits: HeadLimits, _ bytes: [UInt8]) -> Seen {
        var bench = Bench(limits: limits)
        return bench.see(bytes)
    }

    @Test("a head of exactly the most bytes, and one more")
    func headBytes() {
        let bytes = headOf("GET / HTTP/1.1", "Host: a", "X: y")
        #expect(see(HeadLimits(headBytesMax: bytes.count), bytes) == .head("GET / a"))
        #expect(see(HeadLimits(headBytesMax: bytes.count), bytes + latin("body")) == .head("GET / a"))
        #expect(see(HeadLimits(headBytesMax: bytes.count - 1), bytes) == .refused(.headTooLarge))
    }

    @Test("an unfinished head is refused as soon as it cannot fit any more")
    func unfinishedHead() {
        let bytes = headOf("GET / HTTP/1.1", "Host: a", "X: y").dropLast(2)
        #expect(see(HeadLimits(headBytesMax: bytes.count + 1), Array(bytes)) == .needMore)
        #expect(see(HeadLimits(headBytesMax: bytes.count), Array(bytes)) == .refused(.headTooLarge))
    }

    @Test("an error before the bound wins over the bound, one behind it is never seen")
    func errorOrder() {
        let bad = latin("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n")
        let position = 28
        #expect(bad[position] == 0)
        #expect(see(HeadLimits(headBytesMax: position + 1), bad) == .refused(.invalidFieldValue))
        #expect(see(HeadLimits(headBytesMax: position), bad) == .refused(.headTooLarge))
    }

    @Test("a target of exactly the most bytes, and one more")
    func targetBytes() {
        let bytes = headOf("GET /abcdefghi HTTP/1.1", "Host: a")
        #expect(see(HeadLimits(targetBytesMax: 10), bytes) == .head("GET /abcdefghi a"))
        #expect(see(HeadLimits(targetBytesMax: 9), bytes) == .refused(.targetTooLong))
        #expect(see(HeadLimits(targetBytesMax: 9), latin("GET /abcdefgh")) == .needMore)
        #expect(see(HeadLimits(targetBytesMax: 9), latin("GET /abcdefghi")) == .refused(.targetTooLong))
    }

    @Test("a target that fills its bound and is rewritten fits the scratch together with the longest host")
    func scratchHoldsBoth() {
        let label = String(repeating: "A", count: 63)
        let host = "\(label).\(label).\(label).\(String(repeating: "A", count: 61))"
        let bytes = headOf("GET /%c3%a9%c3%a9 HTTP/1.1", "Host: \(host):65535")
        #expect(
            see(HeadLimits(targetBytesMax: 13), bytes)
                == .head("GET /%C3%A9%C3%A9 \(host.lowercased()):65535"))
        let tooLong = headOf("GET / HTTP/1.1", "Host: \(host)A")
        #expect(see(HeadLimits(), tooLong) == .refused(.invalidHost))
        #expect(see(HeadLimits(), headOf("GET / HTTP/1.1", "Host: \(label)A")) == .refused(.invalidHost))
    }

    @Test("exactly the most fields, and one more")
    func fieldCount() {
        let bytes = headOf("GET / HTTP/1.1", "Host: a", "X: 1", "Y: 2")
        #expect(see(HeadLimits(fieldsMax: 3), bytes) == .head("GET / a"))
        #expect(see(HeadLimits(fieldsMax: 2), bytes) == .refused(.tooManyFields))
        #expect(see(HeadLimits(fieldsMax: 2), latin("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n")) == .needMore)
        #expect(
            see(HeadLimits(fieldsMax: 2), latin("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY"))
                == .refused(.tooManyFields))
    }

    @Test("the same limits hold for responses")
    func responses() {
        let bytes = headOf("HTTP/1.1 200 OK", "X: 1", "Y: 2")
        func outcome(_ limits: HeadLimits) -> ResponseHeadOutcome {
            var fields = FieldTable(capacity: limits.fieldsMax)
            return ResponseHeadParser(limits: limits).parse(bytes.span, answering: .get, into: &fields)
        }
        guard case .head = outcome(HeadLimits(headBytesMax: bytes.count, fieldsMax: 2)) else {
            Issue.record("refused at the bound")
            return
        }
        #expect(outcome(HeadLimits(headBytesMax: bytes.count - 1)) == .refused(.headTooLarge))
        #expect(outcome(HeadLimits(fieldsMax: 1)) == .refused(.tooManyFields))
    }

    @Test("a field table smaller than the limits is a programmer's error")
    func smallTable() async {
        await #expect(processExitsWith: .failure) {
            var fields = FieldTable(capacity: 1)
            var scratch = CanonicalScratch()
            let bytes: [UInt8] = [71]
            _ = RequestHeadParser().parse(bytes.span, into: &fields, scratch: &scratch)
        }
    }
}

@Suite("The field table")
struct FieldTableTests {
    /// `#expect` cannot take apart an expression on a value that is not copyable.
    private func expect(_ isTrue: Bool, at location: SourceLocation = #_sourceLocation) {
        #expect(isTrue, sourceLocation: location)
    }

    @Test("every known name is recognised in any case, and only as a whole")
    func knownNames() {
        for known in KnownField.allCases where known != .other {
            let name = String(describing: known.name)
            for spelling in [name, name.uppercased()] {
                let bytes = latin(spelling)
                #expect(KnownField(classifying: bytes.span, bytes.indices) == known, "\(spelling)")
            }
            for near in [name + "x", "x" + name, name.dropLast() + "_", name.replacing("-", with: "_")]
            where near != name {
                let bytes = latin(String(near))
                #expect(KnownField(classifying: bytes.span, bytes.indices) == .other, "\(near)")
            }
        }
        let long = latin("h" + String(repeating: "o", count: 259))
        #expect(KnownField(classifying: long.span, long.indices) == .other)
    }

    @Test("values by name, the first and the only one")
    func values() {
        var bench = Bench()
        let bytes = headOf("GET / HTTP/1.1", "Host: a", "Accept: b", "accept: c", "X-Y:  d ")
        guard case .head = bench.parse(bytes) else {
            Issue.record("refused")
            return
        }
        func text(_ range: ByteRange?) -> String? {
            range.map { String(decoding: bytes[$0.indices], as: UTF8.self) }
        }
        expect(bench.fields.count == 4)
        expect(text(bench.fields.value(.accept)) == "b")
        expect(bench.fields.onlyValue(.accept) == nil)
        expect(bench.fields.isRepeated(.accept))
        expect(!bench.fields.isRepeated(.host))
        expect(text(bench.fields.onlyValue(.host)) == "a")
        expect(bench.fields.value(.origin) == nil)
        expect(text(bench.fields.value(named: "x-y", in: bytes.span)) == "d")
        expect(bench.fields.value(named: "x-z", in: bytes.span) == nil)
    }

    @Test("a parse forgets the head before")
    func reuse() {
        var bench = Bench()
        _ = bench.parse(headOf("GET / HTTP/1.1", "Host: a", "Accept: b", "Accept: c"))
        _ = bench.parse(headOf("GET / HTTP/1.1", "Host: a"))
        expect(bench.fields.count == 1)
        expect(!bench.fields.contains(.accept))
        expect(!bench.fields.isRepeated(.accept))
    }
}
