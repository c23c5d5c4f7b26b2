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

    @OptionGroup var files: FactFileOptions

    func run() async throws {
        // Keyed with the gateway's address, so only the agent can make it; it needs no root either.
        let probes = FactProbes.ofEveryGateway(
            deviceIDsPath: files.deviceIDs, rulesPath: files.factRules)
        let collector = FactCollector(root: HostRoot(), probes: probes, rulesPath: files.factRules)
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
