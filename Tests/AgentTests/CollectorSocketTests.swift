import Foundation
import Glibc
import JSON
import Synchronization
import Testing

@testable import gatepost_agent

@Suite("The collector tells one local user, and takes nothing but one line")
struct CollectorSocketTests {
    static func withCollector(
        user: UInt32 = geteuid(), facts: JSONObject = JSONObject([("serial_test", "S-1")]),
        now: @escaping @Sendable () -> Int64 = AgentClock.system.nowMilliseconds,
        _ body: (String, Counted) throws -> Void
    ) throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/c.sock"
        let asked = Counted()
        let server = try CollectorServer(
            socketPath: path, user: user,
            clock: AgentClock(nowSeconds: { 1_900_000_000 }, nowMilliseconds: now),
            facts: { _ in
                asked.count.withLock { $0 += 1 }
                return facts
            })
        Thread { server.run() }.start()
        defer { server.stop() }
        try body(path, asked)
    }

    final class Counted: Sendable { let count = Mutex(0) }

    /// Sends pieces and returns what comes back until the end.
    static func exchange(_ path: String, _ pieces: [[UInt8]]) throws -> [UInt8] {
        let descriptor = try #require(UnixSocket.connected(to: path))
        defer { close(descriptor) }
        for piece in pieces { _ = send(descriptor, piece, piece.count, CInt(MSG_NOSIGNAL)) }
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { return received }
            received += chunk.prefix(count)
        }
    }

    @Test("the agent's user gets every fact, also when the line comes in pieces") func answered() throws {
        try Self.withCollector { path, _ in
            let whole = try Self.exchange(path, [CollectorServer.question])
            #expect(try JSONValue(parsing: whole)["facts"]?["serial_test"] == "S-1")
            for cut in 1..<CollectorServer.question.count {
                let line = CollectorServer.question
                let pieces = [Array(line[..<cut]), Array(line[cut...])]
                #expect(try Self.exchange(path, pieces) == whole, "cut at \(cut)")
            }
            let probe = CollectorProbe(path: path, names: ["serial_test"])
            let machine = Machine(root: HostRoot(), commands: NoCommands(), nowSeconds: 0)
            #expect(probe.read(machine).map(\.name) == ["serial_test"])
            let others = CollectorProbe(path: path, names: ["hostname"])
            #expect(others.read(machine).isEmpty, "only facts of known names are taken")
        }
    }

    static let wrong = [
        "", "facts 2\n", "FACTS 1\n", "facts 1 ", "GET / HT", "facts 1\nmore", "\0\0\0\0\0\0\0\0",
    ]

    @Test("every other line gets no byte", arguments: wrong) func refused(_ line: String) throws {
        try Self.withCollector { path, asked in
            let descriptor = try #require(UnixSocket.connected(to: path))
            defer { close(descriptor) }
            _ = send(descriptor, line, line.utf8.count, CInt(MSG_NOSIGNAL))
            shutdown(descriptor, CInt(SHUT_WR))
            var chunk = [UInt8](repeating: 0, count: 64)
            // A line that is too long is cut at the length of the right one, which it must not contain.
            let count = recv(descriptor, &chunk, chunk.count, 0)
            #expect(count <= 0)
            #expect(asked.count.withLock { $0 } == 0, "nothing was read for it")
        }
    }

    @Test("somebody who says nothing is let go after two seconds, and the next one is served")
    func silentCaller() throws {
        try Self.withCollector { path, _ in
            let silent = try #require(UnixSocket.connected(to: path))
            defer { close(silent) }
            #expect(!(try Self.exchange(path, [CollectorServer.question])).isEmpty)
        }
    }

    @Test("asking often makes root read once in ten seconds") func cached() throws {
        let time = SharedMilliseconds()
        try Self.withCollector(now: { time.now.withLock { $0 } }) { path, asked in
            for _ in 0..<20 { _ = try Self.exchange(path, [CollectorServer.question]) }
            #expect(asked.count.withLock { $0 } == 1)
            time.now.withLock { $0 += CollectorServer.cacheMilliseconds - 1 }
            _ = try Self.exchange(path, [CollectorServer.question])
            #expect(asked.count.withLock { $0 } == 1)
            time.now.withLock { $0 += 1 }
            _ = try Self.exchange(path, [CollectorServer.question])
            #expect(asked.count.withLock { $0 } == 2)
        }
    }

    @Test("the socket replaces one of an earlier run and nothing else, and others have no right to it")
    func socketFile() throws {
        let folder = try TemporaryFolder()
        try folder.put("/file", "x")
        #expect(throws: AgentError.self) { try UnixSocket.listening(at: folder.path + "/file") }
        symlink(folder.path + "/elsewhere", folder.path + "/link")
        #expect(throws: AgentError.self) { try UnixSocket.listening(at: folder.path + "/link") }
        #expect(throws: AgentError.self) {
            try UnixSocket.listening(at: "/tmp/" + String(repeating: "x", count: 120))
        }
        let path = folder.path + "/s"
        close(try UnixSocket.listening(at: path))
        let again = try UnixSocket.listening(at: path)
        defer { close(again) }
        var info = stat()
        #expect(stat(path, &info) == 0 && info.st_mode & 0o777 == 0o660)
    }

    @Test("without a collector, and with one that lies about its shape, what root knows stays unknown")
    func absent() throws {
        #expect(CollectorProbe(path: "/nonexistent/s", names: []).answer() == nil)
        let big = JSONObject([("serial_test", .string(String(repeating: "x", count: 70_000)))])
        try Self.withCollector(facts: big) { path, _ in
            #expect(CollectorProbe(path: path, names: []).answer() == nil, "more than 64 KiB")
        }
    }
}

final class SharedMilliseconds: Sendable { let now = Mutex<Int64>(0) }
