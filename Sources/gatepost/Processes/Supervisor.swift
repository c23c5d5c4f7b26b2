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
    /// Where data processes show that they live.
    let beats: Beats
    /// In monotonic milliseconds.
    var lookedAt: Int64 = 0
    var children: [ChildProcess] = []
    var restarts: [ChildProcess.Role: Restarts] = [.data: Restarts(), .control: Restarts()]
    /// When who is missing is started, in monotonic milliseconds.
    var startAt: [ChildProcess.Role: Int64] = [:]
    var lastLife: UInt8 = 0
    var isAnnounced = false
    var upgrade = Upgrade.none
    /// When the step of the upgrade that is under way began, in monotonic milliseconds.
    var upgradeSince: Int64 = 0
    /// The upgrade that did not go on, while another program looks at the configuration.
    var stalled = Upgrade.none
    /// Of the program that was this process before.
    var formerVersion: String?
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

    init(
        configPath: String, config: ConfigSnapshot, sockets: [[Int32]], quarantine: Int32, beats: Beats
    ) {
        self.quarantine = quarantine
        self.beats = beats
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
        for number in GatewayProcess.endingSignals + [SIGHUP, SIGUSR2, SIGCHLD] {
            sigaddset(&signals, number)
        }
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
            endOverdue()
            lookForSigns()
            wait(news)
        }
        return status
    }

    private func wait(_ news: Int32) {
        var polled = [pollfd(fd: news, events: Int16(POLLIN), revents: 0)]
        polled += children.map { pollfd(fd: $0.leash.descriptor, events: Int16(POLLIN), revents: 0) }
        let next = (Array(startAt.values) + overdueTimes + (nextLook.map { [$0] } ?? [])).min()
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
        switch message.kind {
        case Leash.ready:
            // Once: each is told on, and a flood would fill the control process's leash.
            guard !children[index].isReady else { return }
            children[index].isReady = true
            becameReady(children[index])
            tellProcesses()
        case Leash.broken where children[index].role == .control:
            for child in children where child.role == .data && [child.life] == message.text {
                endByForce(child, "it broke the border")
            }
        default: return
        }
    }

    /// The other end is closed: its process is ending. It must not be polled again.
    private func forget(_ descriptor: Int32) {
        guard let index = children.firstIndex(where: { $0.leash.descriptor == descriptor }) else { return }
        close(descriptor)
        children[index].leash = Leash(descriptor: -1)
        // A process without a leash hears nothing more: it must not live on beside its successor.
        children[index].endBy(in: Self.endingMilliseconds)
    }

    func report(_ event: String, _ members: [(String, JSONValue)]) {
        let line = JSONValue.object(JSONObject([("event", .string(event))] + members))
        ConfigurationFile.report(line.serializedText())
    }

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
}
