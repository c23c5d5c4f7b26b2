import Testing

@testable import HTTP

@Suite("Looking for one cookie in a head")
struct CookieTests {
    private func find(_ fields: String...) -> String? {
        var bench = Bench()
        let bytes = latin("GET / HTTP/1.1\r\nHost: a\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n")
        guard case .head = bench.parse(bytes) else { return "refused" }
        let isSame =
            bench.fields.sessionCookie == bench.fields.findCookie(named: "__Host-gatepost", in: bytes.span)
        #expect(isSame)
        switch bench.fields.findCookie(named: "__Host-gatepost", in: bytes.span) {
        case .absent: return nil
        case .ambiguous: return "ambiguous"
        case .value(let range): return "=" + String(decoding: bytes[range.indices], as: UTF8.self)
        }
    }

    @Test("found wherever it stands")
    func found() {
        #expect(find("Cookie: __Host-gatepost=v") == "=v")
        #expect(find("Cookie: a=1; __Host-gatepost=v; b=2") == "=v")
        #expect(find("Cookie: a=1;__Host-gatepost=v;b=2") == "=v")
        #expect(find("cookie: a=1", "COOKIE: __Host-gatepost=v") == "=v")
        #expect(find("Cookie: __Host-gatepost=") == "=")
        #expect(find("Cookie: __Host-gatepost=v=w") == "=v=w")
    }

    @Test("no other name is taken for it")
    func absent() {
        #expect(find() == nil)
        #expect(find("Cookie:") == nil)
        #expect(find("Cookie: __Host-gatepost") == nil)
        #expect(find("Cookie: __Host-gatepost2=v") == nil)
        #expect(find("Cookie: x__Host-gatepost=v") == nil)
        #expect(find("Cookie: __host-gatepost=v") == nil)
        #expect(find("Cookie: a=__Host-gatepost=v") == nil)
        #expect(find("Cookie: =__Host-gatepost=v") == nil)
        #expect(find("X-Cookie: __Host-gatepost=v") == nil)
    }

    @Test("twice is ambiguous, in one field or in two, equal or not")
    func ambiguous() {
        #expect(find("Cookie: __Host-gatepost=v; __Host-gatepost=w") == "ambiguous")
        #expect(find("Cookie: __Host-gatepost=v; a=1; __Host-gatepost=v") == "ambiguous")
        #expect(find("Cookie: __Host-gatepost=v", "Cookie: __Host-gatepost=w") == "ambiguous")
        #expect(find("Cookie: __Host-gatepost=v; __Host-gatepost =w") == "ambiguous")
    }
}

@Suite("traceparent (W3C Trace Context §3.2)")
struct TraceparentTests {
    static let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    private func parse(_ text: String) -> Traceparent? {
        let bytes = latin("x" + text + "y")
        return Traceparent(parsing: bytes.span, 1..<(bytes.count - 1))
    }

    @Test("a valid one is read and written back")
    func roundTrip() {
        let parsed = parse(Self.valid)
        #expect(
            parsed
                == Traceparent(
                    traceHigh: 0x0af7_6519_16cd_43dd, traceLow: 0x8448_eb21_1c80_319c,
                    parent: 0xb7ad_6b71_6920_3331, flags: 1))
        let written = writeAll(capacity: Traceparent.valueBytes) { output in
            parsed?.writeValue(into: &output)
            return true
        }
        #expect(written == latin(Self.valid))
    }

    @Test("anything else begins a new trace")
    func refused() {
        #expect(parse("") == nil)
        #expect(parse(String(Self.valid.dropLast())) == nil)
        #expect(parse(Self.valid + "-") == nil)
        #expect(parse(Self.valid.uppercased()) == nil)
        #expect(parse("01" + Self.valid.dropFirst(2)) == nil)
        #expect(parse("ff" + Self.valid.dropFirst(2)) == nil)
        #expect(parse(Self.valid.replacing("-", with: "_")) == nil)
        #expect(parse("00-00000000000000000000000000000000-b7ad6b7169203331-01") == nil)
        #expect(parse("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01") == nil)
        #expect(parse("00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01") == nil)
    }
}
