import ArgumentParser
import Fetch
import Foundation
import Glibc

/// `gatepost-agent run`
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Answers device checks until it is stopped, and renews the certificate."
    )

    @OptionGroup var state: StateOptions

    @Option(
        name: .customLong("tpm"),
        help: ArgumentHelp("Where the security chip is, when it moved since enrolment.", valueName: "path"))
    var chip: String?

    @Option(
        help: ArgumentHelp("Port on 127.0.0.1 instead of the one that the gateway named.", valueName: "port"))
    var port: UInt16?

    @Flag(help: "Answer the browsers of every local user, not only of the enrolled ones.")
    var anyUser = false

    func run() async throws {
        let clock = AgentClock.system
        let identity = try DeviceIdentity(folder: state.folder, chip: chip)
        // A chip that does not answer is told now and not at the first device check.
        _ = try identity.key.sign([])
        let enrolment = identity.enrolment
        let root = HostRoot()
        let maker = AssertionMaker(
            identity: identity, collector: state.collector(root, origin: enrolment.authOrigin),
            counter: try StatementCounter(folder: identity.folder))
        let listener = try ListeningSocket(port: port ?? enrolment.port)
        let users: Set<UInt32>? = anyUser ? nil : Set(enrolment.users.isEmpty ? [geteuid()] : enrolment.users)
        let gate = AttestGate(
            identity: identity, maker: maker, port: listener.port, users: users,
            peerUser: { PeerUser.find($0, root: root) })
        let server = LoopbackServer(listening: listener, gate: gate, clock: clock)
        signal(SIGPIPE, SIG_IGN)
        let thread = Thread { server.run() }
        thread.start()
        let ready =
            "gatepost-agent: device \(enrolment.deviceID) answers \(enrolment.authOrigin) "
            + "on 127.0.0.1:\(listener.port)\n"
        FileHandle.standardOutput.write(Data(ready.utf8))
        let signals = TerminationSignals()
        let renewal = Task { await RenewalLoop(identity: identity, clock: clock).run() }
        await signals.received()
        renewal.cancel()
        server.stop()
    }
}

extension StateOptions {
    var folder: StateFolder {
        StateFolder(
            path: stateFolder
                ?? StateFolder.defaultPath(
                    userID: geteuid(), home: ProcessInfo.processInfo.environment["HOME"]))
    }

    func collector(_ root: HostRoot, origin: String) -> FactCollector {
        FactCollector(
            root: root, probes: FactProbes.all(deviceIDsPath: deviceIDs, machineIDKey: Array(origin.utf8)))
    }
}
