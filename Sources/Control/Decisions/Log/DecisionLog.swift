import Access
import Config
import Foundation
import Glibc
import JSON
import Synchronization

/// Writes the decision log from a thread of its own. Whoever decides never waits for it; what cannot be written (full
/// disk, a queue that is full) costs lines, which are counted and told, and never a request.
final class DecisionLog: Sendable {
    /// Entries that wait; a reload that decides more sessions at once has the rest at their next renewal.
    static let entriesMax = 65_536
    /// How much the log gives way to the rest of the control plane.
    private static let niceness: Int32 = 10
    /// Encoded together.
    private static let chunkEntries = 64

    /// What can be said of the log.
    struct Status: Sendable, Hashable {
        var file: String
        var entriesWritten: Int
        var entriesLost: Int
        var isFailing: Bool
    }

    private struct State {
        var entries: [DecisionEntry] = []
        /// Of those that the pen has, how many are not in the file.
        var taken = 0
        var written = 0
        var lost = 0
        var isFailing = false
        var file = ""
    }

    /// Gets the lines as well; nil: nothing does.
    let webhook: DecisionWebhook?
    private let state = Mutex(State())
    /// Held for one chunk. Whoever holds it may ask for `state`, never the other way round.
    private let pen: Mutex<DecisionPen>
    private let news = DispatchSemaphore(value: 0)
    private let begun = Atomic<UInt64>(1)
    private let monotonic: @Sendable () -> UInt64

    /// Counts files: what was written in an earlier one has to be written again to stand beside what follows.
    var generation: UInt64 { begun.load(ordering: .acquiring) }

    /// - Parameters:
    ///   - webhook: is given the lines that stand in a file.
    ///   - monotonic: nanoseconds that only grow, for the rest that a disk which took nothing is given and for `flush`.
    ///   - write: what puts bytes into a file, as write(2); tests hand in a full disk.
    /// - Throws: `ControlFailure` when no file can be made at the start.
    init(
        _ folder: DecisionFolder, webhook: DecisionWebhook? = nil,
        nowSeconds: @escaping @Sendable () -> Int64,
        monotonic: @escaping @Sendable () -> UInt64 = monotonicNanoseconds,
        write: @escaping @Sendable (Int32, UnsafeRawPointer?, Int) -> Int = { Glibc.write($0, $1, $2) }
    ) throws(ControlFailure) {
        self.webhook = webhook
        self.monotonic = monotonic
        guard let first = folder.begin() else {
            throw ControlFailure(
                what: "gateway.decision-log: no file can be made in \(folder.settings.folder); "
                    + "make it writable for the gateway, or write off")
        }
        folder.prune(keeping: first.path)
        state.withLock { $0.file = first.path }
        var pen = DecisionPen(
            folder: folder, descriptor: first.descriptor, number: first.number, path: first.path,
            nowSeconds: nowSeconds, monotonic: monotonic, write: write)
        if let webhook { pen.written = { webhook.offer($0) } }
        self.pen = Mutex(pen)
        Thread.detachNewThread { [weak self, news] in
            // This thread alone (nice(2), "C library/kernel differences"): when thousands are cut at once their lines
            // are encoded after the cut, not beside it.
            _ = nice(Self.niceness)
            while true {
                news.wait()
                guard let log = self else { return }
                while log.pen.withLock({ log.writeChunk(&$0) }) {}
            }
        }
    }

    deinit {
        news.signal()
        pen.withLock { $0.close() }
    }

    var status: Status {
        state.withLock {
            Status(
                file: $0.file, entriesWritten: $0.written, entriesLost: $0.lost, isFailing: $0.isFailing)
        }
    }

    /// - Returns: false when it was lost.
    @discardableResult
    func append(_ entry: DecisionEntry) -> Bool {
        let isTaken = state.withLock { state in
            guard state.entries.count < Self.entriesMax else {
                state.lost += 1
                return false
            }
            state.entries.append(entry)
            return true
        }
        if isTaken { news.signal() }
        return isTaken
    }

    /// Writes what was said so far, for at most so long: on a machine that is busy the log's own thread, which gives
    /// way to everything, might not come to it before the end. Does not wait for that thread where its disk hangs.
    ///
    /// - Returns: how many entries are still not written.
    @discardableResult
    func flush(milliseconds: Int) -> Int {
        let end = monotonic() + UInt64(milliseconds) * 1_000_000
        while true {
            let left = state.withLock { $0.entries.count + $0.taken }
            guard left > 0 else { return 0 }
            let isFree = pen.withLockIfAvailable { writeChunk(&$0) } != nil
            guard monotonic() < end else { return state.withLock { $0.entries.count + $0.taken } }
            if !isFree { usleep(1_000) }
        }
    }

    /// One chunk of what waits, by whoever has the pen.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    private func writeChunk(_ pen: inout DecisionPen) -> Bool {
        if pen.waiting.isEmpty {
            pen.waiting = state.withLock { state in
                defer { state.entries = [] }
                state.taken = state.entries.count
                return state.entries[...]
            }
        }
        guard !pen.waiting.isEmpty else { return false }
        let chunk = pen.waiting.prefix(Self.chunkEntries)
        pen.waiting = pen.waiting.dropFirst(Self.chunkEntries)
        let lost = state.withLock { $0.lost }
        let file = pen.path
        let isWritten = pen.write(chunk, lost: lost)
        if pen.path != file || !isWritten { begun.add(1, ordering: .acquiringAndReleasing) }
        let changed = state.withLock { state in
            state.file = pen.path
            state.taken -= chunk.count
            state.written += isWritten ? chunk.count : 0
            state.lost += isWritten ? 0 : chunk.count
            defer { state.isFailing = !isWritten }
            return state.isFailing == isWritten
        }
        if changed {
            EventLog.write(
                isWritten ? "decision-log-works-again" : "decision-log-failed",
                [("file", .string(pen.path)), ("entries_lost", .integer(Int64(lost)))])
        }
        return true
    }
}

/// The file that is being written.
struct DecisionPen {
    /// A disk that took nothing is asked again after this.
    static let retryNanoseconds: UInt64 = 2_000_000_000

    let folder: DecisionFolder
    /// Taken off the log, and not yet in the file.
    var waiting: ArraySlice<DecisionEntry> = []
    private(set) var path: String
    private var descriptor: Int32
    private var size: Int64 = 0
    /// Bytes that the file began with: a big policy must not be what fills it.
    private var headBytes: Int64
    private var beganAtSeconds: Int64
    private var lines: DecisionLines
    private var policy: PolicySnapshot?
    private var lostTold = 0
    private var failedAtNanoseconds: UInt64?
    private let nowSeconds: @Sendable () -> Int64
    private let monotonic: @Sendable () -> UInt64
    private let write: @Sendable (Int32, UnsafeRawPointer?, Int) -> Int
    /// Hears of the lines that stand in a file now.
    var written: (@Sendable ([UInt8]) -> Void)?

    init(
        folder: DecisionFolder, descriptor: Int32, number: Int, path: String,
        nowSeconds: @escaping @Sendable () -> Int64, monotonic: @escaping @Sendable () -> UInt64,
        write: @escaping @Sendable (Int32, UnsafeRawPointer?, Int) -> Int
    ) {
        self.folder = folder
        self.descriptor = descriptor
        self.path = path
        self.nowSeconds = nowSeconds
        self.monotonic = monotonic
        self.write = write
        beganAtSeconds = nowSeconds()
        lines = DecisionLines(key: folder.key)
        lines.begin(number: number, atSeconds: beganAtSeconds)
        headBytes = lines.count
    }

    /// - Parameter lost: entries that were lost since the start; the difference is told in the file.
    /// - Returns: false when all of `entries` are lost.
    mutating func write(_ entries: ArraySlice<DecisionEntry>, lost: Int) -> Bool {
        for case .policy(let policy) in entries { self.policy = policy }
        guard prepare() else { return false }
        if lost > lostTold {
            try? lines.write(
                .event(
                    kind: "lost", atSeconds: nowSeconds(),
                    [("entries", .integer(Int64(lost - lostTold)))]))
        }
        for entry in entries { try? lines.write(entry) }
        let bytes = lines.take()
        guard put(bytes) else {
            fail()
            return false
        }
        lostTold = lost
        size += Int64(bytes.count)
        written?(bytes)
        return true
    }

    mutating func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// A file that still takes lines.
    private mutating func prepare() -> Bool {
        let now = nowSeconds()
        // A clock that jumps back begins a new file, too: nothing is kept open for ever.
        let isFull =
            size - headBytes >= folder.fileBytesMax
            || !(0..<folder.fileSecondsMax).contains(now - beganAtSeconds)
        if descriptor >= 0, !isFull { return true }
        if let failed = failedAtNanoseconds, monotonic() - failed < Self.retryNanoseconds {
            return false
        }
        guard let next = folder.begin() else {
            // The old one is better than none, within bounds.
            return descriptor >= 0 && size - headBytes < 2 * folder.fileBytesMax
        }
        close()
        descriptor = next.descriptor
        path = next.path
        size = 0
        beganAtSeconds = now
        failedAtNanoseconds = nil
        lines = DecisionLines(key: folder.key)
        lines.begin(number: next.number, atSeconds: now)
        if let policy { try? lines.write(.policy(policy)) }
        headBytes = lines.count
        folder.prune(keeping: path, headBytes: headBytes)
        return true
    }

    private func put(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                sent += count
                continue
            }
            guard count < 0, errno == EINTR else { return false }
        }
        return true
    }

    /// The file ends with its last whole line; what follows goes into another one, with its inputs.
    private mutating func fail() {
        ftruncate(descriptor, off_t(size))
        close()
        if size == 0 { unlink(path) }
        failedAtNanoseconds = monotonic()
    }
}
