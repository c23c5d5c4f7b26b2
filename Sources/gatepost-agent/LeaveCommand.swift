import ArgumentParser

/// `gatepost-agent leave`
struct LeaveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leave",
        abstract: "Ends the enrolment with one gateway: its key and certificate are gone.",
        discussion: """
            A running agent stops answering it within seconds. The gateway is not told: an administrator there \
            ends the device too, with: gatepost device revoke
            """)

    @OptionGroup var state: StateOptions

    @Argument(help: ArgumentHelp("Address of the gateway's auth host.", valueName: "https://host[:port]"))
    var url: String

    func run() async throws {
        let folders = try state.opened()
        let folder = try folders.folder(of: url)
        guard try folders.enrolled().contains(where: { $0.path == folder.path }) else {
            throw AgentError(
                "\(url): this device is not enrolled there", remedy: "see: gatepost-agent status")
        }
        try folder.locked { () throws(AgentError) in try folders.remove(folder) }
        print("left \(url)")
    }
}
