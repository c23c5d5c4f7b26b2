/// Memory blocks of one reactor in powers of two, kept for reuse so that moving bytes allocates nothing.
///
/// A plain struct behind a pointer: BIO callbacks, which cannot capture, reach it through the transport they
/// serve.
struct BufferPool {
    private static let smallestShift = 11
    private static let classes = 8
    /// Kept of one class at most, from 1,024 blocks of 2 KiB to 8 of 256 KiB, and of all classes; what is given back
    /// beyond that goes to the allocator. By blocks alone, a client that makes us need many large ones would leave tens
    /// of megabytes behind, and by classes alone one that makes us need one size after the other.
    private static let keptBytesPerClass = 2 << 20
    private static let keptBytesMax = 3 << 20
    /// A class keeps so much whatever the others do.
    private static let keptBytesAlways = 256 << 10
    static let largestBlockBytes = 1 << (smallestShift + classes - 1)

    private var free: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    private var kept: UnsafeMutablePointer<Int>
    /// Bytes handed out and not given back.
    private(set) var bytesInUse = 0
    /// Bytes given back and kept.
    private(set) var bytesKept = 0
    /// Blocks that came from the allocator, and bytes that were moved because their block was full: what a warm pool
    /// and buffers of the right size never cost.
    private(set) var blocksMade = 0
    var bytesMoved = 0

    init() {
        free = .allocate(capacity: Self.classes)
        free.initialize(repeating: nil, count: Self.classes)
        kept = .allocate(capacity: Self.classes)
        kept.initialize(repeating: 0, count: Self.classes)
    }

    /// - Returns: a block of at least `bytes` and its real size.
    mutating func take(atLeast bytes: Int) -> (UnsafeMutablePointer<UInt8>, Int) {
        let index = Self.classIndex(for: bytes)
        let size = index < Self.classes ? 1 << (index + Self.smallestShift) : bytes
        bytesInUse += size
        if index < Self.classes, let block = free[index] {
            // A free block's first word names the next free block of its class.
            free[index] = block.load(as: UnsafeMutableRawPointer?.self)
            kept[index] -= 1
            bytesKept -= size
            return (block.assumingMemoryBound(to: UInt8.self), size)
        }
        blocksMade += 1
        let block = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        return (block.bindMemory(to: UInt8.self, capacity: size), size)
    }

    /// - Parameter size: the block's real size. Any other would let `bytesInUse` drift with every block, for ever.
    mutating func giveBack(_ block: UnsafeMutablePointer<UInt8>, size: Int) {
        assert(size == Self.blockBytes(holding: size), "no block has \(size) bytes")
        bytesInUse -= size
        let raw = UnsafeMutableRawPointer(block)
        let index = Self.classIndex(for: size)
        guard index < Self.classes, keeps((kept[index] + 1) * size, size) else { return raw.deallocate() }
        bytesKept += size
        raw.storeBytes(of: free[index], as: UnsafeMutableRawPointer?.self)
        free[index] = raw
        kept[index] += 1
    }

    private func keeps(_ bytesOfClass: Int, _ size: Int) -> Bool {
        bytesOfClass <= Self.keptBytesAlways
            || (bytesOfClass <= Self.keptBytesPerClass && bytesKept + size <= Self.keptBytesMax)
    }

    /// The block of a buffer that is nobody's any more.
    mutating func giveBack(_ buffer: ByteBuffer) {
        if let block = buffer.block { giveBack(block, size: buffer.capacity) }
    }

    /// Frees everything that is kept. The pool must not be used afterwards.
    mutating func destroy() {
        for index in 0..<Self.classes {
            while let block = free[index] {
                free[index] = block.load(as: UnsafeMutableRawPointer?.self)
                block.deallocate()
            }
        }
        free.deallocate()
        kept.deallocate()
    }

    /// The real size of a block that was asked for with `bytes`.
    static func blockBytes(holding bytes: Int) -> Int {
        let index = classIndex(for: bytes)
        return index < classes ? 1 << (index + smallestShift) : bytes
    }

    private static func classIndex(for bytes: Int) -> Int {
        if bytes <= 1 << smallestShift { return 0 }
        return Int.bitWidth - (bytes - 1).leadingZeroBitCount - smallestShift
    }
}
