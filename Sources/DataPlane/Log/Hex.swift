import HTTP

/// Numbers as fixed-length lower-case hex.
enum Hex {
    static func write(_ value: UInt64, into output: inout HeadOutput) {
        let (high, low) = digits(value)
        withUnsafeBytes(of: (high, low)) { output.append($0.bindMemory(to: UInt8.self).span) }
    }

    /// Writes 16 digits.
    static func write(_ value: UInt64, at target: UnsafeMutablePointer<UInt8>) {
        let (high, low) = digits(value)
        UnsafeMutableRawPointer(target).storeBytes(of: high, as: UInt64.self)
        UnsafeMutableRawPointer(target).storeBytes(of: low, toByteOffset: 8, as: UInt64.self)
    }

    static func text(_ high: UInt64, _ low: UInt64) -> String {
        withUnsafeBytes(of: (digits(high), digits(low))) { String(decoding: $0, as: UTF8.self) }
    }

    /// Two digits per byte. Not for the way of a request: it makes a text.
    static func text(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.flatMap { [digit(UInt64($0 >> 4)), digit(UInt64($0))] }, as: UTF8.self)
    }

    static func digit(_ value: UInt64) -> UInt8 {
        let low = UInt8(value & 0xf)
        return low < 10 ? 48 + low : 87 + low
    }

    /// The 16 digits as the bytes of two words, in the order of memory.
    @inline(__always)
    private static func digits(_ value: UInt64) -> (UInt64, UInt64) {
        let digits = sixteenDigits(value)
        return (digits.x, digits.y)
    }

    /// All at once: the nibbles to one per byte, the highest first, then each becomes a character.
    @inline(__always)
    private static func sixteenDigits(_ value: UInt64) -> SIMD2<UInt64> {
        let bytes = value.bigEndian
        var interleaved = SIMD16<UInt8>()
        interleaved.evenHalf = unsafeBitCast(bytes >> 4 & 0x0f0f_0f0f_0f0f_0f0f, to: SIMD8<UInt8>.self)
        interleaved.oddHalf = unsafeBitCast(bytes & 0x0f0f_0f0f_0f0f_0f0f, to: SIMD8<UInt8>.self)
        let nibbles = unsafeBitCast(interleaved, to: SIMD2<UInt64>.self)
        // 1 in every byte above 9: those are 39 (32 + 8 - 1) characters further, at "a".
        let letters = (nibbles &+ twice(0x06)) &>> SIMD2(repeating: 4) & twice(0x01)
        return nibbles &+ twice(0x30) &+ (letters &<< SIMD2(repeating: 5))
            &+ (letters &<< SIMD2(repeating: 3)) &- letters
    }

    @inline(__always)
    private static func twice(_ byte: UInt64) -> SIMD2<UInt64> {
        SIMD2(repeating: byte &* 0x0101_0101_0101_0101)
    }
}
