import CLinux
import Glibc
import JSON
import Synchronization

/// Where a reactor is in its turn: 0 while it waits for events, otherwise when the turn began.
final class TurnMark: Sendable {
    private let began = Atomic<UInt64>(0)
    func begin(_ nanoseconds: UInt64) { began.store(nanoseconds, ordering: .releasing) }
    func end() { began.store(0, ordering: .releasing) }
    var beganNanoseconds: UInt64 { began.load(ordering: .acquiring) }
}

/// Writes the reactors' log lines and watches that no reactor stays in one turn: a stalled reactor cannot say
/// so.
final class LogThread: Sendable {
    struct Source: Sendable {
        let ring: LogRing
        let mark: TurnMark
        let counters: ReactorCounters
    }

    /// A turn longer than this is reported once.
    static let stallNanoseconds: UInt64 = 250_000_000
    private static let periodMilliseconds: Int32 = 100

    private let sources: [Source]
    private let descriptor: Int32
    private let wake: Wake
    private let isEnding = Atomic<Bool>(false)

    init(_ sources: [Source], descriptor: Int32) throws {
        self.sources = sources
        self.descriptor = descriptor
        wake = try Wake()
    }

    func end() {
        isEnding.store(true, ordering: .releasing)
        wake.signal()
    }

    func run() {
        var reported = [UInt64](repeating: 0, count: sources.count)
        var output = LogOutput(descriptor: descriptor)
        while !isEnding.load(ordering: .acquiring) {
            var poller = pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0)
            _ = poll(&poller, 1, Self.periodMilliseconds)
            wake.clear()
            write(&output)
            for (index, source) in sources.enumerated() { watch(index, source, &reported[index], &output) }
        }
        write(&output)
    }

    private func write(_ output: inout LogOutput) {
        var hadLines = false
        var lost = 0
        for source in sources where !source.ring.isEmpty {
            hadLines = true
            let lines = source.ring.drain(to: &output)
            // This thread alone writes this counter, as it does `stalls`.
            if lines > 0 { source.counters.add(.logLinesLost, UInt64(lines)) }
            lost += lines
        }
        if hadLines { output.note(lost: lost) }
    }

    private func watch(
        _ index: Int, _ source: Source, _ reported: inout UInt64, _ output: inout LogOutput
    ) {
        let began = source.mark.beganNanoseconds
        let now = Clock.monotonicNanoseconds()
        guard began != 0, began != reported, now > began, now - began > Self.stallNanoseconds else { return }
        reported = began
        // Written by this thread, and by nobody else.
        source.counters.add(.stalls)
        var line = JSONLineWriter()
        line.beginObject()
        line.field("event", "reactor-stalled")
        line.field("reactor", index)
        line.field("milliseconds", Int64((now - began) / 1_000_000))
        line.endObject()
        output.write(line.bytes)
    }
}
