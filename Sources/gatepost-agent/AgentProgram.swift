import ArgumentParser

/// The local posture agent for Linux.
@main
struct AgentProgram: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gatepost-agent",
        abstract: "Proves which device this is, and how healthy it is, to Gatepost gateways.",
        discussion: """
            The agent listens on 127.0.0.1 and ::1 only. It answers the device-check pages of the gateways that \
            it was enrolled with, and nobody else: challenges must be signed by a key of that gateway.

            First time:     gatepost-agent enroll --url https://AUTH-HOST --token TOKEN
            Then:           gatepost-agent run
            What it says:   gatepost-agent facts
            How it stands:  gatepost-agent status
            No more:        gatepost-agent leave https://AUTH-HOST
            """,
        version: AssertionMaker.version,
        subcommands: [
            RunCommand.self, CollectCommand.self, EnrollCommand.self, StatusCommand.self, LeaveCommand.self,
            FactsCommand.self, ConformanceCommand.self,
        ])
}

/// Options of every command.
struct StateOptions: ParsableArguments {
    @Option(
        name: .customLong("state-dir"),
        help: ArgumentHelp(
            "Folder of the device keys and the enrolments.",
            discussion: """
                Default: /var/lib/gatepost-agent for root, else ~/.local/state/gatepost-agent. Root becomes \
                the owner of the folder.
                """,
            valueName: "folder"))
    var stateFolder: String?
}

/// What the machine's administrator says about it, for whoever reads its facts.
struct FactFileOptions: ParsableArguments {
    @Option(
        name: .customLong("device-ids"),
        help: ArgumentHelp("File with the ids that providers know this device by.", valueName: "file"))
    var deviceIDs: String = DeviceIDsFact.defaultPath

    @Option(
        name: .customLong("fact-rules"),
        help: ArgumentHelp(
            "File with the checks to make and the facts that may leave this machine.", valueName: "file"))
    var factRules: String = LocalRules.defaultPath
}
