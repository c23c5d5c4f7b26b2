import ArgumentParser
import Config
import DataPlane
import Foundation
import Glibc
import JSON

struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the gateway.",
        discussion: """
            SIGHUP reads the configuration again; a bad one changes nothing. SIGTERM and Ctrl-C stop gracefully: open
            requests may finish for 10 seconds, a second signal ends at once. SIGUSR2 changes to the program that is
            now where this one was started from, without losing a request ("gatepost upgrade").
            """)
    @OptionGroup var config: ConfigOption

    func run() throws {
        let snapshot = try ConfigurationFile(path: config.path).loadOrReport()
        do {
            guard snapshot.gateway.hasTwoProcesses else {
                return try Gateway(configPath: config.path, config: snapshot).run()
            }
            let status = try Self.supervisor(config.path, snapshot).run()
            guard status == 0 else { throw ExitCode(status) }
        } catch let code as ExitCode {
            throw code
        } catch {
            ConfigurationFile.report("gatepost: \(error)")
            throw ExitCode(1)
        }
    }

    private static func supervisor(_ path: String, _ config: ConfigSnapshot) throws -> Supervisor {
        GatewayProcess.raiseDescriptorLimit()
        if let adopted = Supervisor.adopted(configPath: path, config: config) { return adopted }
        let listeners = config.gateway.listeners.map { ListenerAddress(address: $0.address, port: $0.port) }
        let workers = config.gateway.workers ?? max(1, ProcessInfo.processInfo.activeProcessorCount)
        let sockets =
            try ListenDescriptors.inherited(listeners, workers: workers)
            ?? DataPlaneEngine.bind(listeners, workers: workers)
        guard let quarantine = Quarantine.makeMemory(), let beats = Beats.make() else {
            throw Confinement.Failure(
                description: "no memory to share with the processes: \(String(cString: strerror(errno)))")
        }
        return Supervisor(
            configPath: path, config: config, sockets: sockets, quarantine: quarantine, beats: beats)
    }
}

/// Asks the running gateway to become the program that is installed now.
struct UpgradeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade",
        abstract: "Change the running gateway to the installed program; no request is lost.")
    @OptionGroup var gateway: SocketOption

    func run() throws {
        guard
            let pid = try gateway.ask(["command": "status"])["data_plane"]?["processes"]?["supervisor"]?
                .integer,
            let supervisor = pid_t(exactly: pid)
        else {
            ConfigurationFile.report(
                "this gateway runs in one process (gateway.processes); restart it instead")
            throw ExitCode(1)
        }
        guard kill(supervisor, SIGUSR2) == 0 else {
            ConfigurationFile.report("process \(supervisor): \(String(cString: strerror(errno)))")
            throw ExitCode(1)
        }
        print("asked process \(supervisor); its log says what came of it, gatepost status who runs")
    }
}
