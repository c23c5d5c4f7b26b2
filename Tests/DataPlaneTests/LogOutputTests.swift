import Foundation
import Testing

@testable import DataPlane

@Suite("A log that takes nothing for a while")
struct LogOutputTests {
    /// A pipe that takes one page and then nothing, as a disk that is full.
    struct SmallPipe: ~Copyable {
        let reading: Int32
        let writing: Int32

        init() {
            var ends: [Int32] = [0, 0]
            pipe(&ends)
            (reading, writing) = (ends[0], ends[1])
            for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
            // fcntl(2): F_SETPIPE_SZ, which Swift's Glibc does not have.
            _ = fcntl(writing, 1_031, 4_096)
        }

        deinit {
            close(reading)
            close(writing)
        }

        func readAll() -> [UInt8] {
            var all: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while case let count = read(reading, &buffer, buffer.count), count > 0 {
                all += buffer.prefix(count)
            }
            return all
        }
    }

    private static func line(_ letter: Character, _ count: Int) -> [UInt8] {
        Array((String(repeating: letter, count: count - 1) + "\n").utf8)
    }

    private static func put(_ letter: Character, _ count: Int, _ ring: LogRing) -> Bool {
        let line = line(letter, count)
        return ring.write(line.span)
    }

    @Test func `what it does not take is counted, and the line that was torn ends before the next one`() {
        let pipe = SmallPipe()
        let ring = LogRing(capacity: 8_192)
        var output = LogOutput(descriptor: pipe.writing)
        let letters: [Character] = ["a", "b", "c", "d", "e", "f"]
        for letter in letters { #expect(Self.put(letter, 1_000, ring)) }
        #expect(ring.drain(to: &output) == 2, "e was torn, f never began")
        #expect(ring.isEmpty)
        // Still full: whoever waits now is lost, and nothing is glued to what was torn.
        #expect(Self.put("g", 10, ring))
        #expect(ring.drain(to: &output) == 1)
        let first = pipe.readAll()
        #expect(first.count == 4_096)
        for letter in ["h", "i"] as [Character] { #expect(Self.put(letter, 10, ring)) }
        #expect(ring.drain(to: &output) == 0)
        let all = (first + pipe.readAll()).split(separator: 10).map { String(decoding: $0, as: UTF8.self) }
        let whole = letters.prefix(4).map { String(repeating: $0, count: 999) }
        #expect(all == whole + [String(repeating: "e", count: 96), "hhhhhhhhh", "iiiiiiiii"])
    }

    @Test func `lines that wrap around the ring's end come whole, and no end is put into them`() {
        let pipe = SmallPipe()
        let ring = LogRing(capacity: 64)
        var output = LogOutput(descriptor: pipe.writing)
        for (index, letter) in (["a", "b", "c", "d"] as [Character]).enumerated() {
            #expect(Self.put(letter, 40, ring))
            #expect(ring.drain(to: &output) == 0)
            #expect(pipe.readAll() == Self.line(letter, 40), "line \(index)")
        }
    }

    @Test func `a disk that takes nothing loses every line whole`() throws {
        let full = open("/dev/full", O_WRONLY)
        try #require(full >= 0)
        defer { close(full) }
        let ring = LogRing(capacity: 1_024)
        var output = LogOutput(descriptor: full)
        for letter in ["a", "b", "c"] as [Character] { #expect(Self.put(letter, 10, ring)) }
        #expect(ring.drain(to: &output) == 3)
        #expect(ring.isEmpty)
    }

    @Test func `the log thread counts what was lost, at the reactor whose lines they were`() throws {
        let full = open("/dev/full", O_WRONLY)
        try #require(full >= 0)
        defer { close(full) }
        let (ring, counters) = (LogRing(capacity: 1_024), ReactorCounters())
        #expect(Self.put("a", 10, ring))
        let thread = try LogThread(
            [LogThread.Source(ring: ring, mark: TurnMark(), counters: counters)], descriptor: full)
        let threads = Threads()
        threads.startLog(thread)
        thread.end()
        threads.joinLog()
        #expect(counters.value(.logLinesLost) == 1)
        #expect(ReactorMetrics(counters).counters["log_lines_lost"] == 1)
    }
}
