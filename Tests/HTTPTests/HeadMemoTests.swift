import Testing

@testable import HTTP

/// Two parsers side by side: one remembers the heads of its connection, the other reads each for the first
/// time.
private struct Pair: ~Copyable {
    private var remembering: Bench
    private var fresh: Bench
    private let storage: UnsafeMutableRawPointer
    let memo: HeadMemo

    init(limits: HeadLimits = HeadLimits()) {
        remembering = Bench(limits: limits)
        fresh = Bench(limits: limits)
        storage = .allocate(byteCount: HeadMemo.storageBytes, alignment: 16)
        memo = HeadMemo(storage)
    }

    deinit { storage.deallocate() }

    /// What is different; nil when nothing is.
    mutating func difference(_ bytes: [UInt8]) -> String? {
        let outcome = remembering.parser.parse(
            bytes.span, into: &remembering.fields, scratch: &remembering.scratch, memo: memo)
        let expected = fresh.parse(bytes)
        guard outcome == expected else { return "\(outcome) instead of \(expected)" }
        guard case .head(let request) = outcome else { return nil }
        guard remembering.fields.count == fresh.fields.count else {
            return "\(remembering.fields.count) lines"
        }
        for index in 0..<fresh.fields.count where remembering.fields[index] != fresh.fields[index] {
            return "line \(index): \(remembering.fields[index])"
        }
        for known in KnownField.allCases
        where remembering.fields.contains(known) != fresh.fields.contains(known)
            || remembering.fields.isRepeated(known) != fresh.fields.isRepeated(known)
        {
            return "\(known.name)"
        }
        let cookie = fresh.fields.findCookie(named: "__Host-gatepost", in: bytes.span)
        guard remembering.fields.sessionCookie == cookie, fresh.fields.sessionCookie == cookie else {
            return "cookie \(remembering.fields.sessionCookie) instead of \(cookie)"
        }
        let written = remembering.written(request, bytes)
        return written == fresh.written(request, bytes) ? nil : "written otherwise"
    }
}

@Suite("Lines that a connection repeats")
struct HeadMemoTests {
    private static let usual = headOf(
        "GET /bench?page=1 HTTP/1.1", "Host: wiki.localhost:9643",
        "Cookie: a=1; __Host-gatepost=secret; theme=dark", "User-Agent: Mozilla/5.0 (X11; Linux x86_64)",
        "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "Accept-Language: en",
        "Upgrade-Insecure-Requests: 1", "X-Own: 1")

    @Test("the same head again, and at another offset, is read as if for the first time")
    func again() {
        var pair = Pair()
        let lines = Self.usual.drop { $0 != 10 }.dropFirst()
        for start in ["GET /bench?page=1", "GET /", "POST /a/longer/path/than/before", "GET /bench?page=1"] {
            for _ in 0..<3 {
                let difference = pair.difference(latin("\(start) HTTP/1.1\r\n") + lines)
                #expect(difference == nil)
            }
        }
    }

    @Test("one changed byte anywhere changes what a first reading of it would change, and leaves no trace")
    func everyByte() {
        var pair = Pair()
        for position in Self.usual.indices {
            for byte: UInt8 in [0, 9, 10, 13, 32, 58, 59, 61, 65, 97, 127, 255] {
                var changed = Self.usual
                changed[position] = byte
                for bytes in [Self.usual, changed, Self.usual] {
                    let difference = pair.difference(bytes)
                    #expect(difference == nil, "byte \(byte) at \(position)")
                }
            }
        }
    }

    @Test("a remembered head that has not arrived in full is not taken for whole")
    func everySplit() {
        var pair = Pair()
        for end in Self.usual.indices {
            for bytes in [Self.usual, Array(Self.usual[..<end])] {
                let difference = pair.difference(bytes)
                #expect(difference == nil, "split at \(end)")
            }
        }
    }

    @Test("random lines, repeated, dropped, doubled and swapped, with random cookies")
    func randomHeads() {
        var random = SeededGenerator(seed: Seeds.base)
        let known = [
            "Host: a.b:443", "Host: A.b", "Host: a:0443", "Accept: */*", "accept-language: de",
            "Content-Length: 5",
            "Connection: accept-language", "Connection: keep-alive", "Transfer-Encoding: chunked",
            "X-Own:\t1 ",
            "Cookie: a=1; __Host-gatepost=s; b=2", "Cookie: __Host-gatepost=s", "Cookie: __host-gatepost=s;",
            "Cookie: ;; a", "Cookie: __Host-gatepost=s; =__Host-gatepost; __Host-gatepost=t",
            "Gatepost-Hop: 1",
            "X-Forwarded-For: 1", "Expect: 100-continue", "Bad Name: 1", "traceparent: x", "Sec-CH-UA: y",
        ]
        for _ in 0..<200 {
            var pair = Pair(limits: HeadLimits(fieldsMax: 8))
            var lines = ["Host: a"]
            for _ in 0..<20 {
                let at = Int.random(in: 0...lines.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: lines.insert(known.randomElement(using: &random) ?? "A: 1", at: at)
                case 1: if at < lines.count { lines.remove(at: at) }
                case 2: lines.shuffle(using: &random)
                default: break
                }
                let path = ["/", "/a", "/a?b"].randomElement(using: &random) ?? "/"
                let bytes = latin("GET \(path) HTTP/1.1\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n")
                let difference = pair.difference(bytes)
                #expect(difference == nil, "\(lines)")
            }
        }
    }

    @Test("the bound on lines holds for repeated ones: exactly at it, and one past it")
    func lineBound() {
        var pair = Pair(limits: HeadLimits(fieldsMax: 3))
        let three = headOf("GET / HTTP/1.1", "Host: a", "A: 1", "B: 1")
        let four = headOf("GET / HTTP/1.1", "Host: a", "A: 1", "B: 1", "C: 1")
        for bytes in [three, four, three, four] {
            let difference = pair.difference(bytes)
            #expect(difference == nil)
        }
    }

    @Test(
        "heads with more bytes or lines than are remembered are read like the others",
        arguments: [1, 40, 400])
    func tooMuch(_ count: Int) {
        var pair = Pair()
        let long = headOf("GET / HTTP/1.1", "Host: a", "A: " + String(repeating: "x", count: 50 * count))
        let many = latin(
            "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "A: 1\r\n", count: count / 5) + "\r\n")
        for bytes in [Self.usual, long, long, many, many, Self.usual] {
            let difference = pair.difference(bytes)
            #expect(difference == nil)
        }
    }
}
