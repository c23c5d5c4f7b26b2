import CLinux
import Glibc

/// One program with its arguments, run without a shell, without an environment and without input.
struct ProbeCommand: Sendable, Hashable {
    /// Absolute.
    var path: String
    var arguments: [String] = []
    var timeoutMilliseconds: Int64 = 2_000
    var outputBytesMax = 256 << 10

    /// As a person would type it.
    var description: String { ([path] + arguments).joined(separator: " ") }
}

/// What came of a command. Only `ended` says anything about the machine.
enum CommandOutcome: Sendable, Hashable {
    case ended(status: Int32, output: [UInt8])
    /// Not there, or somebody else than root could have changed it.
    case notRun
    case timedOut
    case tooMuchOutput
    /// Ended by a signal, or could not be watched.
    case failed

    /// The output of a command that ended with 0.
    var success: [UInt8]? {
        if case .ended(0, let output) = self { return output }
        return nil
    }
}

/// Runs commands for probes.
protocol CommandRunner: Sendable {
    func run(_ command: ProbeCommand) -> CommandOutcome
}

/// For another machine's files: its commands cannot be run here.
struct NoCommands: CommandRunner {
    func run(_ command: ProbeCommand) -> CommandOutcome { .notRun }
}

/// posix_spawn(3) with limits on time and output; what outlives them is killed with its whole group.
struct SpawningCommands: CommandRunner {
    func run(_ command: ProbeCommand) -> CommandOutcome {
        guard command.path.hasPrefix("/"), let place = HostRoot().trustedPlace(command.path),
            let program = HostRoot().status(place), program.st_mode & S_IFMT == S_IFREG
        else { return .notRun }
        var ends: [CInt] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { return .failed }
        let (reading, writing) = (ends[0], ends[1])
        defer { close(reading) }
        let child = Self.spawn(command, at: place, output: writing)
        close(writing)
        guard let child else { return .notRun }
        let deadline = Self.milliseconds() + command.timeoutMilliseconds
        let read = Self.read(reading, bytesMax: command.outputBytesMax, deadline: deadline)
        var status: CInt?
        // Who still writes to a reader that has gone would wait until the deadline.
        if case .some(.some) = read { status = Self.wait(child, deadline: deadline) }
        // The group, not the process: what it started must not go on either.
        if status == nil {
            kill(-child, SIGKILL)
            Self.reap(child)
        }
        switch read {
        case nil: return Self.milliseconds() >= deadline ? .timedOut : .failed
        case .some(nil): return .tooMuchOutput
        case .some(.some(let output)):
            guard let status else { return .timedOut }
            return status & 0x7f == 0 ? .ended(status: (status >> 8) & 0xff, output: output) : .failed
        }
    }

    private static func spawn(_ command: ProbeCommand, at place: String, output: CInt) -> pid_t? {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        guard posix_spawn_file_actions_init(&actions) == 0, posix_spawnattr_init(&attributes) == 0 else {
            return nil
        }
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        posix_spawn_file_actions_addchdir_np(&actions, "/")
        var ignored = sigset_t()
        var none = sigset_t()
        sigfillset(&ignored)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &ignored)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var words = ([command.path] + command.arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        // Nothing of ours leaks in; the C locale keeps the words that parsers look for.
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        var child: pid_t = 0
        guard posix_spawn(&child, place, &actions, &attributes, &words, &environment) == 0 else {
            return nil
        }
        return child
    }

    /// nil: not over by the deadline; nil inside: more than allowed.
    private static func read(_ descriptor: CInt, bytesMax: Int, deadline: Int64) -> [UInt8]?? {
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let left = deadline - milliseconds()
            guard left > 0 else { return .none }
            var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&watched, 1, CInt(clamping: left))
            if ready < 0 && errno != EINTR { return .none }
            guard ready > 0 else { continue }
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return .none }
            if count == 0 { return .some(output) }
            output += chunk.prefix(count)
            guard output.count <= bytesMax else { return .some(nil) }
        }
    }

    /// The status when it ended in time.
    private static func wait(_ child: pid_t, deadline: Int64) -> CInt? {
        var status: CInt = 0
        while true {
            let ended = waitpid(child, &status, WNOHANG)
            if ended == child { return status }
            if ended < 0 && errno != EINTR { return nil }
            guard milliseconds() < deadline else { return nil }
            poll(nil, 0, 2)
        }
    }

    private static func reap(_ child: pid_t) {
        var status: CInt = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
    }

    private static func milliseconds() -> Int64 { AgentClock.system.nowMilliseconds() }
}
