import CLinux
import Foundation
import Glibc
import Testing

@testable import gatepost

/// What both processes give up, tried in a process of its own: nothing of it can be had back.
@Suite("What a process cannot do any more")
struct ConfinementTests {
    /// Ends the process, which has said what was found.
    static func end(_ problems: [String]) -> Never {
        let words = problems.isEmpty ? "nothing was found" : "found: " + problems.joined(separator: "; ")
        say(words)
        exit(0)
    }

    private static func say(_ words: String) { FileHandle.standardError.write(Data((words + "\n").utf8)) }

    private static func expectNothing(_ result: ExitTest.Result?) {
        let words = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(words.contains("nothing was found\n"), "\(words)")
        if words.contains("not tried") { print(words) }
    }

    /// Tried before and after: what already fails before proves nothing.
    private struct Attempt {
        var what: String
        /// Whether only the data process gives it up, and whether by Landlock, which not every kernel has.
        var isDataOnly = false
        var needsLandlock = false
        /// - Returns: 0, or the error number.
        var make: () -> Int32
    }

    private static func failure(_ result: Int) -> Int32 {
        guard result >= 0 else { return errno }
        return 0
    }

    private static func open(_ path: String, _ flags: Int32) -> Int32 {
        let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return errno }
        close(descriptor)
        return 0
    }

    private static func socket(_ family: Int32) -> Int32 {
        let descriptor = Glibc.socket(family, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return errno }
        close(descriptor)
        return 0
    }

    private static func spawn() -> Int32 {
        var pid: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("true"), nil]
        defer { free(arguments[0]) }
        let result = posix_spawn(&pid, "/bin/true", nil, nil, &arguments, nil)
        if result == 0 { waitpid(pid, nil, 0) }
        return result
    }

    private static func attempts(_ file: String) -> [Attempt] {
        [
            Attempt(what: "another program") { spawn() },
            Attempt(what: "another user") { failure(Int(setuid(getuid()))) },
            Attempt(what: "another group") { failure(Int(setgid(getgid()))) },
            Attempt(what: "a file that is written", isDataOnly: true, needsLandlock: true) {
                open(file, O_WRONLY | O_CREAT)
            },
            Attempt(what: "a file that is none of its own", isDataOnly: true, needsLandlock: true) {
                open("/etc/passwd", O_RDONLY)
            },
            Attempt(what: "a socket of this machine's programs", isDataOnly: true) { socket(AF_UNIX) },
            Attempt(what: "a signal to another process", isDataOnly: true) {
                failure(Int(kill(getppid(), 0)))
            },
        ]
    }

    /// Works in both, before and after.
    private static var kept: [Attempt] {
        [
            Attempt(what: "a connection to an upstream") { socket(AF_INET) },
            Attempt(what: "the authorities of the system") { open("/etc/ssl", O_RDONLY | O_DIRECTORY) },
        ]
    }

    private static func status(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 8_192)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    /// What is wrong with a process that was confined as one of the two.
    static func problems(isData: Bool) -> [String] {
        // Its folder stays: what is not there cannot be written either.
        let file = "/tmp/gatepost-confined-\(getpid())"
        defer { unlink(file) }
        // Opened before: afterwards the file system is closed. Its text is made when it is read.
        let own = Glibc.open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC)
        var problems: [String] = []
        let attempts = attempts(file)
        for attempt in attempts + kept where attempt.make() != 0 {
            problems.append("\(attempt.what): failed before, \(String(cString: strerror(errno)))")
        }
        unlink(file)
        let words: [String]
        do {
            words = try Confinement(user: nil, closesFileSystem: isData, parent: getppid()).apply()
        } catch { return ["\(error)"] }
        let hasLandlock = words.contains("landlock")
        for attempt in attempts where hasLandlock || !attempt.needsLandlock {
            let isRefused = [EPERM, EACCES].contains(attempt.make())
            if isRefused == (attempt.isDataOnly && !isData) {
                problems.append("\(attempt.what) is \(isRefused ? "refused" : "still possible")")
            }
        }
        for attempt in kept where attempt.make() != 0 { problems.append("\(attempt.what) is gone") }
        if gatepost_prctl(PR_GET_DUMPABLE, 0) != 0 { problems.append("dumpable") }
        if gatepost_prctl(PR_GET_NO_NEW_PRIVS, 0) != 1 { problems.append("new privileges") }
        let status = status(own)
        for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] where !status.contains(line) {
            problems.append("no \(line)")
        }
        for set in ["Inh", "Prm", "Eff", "Bnd", "Amb"] where isData {
            let isEmpty = status.contains("Cap\(set):\t0000000000000000\n")
            // Only root may take from the bounding set; for everybody else `no_new_privs` closes it.
            if !isEmpty, set != "Bnd" || geteuid() == 0 { problems.append("capabilities: Cap\(set)") }
        }
        guard isData else { return problems }
        if !hasLandlock { say("files: not tried, \(words) says why") }
        // What this kernel does not have is no fault; what it has must be on.
        let lacks = [ENOSYS, EOPNOTSUPP].map { "landlock-off (\(String(cString: strerror($0))))" }
        if !words.contains("no-capabilities") || (!hasLandlock && !words.contains(where: lacks.contains)) {
            problems.append("it says \(words)")
        }
        return problems
    }

    @Test func `the data process: no program, no user, no file, no neighbour, no capability`() async {
        let result = await #expect(
            processExitsWith: .success, observing: [\.standardErrorContent]
        ) {
            ConfinementTests.end(ConfinementTests.problems(isData: true))
        }
        Self.expectNothing(result)
    }

    @Test func `the control process: no program, no user; files and sockets stay`() async {
        let result = await #expect(
            processExitsWith: .success, observing: [\.standardErrorContent]
        ) {
            ConfinementTests.end(ConfinementTests.problems(isData: false))
        }
        Self.expectNothing(result)
    }
}
