import Testing

@testable import HTTP

@Suite("What is written byte for byte")
struct OutputTests {
    @Test("a number in decimal is what it is, and fits exactly or not at all")
    func decimal() {
        var numbers: [Int64] = [
            0, 1, 9, 10, 99, 100, 65_535, 99_999_999, 100_000_000, 100_000_001, Int64.max,
        ]
        for seed in Seeds.of(500) {
            var random = SeededGenerator(seed: seed)
            numbers.append(Int64(random.next() >> UInt64.random(in: 1...63, using: &random)))
        }
        for number in numbers {
            let text = latin("\(number)")
            for spare in [0, 1, 7, 8, 30] {
                let written = writeAll(capacity: text.count + spare) { output in
                    output.append(decimal: number)
                    return true
                }
                #expect(written == text, "\(number)")
            }
            let short = writeAll(capacity: text.count - 1) { output in
                output.append(decimal: number)
                return true
            }
            #expect(short == nil, "\(number)")
        }
    }

    @Test("a number in hexadecimal has exactly its digits")
    func hexadecimal() {
        for seed in Seeds.of(500) {
            var random = SeededGenerator(seed: seed)
            let number = random.next() >> UInt64.random(in: 0...63, using: &random)
            let all =
                String(repeating: "0", count: number.leadingZeroBitCount / 4) + String(number, radix: 16)
            for digits in 1...16 {
                let written = writeAll(capacity: digits) { output in
                    output.append(hexadecimal: number, digits: digits)
                    return true
                }
                #expect(
                    written == latin(String(("0000" + all).suffix(digits))), "\(number), \(digits) digits")
            }
        }
    }

    @Test("a traceparent that was written parses to itself, alone and as a line")
    func traceparent() {
        for seed in Seeds.of(300) {
            var random = SeededGenerator(seed: seed)
            let trace = Traceparent(
                traceHigh: random.next(), traceLow: random.next(), parent: random.next() | 1,
                flags: UInt8.random(in: 0...255, using: &random))
            let value = writeAll(capacity: Traceparent.valueBytes) { output in
                trace.writeValue(into: &output)
                return true
            }
            guard let value else {
                Issue.record("seed \(seed): no room")
                continue
            }
            #expect(Traceparent(parsing: value.span, value.indices) == trace, "seed \(seed)")
            let line = latin("traceparent: ") + value + latin("\r\n")
            for capacity in [line.count - 1, line.count] {
                let written = writeAll(capacity: capacity) { output in
                    trace.writeLine(into: &output)
                    return true
                }
                #expect(written == (capacity == line.count ? line : nil), "seed \(seed)")
            }
        }
    }

    @Test("after something did not fit, nothing fits, not even nothing")
    func overflowStays() {
        let written = writeAll(capacity: 3) { output in
            output.append("abcd")
            output.append("")
            output.append(0x61)
            #expect(output.isOverflowed && output.count == 0)
            return true
        }
        #expect(written == nil)
    }

    /// Splitting at ";" as plainly as it can be done.
    private func others(_ value: String) -> String? {
        var pairs = value.split(separator: ";", omittingEmptySubsequences: false).map(String.init)
        if pairs.last == "" { pairs.removeLast() }
        let kept = pairs.filter { pair in
            let name = pair.drop { $0 == " " || $0 == "\t" || $0 == "=" }.prefix(15)
            return name.lowercased() != "__host-gatepost"
        }
        if kept.count == pairs.count { return value }
        return kept.isEmpty ? nil : String(kept.joined(separator: ";").drop { $0 == " " || $0 == "\t" })
    }

    @Test("of any cookie line exactly our pairs disappear, whatever stands between the semicolons")
    func cookies() {
        let pieces = [
            ";", "; ", "a=1", "__Host-gatepost=x", "__host-GATEPOST-login=y", "=", "b", "\t", "c=__Host-",
        ]
        var bench = Bench()
        for seed in Seeds.of(6_000) {
            var random = SeededGenerator(seed: seed)
            var value = "t"
            for _ in 0..<Int.random(in: 0...9, using: &random) {
                value += pieces[Int.random(in: 0..<pieces.count, using: &random)]
            }
            value += String(repeating: "z", count: Int.random(in: 0...20, using: &random)) + "u"
            if Bool.random(using: &random) { value.removeFirst() }
            if Bool.random(using: &random) { value += pieces[Int.random(in: 0...4, using: &random)] + ";" }
            let trimmed = String(value.drop { $0 == " " || $0 == "\t" })
            let bytes = headOf("GET / HTTP/1.1", "Host: a", "Cookie: " + trimmed)
            guard case .head(let request) = bench.parse(bytes) else {
                Issue.record("seed \(seed): \(value)")
                continue
            }
            let expected =
                others(trimmed).map { headOf("GET / HTTP/1.1", "Host: a", "Cookie: " + $0) }
                ?? headOf("GET / HTTP/1.1", "Host: a")
            let written = bench.written(request, bytes).map { String(decoding: $0, as: UTF8.self) }
            #expect(written == String(decoding: expected, as: UTF8.self), "seed \(seed): \(trimmed)")
        }
    }
}
