import CNghttp2
import Glibc

/// What nghttp2 keeps for one connection as long as the session lives, and of which a connection that rests needs
/// nothing: 16 KiB in which it packs frames, and 4 KiB by which it finds streams. Either lies on pages of its own, so
/// that they can be given back meanwhile.
struct HTTP2FrameMemory {
    /// What the kernel gives back at once; where it is more than a frame (64 KiB on some arm64), nothing is.
    private static let pageBytes = sysconf(Int32(_SC_PAGESIZE))
    /// No frame needs more (RFC 9113 §4.2), and nothing else of nghttp2's is as large.
    private static let frameBytes = 16_384
    /// The table of streams that a session begins with: 256 places, each a hash, a key and a pointer.
    private static let places = (count: 256, bytes: 16)
    private static let placesBytes = places.count * places.bytes

    private(set) var buffer: UnsafeMutableRawPointer?
    private(set) var table: UnsafeMutableRawPointer?

    /// The functions by which a session gets its memory.
    /// - Parameter owner: stays where it is as long as the session lives.
    static func functions(for owner: UnsafeMutablePointer<HTTP2FrameMemory>) -> nghttp2_mem {
        nghttp2_mem(
            mem_user_data: owner,
            malloc: { size, owner in HTTP2FrameMemory.resize(nil, size, owner) },
            free: { block, owner in
                guard let block else { return }
                let owner = owner?.assumingMemoryBound(to: HTTP2FrameMemory.self)
                owner?.pointee.forget(block)
                Glibc.free(block)
            },
            calloc: { count, size, owner in HTTP2FrameMemory.zeros(count, size, owner) },
            realloc: { block, size, owner in HTTP2FrameMemory.resize(block, size, owner) })
    }

    private static func resize(
        _ block: UnsafeMutableRawPointer?, _ size: Int, _ data: UnsafeMutableRawPointer?
    ) -> UnsafeMutableRawPointer? {
        let owner = data?.assumingMemoryBound(to: HTTP2FrameMemory.self)
        guard let block else {
            guard size >= frameBytes, frameBytes % pageBytes == 0, let owner, owner.pointee.buffer == nil
            else {
                return Glibc.malloc(size)
            }
            owner.pointee.buffer = aligned_alloc(pageBytes, (size + pageBytes - 1) / pageBytes * pageBytes)
            return owner.pointee.buffer
        }
        guard let new = Glibc.realloc(block, size) else { return nil }
        // It may lie anywhere now.
        owner?.pointee.forget(block)
        return new
    }

    private static func zeros(
        _ count: Int, _ size: Int, _ data: UnsafeMutableRawPointer?
    ) -> UnsafeMutableRawPointer? {
        guard count == places.count, size == places.bytes, placesBytes % pageBytes == 0,
            let owner = data?.assumingMemoryBound(to: HTTP2FrameMemory.self), owner.pointee.table == nil,
            let table = aligned_alloc(pageBytes, placesBytes)
        else { return Glibc.calloc(count, size) }
        memset(table, 0, placesBytes)
        owner.pointee.table = table
        return table
    }

    private mutating func forget(_ block: UnsafeMutableRawPointer) {
        if buffer == block { buffer = nil }
        if table == block { table = nil }
    }

    /// Gives the pages back; they read as zeros when they are next used.
    /// - Precondition: the session has nothing to send, so no frame is half packed.
    func rest() {
        if let buffer { _ = madvise(buffer, Self.frameBytes, MADV_DONTNEED) }
        // Without a stream the table is nothing but zeros.
        if let table, Self.isZero(table) { _ = madvise(table, Self.placesBytes, MADV_DONTNEED) }
    }

    private static func isZero(_ table: UnsafeMutableRawPointer) -> Bool {
        let words = UnsafeRawBufferPointer(start: table, count: placesBytes).bindMemory(to: UInt64.self)
        return words.allSatisfy { $0 == 0 }
    }
}

extension Reactor {
    /// The connection was silent from one sweep to the next.
    func restFrames(_ slot: Int32) {
        guard let connection = (transports + Int(slot)).http2, let session = connection.pointee.session,
            nghttp2_session_want_write(session) == 0
        else { return }
        connection.pointee.frames.rest()
    }
}
