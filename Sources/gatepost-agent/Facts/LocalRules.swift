import JSON

/// What the machine's own administrator decides: which facts may leave it, and which checks it makes.
///
/// A gateway only names checks. What a check *does*, above all which command it runs, stands in this file
/// and nowhere else; it counts only while nobody but root, or who the agent runs as, can change it. A file
/// that is there but cannot be used permits nothing: a broken rule must not disclose what it was to withhold.
struct LocalRules: Sendable {
    static let defaultPath = "/etc/gatepost-agent/facts.json"
    static let bytesMax = 64 << 10
    static let checksMax = 32

    /// Facts that may leave the machine, in the spelling of device rules; nil: all.
    var permit: Set<String>?
    /// By name; nil values are definitions that cannot be used.
    var checks: [String: CustomCheck?] = [:]
    var vulnerabilityScore: NumberSource?
    /// For the person at the machine.
    var problems: [String] = []

    init() {}

    init(_ root: HostRoot, path: String) {
        guard root.presence(path) != .absent else { return }
        guard root.isTrusted(path) else {
            refuse("\(path): somebody else than root can change it, or it cannot be read; nothing is sent")
            return
        }
        guard let bytes = root.bytes(path, bytesMax: Self.bytesMax),
            let file = try? JSONValue(
                parsing: bytes, limits: JSONLimits(bytesMax: Self.bytesMax, depthMax: 6)),
            let members = file.object
        else {
            refuse("\(path): is no JSON object of at most 64 KiB; nothing is sent")
            return
        }
        read(members, path)
    }

    private mutating func read(_ members: JSONObject, _ path: String) {
        for (name, value) in members.members {
            switch name {
            case "permit":
                let names = value.array?.compactMap(\.string)
                guard let names, names.count == value.array?.count else {
                    return refuse("\(path): permit is no list of texts; nothing is sent")
                }
                permit = Set(names)
            case "checks":
                guard let entries = value.object, entries.members.count <= Self.checksMax else {
                    return refuse(
                        "\(path): checks is no object of at most \(Self.checksMax); nothing is sent")
                }
                for (name, definition) in entries.members { define(name, definition, path) }
            case "vulnerability_score":
                vulnerabilityScore = NumberSource(value)
                if vulnerabilityScore == nil {
                    problems.append("\(path): vulnerability_score names neither a file nor a command")
                }
            default:
                return refuse("\(path): \(name.prefix(64)) is no member of this file; nothing is sent")
            }
        }
    }

    private mutating func define(_ name: String, _ definition: JSONValue, _ path: String) {
        guard Self.isCheckName(name) else {
            problems.append("\(path): \(name.prefix(64)) is no name of a check")
            return
        }
        let check = CustomCheck(definition)
        if check == nil { problems.append("\(path): check \(name) cannot be understood; it is unknown") }
        checks[name] = .some(check)
    }

    private mutating func refuse(_ problem: String) {
        self = LocalRules()
        permit = []
        problems = [problem]
    }

    /// Lower-case letters, digits and hyphens, as gateways write names.
    static func isCheckName(_ name: String) -> Bool {
        (1...40).contains(name.utf8.count)
            && name.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
    }

    /// What of a fact may leave the machine; nil: nothing.
    func permitted(_ fact: Fact) -> Fact? {
        guard let permit else { return fact }
        let name = String(fact.name.map { $0 == "_" ? "-" : $0 })
        if permit.contains(name) { return fact }
        switch (fact.name, fact.value) {
        case ("device_ids", .object(let ids)), ("device_id_sources", .object(let ids)):
            return part(of: fact, ids) { "device-ids." + String($0.map { $0 == "_" ? "-" : $0 }) }
        case ("checks", .object(let results)): return part(of: fact, results) { "check-" + $0 }
        default: return nil
        }
    }

    private func part(of fact: Fact, _ members: JSONObject, named: (String) -> String) -> Fact? {
        var kept = JSONObject()
        for (name, value) in members.members where permit?.contains(named(name)) ?? true {
            kept[name] = value
        }
        return kept.isEmpty ? nil : Fact(name: fact.name, value: .object(kept), source: fact.source)
    }
}

/// Where a number comes from that only another program knows.
enum NumberSource: Sendable, Hashable {
    case file(String, maximumAgeSeconds: Int64)
    case command(ProbeCommand)

    static let range: ClosedRange<Int64> = 0...1_000

    init?(_ value: JSONValue) {
        guard let members = value.object else { return nil }
        let names = Set(members.names)
        if let path = members["file"]?.string, path.hasPrefix("/"),
            names.isSubset(of: ["file", "maximum_age_seconds"])
        {
            let age = members["maximum_age_seconds"]
            guard age == nil || age?.integer.map({ (60...2_592_000).contains($0) }) == true else {
                return nil
            }
            self = .file(path, maximumAgeSeconds: age?.integer ?? 172_800)
        } else if let command = members["command"].flatMap(CustomCheck.command), names == ["command"] {
            self = .command(command)
        } else {
            return nil
        }
    }

    func read(_ machine: Machine) -> Fact? {
        switch self {
        case .file(let path, let ageMax):
            // A number that anybody could have written there is nobody's word.
            guard machine.root.isTrusted(path), let changed = machine.root.changedAtSeconds(path),
                changed <= machine.nowSeconds, machine.nowSeconds - changed <= ageMax,
                let number = machine.root.line(path).flatMap(Self.number)
            else { return nil }
            return Fact(name: "vulnerability_score", value: .integer(number), source: path)
        case .command(let command):
            guard let output = machine.commands.run(command).success,
                let text = String(validating: output, as: UTF8.self),
                let number = Self.number(String(text.split(separator: "\n").first ?? ""))
            else { return nil }
            return Fact(name: "vulnerability_score", value: .integer(number), source: command.description)
        }
    }

    private static func number(_ text: String) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int64(text).flatMap { range.contains($0) ? $0 : nil }
    }
}
