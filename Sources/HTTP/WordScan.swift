import Glibc

/// Runs of allowed bytes, found eight and sixteen bytes at a time.
///
/// Each function answers the offset of the first byte in `start..<end` that is not in its class, or `end`.
/// The bounds are checked once per run; the loads behind that check are unchecked and never leave `bytes`.
///
/// Every sum stays under 256 in each byte of its word (`find` apart), so no carry reaches a neighbour and a
/// mark always belongs to the byte that it stands in.
enum WordScan {
    /// Field value bytes (RFC 9110 §5.5) but the tab: 0x20...0x7e and 0x80...0xff.
    @inline(__always)
    static func valueRun(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
        check(bytes, start, end)
        var index = start
        while end &- index >= 32 {
            let left = inValue(load2(bytes, index))
            let right = inValue(load2(bytes, index &+ 16))
            if isMarked(~(left & right) & twice(0x80)) {
                let odd = ~left & twice(0x80)
                return isMarked(odd) ? index &+ first(odd) : index &+ 16 &+ first(~right & twice(0x80))
            }
            index &+= 32
        }
        return shortValueRun(bytes, index, end)
    }

    /// Bit 0x80 of each byte of the class: 0x7f wraps to 0 and joins the controls, then one sum finds both.
    @inline(__always)
    private static func inValue(_ pair: SIMD2<UInt64>) -> SIMD2<UInt64> {
        ((((pair & twice(0x7f)) &+ twice(0x01)) & twice(0x7f)) &+ twice(0x5f)) | pair
    }

    /// The last bytes of what has arrived: seldom, so out of the way.
    @inline(never)
    private static func shortValueRun(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
        check(bytes, start, end)
        var index = start
        while index < end {
            let byte = bytes[unchecked: index]
            guard byte >= 0x20, byte != 0x7f else { return index }
            index &+= 1
        }
        return index
    }

    /// `tchar` (RFC 9110 §5.6.2). Letters, digits and "-" by words, the rarer ones one by one.
    static func tokenRun(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
        check(bytes, start, end)
        var index = start
        while index < end {
            index = plainRun(bytes, from: index, to: end)
            guard index < end, ByteClass.isToken(bytes[unchecked: index]) else { return index }
            index &+= 1
        }
        return index
    }

    /// Letters, digits and "-"; among the last fifteen bytes the run may end early, so the caller looks at
    /// what stops it.
    @inline(__always)
    static func plainRun(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
        check(bytes, start, end)
        var index = start
        while end &- index >= 16 {
            let odd = notPlain(load2(bytes, index))
            if isMarked(odd) { return index &+ first(odd) }
            index &+= 16
        }
        return index
    }

    /// What a request target is made of before its parts are looked at: 0x21...0x7e but "#".
    @inline(__always)
    static func targetRun(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
        check(bytes, start, end)
        var index = start
        while end &- index >= 16 {
            let pair = load2(bytes, index)
            let low = pair & twice(0x7f)
            let turned = (low &+ twice(0x01)) & twice(0x7f)
            let notHash = (low ^ twice(0x23)) &+ twice(0x7f)
            let odd = (~((turned &+ twice(0x5e)) & notHash) | pair) & twice(0x80)
            if isMarked(odd) { return index &+ first(odd) }
            index &+= 16
        }
        while index < end {
            let byte = bytes[unchecked: index]
            guard byte > 0x20, byte < 0x7f, byte != 0x23 else { return index }
            index &+= 1
        }
        return index
    }

    /// Every byte but `stop`. The last block may reach behind `end`, never behind the bytes.
    @inline(__always)
    static func find(_ stop: UInt8, _ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
        check(bytes, start, end)
        var index = start
        while index < end, bytes.count &- index >= 16 {
            let differing = load2(bytes, index) ^ twice(stop)
            // The lowest mark is the first equal byte: a borrow only marks bytes above a true one.
            let found = (differing &- twice(0x01)) & ~differing & twice(0x80)
            if isMarked(found) { return min(index &+ first(found), end) }
            index &+= 16
        }
        while index < end, bytes[unchecked: index] != stop { index &+= 1 }
        return min(index, end)
    }

    /// The token of at most seven bytes at `start` that a space ends, as `word` gives it; nil when it is
    /// longer or what has arrived is too short to tell.
    @inline(__always)
    static func shortToken(_ bytes: Span<UInt8>, at start: Int, to end: Int) -> (word: UInt64, count: Int)? {
        check(bytes, start, end)
        guard end &- start >= 8 else { return nil }
        let word = load(bytes, start)
        let differing = word ^ repeated(0x20)
        let found = (differing &- repeated(0x01)) & ~differing & repeated(0x80)
        guard found != 0 else { return nil }
        let count = first(found)
        return (word & ((1 &<< UInt64(8 &* count)) &- 1), count)
    }

    /// Whether all of `other` stands at `start`.
    @inline(__always)
    static func starts(_ bytes: Span<UInt8>, at start: Int, with other: Span<UInt8>) -> Bool {
        check(bytes, start, bytes.count)
        guard bytes.count &- start >= other.count else { return false }
        return bytes.withUnsafeBytes { one in
            other.withUnsafeBytes { other in
                guard let first = one.baseAddress, let second = other.baseAddress else {
                    return other.isEmpty
                }
                return memcmp(first + start, second, other.count) == 0
            }
        }
    }

    /// How many bytes at `start` equal those of `other`, from its first one on.
    @inline(__always)
    static func commonPrefix(_ bytes: Span<UInt8>, from start: Int, _ other: Span<UInt8>) -> Int {
        check(bytes, start, bytes.count)
        let count = min(bytes.count &- start, other.count)
        var index = 0
        while count &- index >= 32 {
            let left = load2(bytes, start &+ index) ^ load2(other, index)
            let right = load2(bytes, start &+ index &+ 16) ^ load2(other, index &+ 16)
            if isMarked(left | right) { break }
            index &+= 32
        }
        if count >= 16, count &- index < 32 {
            // The rest at once, when it is equal: the last bytes overlap those before.
            let middle = max(count &- 32, 0)
            let left = load2(bytes, start &+ middle) ^ load2(other, middle)
            let right = load2(bytes, start &+ count &- 16) ^ load2(other, count &- 16)
            if !isMarked(left | right) { return count }
        }
        while index < count, bytes[unchecked: start &+ index] == other[unchecked: index] { index &+= 1 }
        return index
    }

    /// Whether a byte in `start..<end` is one of A...Z.
    @inline(__always)
    static func hasUpperCase(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Bool {
        check(bytes, start, end)
        var index = start
        while end &- index >= 8 {
            if isUpperCase(load(bytes, index)) { return true }
            index &+= 8
        }
        return isUpperCase(word(bytes, at: index, count: end &- index))
    }

    @inline(__always)
    private static func isUpperCase(_ word: UInt64) -> Bool {
        let low = word & repeated(0x7f)
        let marks = (low &+ repeated(0x80 - 0x41)) & ~(low &+ repeated(0x80 - 0x5b)) & ~word
        return marks & repeated(0x80) != 0
    }

    /// `bytes[start..<(start + count)]` as one word, the first byte lowest, filled up with zeros.
    ///
    /// - Precondition: `count` is in 0...8 and the run lies in `bytes`.
    @inline(__always)
    static func word(_ bytes: Span<UInt8>, at start: Int, count: Int) -> UInt64 {
        precondition(count >= 0 && count <= 8, "\(count) bytes")
        check(bytes, start, start &+ count)
        guard count > 0, bytes.count &- start >= 8 else { return gathered(bytes, start, count) }
        return load(bytes, start) & (UInt64.max &>> UInt64(64 &- 8 &* count))
    }

    @inline(never)
    private static func gathered(_ bytes: Span<UInt8>, _ start: Int, _ count: Int) -> UInt64 {
        var word: UInt64 = 0
        for offset in 0..<count { word |= UInt64(bytes[start + offset]) << UInt64(8 * offset) }
        return word
    }

    /// Marks every byte that is neither a letter, a digit nor "-".
    @inline(__always)
    private static func notPlain(_ pair: SIMD2<UInt64>) -> SIMD2<UInt64> {
        let low = pair & twice(0x7f)
        let folded = low | twice(0x20)
        let isLetter = (folded &+ twice(0x80 - 0x61)) & ~(folded &+ twice(0x80 - 0x7b))
        let isDigit = (low &+ twice(0x80 - 0x30)) & ~(low &+ twice(0x80 - 0x3a))
        let notDash = (low ^ twice(0x2d)) &+ twice(0x7f)
        return ((~(isLetter | isDigit) & notDash) | pair) & twice(0x80)
    }

    @inline(__always)
    private static func check(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) {
        // Unsigned, so that one comparison refuses a negative start too.
        precondition(
            UInt(bitPattern: start) <= UInt(bitPattern: end) && end <= bytes.count, "run \(start)..<\(end)")
    }

    @inline(__always)
    private static func load(_ bytes: Span<UInt8>, _ index: Int) -> UInt64 {
        UInt64(
            littleEndian: bytes.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt64.self))
    }

    @inline(__always)
    private static func load2(_ bytes: Span<UInt8>, _ index: Int) -> SIMD2<UInt64> {
        bytes.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: SIMD2<UInt64>.self)
    }

    @inline(__always)
    private static func repeated(_ byte: UInt8) -> UInt64 { UInt64(byte) &* 0x0101_0101_0101_0101 }

    @inline(__always)
    private static func twice(_ byte: UInt8) -> SIMD2<UInt64> { SIMD2(repeating: repeated(byte)) }

    @inline(__always)
    private static func isMarked(_ marks: SIMD2<UInt64>) -> Bool {
        unsafeBitCast(marks, to: UInt128.self) != 0
    }

    /// The offset of the first marked byte in its word.
    @inline(__always)
    private static func first(_ marks: UInt64) -> Int { marks.trailingZeroBitCount &>> 3 }

    @inline(__always)
    private static func first(_ marks: SIMD2<UInt64>) -> Int {
        marks.x != 0 ? first(marks.x) : first(marks.y) &+ 8
    }
}
