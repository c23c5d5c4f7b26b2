import CLinux
import Foundation
import Glibc
import JSON

/// A process of the gateway, as the supervisor knows it. Survives a change of the supervisor's program as JSON.
struct ChildProcess {
    enum Role: String { case data, control }

    var role: Role
    var pid: pid_t
    var leash: Leash
    /// The data process's number in tickets, 1…255; of a control process 0.
    var life: UInt8
    /// Monotonic seconds.
    var startedAtSeconds: Int64
    var isReady = false
    /// Told to go: its end is no crash, and nobody is started in its place.
    var isLeaving = false
    /// It writes signs of life where this supervisor reads them.
    var isBeating = false
    var watch = Watch()
    /// Ended by force when it is still there then, in monotonic milliseconds; nil: it may stay.
    var overdueAtMilliseconds: Int64?

    /// It has begun its work, so that silence means something.
    var givesSigns: Bool { isBeating && isReady }

    /// It is ended by force when it is still there then; an earlier time stays.
    mutating func endBy(in milliseconds: Int64) {
        let due = Supervisor.nowMilliseconds + milliseconds
        overdueAtMilliseconds = min(overdueAtMilliseconds ?? due, due)
    }

    /// What the child is started with, beside the leash.
    struct Plan {
        var role: Role
        var life: UInt8
        var arguments: [String]
        var sockets: [Int32] = []
    }

    /// - Returns: nil when the system has no process or no descriptor left.
    static func start(_ plan: Plan, user: String?, atSeconds now: Int64) -> ChildProcess? {
        guard let (leash, end) = Leash.pair() else { return nil }
        defer { close(end) }
        var words = ["gatepost", "\(plan.role.rawValue)-process"] + plan.arguments
        words += ["--parent", "\(getpid())", "--name", plan.role.rawValue]
        if let user { words += ["--user", user] }
        // This program, also when another one has its name by now (proc(5)).
        guard
            let pid = spawn("/proc/self/exe", words, [end] + plan.sockets, isExposed: plan.role == .data)
        else {
            close(leash.descriptor)
            return nil
        }
        return ChildProcess(
            role: plan.role, pid: pid, leash: leash, life: plan.life, startedAtSeconds: now)
    }

    /// What a program needs to find its libraries, certificates and clock.
    private static func isHarmless(_ name: String) -> Bool {
        let names: Set = [
            "PATH", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF", "LD_LIBRARY_PATH",
            "GATEPOST_TRAP_AT", "GATEPOST_HANG_AT",
        ]
        let families = ["LC_", "SWIFT_", "ASAN_", "TSAN_", "UBSAN_", "MALLOC_"]
        return names.contains(name) || families.contains { name.hasPrefix($0) }
    }

    /// Runs a program with these descriptors as 3, 4, …
    ///
    /// - Parameter isExposed: it faces the network: secrets that the environment carries are not for it.
    static func spawn(
        _ path: String, _ words: [String], _ descriptors: [Int32], isExposed: Bool = false
    ) -> pid_t? {
        // High up first: the places may be taken by others of them.
        let moved = descriptors.map { fcntl($0, F_DUPFD_CLOEXEC, 512) }
        defer { moved.forEach { close($0) } }
        guard moved.allSatisfy({ $0 >= 0 }) else { return nil }
        var attributes = posix_spawnattr_t()
        var actions = posix_spawn_file_actions_t()
        posix_spawnattr_init(&attributes)
        posix_spawn_file_actions_init(&actions)
        defer {
            posix_spawnattr_destroy(&attributes)
            posix_spawn_file_actions_destroy(&actions)
        }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        for (index, descriptor) in moved.enumerated() {
            posix_spawn_file_actions_adddup2(
                &actions, descriptor, ChildOptions.leashDescriptor + Int32(index))
        }
        var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { argv.forEach { free($0) } }
        var pid: pid_t = 0
        let kept = ProcessInfo.processInfo.environment.filter { !isExposed || Self.isHarmless($0.key) }
        var environment: [UnsafeMutablePointer<CChar>?] = kept.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { environment.forEach { free($0) } }
        return posix_spawn(&pid, path, &actions, &attributes, &argv, &environment) == 0 ? pid : nil
    }

    /// For `gatepost status`.
    func json(now: Int64) -> JSONValue {
        .object(
            JSONObject([
                ("process", .string(role.rawValue)), ("pid", .integer(Int64(pid))),
                ("seconds", .integer(max(0, now - startedAtSeconds))),
                ("state", .string(isLeaving ? "leaving" : isReady ? "ready" : "starting")),
            ]))
    }

    /// For the supervisor's next program.
    var handover: JSONValue {
        .object(
            JSONObject([
                ("role", .string(role.rawValue)), ("pid", .integer(Int64(pid))),
                ("leash", .integer(Int64(leash.descriptor))), ("life", .integer(Int64(life))),
                ("started", .integer(startedAtSeconds)), ("ready", .bool(isReady)),
                ("leaving", .bool(isLeaving)), ("beating", .bool(isBeating)),
                ("overdue_at", overdueAtMilliseconds.map { .integer($0) } ?? .null),
            ]))
    }

    init?(handover value: JSONValue) {
        guard let role = value["role"]?.string.flatMap(Role.init(rawValue:)),
            let pid = value["pid"]?.integer.flatMap(pid_t.init(exactly:)),
            let leash = value["leash"]?.integer.flatMap(Int32.init(exactly:)),
            let life = value["life"]?.integer.flatMap(UInt8.init(exactly:)),
            let started = value["started"]?.integer, let isReady = value["ready"]?.bool,
            let isLeaving = value["leaving"]?.bool
        else { return nil }
        self.init(
            role: role, pid: pid, leash: Leash(descriptor: leash), life: life, startedAtSeconds: started)
        self.isReady = isReady
        self.isLeaving = isLeaving
        overdueAtMilliseconds = value["overdue_at"]?.integer
        isBeating = value["beating"]?.bool ?? false
    }

    private init(role: Role, pid: pid_t, leash: Leash, life: UInt8, startedAtSeconds: Int64) {
        self.role = role
        self.pid = pid
        self.leash = leash
        self.life = life
        self.startedAtSeconds = startedAtSeconds
    }
}

/// When a process that died is started again: at once, and later each time that it does not live long.
struct Restarts {
    static let longLifeSeconds: Int64 = 60
    static let pauseMillisecondsMax: Int64 = 30_000
    private var shortLives = 0
    private(set) var count = 0

    /// - Returns: milliseconds to wait.
    mutating func died(afterSeconds seconds: Int64) -> Int64 {
        count += 1
        shortLives = seconds >= Self.longLifeSeconds ? 0 : shortLives + 1
        guard shortLives > 1 else { return 0 }
        return min(Self.pauseMillisecondsMax, 100 << Int64(min(shortLives - 2, 9)))
    }
}
