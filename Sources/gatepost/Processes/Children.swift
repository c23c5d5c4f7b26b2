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
    @Option var life: UInt8 = 0

    func run() throws {
        try child.run { leash in
            DataProcess(leash: leash, workers: workers, listeners: listeners, life: life).run()
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
    /// A turn takes microseconds; one with a new configuration and many certificates, a second.
    static let hungMilliseconds: Int64 = 10_000

    let leash: Leash
    let workers: Int
    let listeners: Int
    let life: UInt8

    func run() {
        GatewayProcess.raiseDescriptorLimit()
        guard let inbox = try? ControlInbox(), let bell = Bell() else { return }
        let first = ChildOptions.leashDescriptor + 1
        let sockets = (0..<workers).map { worker in
            (0..<listeners).map { first + Int32(worker * listeners + $0) }
        }
        let held = Quarantine.use(first + Int32(workers * listeners)) ?? 0
        Liveness.prepare()
        let beats = Beats(adopting: first + Int32(workers * listeners) + 1)
        if held > 0 { ConfigurationFile.report("gatepost: \(held) heads that a process died of are refused") }
        let link = ControlLink(inbox: inbox, bell: bell) { snapshot in
            try DataPlaneEngine(
                listeners: sockets[0].map { _ in ListenerAddress(address: "0.0.0.0", port: 0) },
                workers: sockets.count, snapshot: snapshot, toControl: inbox, sockets: sockets)
        } broken: { breach in
            // Whom it cannot understand it cannot be told to end sessions by: the supervisor starts it anew.
            ConfigurationFile.report("gatepost: the border is broken, the data process ends: \(breach)")
            _exit(1)
        }
        Thread.detachNewThread { [leash] in
            // No configuration that could be used: the control process has said why.
            guard let engine = link.firstEngine() else { _exit(1) }
            if let beats { showSigns(of: engine, beats) }
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

    /// One a second while every reactor goes on. When one does not, where it hangs is noted, and the supervisor ends
    /// this process: nothing in it could end an endless loop and leave the rest sound.
    private func showSigns(of engine: DataPlaneEngine, _ beats: Beats) {
        Thread.detachNewThread { [life] in
            var count: UInt64 = 1
            // Looks at one and the same turn: a process that was stopped for long has been seen once.
            var (turn, looks): (UInt64, Int64) = (0, 0)
            while true {
                let long = engine.hung(afterMilliseconds: Watch.lookMilliseconds)
                looks = long.map { $0.beganNanoseconds == turn ? looks + 1 : 0 } ?? 0
                turn = long?.beganNanoseconds ?? 0
                if let hung = long, looks * Watch.lookMilliseconds >= Self.hungMilliseconds {
                    let stage = engine.stage(of: hung.reactor)
                    ConfigurationFile.report(
                        "gatepost: reactor \(hung.reactor) has been in one turn for \(hung.milliseconds) ms: "
                            + Liveness.name(ofStage: stage))
                    return beats.hang(life, count, stage: stage)
                }
                beats.beat(life, count)
                count += 1
                sleep(1)
            }
        }
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
