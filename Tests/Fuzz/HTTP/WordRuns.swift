// libFuzzer target `word-runs`: scans by words and loops by bytes agree on any bytes between any two places.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzWordRuns(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 2 else { return 0 }
    let stop = start[0]
    let bytes = [UInt8](UnsafeBufferPointer(start: start + 1, count: count - 1))
    for from in [0, 1, Int(stop) % bytes.count] {
        for to in [bytes.count, bytes.count - 1, from + (bytes.count - from) / 2] where to >= from {
            func run(_ isIn: (UInt8) -> Bool) -> Int {
                var index = from
                while index < to, isIn(bytes[index]) { index += 1 }
                return index
            }
            let span = bytes.span
            precondition(WordScan.valueRun(span, from: from, to: to) == run { $0 >= 0x20 && $0 != 0x7f })
            precondition(WordScan.tokenRun(span, from: from, to: to) == run { ByteClass.isToken($0) })
            precondition(
                WordScan.targetRun(span, from: from, to: to) == run { $0 > 0x20 && $0 < 0x7f && $0 != 35 })
            precondition(min(WordScan.find(stop, span, from: from, to: to), to) == run { $0 != stop })
            precondition(
                WordScan.hasUpperCase(span, from: from, to: to)
                    == bytes[from..<to].contains { (65...90).contains($0) })
            let other = bytes.cut(from..<to)
            let shifted = bytes.cut(min(1, to)..<max(min(1, to), to))
            for pattern in [other, shifted] {
                let common = zip(bytes[from...], pattern).prefix { $0 == $1 }.count
                precondition(WordScan.commonPrefix(span, from: from, pattern.span) == common)
            }
        }
    }
    return 0
}
