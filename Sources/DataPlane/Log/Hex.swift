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
        (eightDigits(value >> 32).littleEndian, eightDigits(value & 0xffff_ffff).littleEndian)
    }

    /// Eight digits at once: spread the nibbles to one per byte, the highest first, then make each a character.
    @inline(__always)
    private static func eightDigits(_ value: UInt64) -> UInt64 {
        var spread = value
        spread = (spread << 16 | spread) & 0x0000_ffff_0000_ffff
        spread = (spread << 8 | spread) & 0x00ff_00ff_00ff_00ff
        spread = (spread << 4 | spread) & 0x0f0f_0f0f_0f0f_0f0f
        spread = spread.byteSwapped
        // 1 in every byte above 9: those are 39 characters further, at "a".
        let letters = (spread &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return spread &+ 0x3030_3030_3030_3030 &+ letters &* 39
    }
}
