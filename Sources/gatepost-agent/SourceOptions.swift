import ArgumentParser
import Glibc
import JSON

/// Where facts and the administrator's rules come from.
struct SourceOptions: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp(
            "The administrator's file: further ports, and what each gateway may learn.",
            discussion: "Default: \(AgentConfiguration.defaultPath), which may be missing.", valueName: "file"
        ))
    var configurationFile: String?

    @Option(help: ArgumentHelp("Socket of the collector that runs as root.", valueName: "path"))
    var collector: String = CollectorProbe.defaultPath

    @OptionGroup var files: FactFileOptions

    var factRules: String { files.factRules }

    func configuration() throws(AgentError) -> AgentConfiguration {
        try AgentConfiguration(path: configurationFile)
    }

    /// One for all gateways: the collector's word first, then what this process can read itself.
    func collector(_ root: HostRoot) -> FactCollector {
        let own = FactProbes.ofEveryGateway(deviceIDsPath: files.deviceIDs, rulesPath: factRules)
        // Another machine's files are no business of this machine's collector.
        guard root.path.isEmpty else {
            return FactCollector(root: root, probes: own, rulesPath: factRules)
        }
        let told = CollectorProbe(path: collector, names: own.flatMap(\.names))
        // What the administrator's checks make out depends on who makes them: where root does, nobody else stands in.
        let isRootAsked = geteuid() != 0 && access(collector, F_OK) == 0
        let rest = isRootAsked ? own.filter { !($0 is CustomChecksFact) } : own
        return FactCollector(root: root, probes: [told] + rest, rulesPath: factRules)
    }
}

extension FactProbes {
    /// All but the machine's id, which is keyed with the gateway's address: no two gateways get the same.
    static func ofEveryGateway(deviceIDsPath: String, rulesPath: String) -> [any FactProbe] {
        all(deviceIDsPath: deviceIDsPath, machineIDKey: [], rulesPath: rulesPath)
            .filter { !$0.names.contains("machine_id") }
    }

    /// What one gateway alone is told.
    static func ofOneGateway(_ origin: String, _ root: HostRoot, rulesPath: String) -> JSONObject {
        let machine = Machine(root: root, commands: NoCommands(), nowSeconds: 0)
        let facts = MachineIDFact(key: Array(origin.utf8)).read(machine)
        let rules = LocalRules(root, path: rulesPath)
        return JSONObject(facts.compactMap { rules.permitted($0) }.map { ($0.name, $0.value) })
    }
}
