import Access
import Border
import CLinux
import Config
import Control
import DataPlane
import Foundation
import Glibc

/// Both planes of one process, composed: the data plane's reactors and the control plane's actors.
struct Gateway {
    /// Milliseconds that open requests may take to finish after a stop signal.
    static let drainMilliseconds = 10_000

    var configPath: String
    var config: ConfigSnapshot

    /// How much the control plane gives way to the reactors where both want a core (nice(2)).
    static let controlPlaneNiceness: Int32 = 5

    func run() throws {
        raiseDescriptorLimit()
        let reactorThreads = ThreadsOfFullPriority()
        stepBack()
        let inbox = try ControlInbox()
        let lanes = Lanes()
        let control = try ControlStart.make(configPath: configPath, config: config, reactors: lanes)
        let workers = config.gateway.workers ?? max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        let engine = try DataPlaneEngine(
            listeners: config.gateway.listeners.map { ListenerAddress(address: $0.address, port: $0.port) },
            workers: workers, snapshot: control.snapshot, toControl: inbox)
        lanes.connect(engine)
        try wait { try await control.start() }
        try control.serveCommands()
        reactorThreads.run { engine.start() }
        Thread.detachNewThread {
            while true {
                while let message = inbox.receive() { control.handle(message) }
                _ = inbox.wait(timeoutMilliseconds: -1)
            }
        }
        announce(engine)
        followSignals(control, engine)
    }

    private func announce(_ engine: DataPlaneEngine) {
        let ports = zip(config.gateway.listeners, engine.boundPorts).map { "\($0.address):\($1)" }
        ConfigurationFile.report(
            "gatepost: serving on \(ports.joined(separator: ", ")) with \(engine.reactorCount) reactors; "
                + "policy \(config.policy.identity.prefix(12))")
    }

    /// Handles signals on this thread until one of them ends the gateway.
    private func followSignals(_ control: ControlPlane, _ engine: DataPlaneEngine) {
        var set = sigset_t()
        sigemptyset(&set)
        for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&set, number) }
        while true {
            var number: Int32 = 0
            guard sigwait(&set, &number) == 0 else { continue }
            guard number == SIGHUP else { break }
            do {
                try wait {
                    let held = try await control.reload().remark.map { "; \($0)" } ?? ""
                    ConfigurationFile.report("gatepost: configuration reloaded\(held)")
                }
            } catch {
                ConfigurationFile.report("gatepost: configuration not taken:\n\(error)")
            }
        }
        // From here on a second signal ends the process in the ordinary way.
        signal(SIGINT, SIG_DFL)
        signal(SIGTERM, SIG_DFL)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
        ConfigurationFile.report("gatepost: stopping; open requests may finish for 10 s")
        engine.drain(deadlineMilliseconds: Self.drainMilliseconds)
        engine.join()
        control.stop()
    }

    /// Blocks the signals in every thread that is started later, so that only `sigwait` gets them.
    static func blockSignals() {
        var set = sigset_t()
        sigemptyset(&set)
        for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&set, number) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Two descriptors per proxied connection: the soft limit of most systems (1,024) would be the first bound met.
    private func raiseDescriptorLimit() {
        Self.blockSignals()
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// Every thread takes the niceness of the one that made it, so all that is made from here on gives way: the pool
    /// of the control plane, libcurl's and SQLite's threads. A big synchronisation then costs the requests nothing.
    private func stepBack() {
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.controlPlaneNiceness)
        forgoRaisingPriority()
    }

    /// Takes the right to a higher priority (capabilities(7), CAP_SYS_NICE) from this thread and all that come from it.
    /// libdispatch gives its threads a niceness by their quality of service: as root it would put the store's threads
    /// four steps above the reactors. Without root there is nothing to take.
    private func forgoRaisingPriority() {
        var header = __user_cap_header_struct(version: UInt32(_LINUX_CAPABILITY_VERSION_3), pid: 0)
        var sets = [__user_cap_data_struct](repeating: .init(), count: Int(_LINUX_CAPABILITY_U32S_3))
        guard capget(&header, &sets) == 0 else { return }
        sets[0].effective &= ~(1 << UInt32(CAP_SYS_NICE))
        sets[0].permitted &= ~(1 << UInt32(CAP_SYS_NICE))
        _ = capset(&header, &sets)
    }

    /// Runs control-plane work from this thread, which belongs to no pool.
    private func wait(_ work: @escaping @Sendable () async throws -> Void) throws {
        let done = DispatchSemaphore(value: 0)
        let outcome = Outcome()
        Task.detached {
            do { try await work() } catch { outcome.set(error) }
            done.signal()
        }
        done.wait()
        if let error = outcome.error { throw error }
    }
}

/// The error of one piece of work, handed from its task to the waiting thread.
private final class Outcome: Sendable {
    private let value = LockedValue<(any Error)?>(nil)
    var error: (any Error)? { value.get() }
    func set(_ error: any Error) { value.set(error) }
}

/// A thread made before the process stepped back: what it starts keeps the priority that the process began with.
/// (Going back up would need a privilege.)
private final class ThreadsOfFullPriority: Sendable {
    private let isReady = DispatchSemaphore(value: 0)
    private let isDone = DispatchSemaphore(value: 0)
    private let work = LockedValue<(@Sendable () -> Void)?>(nil)

    init() {
        Thread.detachNewThread { [self] in
            isReady.wait()
            work.get()?()
            isDone.signal()
        }
    }

    /// Runs `start` there, and returns when it has. Call once.
    func run(_ start: @escaping @Sendable () -> Void) {
        work.set(start)
        isReady.signal()
        isDone.wait()
    }
}
