import ArgumentParser
import Foundation
import Glibc

/// `gatepost-agent collect`
struct CollectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collect",
        abstract: "Reads what only root can read, and tells it to the agent's user over a Unix socket.",
        discussion: """
            Run as root beside an agent that is not root. It opens no network socket and holds no key. \
            Without it the agent reads what it may itself, and the rest is unknown.
            """)

    @Option(help: ArgumentHelp("Where the agent asks.", valueName: "path"))
    var socket: String = CollectorProbe.defaultPath

    @Option(help: ArgumentHelp("The agent's user, by name or number.", valueName: "name"))
    var user: String = "gatepost-agent"

    @Option(
        name: .customLong("device-ids"),
        help: ArgumentHelp("File with the ids that providers know this device by.", valueName: "file"))
    var deviceIDs: String = DeviceIDsFact.defaultPath

    @Option(
        name: .customLong("fact-rules"),
        help: ArgumentHelp(
            "File with the checks to make and the facts that may leave this machine.", valueName: "file"))
    var factRules: String = LocalRules.defaultPath

    func run() async throws {
        // Keyed with the gateway's address, so only the agent can make it; it needs no root either.
        let probes = FactProbes.ofEveryGateway(deviceIDsPath: deviceIDs, rulesPath: factRules)
        let collector = FactCollector(root: HostRoot(), probes: probes, rulesPath: factRules)
        collector.keepFresh()
        for problem in collector.problems { EventLog.standard.say(problem, level: 4) }
        signal(SIGPIPE, SIG_IGN)
        let server = try CollectorServer(
            socketPath: socket, user: try LocalUsers.identifier(user), clock: .system,
            facts: { collector.facts(nowSeconds: $0).facts })
        let signals = TerminationSignals()
        let thread = Thread { server.run() }
        thread.start()
        EventLog.standard.say("collector answers user \(user) at \(socket)")
        await signals.received()
        server.stop()
    }
}
