import Glibc
import JSON

/// Where log lines go: a descriptor that may take nothing for a while (a full disk, a reader that is gone).
///
/// What it does not take is lost and counted; nobody waits for a log. A line of which it took a part is ended before
/// the next one, so that at most that one cannot be read.
struct LogOutput {
    static let lineEnd = UInt8(ascii: "\n")

    let descriptor: Int32
    /// The last line was not taken whole.
    private var isTorn = false
    /// Why it took nothing last, as errno has it; 0: it took what there was.
    private var problem: Int32 = 0
    private var linesLost = 0

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// - Returns: how many bytes were taken; 0: none, now.
    mutating func put(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int {
        while true {
            let written = Glibc.write(descriptor, bytes, count)
            if written > 0 {
                isTorn = bytes[written - 1] != Self.lineEnd
                return written
            }
            if written < 0, errno == EINTR { continue }
            tell(becauseOf: written < 0 ? errno : ENOSPC)
            return 0
        }
    }

    /// - Returns: false when that is not possible now; nothing may be written then.
    mutating func endTornLine() -> Bool {
        guard isTorn else { return true }
        var end = Self.lineEnd
        return put(&end, 1) == 1
    }

    /// One line that is not in a ring.
    mutating func write(_ line: [UInt8]) {
        guard endTornLine() else { return }
        _ = line.withUnsafeBufferPointer { line in line.baseAddress.map { put($0, line.count) } }
    }

    /// After everything that there was to write.
    mutating func note(lost: Int) {
        linesLost += lost
        guard problem != 0, lost == 0, !isTorn else { return }
        problem = 0
        var line = JSONLineWriter()
        line.beginObject()
        line.field("event", "access-log-works-again")
        line.field("lines_lost", linesLost)
        line.endObject()
        Self.report(line.bytes)
        linesLost = 0
    }

    /// Once, on standard error, which may be somewhere else.
    private mutating func tell(becauseOf number: Int32) {
        guard problem == 0 else { return }
        problem = number
        var line = JSONLineWriter()
        line.beginObject()
        line.field("event", "access-log-failed")
        line.field("what", String(cString: strerror(number)))
        line.endObject()
        Self.report(line.bytes)
    }

    private static func report(_ line: [UInt8]) {
        line.withUnsafeBytes { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
