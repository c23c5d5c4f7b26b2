import ArgumentParser
import Foundation
import JSON

/// `gatepost-agent facts`
struct FactsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "facts",
        abstract: "Prints what the agent would tell each gateway about this machine, as JSON.",
        discussion: """
            A fact that is not there could not be found out; that is not the same as false. With --root, and before \
            an enrolment, the facts alone are printed: nobody is told them.
            """)

    @OptionGroup var state: StateOptions
    @OptionGroup var inputs: SourceOptions

    @Option(help: ArgumentHelp("Read another machine's files below this folder.", valueName: "folder"))
    var root: String = "/"

    @Flag(help: "Print where each fact comes from and how old it is, and what could not be found out.")
    var sources = false

    func run() async throws {
        let now = AgentClock.system.nowSeconds()
        let host = HostRoot(root)
        let folders = host.path.isEmpty ? try state.opened().enrolled() : []
        let collector = inputs.collector(host)
        let known = collector.sourced(nowSeconds: now, patience: Self.patienceMilliseconds)
        for problem in collector.problems {
            FileHandle.standardError.write(Data("gatepost-agent: \(problem)\n".utf8))
        }
        guard !sources else { return printSources(known, collector.unknown(nowSeconds: now), now) }
        let facts = collector.facts(nowSeconds: now).facts
        guard !folders.isEmpty else {
            let own = FactProbes.ofOneGateway("https://localhost", host, rulesPath: inputs.factRules)
            return print(JSONValue.object(facts.merging(own)).serializedText())
        }
        let configuration = try inputs.configuration()
        var views = JSONObject()
        for folder in folders {
            let enrolment = try DeviceIdentity(folder: folder).enrolment
            let view = PrivacyView(
                enrolment: enrolment, permitted: configuration[enrolment.authOrigin].permitted,
                asked: AskedClaims.read(folder),
                facts: facts.merging(
                    FactProbes.ofOneGateway(enrolment.authOrigin, host, rulesPath: inputs.factRules)))
            views[enrolment.authOrigin] = .object(view.object)
        }
        print(JSONValue.object(views).serializedText())
    }

    /// For whoever reads a list there is time: slow probes are waited for.
    private static let patienceMilliseconds: Int64 = 30_000

    private func printSources(_ known: [FactCollector.Sourced], _ unknown: [String], _ now: Int64) {
        var facts = JSONObject()
        for entry in known where facts[entry.fact.name] == nil {
            facts[entry.fact.name] = [
                "value": entry.fact.value, "source": .string(entry.fact.source),
                "age_seconds": .integer(max(0, now - entry.atSeconds)),
            ]
        }
        let all = JSONObject([
            ("facts", .object(facts)), ("unknown", .array(unknown.map { .string($0) })),
        ])
        print(JSONValue.object(all).serializedText())
    }
}
