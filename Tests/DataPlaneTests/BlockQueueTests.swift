import Testing

@testable import DataPlane

@Suite("A queue of bytes in blocks of the pool")
struct BlockQueueTests {
    private static func withPool(_ body: (UnsafeMutablePointer<BufferPool>) -> Void) {
        let pool = UnsafeMutablePointer<BufferPool>.allocate(capacity: 1)
        pool.initialize(to: BufferPool())
        body(pool)
        #expect(pool.pointee.bytesInUse == 0)
        pool.pointee.destroy()
        pool.deallocate()
    }

    /// Bytes that say where in the stream they stand.
    private static func bytes(_ range: Range<Int>) -> [UInt8] {
        range.map { UInt8(truncatingIfNeeded: $0 % 251) }
    }

    @Test func `what goes in comes out, in order and once, however it is taken: against a plain model`() {
        for seed in UInt64(1)...40 {
            Self.withPool { pool in
                var random = Seeded(seed)
                var queue = BlockQueue()
                var (put, taken) = (0, 0)
                for _ in 0..<400 {
                    let size = Int(random.next() % (random.next() % 4 == 0 ? 40_000 : 700))
                    switch random.next() % 5 {
                    case 0, 1:
                        queue.append(Self.bytes(put..<(put + size)), size, pool)
                        put += size
                    case 2:
                        var target = [UInt8](repeating: 0, count: size + 1)
                        let count = queue.read(into: &target, size, pool)
                        #expect(count == min(size, put - taken), "seed \(seed)")
                        #expect(
                            Array(target[..<count]) == Self.bytes(taken..<(taken + count)), "seed \(seed)")
                        taken += count
                    case 3 where random.next() % 8 == 0:
                        queue.release(pool)
                        taken = put
                    case 3, 4:
                        let block = queue.takeBlock()
                        #expect(block.isEmpty == (put == taken), "seed \(seed)")
                        #expect(
                            Array(block.bytes) == Self.bytes(taken..<(taken + block.count)), "seed \(seed)")
                        taken += block.count
                        pool.pointee.giveBack(block)
                    default: break
                    }
                    #expect(queue.count == put - taken && queue.isEmpty == (put == taken), "seed \(seed)")
                    #expect(queue.front.isEmpty == queue.isEmpty, "seed \(seed)")
                    #expect(queue.capacity == pool.pointee.bytesInUse, "seed \(seed)")
                    #expect(!queue.isEmpty || queue.capacity == 0, "an empty queue owns memory: seed \(seed)")
                }
                queue.release(pool)
                #expect(queue.isEmpty && queue.capacity == 0 && pool.pointee.bytesMoved == 0)
            }
        }
    }

    @Test(
        "what is put into an empty queue lies in one piece, also where it is longer than a block",
        arguments: [1, 2_016, 2_017, 65_504, 65_505, 262_144, 400_000])
    func onePiece(_ size: Int) {
        Self.withPool { pool in
            var queue = BlockQueue()
            let bytes = Self.bytes(0..<size)
            queue.append(bytes, size, pool)
            #expect(Array(queue.front) == bytes)
            // And so it does once the queue was emptied.
            queue.release(pool)
            queue.append(bytes, size, pool)
            #expect(queue.front.count == size)
            queue.release(pool)
        }
    }

    @Test func `megabytes that wait take little more than their size, in blocks that the pool keeps`() {
        Self.withPool { pool in
            let size = 2 << 20
            let piece = [UInt8](repeating: 1, count: 16_384)
            for round in 0..<3 {
                let before = pool.pointee.blocksMade
                var queue = BlockQueue()
                for _ in 0..<(size / piece.count) { queue.append(piece, piece.count, pool) }
                #expect(queue.count == size && queue.capacity <= size + 2 * BlockQueue.blockBytesMax)
                while !queue.isEmpty {
                    let block = queue.takeBlock()
                    #expect(block.capacity <= BlockQueue.blockBytesMax)
                    pool.pointee.giveBack(block)
                }
                let made = pool.pointee.blocksMade - before
                #expect(round == 0 ? made <= size / BlockQueue.blockBytesMax + 8 : made == 0)
            }
            #expect(pool.pointee.bytesMoved == 0)
        }
    }

    @Test func `a little in a queue takes a small block`() {
        Self.withPool { pool in
            var queue = BlockQueue()
            for _ in 0..<1_000 { queue.append([7], 1, pool) }
            #expect(queue.count == 1_000 && queue.capacity == 2_048)
            queue.release(pool)
        }
    }

    @Test func `one buffer that grows beyond the pool's blocks moves each byte some times, not each time`() {
        Self.withPool { pool in
            var buffer = ByteBuffer()
            let piece = [UInt8](repeating: 1, count: 16_384)
            for _ in 0..<256 { buffer.append(piece, piece.count, pool) }
            #expect(buffer.count == 4 << 20)
            #expect(pool.pointee.bytesMoved < 2 * buffer.count, "\(pool.pointee.bytesMoved) bytes")
            buffer.release(pool)
        }
    }
}
