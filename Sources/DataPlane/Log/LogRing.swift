import Glibc
import Synchronization

/// Bytes of complete log lines on their way from one reactor to the log thread: one writer, one reader, no
/// lock.
final class LogRing: @unchecked Sendable {
    // Unchecked because the bytes are raw memory: those between `head` and `tail` belong to the reader, the
    // others to the writer; the two counters hand them over (releasing store, acquiring load).
    private let bytes: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    private let head = Atomic<Int>(0)
    private let tail = Atomic<Int>(0)

    /// - Parameter capacity: a power of two.
    init(capacity: Int = 1 << 20) {
        precondition(
            capacity > 0 && capacity & (capacity - 1) == 0, "capacity \(capacity) is no power of two")
        self.capacity = capacity
        bytes = .allocate(capacity: capacity)
    }

    deinit { bytes.deallocate() }

    /// - Returns: false when the line does not fit; it is dropped whole.
    func write(_ line: Span<UInt8>) -> Bool {
        let end = tail.load(ordering: .relaxed)
        guard capacity - (end - head.load(ordering: .acquiring)) >= line.count else { return false }
        line.withUnsafeBufferPointer { source in
            guard let start = source.baseAddress else { return }
            let offset = end & (capacity - 1)
            let first = min(source.count, capacity - offset)
            memcpy(bytes + offset, start, first)
            memcpy(bytes, start + first, source.count - first)
        }
        tail.store(end + line.count, ordering: .releasing)
        return true
    }

    /// Writes everything that waits to `descriptor`.
    /// - Returns: false when the descriptor took nothing (disk full, reader gone): what waits is dropped
    ///   then.
    func drain(to descriptor: Int32) -> Bool {
        var position = head.load(ordering: .relaxed)
        let end = tail.load(ordering: .acquiring)
        while position < end {
            let offset = position & (capacity - 1)
            let length = min(end - position, capacity - offset)
            let written = Glibc.write(descriptor, bytes + offset, length)
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else {
                head.store(end, ordering: .releasing)
                return false
            }
            position += written
            head.store(position, ordering: .releasing)
        }
        return true
    }
}
