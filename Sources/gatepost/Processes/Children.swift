import ArgumentParser
import Border
import Config
import Control
import DataPlane
import Foundation
import Glibc
import JSON

/// How the supervisor starts one of its own. Hidden: nobody else has the descriptors that it needs.
struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "data-process", shouldDisplay: false)
    @OptionGroup var child: ChildOptions
    @Option var listeners = 1
    @Option var workers = 1

    func run() throws {
        try child.run { leash in
            DataProcess(leash: leash, workers: workers, listeners: listeners).run()
        }
    }
}

struct ControlCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "control-process", shouldDisplay: false)
    @OptionGroup var child: ChildOptions
    @OptionGroup var config: ConfigOption
    @Option var listening: String

    func run() throws {
        try child.run { leash in
            try ControlProcess(leash: leash, configPath: config.path, listening: listening).run()
        }
    }
}

/// What every child is told.
struct ChildOptions: ParsableArguments {
    /// Where the supervisor puts the leash; listening sockets follow.
    static let leashDescriptor: Int32 = 3

    @Option var parent: Int32
    @Option var user: String?
    @Option var name: String

    func run(_ body: (Leash) throws -> Void) throws {
        let leash = Leash(descriptor: Self.leashDescriptor)
        guard fcntl(leash.descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
            ConfigurationFile.report("gatepost: \(name)-process is started by gatepost serve only")
            throw ExitCode(1)
        }
        // The supervisor hears signals and says what they mean; a terminal sends them to all of us.
        for number in [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE] { signal(number, SIG_IGN) }
        Confinement.name("gatepost-\(name)")
        do {
            let words = try Confinement(user: user, closesFileSystem: name == "data", parent: parent).apply()
            ConfigurationFile.report(
                "gatepost: \(name) process \(getpid()): \(words.joined(separator: ", "))")
            try body(leash)
        } catch let code as ExitCode {
            throw code
        } catch {
            ConfigurationFile.report("gatepost: \(error)")
            throw ExitCode(1)
        }
    }
}

/// The process that faces the network: reactors, TLS keys and cookie keys, nothing else.
struct DataProcess {
    /// Milliseconds that connections may stay when another process has taken over.
    static let retireMilliseconds = 30_000

    let leash: Leash
    let workers: Int
    let listeners: Int

    func run() {
        GatewayProcess.raiseDescriptorLimit()
        guard let inbox = try? ControlInbox() else { return }
        let first = ChildOptions.leashDescriptor + 1
        let sockets = (0..<workers).map { worker in
            (0..<listeners).map { first + Int32(worker * listeners + $0) }
        }
        let held = Quarantine.use(first + Int32(workers * listeners)) ?? 0
        if held > 0 { ConfigurationFile.report("gatepost: \(held) heads that a process died of are refused") }
        let link = ControlLink(inbox: inbox) { snapshot in
            let engine = try DataPlaneEngine(
                listeners: sockets[0].map { _ in ListenerAddress(address: "0.0.0.0", port: 0) },
                workers: sockets.count, snapshot: snapshot, toControl: inbox, sockets: sockets)
            engine.start()
            return engine
        }
        Thread.detachNewThread { [leash] in
            // No configuration that could be used: the control process has said why.
            guard link.firstEngine() != nil else { _exit(1) }
            leash.send(Leash.ready)
        }
        while let message = leash.receive() {
            switch message.kind {
            case Leash.peer where message.descriptors.count == 2:
                link.connect(messages: message.descriptors[0], revocations: message.descriptors[1])
            case Leash.stop: end(link) { $0.drain(deadlineMilliseconds: Gateway.drainMilliseconds) }
            case Leash.retire: end(link) { $0.retire(deadlineMilliseconds: Self.retireMilliseconds) }
            default: continue
            }
        }
        // The supervisor is gone, and with it whoever would start this process again.
        _exit(1)
    }

    /// Beside the leash, whose end still ends everything at once.
    private func end(_ link: ControlLink, _ order: @escaping @Sendable (DataPlaneEngine) -> Void) {
        Thread.detachNewThread {
            guard let engine = link.engine else { _exit(0) }
            order(engine)
            engine.join()
            _exit(0)
        }
    }
}

/// The process that has everything else: store, providers' secrets, administration.
struct ControlProcess {
    private static let firstDataMilliseconds = 10_000
    private static let answersMilliseconds = 5_000

    let leash: Leash
    let configPath: String
    /// What the supervisor's sockets are for.
    let listening: String

    func run() throws {
        let config = try ConfigurationFile(path: configPath).loadOrReport()
        // Certificates and authorities belong to listeners by their order: under another order they would be asked for
        // at another's address.
        guard Supervisor.listening(config) == listening else {
            ConfigurationFile.report(
                "gatepost: gateway.listeners changed while the gateway runs; restart it, or undo the change")
            throw ExitCode(1)
        }
        GatewayProcess.stepBack()
        let plane = LockedValue<ControlPlane?>(nil)
        let joined = DispatchSemaphore(value: 0)
        let early = LockedValue<[DataProcesses.News]>([])
        let data = DataProcesses { news in
            var ready: ControlPlane?
            early.change {
                ready = plane.get()
                if ready == nil { $0.append(news) }
            }
            if let ready { Self.take(news, ready) }
            joined.signal()
        }
        follow(data, plane)
        // Revocations are numbered on from what the data process has; alone there is nothing to go on from.
        _ = joined.wait(timeout: .now() + .milliseconds(Self.firstDataMilliseconds))
        let control = try ControlStart.make(configPath: configPath, config: config, reactors: data)
        while true {
            var next: [DataProcesses.News] = []
            early.change {
                next = $0
                $0 = []
                // In the same step: what comes later goes to the plane itself.
                if next.isEmpty { plane.set(control) }
            }
            if next.isEmpty { break }
            for news in next { Self.take(news, control) }
        }
        data.serve { control.snapshot }
        try GatewayProcess.wait { try await control.start() }
        try control.serveCommands()
        leash.send(Leash.ready)
        while true { sleep(3_600) }
    }

    private static func take(_ news: DataProcesses.News, _ control: ControlPlane) {
        switch news {
        case .joins(let sequence, let revision): control.resume(sequence: sequence, revision: revision)
        case .asks(let message): control.handle(message)
        case .knows(let records): Task(priority: .utility) { await control.reconcile(records) }
        }
    }

    private func follow(_ data: DataProcesses, _ plane: LockedValue<ControlPlane?>) {
        Thread.detachNewThread { [leash] in
            while let message = leash.receive() {
                switch message.kind {
                case Leash.peer where message.descriptors.count == 2:
                    data.join(
                        number: message.text.first ?? 0, messages: message.descriptors[0],
                        revocations: message.descriptors[1])
                case Leash.processes:
                    data.note(processes: (try? JSONValue(parsing: message.text)) ?? .null)
                case Leash.reload:
                    guard let control = plane.get() else { continue }
                    Thread.detachNewThread { GatewayProcess.reload(control) }
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
