import ArgumentParser
import Fetch
import Foundation
import Glibc

/// `gatepost-agent run`
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Answers device checks until it is stopped, and renews the certificates."
    )

    /// Longer than any connection may last.
    static let drainSeconds = 8.0

    @OptionGroup var state: StateOptions
    @OptionGroup var inputs: SourceOptions

    @Option(
        name: .customLong("tpm"),
        help: ArgumentHelp("Where the security chip is, when it moved since enrolment.", valueName: "path"))
    var chip: String?

    @Option(
        help: ArgumentHelp("Port on 127.0.0.1 instead of those that the gateways named.", valueName: "port"))
    var port: UInt16?

    @Flag(help: "Answer the browsers of every local user, not only of the enrolled ones.")
    var anyUser = false

    func run() async throws {
        let clock = AgentClock.system
        let log = EventLog.standard
        let folders = try state.opened()
        let configuration = try inputs.configuration()
        _ = try folders.enrolledOrFail()
        try folders.state.holdForThisProcess()
        let root = HostRoot()
        let collector = inputs.collector(root)
        collector.keepFresh()
        for problem in collector.problems { log.say(problem, level: 4) }
        let running = RunningGateways(folders: folders, chip: chip, clock: clock, log: log) {
            [self] identity throws(AgentError) in
            try gate(identity, configuration, root, collector)
        }
        try running.reload()
        let enrolments = running.enrolments
        guard !enrolments.isEmpty else {
            throw AgentError(
                "no enrolment is usable", remedy: "see the lines above, and enrol again with --force")
        }
        let wanted = port.map { [$0] } ?? Array(Set(enrolments.map(\.port))).sorted()
        let (sockets, problems) = try AgentPorts.bind(
            wanted: wanted, further: port == nil ? configuration.ports : [])
        for problem in problems { log.say(problem, level: 4) }
        let server = try LoopbackServer(listening: sockets, gates: running.gates, log: log, clock: clock)
        signal(SIGPIPE, SIG_IGN)
        let thread = Thread { server.run() }
        thread.start()
        let places = sockets.map { "127.0.0.1:\($0.port)" }.joined(separator: ", ")
        for enrolment in enrolments {
            let ready =
                "gatepost-agent: device \(enrolment.deviceID) answers \(enrolment.authOrigin) on \(places)\n"
            FileHandle.standardOutput.write(Data(ready.utf8))
        }
        let signals = TerminationSignals()
        let looking = Task { await look(running, server, configuration.ports, log, clock) }
        await signals.received()
        looking.cancel()
        running.stop()
        server.stop()
        _ = server.drained(withinSeconds: Self.drainSeconds)
        log.flush(nowMilliseconds: clock.nowMilliseconds(), isLast: true)
    }

    private func gate(
        _ identity: DeviceIdentity, _ configuration: AgentConfiguration, _ root: HostRoot,
        _ collector: FactCollector
    ) throws(AgentError) -> AttestGate {
        let enrolment = identity.enrolment
        let rules = configuration[enrolment.authOrigin]
        let maker = AssertionMaker(
            identity: identity, collector: collector,
            counter: try StatementCounter(folder: identity.folder), permitted: rules.permitted,
            asked: AskedClaims(folder: identity.folder),
            own: FactProbes.ofOneGateway(enrolment.authOrigin, root, rulesPath: inputs.factRules))
        let named = rules.users ?? (enrolment.users.isEmpty ? [geteuid()] : enrolment.users)
        return AttestGate(
            identity: identity, maker: maker, users: anyUser ? nil : Set(named),
            peerUser: { PeerUser.find($0) })
    }

    /// Every few seconds: other processes enrol and leave, and counted events are told.
    private func look(
        _ running: RunningGateways, _ server: LoopbackServer, _ further: [UInt16], _ log: EventLog,
        _ clock: AgentClock
    ) async {
        var told: [String] = []
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(RenewalLoop.tickSeconds), clock: .continuous)
            do throws(AgentError) {
                if try running.reload() {
                    let origins = running.enrolments.map(\.authOrigin).joined(separator: ", ")
                    log.say("event=gateways-changed: answering \(origins.isEmpty ? "nobody" : origins)")
                }
            } catch {
                log.say("event=state-unreadable: \(error)", level: 4)
            }
            if port == nil { told = listen(running, server, further, log, told: told) }
            log.flush(nowMilliseconds: clock.nowMilliseconds())
        }
    }
}

extension RunCommand {
    /// Listens also where gateways want that came later.
    ///
    /// - Parameter told: what could not be had at the last look.
    /// - Returns: the same of this one; only what is new in it was said.
    func listen(
        _ running: RunningGateways, _ server: LoopbackServer, _ further: [UInt16], _ log: EventLog,
        told: [String]
    ) -> [String] {
        let wanted = Array(Set(running.enrolments.map(\.port))).sorted()
        let (sockets, problems) = AgentPorts.bindMissing(
            wanted: wanted, further: further, bound: server.ports)
        if !sockets.isEmpty {
            server.add(sockets)
            let ports = sockets.map { "\($0.port)" }.joined(separator: ", ")
            log.say("event=listening: on \(ports), too")
        }
        for problem in problems where !told.contains(problem) { log.say(problem, level: 4) }
        return problems
    }
}

extension StateOptions {
    private var folder: StateFolder {
        StateFolder(
            path: stateFolder
                ?? StateFolder.defaultPath(
                    userID: geteuid(), home: ProcessInfo.processInfo.environment["HOME"]))
    }

    /// The state, as its owner: root becomes whoever the folder belongs to.
    func opened() throws(AgentError) -> GatewayFolders {
        let folder = folder
        try LocalUsers.become(ownerOf: folder.path)
        return try GatewayFolders(preparing: folder)
    }
}
