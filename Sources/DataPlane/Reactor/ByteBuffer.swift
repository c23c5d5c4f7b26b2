import Glibc

/// A queue of bytes in one pooled block. Empty buffers own no memory, so an idle connection costs its record
/// only.
///
/// Trivial on purpose (it lives in slab records): whoever drops a record calls `release` first.
struct ByteBuffer {
    private(set) var block: UnsafeMutablePointer<UInt8>?
    private(set) var capacity = 0
    private var head = 0
    private var tail = 0

    init() {}

    /// - Parameters:
    ///   - block: one of the pool's, which is this buffer's from here on.
    ///   - size: the block's real size.
    ///   - bytes: where in the block the waiting bytes lie.
    init(adopting block: UnsafeMutablePointer<UInt8>, _ size: Int, bytes: Range<Int>) {
        self.block = block
        capacity = size
        head = bytes.lowerBound
        tail = bytes.upperBound
    }

    var count: Int { tail - head }
    var isEmpty: Bool { tail == head }
    /// Room behind the last byte, without moving or growing.
    var room: Int { capacity - tail }

    /// The waiting bytes. Valid until the next mutating call.
    var bytes: UnsafeBufferPointer<UInt8> {
        guard let block else { return UnsafeBufferPointer(start: nil, count: 0) }
        return UnsafeBufferPointer(start: block + head, count: tail - head)
    }

    /// Where `reserve` made room. Only valid while room is positive.
    var end: UnsafeMutablePointer<UInt8>? {
        guard let block else { return nil }
        return block + tail
    }

    /// Makes room for `bytes` more at the end: moves to the front first, grows last.
    mutating func reserve(_ bytes: Int, _ pool: UnsafeMutablePointer<BufferPool>) {
        guard room < bytes else { return }
        guard let block else {
            (block, capacity) = pool.pointee.take(atLeast: bytes)
            return
        }
        makeRoom(for: bytes, in: block, pool)
    }

    @inline(never)
    private mutating func makeRoom(
        for bytes: Int, in old: UnsafeMutablePointer<UInt8>, _ pool: UnsafeMutablePointer<BufferPool>
    ) {
        let moved = count
        pool.pointee.bytesMoved += moved
        if capacity - moved >= bytes {
            memmove(old, old + head, moved)
        } else {
            // Twice as large each time, also beyond what the pool has: else each further piece would move all of it.
            let wanted = moved + bytes
            let isLarge = wanted > BufferPool.largestBlockBytes
            let (larger, size) = pool.pointee.take(atLeast: isLarge ? max(wanted, 2 * capacity) : wanted)
            memcpy(larger, old + head, moved)
            pool.pointee.giveBack(old, size: capacity)
            block = larger
            capacity = size
        }
        head = 0
        tail = moved
    }

    /// Says that `bytes` were written at `end`.
    mutating func commit(_ bytes: Int) {
        precondition(
            bytes >= 0 && tail + bytes <= capacity, "commit of \(bytes) beyond the block's \(capacity)")
        tail += bytes
    }

    mutating func append(
        _ source: UnsafePointer<UInt8>, _ bytes: Int, _ pool: UnsafeMutablePointer<BufferPool>
    ) {
        guard bytes > 0 else { return }
        reserve(bytes, pool)
        guard let end else { return }
        memcpy(end, source, bytes)
        tail += bytes
    }

    /// Drops `bytes` from the front; gives the block back when nothing is left.
    mutating func consume(_ bytes: Int, _ pool: UnsafeMutablePointer<BufferPool>) {
        precondition(bytes >= 0 && bytes <= count, "consume of \(bytes) from \(count)")
        head += bytes
        if head == tail { release(pool) }
    }

    mutating func release(_ pool: UnsafeMutablePointer<BufferPool>) {
        if let block { pool.pointee.giveBack(block, size: capacity) }
        block = nil
        capacity = 0
        head = 0
        tail = 0
    }
}
