/// A bounded place to write to: memory of the caller's, filled from its start. Never allocates.
///
/// Each append asks once for the room that it needs and then stores without further checks. The short
/// functions are inlinable, so that a literal becomes a few stores in the caller's own module.
@frozen
public struct HeadOutput: ~Copyable {
    @usableFromInline var written = 0
    /// The capacity; -1 after something did not fit, so that nothing fits any more.
    @usableFromInline var limit: Int
    @usableFromInline let base: UnsafeMutableRawPointer?

    /// - Parameter storage: stays the caller's and outlives this value.
    @inlinable
    public init(_ storage: UnsafeMutableRawBufferPointer) {
        base = storage.baseAddress
        limit = storage.count
    }

    /// Bytes written so far; at most the capacity.
    @inlinable
    public var count: Int { written }

    /// Whether something did not fit; then what is written is useless and must not be sent.
    @inlinable
    public var isOverflowed: Bool { limit < 0 }

    /// Room for exactly `byteCount` bytes, which the caller fills; nil when it is not there.
    @inlinable
    @inline(__always)
    mutating func room(_ byteCount: Int) -> UnsafeMutableRawPointer? {
        guard byteCount <= limit &- written, let base else {
            limit = -1
            return nil
        }
        let start = base + written
        written &+= byteCount
        return start
    }

    /// Appends one byte.
    @inlinable
    public mutating func append(_ byte: UInt8) {
        room(1)?.storeBytes(of: byte, as: UInt8.self)
    }

    /// Appends all of `bytes`, or nothing when they do not fit.
    @inlinable
    public mutating func append(_ bytes: Span<UInt8>) {
        guard let room = room(bytes.count) else { return }
        bytes.withUnsafeBytes { source in
            if let start = source.baseAddress { room.copyMemory(from: start, byteCount: source.count) }
        }
    }

    /// Appends a literal.
    @inlinable
    @inline(__always)
    public mutating func append(_ literal: StaticString) {
        let count = literal.utf8CodeUnitCount
        room(count)?.copyMemory(from: literal.utf8Start, byteCount: count)
    }

    /// Appends `bytes[range]`.
    public mutating func append(_ bytes: Span<UInt8>, _ range: Range<Int>) { append(bytes.extracting(range)) }

    /// Appends a number in decimal.
    ///
    /// - Precondition: it is not negative.
    public mutating func append(decimal value: Int64) {
        precondition(value >= 0, "negative number \(value)")
        if value < 100_000_000, limit &- written >= 8, let base {
            // The digits of a port or a usual length are collected in one word, the highest in front.
            var rest = UInt32(truncatingIfNeeded: value)
            var word: UInt64 = 0
            var digits = 0
            repeat {
                word = word &<< 8 | UInt64(48 &+ rest % 10)
                rest /= 10
                digits &+= 1
            } while rest > 0
            base.storeBytes(of: word.littleEndian, toByteOffset: written, as: UInt64.self)
            written &+= digits
        } else {
            appendDigits(UInt64(truncatingIfNeeded: value))
        }
    }

    private mutating func appendDigits(_ value: UInt64) {
        if value >= 10 { appendDigits(value / 10) }
        append(UInt8(truncatingIfNeeded: 48 + value % 10))
    }

    /// Appends a Content-Length line.
    mutating func append(contentLength length: Int64) {
        append("Content-Length: ")
        append(decimal: length)
        append("\r\n")
    }

    /// Appends a number in lower-case hexadecimal, filled with zeros to `digits`.
    ///
    /// - Precondition: `digits` is in 1...16; higher digits of the value are not written.
    public mutating func append(hexadecimal value: UInt64, digits: Int) {
        precondition((1...16).contains(digits), "\(digits) digits")
        guard let room = room(digits) else { return }
        guard digits < 16 else { return HexDigits.store(value, at: room) }
        for position in 0..<digits {
            let digit = UInt8(truncatingIfNeeded: value &>> UInt64(4 &* (digits &- 1 &- position))) & 15
            room.storeBytes(of: digit < 10 ? digit + 48 : digit + 87, toByteOffset: position, as: UInt8.self)
        }
    }
}

@available(*, unavailable)
extension HeadOutput: Sendable {}

/// Sixteen digits at a time, without a table: eight nibbles are spread over the bytes of a word and become
/// digits together.
enum HexDigits {
    /// Stores the sixteen lower-case digits of `value`.
    @inline(__always)
    static func store(_ value: UInt64, at room: UnsafeMutableRawPointer) {
        room.storeBytes(of: eight(UInt32(truncatingIfNeeded: value &>> 32)), as: UInt64.self)
        room.storeBytes(of: eight(UInt32(truncatingIfNeeded: value)), toByteOffset: 8, as: UInt64.self)
    }

    /// The eight digits of `value`, the highest in the lowest byte.
    @inline(__always)
    static func eight(_ value: UInt32) -> UInt64 {
        var word = UInt64(value.byteSwapped)
        word = (word | word &<< 16) & 0x0000_ffff_0000_ffff
        word = (word | word &<< 8) & 0x00ff_00ff_00ff_00ff
        // Each byte of the number stands in 16 bits now; its high nibble comes first.
        word = (word &>> 4 & 0x000f_000f_000f_000f) | (word & 0x000f_000f_000f_000f) &<< 8
        let isLetter = (word &+ 0x0606_0606_0606_0606) &>> 4 & 0x0101_0101_0101_0101
        return (word &+ 0x3030_3030_3030_3030 &+ isLetter &* 39).littleEndian
    }
}
