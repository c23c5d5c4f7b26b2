/// `gatepost-lab serve`: all sites in one process.

import ArgumentParser
import Foundation
import Glibc
import JSON

struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Start the provider, the emulator and the applications.",
        discussion: """
            The first line on standard output is a JSON object with the ports that were taken and the
            credentials; the same object is written to FOLDER/lab.json. After that
            every request is one JSON line.
            Port 0 takes any free port.
            """)

    @Option(help: "Where lab.json is written; made when it is missing.")
    var folder = ".run"
    @Option(help: "Port of the OpenID Provider.")
    var openidPort: UInt16 = 0
    @Option(help: "Port of the Microsoft Graph emulator, which is also its token endpoint.")
    var graphPort: UInt16 = 0
    @Option(help: "Port of the demo applications.")
    var echoPort: UInt16 = 0
    @Option(help: "Port of the emulators of further posture providers, each under its name.")
    var vendorsPort: UInt16 = 0
    @Option(help: "Origin of the gateway's auth host; its callbacks are registered. May be given again.")
    var authOrigin: [String] = []
    @Option(help: "Serial number of Alice's device at the Graph emulator.")
    var deviceSerial = "LAB-ALICE-0001"
    @Option(help: "Name of Alice's device at the Graph emulator.")
    var deviceName = "alice-laptop"
    @Option(help: "How many more devices the Graph emulator has, for paging.")
    var fillerDevices = 0
    @Option(help: "PEM file of the authorities behind the gateway's certificate, for logout tokens.")
    var gatewayAuthorities: String?
    @Flag(help: "No line for each request.")
    var quiet = false

    func validate() throws {
        guard (0...100_000).contains(fillerDevices) else {
            throw ValidationError("--filler-devices is 0 to 100000")
        }
        for origin in authOrigin where !origin.hasPrefix("https://") || origin.dropFirst(8).contains("/") {
            throw ValidationError(
                "--auth-origin \(origin): give scheme, host and port only, without a slash at the end")
        }
    }

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        let origins = authOrigin.isEmpty ? ["https://auth.localhost:8443"] : authOrigin
        let devices = ManagedDevice.demo(serial: deviceSerial, deviceName: deviceName, fillers: fillerDevices)
        let authorities = try gatewayAuthorities.map { path in
            guard let data = FileManager.default.contents(atPath: path) else {
                throw CommandFailure(description: "\(path) cannot be read")
            }
            return Array(data)
        }
        let lab: Lab
        do {
            lab = try Lab(
                ports: (openidPort, graphPort, echoPort), clients: Client.demo(origins: origins),
                devices: devices, vendorsPort: vendorsPort,
                tenantClients: Client.tenantDemo(origins: origins), gatewayAuthoritiesPEM: authorities,
                log: LabLog(isSilent: quiet))
        } catch {
            throw CommandFailure(description: error.description)
        }
        let summary = lab.summary.serialized() + [10]
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(summary).write(to: URL(fileURLWithPath: folder + "/lab.json"))
        _ = summary.withUnsafeBytes { Glibc.write(1, $0.baseAddress, $0.count) }
        // The threads do the rest; the default action of SIGINT and SIGTERM ends the process.
        while true { pause() }
    }
}
