import ArgumentParser
import JSON

/// `gatepost-agent facts`
struct FactsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "facts",
        abstract: "Prints what the agent would tell the gateway about this machine, as JSON.",
        discussion: "A fact that is not there could not be found out; that is not the same as false.")

    @OptionGroup var state: StateOptions

    @Option(help: ArgumentHelp("Read another machine's files below this folder.", valueName: "folder"))
    var root: String = "/"

    func run() async throws {
        let facts = state.collector(HostRoot(root), origin: "https://localhost")
            .collect(nowSeconds: AgentClock.system.nowSeconds())
        print(JSONValue.object(facts).serializedText())
    }
}
