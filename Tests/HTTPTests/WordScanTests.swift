import Testing

@testable import HTTP

/// Each scan against the plainest loop, for every byte at every place of 0 to 40 bytes and for several ends.
@Suite("Scans by words and loops by bytes agree")
struct WordScanTests {
    private func plain(_ bytes: [UInt8], _ start: Int, _ end: Int, _ isIn: (UInt8) -> Bool) -> Int {
        var index = start
        while index < end, isIn(bytes[index]) { index += 1 }
        return index
    }

    /// - Parameter scan: the bytes, where to begin, where to end.
    private func compare(
        _ isIn: (UInt8) -> Bool, _ scan: ([UInt8], Int, Int) -> Int, filledWith filler: UInt8 = 0x61
    ) {
        for count in [0, 1, 7, 8, 9, 15, 16, 17, 23, 31, 32, 33, 40] {
            for position in 0..<count {
                for byte in UInt8.min...UInt8.max {
                    var bytes = [UInt8](repeating: filler, count: count)
                    bytes[position] = byte
                    for (start, end) in [
                        (0, count), (min(3, position), count), (0, position + 1), (0, position),
                        (0, position / 2),
                    ] {
                        let found = scan(bytes, start, end)
                        if found != plain(bytes, start, end, isIn) {
                            Issue.record("\(byte) at \(position) of \(count), \(start)..<\(end): \(found)")
                            return
                        }
                    }
                }
            }
            #expect(scan([UInt8](repeating: filler, count: count), 0, count) == count)
        }
    }

    @Test("value bytes: all but the controls, and DEL")
    func values() {
        compare({ $0 >= 0x20 && $0 != 0x7f }, { WordScan.valueRun($0.span, from: $1, to: $2) })
        compare(
            { $0 >= 0x20 && $0 != 0x7f }, { WordScan.valueRun($0.span, from: $1, to: $2) }, filledWith: 0xff)
    }

    @Test("token bytes")
    func tokens() {
        compare({ ByteClass.isToken($0) }, { WordScan.tokenRun($0.span, from: $1, to: $2) })
        compare({ ByteClass.isToken($0) }, { WordScan.tokenRun($0.span, from: $1, to: $2) }, filledWith: 0x2d)
    }

    @Test("target bytes: what is visible and not #")
    func targets() {
        compare({ $0 > 0x20 && $0 < 0x7f && $0 != 35 }, { WordScan.targetRun($0.span, from: $1, to: $2) })
    }

    @Test(
        "one byte, also when the next one of its kind stands behind the end",
        arguments: [0, 10, 59, 63, 0x80, 0xff])
    func find(_ stop: UInt8) {
        compare({ $0 != stop }, { WordScan.find(stop, $0.span, from: $1, to: $2) })
        compare({ $0 != stop }, { WordScan.find(stop, $0.span, from: $1, to: $2) }, filledWith: stop ^ 1)
    }

    @Test("a short token ends at the first space within eight bytes, and only there")
    func shortTokens() {
        for count in 0...12 {
            for space in 0...count {
                var bytes = [UInt8](repeating: 0xa0, count: count)
                if space < count { bytes[space] = 0x20 }
                let token = WordScan.shortToken(bytes.span, at: 0, to: count)
                let isFound = count >= 8 && space < min(count, 8)
                #expect((token != nil) == isFound, "space at \(space) of \(count)")
                if let token, isFound {
                    #expect(token.count == space)
                    #expect(token.word == WordScan.word(bytes.span, at: 0, count: space))
                }
            }
        }
    }

    @Test("a word holds its bytes and nothing behind them, at the end of the bytes too")
    func words() {
        let bytes = (1...20).map { UInt8($0) }
        for start in 0...20 {
            for count in 0...min(8, 20 - start) {
                var expected: UInt64 = 0
                for offset in 0..<count { expected |= UInt64(bytes[start + offset]) << UInt64(8 * offset) }
                #expect(
                    WordScan.word(bytes.span, at: start, count: count) == expected, "\(count) at \(start)")
            }
        }
    }
}
