/// A bounded place to write to: memory of the caller's, filled from its start. Never allocates.
public struct HeadOutput: ~Copyable {
    /// Bytes written so far; at most the capacity.
    public private(set) var count = 0
    /// Whether something did not fit; then what is written is useless and must not be sent.
    public private(set) var isOverflowed = false
    private let storage: UnsafeMutableRawBufferPointer

    /// - Parameter storage: stays the caller's and outlives this value.
    public init(_ storage: UnsafeMutableRawBufferPointer) { self.storage = storage }

    /// Appends one byte.
    public mutating func append(_ byte: UInt8) {
        guard count < storage.count else {
            isOverflowed = true
            return
        }
        storage[count] = byte
        count += 1
    }

    /// Appends all of `bytes`, or nothing when they do not fit.
    public mutating func append(_ bytes: Span<UInt8>) {
        bytes.withUnsafeBytes { append(raw: $0) }
    }

    /// Appends a literal.
    public mutating func append(_ literal: StaticString) {
        append(raw: UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    /// Appends `bytes[range]`.
    public mutating func append(_ bytes: Span<UInt8>, _ range: Range<Int>) { append(bytes.extracting(range)) }

    /// Appends a number in decimal.
    ///
    /// - Precondition: it is not negative.
    public mutating func append(decimal value: Int64) {
        precondition(value >= 0, "negative number \(value)")
        var divisor: Int64 = 1
        while value / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(48 + (value / divisor) % 10))
            divisor /= 10
        }
    }

    /// Appends a number in lower-case hexadecimal, filled with zeros to `digits`.
    ///
    /// - Precondition: `digits` is in 1...16; higher digits of the value are not written.
    public mutating func append(hexadecimal value: UInt64, digits: Int) {
        precondition((1...16).contains(digits), "\(digits) digits")
        for position in (0..<digits).reversed() {
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(position * 4)) & 15
            append(digit < 10 ? digit + 48 : digit + 87)
        }
    }

    private mutating func append(raw bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= storage.count - count, !isOverflowed else {
            isOverflowed = true
            return
        }
        UnsafeMutableRawBufferPointer(rebasing: storage[count..<(count + bytes.count)]).copyMemory(
            from: bytes)
        count += bytes.count
    }
}

@available(*, unavailable)
extension HeadOutput: Sendable {}

/// Copies field lines of a head to an output; lines that stand side by side leave in one copy.
struct LineCopier: ~Copyable {
    private var start = 0
    private var end = 0

    /// Takes one line as it came when it is tight (`Name: value` CRLF), otherwise rewrites its whitespace.
    mutating func copy(_ line: FieldLine, _ head: Span<UInt8>, into output: inout HeadOutput) {
        let blanks = Int(line.value.start) - line.name.end - 1
        guard blanks < 2, head[line.value.end] == 13 else {
            flush(head, into: &output)
            output.append(head, line.name.indices)
            output.append(": ")
            output.append(head, line.value.indices)
            output.append("\r\n")
            return
        }
        if Int(line.name.start) != end {
            flush(head, into: &output)
            start = Int(line.name.start)
        }
        end = line.value.end + 2
    }

    /// To be called before anything else is written, and at the end.
    mutating func flush(_ head: Span<UInt8>, into output: inout HeadOutput) {
        if end > start { output.append(head, start..<end) }
        start = 0
        end = 0
    }
}
