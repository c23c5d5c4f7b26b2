import Access
import CLinux
import Config
import DataPlane
import Foundation
import Glibc
import JSON

/// The first process of a gateway: owns the listening sockets, starts the two others, and starts again whoever dies.
///
/// It reads nothing from anybody but the signals of the system and single bytes of its own children.
final class Supervisor {
    let configPath: String
    let config: ConfigSnapshot
    /// For each reactor one socket a listener.
    let sockets: [[Int32]]
    /// Memory for what data processes died of.
    let quarantine: Int32
    var children: [ChildProcess] = []
    var restarts: [ChildProcess.Role: Restarts] = [.data: Restarts(), .control: Restarts()]
    /// When who is missing is started, in monotonic milliseconds.
    var startAt: [ChildProcess.Role: Int64] = [:]
    var lastLife: UInt8 = 0
    var isAnnounced = false
    var upgrade = Upgrade.none
    var stopping: Int32?
    /// The exit status that everything ends with.
    var status: Int32 = 0

    /// What a change to another program waits for.
    enum Upgrade {
        case none
        /// The new program looks at the configuration.
        case checking(pid_t)
        /// The old control process ends.
        case replacingControl
        /// The new control process begins.
        case awaitingControl
        /// The new data process begins; then the others leave.
        case awaitingData(life: UInt8)
    }

    init(configPath: String, config: ConfigSnapshot, sockets: [[Int32]], quarantine: Int32) {
        self.quarantine = quarantine
        self.configPath = configPath
        self.config = config
        self.sockets = sockets
        // Now, before anybody moves the file away.
        _ = Self.programPath
    }

    /// The listeners of a configuration in their order: what the sockets are for.
    static func listening(_ config: ConfigSnapshot) -> String {
        config.gateway.listeners.map { "\($0.address):\($0.port)" }.joined(separator: ",")
    }

    static var nowMilliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }

    /// Runs until everything has ended.
    /// - Returns: the exit status.
    func run() -> Int32 {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGUSR2, SIGCHLD] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let news = signalfd(-1, &signals, Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK))
        // Who was there before this program came is not started again by it.
        for role in [ChildProcess.Role.control, .data] where !children.contains(where: { $0.role == role }) {
            startAt[role] = 0
        }
        // Children may have ended while this program began.
        reap()
        while stopping == nil || !children.isEmpty {
            startMissing()
            wait(news)
        }
        return status
    }

    private func wait(_ news: Int32) {
        var polled = [pollfd(fd: news, events: Int16(POLLIN), revents: 0)]
        polled += children.map { pollfd(fd: $0.leash.descriptor, events: Int16(POLLIN), revents: 0) }
        let next = startAt.values.min()
        let timeout = next.map { Int32(clamping: max(1, $0 - Self.nowMilliseconds)) } ?? -1
        guard poll(&polled, nfds_t(polled.count), timeout) > 0 else { return }
        // Before signals: what a child said last counts.
        for entry in polled.dropFirst() where entry.revents != 0 { hear(entry.fd) }
        if polled[0].revents != 0 { takeSignals(news) }
    }

    private func takeSignals(_ news: Int32) {
        var info = signalfd_siginfo()
        while read(news, &info, MemoryLayout<signalfd_siginfo>.size) == MemoryLayout<signalfd_siginfo>.size {
            switch Int32(info.ssi_signo) {
            case SIGCHLD: reap()
            case SIGHUP: for child in children where child.role == .control { child.leash.send(Leash.reload) }
            case SIGUSR2: beginUpgrade()
            case let number: stop(number)
            }
        }
    }

    private func hear(_ descriptor: Int32) {
        guard let index = children.firstIndex(where: { $0.leash.descriptor == descriptor }),
            let message = children[index].leash.receive()
        else { return forget(descriptor) }
        // Nobody is asked for any.
        for descriptor in message.descriptors { close(descriptor) }
        guard message.kind == Leash.ready else { return }
        children[index].isReady = true
        becameReady(children[index])
        tellProcesses()
    }

    /// The other end is closed: its process is ending. It must not be polled again.
    private func forget(_ descriptor: Int32) {
        guard let index = children.firstIndex(where: { $0.leash.descriptor == descriptor }) else { return }
        close(descriptor)
        children[index].leash = Leash(descriptor: -1)
    }

    // MARK: starting

    private func startMissing() {
        guard stopping == nil else { return }
        for (role, due) in startAt where due <= Self.nowMilliseconds {
            startAt[role] = nil
            guard let child = start(role) else {
                startAt[role] = Self.nowMilliseconds + 1_000
                continue
            }
            children.append(child)
            // The newcomer meets everybody of the other kind.
            for other in children where other.role != role && !(other.role == .control && other.isLeaving) {
                introduce(child, other)
            }
            tellProcesses()
        }
    }

    private func start(_ role: ChildProcess.Role) -> ChildProcess? {
        let plan: ChildProcess.Plan
        switch role {
        case .control:
            plan = .init(
                role: role, life: 0,
                arguments: ["--config", configPath, "--listening", Self.listening(config)])
        case .data:
            repeat {
                lastLife = lastLife == .max ? 1 : lastLife + 1
            } while children.contains {
                $0.life == lastLife
            }
            plan = .init(
                role: role, life: lastLife,
                arguments: ["--listeners", "\(sockets[0].count)", "--workers", "\(sockets.count)"],
                sockets: sockets.flatMap { $0 } + [quarantine])
        }
        return .start(plan, user: config.gateway.user, atSeconds: Self.nowMilliseconds / 1_000)
    }

    /// Gives both a new pair of lanes: messages and revocations.
    private func introduce(_ one: ChildProcess, _ other: ChildProcess) {
        let (data, control) = one.role == .data ? (one, other) : (other, one)
        let kind = Int32(SOCK_STREAM.rawValue)
        guard let messages = Leash.sockets(kind), let revocations = Leash.sockets(kind) else { return }
        data.leash.send(Leash.peer, [data.life], [messages.0, revocations.0])
        control.leash.send(Leash.peer, [data.life], [messages.1, revocations.1])
        for descriptor in [messages.0, messages.1, revocations.0, revocations.1] { close(descriptor) }
    }

    private func becameReady(_ child: ChildProcess) {
        switch upgrade {
        case .awaitingControl where child.role == .control:
            upgrade = .awaitingData(life: lastLife == .max ? 1 : lastLife + 1)
            startAt[.data] = 0
        case .awaitingData(let life) where child.life == life:
            for index in children.indices where children[index].role == .data && children[index].life != life
            {
                children[index].isLeaving = true
                children[index].leash.send(Leash.retire)
            }
            upgrade = .none
            report("upgraded", [("data", .integer(Int64(child.pid)))])
        case .none, .checking, .replacingControl, .awaitingControl, .awaitingData: break
        }
        announce()
    }

    private func announce() {
        guard !isAnnounced, children.filter(\.isReady).count >= 2 else { return }
        isAnnounced = true
        let ports = zip(config.gateway.listeners, sockets[0]).map {
            "\($0.address):\(DataPlaneEngine.port(of: $1))"
        }
        ConfigurationFile.report(
            "gatepost: serving on \(ports.joined(separator: ", ")) with \(sockets.count) reactors; "
                + "policy \(config.policy.identity.prefix(12))")
    }

    // MARK: ending

    private func reap() {
        var raw: Int32 = 0
        while case let pid = waitpid(-1, &raw, WNOHANG), pid > 0 {
            if case .checking(pid) = upgrade {
                checked(raw)
                continue
            }
            guard let index = children.firstIndex(where: { $0.pid == pid }) else { continue }
            let child = children.remove(at: index)
            if child.leash.descriptor >= 0 { close(child.leash.descriptor) }
            ended(child, raw)
        }
    }

    private func ended(_ child: ChildProcess, _ raw: Int32) {
        defer { tellProcesses() }
        if stopping != nil { return goOnStopping() }
        if child.isLeaving {
            if case .replacingControl = upgrade, child.role == .control {
                upgrade = .awaitingControl
                startAt[.control] = 0
            }
            return
        }
        let code = raw & 0x7f == 0 ? (raw >> 8) & 0xff : 0
        report(
            "process-ended",
            [
                ("process", .string(child.role.rawValue)), ("pid", .integer(Int64(child.pid))),
                ("signal", .integer(Int64(raw & 0x7f))), ("status", .integer(Int64(code))),
            ])
        // A gateway that never began has said why, and does not try again.
        guard isAnnounced || child.isReady else {
            status = code == 0 ? 1 : code
            return stop(SIGTERM)
        }
        let lived = Self.nowMilliseconds / 1_000 - child.startedAtSeconds
        let pause = restarts[child.role]?.died(afterSeconds: lived) ?? 0
        startAt[child.role] = Self.nowMilliseconds + pause
        // Its successor has another number than the one that was waited for.
        if child.role == .data, case .awaitingData = upgrade {
            upgrade = .awaitingData(life: lastLife == .max ? 1 : lastLife + 1)
        }
    }

    private func stop(_ number: Int32) {
        guard stopping == nil else {
            for child in children { kill(child.pid, SIGKILL) }
            return
        }
        stopping = number
        startAt = [:]
        if isAnnounced { ConfigurationFile.report("gatepost: stopping; open requests may finish for 10 s") }
        // systemd's sockets go on without us: who comes meanwhile waits for the next start.
        if !ListenDescriptors.areOfSystemd {
            for socket in sockets.joined() { shutdown(socket, Int32(SHUT_RDWR)) }
        }
        for index in children.indices where children[index].role == .data {
            children[index].isLeaving = true
            children[index].leash.send(Leash.stop)
        }
        goOnStopping()
    }

    /// Control last: what the data process has open may ask it until the end.
    private func goOnStopping() {
        guard !children.contains(where: { $0.role == .data }) else { return }
        for index in children.indices where !children[index].isLeaving {
            children[index].isLeaving = true
            children[index].leash.send(Leash.stop)
        }
    }

    // MARK: telling

    func tellProcesses() {
        let now = Self.nowMilliseconds / 1_000
        let value = JSONValue.object(
            JSONObject([
                ("supervisor", .integer(Int64(getpid()))),
                ("processes", .array(children.map { $0.json(now: now) })),
                ("told_at", .integer(now)),
                ("restarts_data", .integer(Int64(restarts[.data]?.count ?? 0))),
                ("restarts_control", .integer(Int64(restarts[.control]?.count ?? 0))),
            ]))
        for child in children where child.role == .control {
            child.leash.send(Leash.processes, value.serialized())
        }
    }

    func report(_ event: String, _ members: [(String, JSONValue)]) {
        let line = JSONValue.object(JSONObject([("event", .string(event))] + members))
        ConfigurationFile.report(line.serializedText())
    }
}
