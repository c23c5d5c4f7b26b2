/// Where things are: offsets into a head buffer, and the small scratch memory for the rare bytes that had to
/// be rewritten.

/// A run of bytes in a head buffer, by offset. Valid as long as the caller keeps those bytes unchanged.
@frozen
public struct ByteRange: Sendable, Hashable {
    /// Offset of the first byte.
    public var start: UInt32
    /// Length in bytes; may be 0.
    public var count: UInt32

    /// - Precondition: both are in 0...4,294,967,295.
    @inlinable
    public init(start: Int, count: Int) {
        self.start = UInt32(start)
        self.count = UInt32(count)
    }

    /// The bytes `start..<end` of a head. Heads are shorter than `HeadLimits` can say, so nothing is cut off.
    @inline(__always)
    init(from start: Int, to end: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        count = UInt32(truncatingIfNeeded: end &- start)
    }

    /// No bytes.
    @inlinable
    public static var empty: ByteRange { ByteRange(start: 0, count: 0) }

    /// The same bytes as a range of indices, for `span.extracting(_:)`.
    @inlinable
    public var indices: Range<Int> { Int(start)..<(Int(start) + Int(count)) }

    /// Offset of the first byte after the run.
    @inlinable
    public var end: Int { Int(start) + Int(count) }

    /// Whether there are no bytes.
    @inlinable
    public var isEmpty: Bool { count == 0 }
}

/// Canonical text that is either unchanged in the head buffer (the usual case) or was rewritten into the
/// scratch.
///
/// Read it as `text.isInScratch ? scratch.bytes.span : head`, then `extracting(text.range.indices)`.
@frozen
public struct CanonicalText: Sendable, Hashable {
    /// Offsets into the head buffer, or into `CanonicalScratch.bytes` when `isInScratch`.
    public var range: ByteRange
    /// Which of the two buffers `range` points into.
    public var isInScratch: Bool

    /// A range and the buffer it points into.
    @inlinable
    public init(range: ByteRange, isInScratch: Bool) {
        self.range = range
        self.isInScratch = isInScratch
    }

    /// Length in bytes.
    @inlinable
    public var count: Int { Int(range.count) }

    /// Whether the text is exactly `expected`.
    public func equals(_ expected: Span<UInt8>, head: Span<UInt8>, scratch: borrowing CanonicalScratch)
        -> Bool
    {
        let source = isInScratch ? scratch.bytes.span : head
        return ByteClass.equal(source, range.indices, expected)
    }

    /// A copy, for the paths that leave the reactor (control plane, log).
    public func copied(head: Span<UInt8>, scratch: borrowing CanonicalScratch) -> [UInt8] {
        var copy: [UInt8] = []
        copy.reserveCapacity(count)
        let source = isInScratch ? scratch.bytes.span : head
        for index in range.indices { copy.append(source[index]) }
        return copy
    }
}

/// Memory of fixed size for a canonical path and a lower-cased host; one per reactor, reused by every parse.
///
/// Its content belongs to the request parsed last: a parked request keeps its head bytes and is parsed again.
public struct CanonicalScratch: ~Copyable {
    /// The rewritten bytes; `CanonicalText` with `isInScratch` points in here.
    public internal(set) var bytes: [UInt8]
    var used = 0

    /// - Parameter limits: those of the parser it is used with; room for one target, one host, and the path once more
    ///   behind a prefix of at most 1,024 bytes.
    public init(limits: HeadLimits = HeadLimits()) {
        bytes = [UInt8](repeating: 0, count: 2 * limits.targetBytesMax + HeadLimits.hostBytesMax + 1_024)
    }
}
