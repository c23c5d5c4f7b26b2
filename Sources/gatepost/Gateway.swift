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

    func run() throws {
        let read = FilesOfConfiguration(configPath: configPath, named: config.files).fingerprint
        GatewayProcess.blockSignals()
        GatewayProcess.raiseDescriptorLimit()
        let reactorThreads = ThreadsOfFullPriority()
        GatewayProcess.stepBack()
        let inbox = try ControlInbox()
        let lanes = Lanes()
        let control = try ControlStart.make(configPath: configPath, config: config, reactors: lanes)
        try GatewayProcess.wait { try await control.prepare() }
        let workers = config.gateway.workers ?? max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        let engine = try DataPlaneEngine(
            listeners: config.gateway.listeners.map { ListenerAddress(address: $0.address, port: $0.port) },
            workers: workers, snapshot: control.snapshot, toControl: inbox)
        lanes.connect(engine)
        try GatewayProcess.wait { try await control.start() }
        try control.serveCommands()
        reactorThreads.run { engine.start() }
        Thread.detachNewThread {
            while true {
                while let message = inbox.receive() { control.handle(message) }
                _ = inbox.wait(timeoutMilliseconds: -1)
            }
        }
        announce(engine)
        let reloading = ReloadOrders { GatewayProcess.reload($0) }
        reloading.begin(control)
        ConfigurationWatch.begin(control, configPath: configPath, since: read) { reloading.order() }
        followSignals(control, engine, reloading)
    }

    private func announce(_ engine: DataPlaneEngine) {
        let ports = zip(config.gateway.listeners, engine.boundPorts).map { "\($0.address):\($1)" }
        ConfigurationFile.report(
            "gatepost: serving on \(ports.joined(separator: ", ")) with \(engine.reactorCount) reactors; "
                + "policy \(config.policy.identity.prefix(12))")
    }

    /// Handles signals on this thread until one of them ends the gateway.
    private func followSignals(
        _ control: ControlPlane, _ engine: DataPlaneEngine, _ reloading: ReloadOrders<ControlPlane>
    ) {
        var set = sigset_t()
        sigemptyset(&set)
        for number in GatewayProcess.endingSignals + [SIGHUP] { sigaddset(&set, number) }
        while true {
            var number: Int32 = 0
            guard sigwait(&set, &number) == 0 else { continue }
            guard number == SIGHUP else { break }
            reloading.order()
        }
        // From here on a second signal ends the process in the ordinary way.
        if GatewayProcess.endingSignals.contains(SIGINT) { signal(SIGINT, SIG_DFL) }
        signal(SIGTERM, SIG_DFL)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
        ConfigurationFile.report("gatepost: stopping; open requests may finish for 10 s")
        engine.drain(deadlineMilliseconds: Self.drainMilliseconds)
        engine.join()
        control.stop()
    }
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
