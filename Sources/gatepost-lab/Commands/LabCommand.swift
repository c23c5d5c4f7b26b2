/// `gatepost-lab`: everything a laptop needs to see the gateway work.

import ArgumentParser

@main
struct LabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gatepost-lab",
        abstract: "An identity provider, a Microsoft Graph emulator and demo applications, all on 127.0.0.1.",
        discussion: """
            Everything here has public passwords and misbehaves on request. It only ever listens on loopback.
            `make run` starts it together with the gateway and the agent.
            """,
        subcommands: [ServeCommand.self, DeviceCommand.self, FaultCommand.self, SessionsCommand.self])
}
