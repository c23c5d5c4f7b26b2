import CNghttp2
import Glibc

/// Where nghttp2 packs the frames of one connection: 16 KiB that it keeps as long as the session lives, and of which a
/// connection that rests needs nothing. It lies on pages of its own, so that they can be given back meanwhile.
struct HTTP2FrameMemory {
    /// What the kernel gives back at once; where it is more than a frame (64 KiB on some arm64), nothing is.
    private static let pageBytes = sysconf(Int32(_SC_PAGESIZE))
    /// No frame needs more (RFC 9113 §4.2), and nothing else of nghttp2's is as large.
    private static let frameBytes = 16_384

    private(set) var buffer: UnsafeMutableRawPointer?

    /// The functions by which a session gets its memory.
    /// - Parameter owner: stays where it is as long as the session lives.
    static func functions(for owner: UnsafeMutablePointer<HTTP2FrameMemory>) -> nghttp2_mem {
        nghttp2_mem(
            mem_user_data: owner,
            malloc: { size, owner in HTTP2FrameMemory.resize(nil, size, owner) },
            free: { block, owner in
                guard let block else { return }
                let owner = owner?.assumingMemoryBound(to: HTTP2FrameMemory.self)
                if owner?.pointee.buffer == block { owner?.pointee.buffer = nil }
                Glibc.free(block)
            },
            calloc: { count, size, _ in Glibc.calloc(count, size) },
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
        if owner?.pointee.buffer == block { owner?.pointee.buffer = nil }
        return new
    }

    /// Gives the pages back; they read as zeros when they are next used.
    /// - Precondition: the session has nothing to send, so no frame is half packed.
    func rest() {
        guard let buffer else { return }
        _ = madvise(buffer, Self.frameBytes, MADV_DONTNEED)
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
