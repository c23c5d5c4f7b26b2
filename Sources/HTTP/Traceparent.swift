/// The `traceparent` field (W3C Trace Context §3.2), version 00.
public struct Traceparent: Sendable, Hashable {
    /// High and low half of the trace id; not both 0.
    public var traceHigh: UInt64
    /// The low half.
    public var traceLow: UInt64
    /// The span of the caller; not 0.
    public var parent: UInt64
    /// Bit 0: sampled.
    public var flags: UInt8

    /// Length of the field value in bytes.
    public static let valueBytes = 55

    /// - Precondition: neither the trace id nor the parent is 0.
    public init(traceHigh: UInt64, traceLow: UInt64, parent: UInt64, flags: UInt8) {
        precondition(traceHigh != 0 || traceLow != 0, "trace id is 0")
        precondition(parent != 0, "parent id is 0")
        self.traceHigh = traceHigh
        self.traceLow = traceLow
        self.parent = parent
        self.flags = flags
    }

    /// nil when the value is not exactly a valid version-00 traceparent in lower case: then a new trace
    /// begins (§3.2.3: an unknown version may be read leniently; we don't).
    public init?(parsing bytes: Span<UInt8>, _ range: Range<Int>) {
        let start = range.lowerBound
        guard range.count == Traceparent.valueBytes, bytes[start] == 48, bytes[start + 1] == 48,
            bytes[start + 2] == 45, bytes[start + 35] == 45, bytes[start + 52] == 45,
            let high = Traceparent.hex(bytes, start + 3, digits: 16),
            let low = Traceparent.hex(bytes, start + 19, digits: 16),
            let parent = Traceparent.hex(bytes, start + 36, digits: 16),
            let flags = Traceparent.hex(bytes, start + 53, digits: 2),
            high != 0 || low != 0, parent != 0
        else { return nil }
        self.init(traceHigh: high, traceLow: low, parent: parent, flags: UInt8(flags))
    }

    /// Appends the 55 bytes of the field value.
    public func writeValue(into output: inout HeadOutput) {
        guard let room = output.room(Traceparent.valueBytes) else { return }
        store(at: room)
    }

    /// Appends the whole field line.
    public func writeLine(into output: inout HeadOutput) {
        let name: StaticString = "traceparent: "
        let end: StaticString = "\r\n"
        let start = name.utf8CodeUnitCount
        guard let room = output.room(start + Traceparent.valueBytes + end.utf8CodeUnitCount) else { return }
        room.copyMemory(from: name.utf8Start, byteCount: start)
        store(at: room + start)
        (room + start + Traceparent.valueBytes).copyMemory(
            from: end.utf8Start, byteCount: end.utf8CodeUnitCount)
    }

    /// Stores exactly `valueBytes` bytes.
    @inline(__always)
    private func store(at room: UnsafeMutableRawPointer) {
        let version: StaticString = "00-"
        room.copyMemory(from: version.utf8Start, byteCount: 3)
        HexDigits.store(traceHigh, at: room + 3)
        HexDigits.store(traceLow, at: room + 19)
        room.storeBytes(of: 45, toByteOffset: 35, as: UInt8.self)
        HexDigits.store(parent, at: room + 36)
        room.storeBytes(of: 45, toByteOffset: 52, as: UInt8.self)
        let flags = HexDigits.eight(UInt32(flags)) &>> 48  // The two lowest digits come last.
        room.storeBytes(of: UInt16(truncatingIfNeeded: flags), toByteOffset: 53, as: UInt16.self)
    }

    private static func hex(_ bytes: Span<UInt8>, _ start: Int, digits: Int) -> UInt64? {
        var value: UInt64 = 0
        for index in start..<(start + digits) {
            // Upper case is invalid here (§3.2.2.3).
            guard bytes[index] &- 65 >= 26, let digit = ByteClass.hexValue(bytes[index]) else { return nil }
            value = value << 4 | UInt64(digit)
        }
        return value
    }
}
