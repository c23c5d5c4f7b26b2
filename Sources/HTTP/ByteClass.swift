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
    @inline(__always)
    static func equalFolded(_ bytes: Span<UInt8>, _ range: Range<Int>, _ name: StaticString) -> Bool {
        range.count == name.utf8CodeUnitCount && startsFolded(bytes, range, name)
    }

    /// Whether `bytes[range]` begins with `prefix` when ASCII case is ignored. Exact for every byte: case is
    /// folded only where `prefix` has a letter.
    ///
    /// Inlined with a literal, the comparison is one load and one constant for each eight bytes; the last
    /// eight overlap those before.
    ///
    /// - Precondition: `prefix` is lower case: letters, digits, `-`, `_`, `:` and `/` only.
    @inline(__always)
    static func startsFolded(_ bytes: Span<UInt8>, _ range: Range<Int>, _ prefix: StaticString) -> Bool {
        let count = prefix.utf8CodeUnitCount
        guard range.upperBound &- range.lowerBound >= count else { return false }
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "range \(range)")
        if count >= 8 {
            var offset = 0
            while offset &+ 8 <= count {
                guard isEqual(bytes, range.lowerBound, prefix, offset, UInt64.self) else { return false }
                offset &+= 8
            }
            return count & 7 == 0 || isEqual(bytes, range.lowerBound, prefix, count &- 8, UInt64.self)
        }
        if count >= 4 {
            return isEqual(bytes, range.lowerBound, prefix, 0, UInt32.self)
                && isEqual(bytes, range.lowerBound, prefix, count &- 4, UInt32.self)
        }
        for offset in 0..<count where !isEqual(bytes, range.lowerBound, prefix, offset, UInt8.self) {
            return false
        }
        return true
    }

    /// Whether `bytes[range]` begins with `prefix`, byte for byte.
    static func starts(_ bytes: Span<UInt8>, _ range: Range<Int>, _ prefix: StaticString) -> Bool {
        let count = prefix.utf8CodeUnitCount
        guard range.upperBound &- range.lowerBound >= count else { return false }
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "range \(range)")
        let wanted = UnsafeRawPointer(prefix.utf8Start)
        var offset = 0
        while count &- offset >= 8 {
            let found = bytes.bytes.unsafeLoadUnaligned(
                fromUncheckedByteOffset: range.lowerBound &+ offset, as: UInt64.self)
            guard found == wanted.loadUnaligned(fromByteOffset: offset, as: UInt64.self) else { return false }
            offset &+= 8
        }
        while offset < count {
            guard bytes[unchecked: range.lowerBound &+ offset] == prefix.utf8Start[offset] else {
                return false
            }
            offset &+= 1
        }
        return true
    }

    /// Whether the word at `start + offset` is that of `name` at `offset`. Lower-case letters are the only
    /// allowed bytes of `name` with both bits 0x40 and 0x20, so they alone have the case bit set in what is
    /// compared.
    @inline(__always)
    private static func isEqual<Word: FixedWidthInteger & BitwiseCopyable>(
        _ bytes: Span<UInt8>, _ start: Int, _ name: StaticString, _ offset: Int, _ type: Word.Type
    ) -> Bool {
        let wanted = UnsafeRawPointer(name.utf8Start).loadUnaligned(fromByteOffset: offset, as: Word.self)
        let found = bytes.bytes.unsafeLoadUnaligned(
            fromUncheckedByteOffset: start &+ offset, as: Word.self)
        let caseBits = wanted & (wanted &>> 1) & Word(truncatingIfNeeded: 0x2020_2020_2020_2020 as UInt64)
        return found | caseBits == wanted
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
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "range \(range)")
        var low = range.lowerBound
        var high = range.upperBound
        while low < high, isBlank(bytes[unchecked: low]) { low &+= 1 }
        while high > low, isBlank(bytes[unchecked: high &- 1]) { high &-= 1 }
        return Range(uncheckedBounds: (low, high))
    }

    /// The offset of the first `byte` in `range`, or the range's end.
    static func find(_ byte: UInt8, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
        WordScan.find(byte, bytes, from: range.lowerBound, to: range.upperBound)
    }
}
