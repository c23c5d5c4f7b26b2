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

    /// For the reader.
    var isEmpty: Bool { head.load(ordering: .relaxed) == tail.load(ordering: .acquiring) }

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

    /// Writes everything that waits to `output`.
    ///
    /// - Returns: how many lines were lost because it took nothing more; 0: all of it is written.
    func drain(to output: inout LogOutput) -> Int {
        var position = head.load(ordering: .relaxed)
        let end = tail.load(ordering: .acquiring)
        guard position < end else { return 0 }
        // What was torn ends here, so that the next line is one again.
        var isTaking = output.endTornLine()
        while isTaking, position < end {
            let offset = position & (capacity - 1)
            let written = output.put(bytes + offset, min(end - position, capacity - offset))
            isTaking = written > 0
            position += written
            head.store(position, ordering: .releasing)
        }
        let lost = (position..<end).count { bytes[$0 & (capacity - 1)] == LogOutput.lineEnd }
        head.store(end, ordering: .releasing)
        return lost
    }
}
