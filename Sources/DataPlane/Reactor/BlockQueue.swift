import Glibc

/// A queue of bytes in a chain of pooled blocks, for what may be long: bytes lie where they were put until they are
/// taken, and no block is larger than what the pool keeps, however much waits. An empty queue owns no memory.
///
/// Trivial on purpose, as `ByteBuffer` is: whoever drops a record calls `release` first.
struct BlockQueue {
    /// Stands at the front of each block.
    private struct Header {
        var next: UnsafeMutablePointer<UInt8>?
        /// The block's real size.
        let size: Int
        /// Where in the block its bytes end.
        var end = BlockQueue.headerBytes
    }
    private static let headerBytes = 32
    /// Blocks grow with what waits, up to here.
    static let blockBytesMax = 64 << 10

    private var first: UnsafeMutablePointer<UInt8>?
    private var last: UnsafeMutablePointer<UInt8>?
    /// Where in the first block the bytes begin.
    private var head = 0
    private(set) var count = 0
    /// Of all blocks.
    private(set) var capacity = 0

    var isEmpty: Bool { count == 0 }

    /// The waiting bytes as far as they lie in one piece; empty only when nothing waits. Valid until the next mutating
    /// call.
    var front: UnsafeBufferPointer<UInt8> {
        guard let first else { return UnsafeBufferPointer(start: nil, count: 0) }
        return UnsafeBufferPointer(start: first + head, count: Self.header(first).pointee.end - head)
    }

    /// Puts bytes at the end. What is put into an empty queue lies in one piece.
    mutating func append(
        _ source: UnsafePointer<UInt8>, _ bytes: Int, _ pool: UnsafeMutablePointer<BufferPool>
    ) {
        var put = 0
        while put < bytes {
            let block = lastWithRoom(for: bytes - put, pool)
            let header = Self.header(block)
            let part = min(bytes - put, header.pointee.size - header.pointee.end)
            memcpy(block + header.pointee.end, source + put, part)
            header.pointee.end += part
            count += part
            put += part
        }
    }

    /// Copies at most `capacity` bytes from the front and drops them.
    /// - Returns: how many.
    mutating func read(
        into target: UnsafeMutablePointer<UInt8>, _ capacity: Int, _ pool: UnsafeMutablePointer<BufferPool>
    ) -> Int {
        var taken = 0
        while taken < capacity, let start = front.baseAddress {
            let part = min(front.count, capacity - taken)
            memcpy(target + taken, start, part)
            head += part
            count -= part
            taken += part
            if front.isEmpty { pool.pointee.giveBack(detachFirst()) }
        }
        return taken
    }

    /// Hands over the first block with the bytes in it, which are not copied. Empty when nothing waits.
    mutating func takeBlock() -> ByteBuffer {
        count -= front.count
        return detachFirst()
    }

    mutating func release(_ pool: UnsafeMutablePointer<BufferPool>) {
        while first != nil { pool.pointee.giveBack(detachFirst()) }
        count = 0
    }

    // MARK: Blocks

    private static func header(_ block: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<Header> {
        UnsafeMutableRawPointer(block).assumingMemoryBound(to: Header.self)
    }

    /// Of a new block as many bytes as wait already: much lies in few blocks, and little in a small one.
    private mutating func lastWithRoom(
        for bytes: Int, _ pool: UnsafeMutablePointer<BufferPool>
    ) -> UnsafeMutablePointer<UInt8> {
        if let last, Self.header(last).pointee.end < Self.header(last).pointee.size { return last }
        let wanted = Self.headerBytes + bytes
        let (block, size) = pool.pointee.take(
            atLeast: isEmpty ? wanted : min(max(wanted, count), Self.blockBytesMax))
        UnsafeMutableRawPointer(block).initializeMemory(as: Header.self, to: Header(size: size))
        if let last {
            Self.header(last).pointee.next = block
        } else {
            first = block
            head = Self.headerBytes
        }
        last = block
        capacity += size
        return block
    }

    /// Its bytes are still counted.
    private mutating func detachFirst() -> ByteBuffer {
        guard let block = first else { return ByteBuffer() }
        let header = Self.header(block).pointee
        let detached = ByteBuffer(adopting: block, header.size, bytes: head..<header.end)
        first = header.next
        if first == nil { last = nil }
        head = Self.headerBytes
        capacity -= header.size
        return detached
    }
}
