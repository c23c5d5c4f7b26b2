/// Values on a stream of bytes: four bytes of length, the lowest first, then one value in `BinaryEncoding`.
public enum Frames {
    /// Bytes before each value.
    public static let headerBytes = 4
    /// A configuration with all its certificates and policies, with much room.
    public static let bytesMaxFromControl = 64 << 20
    /// A request with its body, and lists that are sent in pieces. The process that faces the network gets no more.
    public static let bytesMaxFromData = 1 << 20

    /// - Throws: `BinaryFailure.tooLong` for what the other side would refuse.
    public static func frame(_ value: some Encodable, bytesMax: Int) throws -> [UInt8] {
        let bytes = try BinaryEncoding.bytes(of: value)
        guard bytes.count <= bytesMax else { throw BinaryFailure.tooLong }
        var frame: [UInt8] = []
        frame.reserveCapacity(headerBytes + bytes.count)
        for index in 0..<headerBytes {
            frame.append(UInt8(truncatingIfNeeded: bytes.count >> (8 * index)))
        }
        frame.append(contentsOf: bytes)
        return frame
    }
}

/// Takes a stream of frames apart, however it was cut into pieces.
public struct FrameReader: Sendable {
    private let bytesMax: Int
    private var waiting: [UInt8] = []
    private var start = 0

    /// - Parameter bytesMax: of one value; a longer one is refused by its length alone, before it is collected.
    public init(bytesMax: Int) { self.bytesMax = bytesMax }

    /// Adds what came.
    public mutating func feed(_ bytes: some Sequence<UInt8>) {
        if start > 0, start == waiting.count || start > 65_536 {
            waiting.removeFirst(start)
            start = 0
        }
        waiting.append(contentsOf: bytes)
    }

    /// - Returns: the bytes of the next whole value; nil: more has to come.
    /// - Throws: `BinaryFailure`; the stream is of no use from there on.
    public mutating func next() throws(BinaryFailure) -> [UInt8]? {
        guard waiting.count - start >= Frames.headerBytes else { return nil }
        var length = 0
        for index in 0..<Frames.headerBytes { length |= Int(waiting[start + index]) << (8 * index) }
        guard length > 0 else { throw .truncated }
        guard length <= bytesMax else { throw .tooLong }
        let first = start + Frames.headerBytes
        guard waiting.count - first >= length else { return nil }
        start = first + length
        return Array(waiting[first..<start])
    }

    /// Whether the stream may end here.
    public var isBetweenFrames: Bool { start == waiting.count }
}
