/// Classes of bytes as 128-bit masks in two words: no table in memory, no lazy global, no branch per byte.
enum ByteClass {
    @inline(__always)
    private static func contains(_ low: UInt64, _ high: UInt64, _ byte: UInt8) -> Bool {
        guard byte < 128 else { return false }
        return (byte < 64 ? low : high) >> UInt64(byte & 63) & 1 != 0
    }

    /// Letters in both cases: what names and paths mostly are, tested first because it is cheapest.
    @inline(__always)
    static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 97 < 26 }

    /// `tchar` (RFC 9110 §5.6.2).
    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        contains(0x03ff_6cfa_0000_0000, 0x57ff_ffff_c7ff_fffe, byte)
    }

    /// `unreserved` (RFC 3986 §2.3).
    @inline(__always)
    static func isUnreserved(_ byte: UInt8) -> Bool {
        contains(0x03ff_6000_0000_0000, 0x47ff_fffe_87ff_fffe, byte)
    }

    /// Path bytes that never need a second look: `pchar` without "." ";" "%", and `[ ] ^ |`, which browsers
    /// send unescaped although RFC 3986 does not list them.
    @inline(__always)
    static func isPlainInPath(_ byte: UInt8) -> Bool {
        contains(0x27ff_3fd2_0000_0000, 0x57ff_fffe_efff_ffff, byte)
    }

    /// Letters, digits, "-", "." and "_": the host names that we route.
    @inline(__always)
    static func isHostName(_ byte: UInt8) -> Bool {
        contains(0x03ff_6000_0000_0000, 0x07ff_fffe_87ff_fffe, byte)
    }

    /// What stands between the brackets of an IPv6 address.
    @inline(__always)
    static func isInBrackets(_ byte: UInt8) -> Bool {
        contains(0x07ff_4000_0000_0000, 0x0000_007e_0000_007e, byte)
    }

    @inline(__always)
    static func isAlphanumeric(_ byte: UInt8) -> Bool {
        contains(0x03ff_0000_0000_0000, 0x07ff_fffe_07ff_fffe, byte)
    }

    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }

    /// Field value bytes (RFC 9110 §5.5): everything but controls; a horizontal tab is allowed.
    @inline(__always)
    static func isFieldValue(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7f || byte == 9 }

    /// Space or horizontal tab.
    @inline(__always)
    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 9 }

    /// The value of a hexadecimal digit, nil for other bytes.
    @inline(__always)
    static func hexValue(_ byte: UInt8) -> UInt8? {
        if byte &- 48 < 10 { return byte &- 48 }
        let letter = lowered(byte)
        return letter &- 97 < 6 ? letter &- 87 : nil
    }

    /// ASCII upper case to lower case; other bytes unchanged.
    @inline(__always)
    static func lowered(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 0x20 : byte }

    /// Whether `bytes[range]` is exactly `expected`.
    static func equal(_ bytes: Span<UInt8>, _ range: Range<Int>, _ expected: Span<UInt8>) -> Bool {
        guard range.count == expected.count else { return false }
        for index in 0..<expected.count where bytes[range.lowerBound + index] != expected[index] {
            return false
        }
        return true
    }

    /// Whether `bytes[range]` equals `name` when ASCII case is ignored; as `startsFolded`.
    static func equalFolded(_ bytes: Span<UInt8>, _ range: Range<Int>, _ name: StaticString) -> Bool {
        range.count == name.utf8CodeUnitCount && startsFolded(bytes, range, name)
    }

    /// Whether `bytes[range]` begins with `prefix` when ASCII case is ignored.
    ///
    /// - Precondition: `prefix` is lower case: letters, digits, `-`, `_`, `:` and `/` only; there are neither
    ///   controls nor DEL in `bytes[range]`. Then setting one bit folds case and makes no two different bytes
    ///   equal.
    static func startsFolded(_ bytes: Span<UInt8>, _ range: Range<Int>, _ prefix: StaticString) -> Bool {
        let count = prefix.utf8CodeUnitCount
        guard range.count >= count else { return false }
        let expected = UnsafeRawBufferPointer(start: prefix.utf8Start, count: count)
        let raw = bytes.bytes
        var offset = 0
        while offset + 8 <= count {
            let found = raw.unsafeLoadUnaligned(fromByteOffset: range.lowerBound + offset, as: UInt64.self)
            let wanted = expected.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            guard (found ^ wanted) & ~0x2020_2020_2020_2020 == 0 else { return false }
            offset += 8
        }
        while offset < count {
            guard (bytes[range.lowerBound + offset] ^ expected[offset]) & ~0x20 == 0 else { return false }
            offset += 1
        }
        return true
    }

    /// Whether two runs of `bytes` are equal when ASCII case is ignored.
    static func equalFolded(_ bytes: Span<UInt8>, _ left: Range<Int>, _ right: Range<Int>) -> Bool {
        guard left.count == right.count else { return false }
        for index in 0..<left.count
        where lowered(bytes[left.lowerBound + index]) != lowered(bytes[right.lowerBound + index]) {
            return false
        }
        return true
    }

    /// `range` without blanks at both ends.
    static func trimmed(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
        var low = range.lowerBound
        var high = range.upperBound
        while low < high, isBlank(bytes[low]) { low += 1 }
        while high > low, isBlank(bytes[high - 1]) { high -= 1 }
        return low..<high
    }

    /// The offset of the first `byte` in `range`, or the range's end.
    static func find(_ byte: UInt8, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
        let raw = bytes.bytes
        let pattern = UInt64(byte) &* 0x0101_0101_0101_0101
        var index = range.lowerBound
        while index + 8 <= range.upperBound {
            let word = UInt64(littleEndian: raw.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
            let differing = word ^ pattern
            // The lowest set bit marks the first zero byte of `differing`; a borrow only marks bytes above
            // it.
            let found = (differing &- 0x0101_0101_0101_0101) & ~differing & 0x8080_8080_8080_8080
            if found != 0 { return index + (found.trailingZeroBitCount >> 3) }
            index += 8
        }
        while index < range.upperBound, bytes[index] != byte { index += 1 }
        return index
    }
}
