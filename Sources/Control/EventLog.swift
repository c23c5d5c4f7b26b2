import Foundation
import Glibc
import JSON
import Synchronization

/// What happened in the control plane, as JSON lines on standard error.
enum EventLog {
    private static let writer = LineWriter(descriptor: STDERR_FILENO)
    private static let clock = SecondText()

    /// Hears what is said in a task, beside the log.
    @TaskLocal static var witness: (@Sendable (String, [(String, JSONValue)]) -> Void)?

    static func write(_ event: String, _ members: [(String, JSONValue)]) {
        witness?(event, members)
        let time = clock.text(atSeconds: systemSeconds())
        writer.append(members: [("time", .string(time)), ("event", .string(event))] + members)
    }

    /// Waits until everything said so far is written, at most a second.
    static func flush() { writer.flush(milliseconds: 1_000) }
}

/// The text of a second, made once: a change may write thousands of lines in one, and formatting costs more than the
/// rest of the line.
final class SecondText: Sendable {
    private let last = Mutex<(seconds: Int64, text: String)>((.min, ""))

    /// ISO 8601, UTC, without fractions.
    func text(atSeconds seconds: Int64) -> String {
        last.withLock { last in
            if last.seconds != seconds {
                let date = Date(timeIntervalSince1970: Double(seconds))
                last = (seconds, date.formatted(.iso8601))
            }
            return last.text
        }
    }
}

/// Writes lines from a thread of its own. Whoever says something never waits for the reader of the log, and a log
/// that cannot be written (full disk, closed pipe) costs lines and nothing else.
final class LineWriter: Sendable {
    static let linesMax = 8_192

    private enum Line: Sendable {
        case bytes([UInt8])
        case members([(String, JSONValue)])
    }

    private struct State {
        var lines: [Line] = []
        /// Lines lost since the last one that was written.
        var lost = 0
        var isWriting = false
    }

    private let descriptor: Int32
    private let state = Mutex(State())
    private let news = DispatchSemaphore(value: 0)

    init(descriptor: Int32) {
        self.descriptor = descriptor
        Thread.detachNewThread { [weak self] in
            while let news = self?.news {
                news.wait()
                self?.writeAll()
            }
        }
    }

    /// Lines that were lost and not yet told.
    var lost: Int { state.withLock { $0.lost } }

    /// Takes one line without its end.
    func append(_ line: [UInt8]) { append(.bytes(line)) }

    /// Takes the members of one line. They become text on the writer's own thread: whoever cuts thousands of sessions
    /// says so of each.
    func append(members: [(String, JSONValue)]) { append(.members(members)) }

    private func append(_ line: Line) {
        state.withLock { state in
            guard state.lines.count < Self.linesMax else {
                state.lost += 1
                return
            }
            state.lines.append(line)
        }
        news.signal()
    }

    /// Whether everything said so far is written or lost.
    var isIdle: Bool { state.withLock { $0.lines.isEmpty && !$0.isWriting } }

    func flush(milliseconds: Int) {
        for _ in 0..<max(1, milliseconds) {
            if isIdle { return }
            usleep(1_000)
        }
    }

    private func writeAll() {
        let (lines, lost) = state.withLock { state in
            defer {
                state.lines = []
                state.lost = 0
                state.isWriting = true
            }
            return (state.lines, state.lost)
        }
        defer { state.withLock { $0.isWriting = false } }
        var bytes: [UInt8] = []
        if lost > 0 { bytes += Array("{\"event\":\"lines-lost\",\"count\":\(lost)}\n".utf8) }
        for line in lines {
            switch line {
            case .bytes(let line): bytes += line
            case .members(let members): bytes += JSONObject(members).serialized()
            }
            bytes.append(0x0a)
        }
        guard !bytes.isEmpty, !write(bytes) else { return }
        state.withLock { $0.lost += lost + lines.count }
    }

    /// - Returns: false when the rest could not be written.
    private func write(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                sent += count
                continue
            }
            guard count < 0, errno == EINTR || errno == EAGAIN else { return false }
            if errno == EAGAIN { usleep(10_000) }
        }
        return true
    }
}
