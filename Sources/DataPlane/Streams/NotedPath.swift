import Glibc

/// The canonical path of the request in progress: to decide anew while the exchange is open, and for the log line.
///
/// Most paths are short and lie in the record itself; only long ones take a block of the pool.
struct NotedPath {
    private static var inlineBytes: Int { 96 }

    private var short = InlineArray<96, UInt8>(repeating: 0)
    private var shortCount = 0
    private var long = ByteBuffer()

    mutating func note(_ path: Span<UInt8>, _ pool: UnsafeMutablePointer<BufferPool>) {
        release(pool)
        path.withUnsafeBufferPointer { bytes in
            guard let start = bytes.baseAddress else { return }
            guard bytes.count <= Self.inlineBytes else { return long.append(start, bytes.count, pool) }
            withUnsafeMutableBytes(of: &short) { target in
                if let target = target.baseAddress { memcpy(target, start, bytes.count) }
            }
            shortCount = bytes.count
        }
    }

    mutating func release(_ pool: UnsafeMutablePointer<BufferPool>) {
        shortCount = 0
        if long.block != nil { long.release(pool) }
    }

    borrowing func withBytes<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
        if !long.isEmpty { return body(long.bytes.span) }
        return body(short.span.extracting(0..<shortCount))
    }
}
