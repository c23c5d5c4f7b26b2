import ArgumentParser
import Foundation
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

    @Flag(help: "Print where each fact comes from and how old it is, and what could not be found out.")
    var sources = false

    func run() async throws {
        let now = AgentClock.system.nowSeconds()
        let collector = state.collector(HostRoot(root), origin: "https://localhost")
        let known = collector.sourced(nowSeconds: now, patience: 30_000)
        for problem in collector.problems {
            FileHandle.standardError.write(Data("gatepost-agent: \(problem)\n".utf8))
        }
        guard sources else {
            print(JSONValue.object(collector.facts(nowSeconds: now).facts).serializedText())
            return
        }
        var facts = JSONObject()
        for entry in known where facts[entry.fact.name] == nil {
            facts[entry.fact.name] = [
                "value": entry.fact.value, "source": .string(entry.fact.source),
                "age_seconds": .integer(max(0, now - entry.atSeconds)),
            ]
        }
        let unknown = collector.unknown(nowSeconds: now).map { JSONValue.string($0) }
        print(
            JSONValue.object(JSONObject([("facts", .object(facts)), ("unknown", .array(unknown))]))
                .serializedText())
    }
}
