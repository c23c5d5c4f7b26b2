import ArgumentParser

/// The local posture agent for Linux.
@main
struct AgentProgram: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gatepost-agent",
        abstract: "Proves which device this is, and how healthy it is, to one Gatepost gateway.",
        discussion: """
            The agent listens on 127.0.0.1 only. It answers the device-check page of the gateway that it was \
            enrolled with, and nobody else: challenges must be signed by a key of that gateway.

            First time:   gatepost-agent enroll --url https://auth.corp.example --token TOKEN
            Then:         gatepost-agent run
            What it says: gatepost-agent facts
            """,
        version: AssertionMaker.version,
        subcommands: [RunCommand.self, EnrollCommand.self, FactsCommand.self, ConformanceCommand.self])
}

/// Options of every command.
struct StateOptions: ParsableArguments {
    @Option(
        name: .customLong("state-dir"),
        help: ArgumentHelp(
            "Folder of the device key and the enrolment.",
            discussion: "Default: /var/lib/gatepost-agent for root, else ~/.local/state/gatepost-agent.",
            valueName: "folder"))
    var stateFolder: String?

    @Option(
        name: .customLong("device-ids"),
        help: ArgumentHelp("File with the ids that providers know this device by.", valueName: "file"))
    var deviceIDs: String = DeviceIDsFact.defaultPath
}
