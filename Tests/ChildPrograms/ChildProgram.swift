import Foundation
import Glibc
import Synchronization

/// A program that a test runs, started by posix_spawn(3); killed and reaped when nobody holds it any more.
///
/// Not Foundation's `Process`, which reads the list of open descriptors in whole `dirent`s: where they fill the buffer of
/// readdir(3), which is so from some 1,300 on, it reads past the end of it, and the program may crash
/// (swift-corelibs-foundation 5472, mended after 6.3). It also waits on a run loop, which the threads of tasks do not have.
package final class ChildProgram: Sendable {
    package enum Input: Sendable {
        /// Its end at once.
        case nothing
        case bytes([UInt8])
        /// What `tell` says, as long as the program is held.
        case told
    }

    package enum Output: Sendable {
        case discarded
        /// For `line` and `outcome`; of both outputs in the order in which they were written.
        case kept
        /// Goes where that of the tests goes.
        case shown
    }

    package struct Outcome: Sendable {
        /// The exit status, or the negative number of the signal that ended it.
        package var status: Int32
        /// What was kept and not yet read as a line.
        package var output: [UInt8]
        package var text: String { String(decoding: output, as: UTF8.self) }
    }

    private let pid: pid_t
    private let input: Descriptor?
    private let output: Descriptor?
    private let deadline: ContinuousClock.Instant
    private let unread = Mutex<[UInt8]>([])
    private let ended = Mutex<Int32?>(nil)

    /// Starts a program. It inherits no descriptor but the outputs that are shown, and no signal is blocked or ignored.
    ///
    /// - Parameters:
    ///   - path: from the root; no folder is searched for it.
    ///   - environment: all of it; nil: that of the tests.
    ///   - secondsMax: from now on; whoever still waits for it then finds it killed.
    /// - Throws: `Refusal`, which names the program.
    package init(
        _ path: String, _ arguments: [String] = [], environment: [String: String]? = nil,
        input: Input = .nothing, output: Output = .discarded, errors: Output = .discarded,
        secondsMax: Int = 300
    ) throws(Refusal) {
        guard access(path, X_OK) == 0 else { throw Refusal(missing: path) }
        let variables = environment ?? ProcessInfo.processInfo.environment
        var theirInput: Descriptor?
        switch input {
        case .nothing: self.input = nil
        case .bytes(let bytes): (self.input, theirInput) = (nil, try Descriptor.file(of: bytes))
        case .told: (self.input, theirInput) = try Descriptor.socketPair()
        }
        var theirOutput: Descriptor?
        if output == .kept || errors == .kept {
            (self.output, theirOutput) = try Descriptor.pipe()
        } else {
            self.output = nil
        }
        deadline = .now + .seconds(secondsMax)
        pid = try Spawn(
            input: theirInput, output: .init(output, theirOutput), errors: .init(errors, theirOutput)
        ).start([path] + arguments, variables.map { "\($0.key)=\($0.value)" })
    }

    deinit {
        signal(SIGKILL)
        _ = wait()
    }

    /// As in `Outcome`; nil while it runs.
    package var status: Int32? {
        ended.withLock { ended in
            if let ended { return ended }
            var raw: Int32 = 0
            let found = waitpid(pid, &raw, WNOHANG)
            precondition(found >= 0 || errno == EINTR, "somebody else has reaped process \(pid)")
            guard found == pid else { return nil }
            ended = raw & 0x7f == 0 ? (raw >> 8) & 0xff : -(raw & 0x7f)
            return ended
        }
    }

    package var isRunning: Bool { status == nil }

    /// Does nothing once the program is reaped: its number may be somebody else's by then.
    package func signal(_ number: Int32) { ended.withLock { if $0 == nil { kill(pid, number) } } }

    /// Blocks until the program has ended.
    package func wait() -> Int32 {
        while true {
            if let status { return status }
            if ContinuousClock.now >= deadline { signal(SIGKILL) }
            usleep(2_000)
        }
    }

    /// Blocks until the program has ended, and reads what it still says.
    package func outcome() -> Outcome {
        let output = unread.withLock { unread in
            while let more = read() { unread += more }
            defer { unread = [] }
            return unread
        }
        return Outcome(status: wait(), output: output)
    }

    /// The same without blocking a thread of the tasks, of which there are as many as processors.
    package func outcome() async -> Outcome {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: self.outcome()) }
        }
    }

    /// Blocks until there is a line.
    ///
    /// - Returns: the next line of what is kept, without its end; nil when nothing more comes.
    package func line() -> String? {
        unread.withLock { unread in
            while true {
                if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
                    defer { unread.removeSubrange(...end) }
                    return String(decoding: unread[..<end], as: UTF8.self)
                }
                guard let more = read() else {
                    defer { unread = [] }
                    return unread.isEmpty ? nil : String(decoding: unread, as: UTF8.self)
                }
                unread += more
            }
        }
    }

    /// Writes a line to an input that is told; a program that has ended does not hear it.
    package func tell(_ line: String) { input?.send(Array(line.utf8) + [UInt8(ascii: "\n")]) }

    /// The next bytes; nil at their end, and when the time is over.
    private func read() -> [UInt8]? { output?.read(until: deadline) }
}

/// Why a program was not started, and what to do.
package struct Refusal: Error, CustomStringConvertible {
    package var description: String

    init(_ description: String) { self.description = description }

    init(missing path: String) {
        let remedy =
            path.hasPrefix("/usr/")
            ? "scripts/bootstrap build test"
            : path.hasSuffix("/python") ? "scripts/bootstrap clients" : "swift build"
        self.init("\(path) is missing or no program; next: \(remedy)")
    }
}
