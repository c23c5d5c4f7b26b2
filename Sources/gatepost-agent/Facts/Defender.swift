import JSON

/// `defender_healthy`, `defender_real_time`, `defender_org_id` and `defender_machine_id` of Microsoft
/// Defender for Endpoint, from `mdatp health --output json`.
struct DefenderFact: FactProbe {
    static let command = ProbeCommand(
        path: "/usr/bin/mdatp", arguments: ["health", "--output", "json"], timeoutMilliseconds: 10_000)
    let names = ["defender_healthy", "defender_real_time", "defender_org_id", "defender_machine_id"]
    let patienceMilliseconds: Int64 = 3_000

    func read(_ machine: Machine) -> [Fact] {
        guard machine.root.exists(Self.command.path),
            let output = machine.commands.run(Self.command).success
        else { return [] }
        return Self.facts(output)
    }

    static func facts(_ output: [UInt8]) -> [Fact] {
        let limits = JSONLimits(bytesMax: 256 << 10, depthMax: 8)
        guard let health = (try? JSONValue(parsing: output, limits: limits))?.object else { return [] }
        var facts: [Fact] = []
        for (fact, member) in [
            ("defender_healthy", "healthy"), ("defender_real_time", "realTimeProtectionEnabled"),
        ] {
            // Settings that can be managed come as an object with the value inside.
            guard let flag = health[member]?.bool ?? health[member]?["value"]?.bool else { continue }
            facts.append(Fact(name: fact, value: .bool(flag), source: command.description))
        }
        for (fact, member) in [("defender_org_id", "orgId"), ("defender_machine_id", "edrMachineId")] {
            guard let text = health[member]?.string, (8...64).contains(text.utf8.count),
                text.utf8.allSatisfy({ $0 == 0x2d || Character(UnicodeScalar($0)).isHexDigit })
            else { continue }
            facts.append(Fact(name: fact, value: .string(text.lowercased()), source: command.description))
        }
        return facts
    }
}
