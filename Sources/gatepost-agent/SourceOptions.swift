import ArgumentParser
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

    func configuration() throws(AgentError) -> AgentConfiguration {
        try AgentConfiguration(path: configurationFile)
    }

    /// One for all gateways: the collector's word first, then what this process can read itself.
    func collector(_ root: HostRoot, deviceIDs: String) -> FactCollector {
        let own = FactProbes.ofEveryGateway(deviceIDsPath: deviceIDs)
        // Another machine's files are no business of this machine's collector.
        guard root.path.isEmpty else { return FactCollector(root: root, probes: own) }
        let told = CollectorProbe(path: collector, names: own.flatMap(\.names))
        return FactCollector(root: root, probes: [told] + own)
    }
}

extension FactProbes {
    /// All but the machine's id, which is keyed with the gateway's address: no two gateways get the same.
    static func ofEveryGateway(deviceIDsPath: String) -> [any FactProbe] {
        all(deviceIDsPath: deviceIDsPath, machineIDKey: []).filter { !$0.names.contains("machine_id") }
    }

    /// What one gateway alone is told.
    static func ofOneGateway(_ origin: String, _ root: HostRoot) -> JSONObject {
        JSONObject(MachineIDFact(key: Array(origin.utf8)).read(root, nowSeconds: 0))
    }
}
