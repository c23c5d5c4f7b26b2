import Foundation
import Glibc
import Testing

@testable import Control

@Suite("A log that nobody can read costs lines and nothing else")
struct LogTests {
    private func lines(_ descriptor: Int32) -> [String] {
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: "\n").map(
            String.init)
    }

    @Test func `lines come out whole and in order`() {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let writer = LineWriter(descriptor: ends[1])
        for number in 0..<100 { writer.append(Array("\(number)".utf8)) }
        writer.flush(milliseconds: 10_000)
        #expect(lines(ends[0]) == (0..<100).map(String.init))
    }

    @Test func `a full disk loses lines, and the next one that fits tells how many`() {
        let full = open("/dev/full", O_WRONLY)
        defer { close(full) }
        let writer = LineWriter(descriptor: full)
        writer.append(Array("lost".utf8))
        writer.flush(milliseconds: 10_000)
        #expect(writer.lost == 1)
    }

    @Test func `a closed pipe ends nothing`() {
        signal(SIGPIPE, SIG_IGN)
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        close(ends[0])
        defer { close(ends[1]) }
        let writer = LineWriter(descriptor: ends[1])
        writer.append(Array("lost".utf8))
        writer.flush(milliseconds: 10_000)
        #expect(writer.lost == 1)
    }

    @Test func `nobody waits for a reader that does not read, and what is kept is bounded`() {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let writer = LineWriter(descriptor: ends[1])
        // More than the pipe holds: once it is full the writing thread is in the middle of this line and no other.
        writer.append([UInt8](repeating: 0x62, count: 100_000))
        var full = pollfd(fd: ends[1], events: Int16(POLLOUT), revents: 0)
        while poll(&full, 1, 0) == 1 { sched_yield() }
        let line = [UInt8](repeating: 0x61, count: 1_000)
        for _ in 0..<(3 * LineWriter.linesMax) { writer.append(line) }
        #expect(writer.lost == 2 * LineWriter.linesMax)
        // The reader comes back, and the writing thread goes on. It must be done before its descriptor is closed: the
        // number would be somebody else's next.
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        var text: [UInt8] = []
        func readOn() {
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            while case let count = read(ends[0], &bytes, bytes.count), count > 0 {
                text += bytes.prefix(count)
            }
        }
        var some = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
        while !writer.isIdle {
            poll(&some, 1, 10)
            readOn()
        }
        readOn()
        let lines = text.split(separator: 10)
        #expect(lines.map(\.count).filter { $0 == 1_000 }.count == LineWriter.linesMax)
        let told = Array("{\"event\":\"lines-lost\",\"count\":\(2 * LineWriter.linesMax)}".utf8)
        #expect(lines.filter { $0.elementsEqual(told) }.count == 1)
        #expect(writer.lost == 0)
    }
}

@Suite("Waiting is bounded")
struct PatienceTests {
    @Test(.timeLimit(.minutes(10))) func `work that does not hear of cancellation keeps nobody waiting`()
        async
    {
        let endless = AsyncStream<Void>.makeStream()
        await Patience.wait(milliseconds: 20) {
            await withCheckedContinuation { continuation in
                Task {
                    for await _ in endless.stream {}
                    continuation.resume()
                }
            }
        }
        endless.continuation.finish()
    }

    @Test(.timeLimit(.minutes(10))) func `work that is done early ends the wait`() async {
        await Patience.wait(milliseconds: 3_600_000) {}
    }

    @Test func `questions are few, and few per session`() {
        let questions = HeldQuestions()
        #expect(questions.enter("a", max: 3) && questions.enter("a", max: 3))
        #expect(!questions.enter("a", max: 3))
        #expect(questions.enter("b", max: 3))
        #expect(!questions.enter("c", max: 3))
        questions.leave("a")
        #expect(questions.enter("c", max: 3))
        #expect(questions.count == 3)
    }
}
