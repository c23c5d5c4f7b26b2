import JSON

/// `av_edr`: known protection software that is running from a program that only root can change;
/// `edr_running`: whether there is any.
struct EndpointProtectionFact: FactProbe {
    /// Process name (at most 15 characters, as the kernel keeps it) → the word in the fact.
    static let known = [
        "falcon-sensor": "crowdstrike", "falcon-sensor-b": "crowdstrike", "wdavdaemon": "defender",
        "clamd": "clamav", "TaniumClient": "tanium", "sentinelone-age": "sentinelone",
        "s1-agent": "sentinelone",
    ]
    let names = ["av_edr", "edr_running"]

    func read(_ machine: Machine) -> [Fact] {
        guard let table = ProcessTable(machine.root) else { return [] }
        var found: Set<String> = []
        var unclear: Set<String> = []
        for (name, number) in table.processes(named: Set(Self.known.keys)) {
            guard let word = Self.known[name] else { continue }
            switch table.standing(number, name: name) {
            case .trusted: found.insert(word)
            // Others than root may not read the program, but the service manager's word is as good.
            case .unreadable:
                let unit = table.systemUnit(number)
                if ProtectionUnitsFact.units.contains(where: { $0.unit == unit && $0.word == word }) {
                    found.insert(word)
                } else {
                    unclear.insert(word)
                }
            case .untrusted: break
            }
        }
        let source = "/proc (programs of root)"
        // What runs and cannot be judged may be all there is: then only its absence is not known.
        guard !found.isEmpty || unclear.isEmpty else { return [] }
        return [
            Fact(name: "av_edr", value: .array(found.sorted().map { .string($0) }), source: source),
            Fact(name: "edr_running", value: .bool(!found.isEmpty), source: source),
        ]
    }
}

/// `edr_units`: what the service manager says of the units of known protection software that is installed,
/// such as `crowdstrike=active` or `defender=failed`.
struct ProtectionUnitsFact: FactProbe {
    static let units: [(unit: String, word: String)] = [
        ("falcon-sensor.service", "crowdstrike"), ("mdatp.service", "defender"),
        ("clamav-daemon.service", "clamav"), ("clamd@scan.service", "clamav"),
        ("taniumclient.service", "tanium"),
        ("sentinelone.service", "sentinelone"),
    ]
    static let command = ProbeCommand(
        path: "/usr/bin/systemctl",
        arguments: ["show", "--property=Id,LoadState,ActiveState"] + units.map(\.unit),
        outputBytesMax: 16 << 10)
    let names = ["edr_units"]

    func read(_ machine: Machine) -> [Fact] {
        guard let output = machine.commands.run(Self.command).success,
            let states = Self.states(output)
        else { return [] }
        return [
            Fact(name: "edr_units", value: .array(states.map { .string($0) }), source: "systemctl show")
        ]
    }

    /// Blocks of assignments, one for each unit, with an empty line between; nil when a unit is missing.
    static func states(_ output: [UInt8]) -> [String]? {
        guard let text = String(validating: output, as: UTF8.self) else { return nil }
        var states: [String] = []
        var seen = 0
        var block: [Substring: Substring] = [:]
        func end() {
            defer { block = [:] }
            guard let id = block["Id"], let entry = units.first(where: { $0.unit == id }),
                let active = block["ActiveState"], let load = block["LoadState"]
            else { return }
            seen += 1
            let isWord = active.utf8.count <= 32 && active.utf8.allSatisfy { (0x61...0x7a).contains($0) }
            if load == "loaded", isWord { states.append("\(entry.word)=\(active)") }
        }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty {
                end()
                continue
            }
            let pair = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 { block[pair[0]] = pair[1] }
        }
        end()
        return seen == units.count ? states.sorted() : nil
    }
}
