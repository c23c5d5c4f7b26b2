import ArgumentParser
import Border
import Config
import Control
import Dispatch
import Foundation
import Glibc
import JSON

/// The process that has everything else: store, providers' secrets, administration.
struct ControlProcess {
    private static let firstDataMilliseconds = 10_000
    static let answersMilliseconds = 5_000

    let leash: Leash
    let configPath: String
    /// What the supervisor's sockets are for.
    let listening: String

    func run() throws {
        let config = try ConfigurationFile(path: configPath).loadOrReport()
        let read = FilesOfConfiguration(configPath: configPath, named: config.files).fingerprint
        // Certificates and authorities belong to listeners by their order: under another order they would be asked for
        // at another's address.
        guard Supervisor.listening(config) == listening else {
            ConfigurationFile.report(
                "gatepost: gateway.listeners changed while the gateway runs; restart it, or undo the change")
            throw ExitCode(1)
        }
        GatewayProcess.stepBack()
        let plane = LockedValue<ControlPlane?>(nil)
        let reloading = ReloadOrders { GatewayProcess.reload($0) }
        let joined = DispatchSemaphore(value: 0)
        let early = EarlyNews<ControlPlane, DataProcesses.News>(countsAtOnce: Self.countsAtOnce, Self.take)
        let data = DataProcesses { news in
            early.tell(news)
            joined.signal()
        } broken: { [leash] life, breach in
            ConfigurationFile.report("gatepost: the border is broken, data process \(life) ends: \(breach)")
            leash.send(Leash.broken, [life])
        }
        follow(data, plane, reloading)
        // Revocations are numbered on from what the data process has; alone there is nothing to go on from.
        _ = joined.wait(timeout: .now() + .milliseconds(Self.firstDataMilliseconds))
        let control = try ControlStart.make(configPath: configPath, config: config, reactors: data)
        plane.set(control)
        early.begin(control)
        try GatewayProcess.wait { try await control.prepare() }
        data.serve { control.snapshot }
        try GatewayProcess.wait { try await control.start() }
        early.open(control)
        try control.serveCommands()
        leash.send(Leash.ready)
        reloading.begin(control)
        ConfigurationWatch.begin(control, configPath: configPath, since: read) { reloading.order() }
        while true { sleep(3_600) }
    }

    /// What needs nothing but the store.
    private static func countsAtOnce(_ news: DataProcesses.News) -> Bool {
        switch news {
        case .joins, .knows: true
        case .asks, .lives: false
        }
    }

    private static func take(
        _ news: DataProcesses.News, _ control: ControlPlane,
        _ early: EarlyNews<ControlPlane, DataProcesses.News>
    ) {
        switch news {
        case .joins(let sequence, let revision): control.resume(sequence: sequence, revision: revision)
        case .asks(let message): control.handle(message)
        case .knows(let records):
            Task(priority: .utility) { early.tell(.lives(await control.endGone(records))) }
        case .lives(let records): Task(priority: .utility) { await control.decideAnew(records) }
        }
    }

    private func follow(
        _ data: DataProcesses, _ plane: LockedValue<ControlPlane?>, _ reloading: ReloadOrders<ControlPlane>
    ) {
        Thread.detachNewThread { [leash] in
            while let message = leash.receive() {
                switch message.kind {
                case Leash.peer where message.descriptors.count == 2:
                    data.join(
                        number: message.text.first ?? 0, messages: message.descriptors[0],
                        revocations: message.descriptors[1])
                case Leash.processes:
                    data.note(processes: (try? JSONValue(parsing: message.text)) ?? .null)
                case Leash.reload: reloading.order()
                case Leash.stop:
                    data.pause(milliseconds: Self.answersMilliseconds)
                    plane.get()?.stop()
                    _exit(0)
                default: continue
                }
            }
            _exit(1)
        }
    }
}
