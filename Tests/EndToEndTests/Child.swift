import Foundation
import Glibc
import Synchronization

/// A program that the suite started, in a process group of its own, stopped by its process id only.
final class Child: Sendable {
    let name: String
    let log: URL
    let pid: pid_t
    private let ended = Mutex<Int32?>(nil)

    /// Starts a program inside the private network; both its outputs are appended to `log`.
    ///
    /// - Parameter environment: all of it; nothing is inherited.
    init(
        _ name: String, _ path: String, _ arguments: [String], environment: [String: String] = [:], log: URL,
        in network: PrivateNetwork
    ) throws {
        self.name = name
        self.log = log
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw Failure(description: "\(path) is missing; \(Self.remedy(for: path))")
        }
        // The kernel ends the child when the thread inside is gone: also when this process is killed.
        let words = ["setpriv", "--pdeathsig", "TERM", path] + arguments
        let standard = [
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "TMPDIR": NSTemporaryDirectory(),
        ]
        let variables = standard.merging(environment) { $1 }.map { "\($0.key)=\($0.value)" }
        pid = try network.inside { try Self.spawn("/usr/bin/setpriv", words, variables, log.path) }
    }

    deinit { stop() }

    private static func remedy(for path: String) -> String {
        let packages = [
            "/usr/bin/chromedriver": "chromium-driver", "/usr/bin/certutil": "libnss3-tools",
            "/usr/bin/curl": "curl", "/usr/bin/firefox-esr": "firefox-esr", "/usr/bin/Xvfb": "xvfb",
            "/usr/bin/WebKitWebDriver": "webkit2gtk-driver",
            "/usr/bin/node": "nodejs", "/usr/sbin/nginx": "nginx-light", "/usr/sbin/apache2": "apache2-bin",
            "/sbin/ip": "iproute2", "/usr/bin/setpriv": "util-linux", "/usr/bin/openssl": "openssl",
        ]
        if let package = packages[path] {
            return "next: apt-get install \(package), or scripts/bootstrap test"
        }
        return path.hasSuffix("/python") ? "next: scripts/bootstrap test" : "next: swift build"
    }

    private static func spawn(_ path: String, _ words: [String], _ variables: [String], _ log: String) throws
        -> pid_t
    {
        var attributes = posix_spawnattr_t()
        var actions = posix_spawn_file_actions_t()
        posix_spawnattr_init(&attributes)
        posix_spawn_file_actions_init(&actions)
        defer {
            posix_spawnattr_destroy(&attributes)
            posix_spawn_file_actions_destroy(&actions)
        }
        // Threads here may block signals, and children inherit that: they could then not be stopped.
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var pid: pid_t = 0
        let problem = posix_spawn(&pid, path, &actions, &attributes, &argv, &envp)
        guard problem == 0 else {
            throw Failure(
                description: "\(words.joined(separator: " ")): \(String(cString: strerror(problem)))")
        }
        return pid
    }

    /// The exit status, or the negative number of the signal that ended it; nil while it runs.
    var status: Int32? {
        ended.withLock { ended in
            if let ended { return ended }
            var raw: Int32 = 0
            guard waitpid(pid, &raw, WNOHANG) == pid else { return nil }
            ended = raw & 0x7f == 0 ? (raw >> 8) & 0xff : -(raw & 0x7f)
            return ended
        }
    }

    func signal(_ number: Int32) { if status == nil { kill(pid, number) } }

    /// Ends the child and what it started; what does not end well within some seconds, of which the gateway gives open
    /// requests ten, is killed.
    func stop(with number: Int32 = SIGTERM, seconds: Double = 20) {
        signal(number)
        let isDone = (try? poll("\(name) to end", seconds: seconds) { status }) != nil
        // The group outlives its leader: chromedriver's browsers are in it.
        kill(-pid, SIGKILL)
        if !isDone { _ = try? poll("\(name) to die", seconds: 5) { status } }
        // What was killed has its sockets for a moment longer, and a successor would find them in use.
        _ = try? poll("what \(name) started to die", seconds: 5) { (kill(-pid, 0) != 0).whenTrue }
    }

    var output: String { (try? String(contentsOf: log, encoding: .utf8)) ?? "" }

    /// Runs a program to its end inside the private network.
    static func output(
        of path: String, _ arguments: [String], environment: [String: String] = [:],
        seconds: Double = patienceSeconds,
        in network: PrivateNetwork
    ) throws -> (status: Int32, text: String) {
        let log = URL(filePath: NSTemporaryDirectory() + "gatepost-e2e-\(UUID().uuidString).out")
        defer { try? FileManager.default.removeItem(at: log) }
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let child = try Child(name, path, arguments, environment: environment, log: log, in: network)
        let status = try poll("\(name) to finish", seconds: seconds, every: 0.004) { child.status }
        return (status, child.output)
    }
}

/// How long is waited for what a browser or another program is to do, where nobody is promised how fast that is: so
/// long that a machine on which everything takes ten times as long fails no test. Where the time is the promise, the
/// test says it, and measures it where it can.
let patienceSeconds = 60.0

/// Asks until there is an answer; gives up at the deadline.
@discardableResult
func poll<Value>(
    _ what: String, seconds: Double = patienceSeconds, every interval: Double = 0.02,
    _ answer: () throws -> Value?
) throws -> Value {
    let deadline = Date().addingTimeInterval(seconds)
    while true {
        if let found = try answer() { return found }
        guard Date() < deadline else { throw Failure(description: "waited \(seconds) s in vain for \(what)") }
        usleep(UInt32(interval * 1_000_000))
    }
}

extension Bool {
    /// `poll` waits for a value; a condition has one when it holds.
    var whenTrue: Void? { self ? () : nil }
}
