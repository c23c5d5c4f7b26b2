import Glibc
import JSON

/// `firewall`: whether connections from outside are refused unless something allows them.
///
/// Root can ask the kernel for its rules; others have to believe the files of ufw and firewalld. A machine
/// with neither is unknown then: rules may stand there that only root can list.
struct FirewallFact: FactProbe {
    static let list = ProbeCommand(
        path: "/usr/sbin/nft", arguments: ["-j", "list", "ruleset"], outputBytesMax: 4 << 20)
    let names = ["firewall"]
    let patienceMilliseconds: Int64 = 2_500

    func read(_ machine: Machine) -> [Fact] {
        let root = machine.root
        func fact(_ value: Bool, _ source: String) -> [Fact] {
            [Fact(name: "firewall", value: .bool(value), source: source)]
        }
        if let output = machine.commands.run(Self.list).success, let refuses = NetfilterRules.refuses(output)
        {
            // Rules of the older tables are not in this list; the kernel names those tables.
            let old = root.text("/proc/net/ip_tables_names", bytesMax: 4 << 10)
            if refuses { return fact(true, Self.list.description) }
            if old?.isEmpty == true || root.presence("/proc/net/ip_tables_names") == .absent {
                return fact(false, Self.list.description)
            }
        }
        return Self.files(root)
    }

    private static func files(_ root: HostRoot) -> [Fact] {
        let path = "/etc/ufw/ufw.conf"
        if let text = root.text(path, bytesMax: 64 << 10),
            let enabled = OperatingSystemFact.assignments(text)["ENABLED"]?.lowercased()
        {
            if enabled == "yes" { return [Fact(name: "firewall", value: true, source: path)] }
            if !root.exists("/run/firewalld"), !root.exists("/etc/nftables.conf") {
                return [Fact(name: "firewall", value: false, source: path)]
            }
        }
        // firewalld writes its process id while it runs; a number that was given to another process since
        // is no firewall.
        let pid = "/run/firewalld.pid"
        if let number = root.line(pid), UInt32(number) != nil, root.owner("/proc/\(number)") == 0,
            root.line("/proc/\(number)/comm") == "firewalld"
        {
            return [Fact(name: "firewall", value: true, source: pid)]
        }
        return []
    }
}

/// `nft -j list ruleset` (libnftables-json(5)).
enum NetfilterRules {
    static let limits = JSONLimits(bytesMax: 4 << 20, depthMax: 24)
    static let jumpsMax = 8

    private struct Chain: Hashable {
        var family: String
        var table: String
        var name: String
    }

    /// Whether some input hook refuses what nothing allowed: by its policy, or by a last rule without a
    /// condition. A rule that refuses some addresses only (fail2ban) is no firewall. nil: not understood.
    static func refuses(_ output: [UInt8]) -> Bool? {
        guard let value = try? JSONValue(parsing: output, limits: limits),
            let items = value["nftables"]?.array
        else { return nil }
        var hooks: [Chain] = []
        var rules: [Chain: [[JSONValue]]] = [:]
        for item in items {
            if let chain = item["chain"] {
                guard let key = key(chain, name: "name") else { return nil }
                guard chain["hook"]?.string == "input", ["ip", "inet"].contains(key.family) else { continue }
                if chain["policy"]?.string == "drop" { return true }
                hooks.append(key)
            } else if let rule = item["rule"] {
                guard let key = key(rule, name: "chain"), let parts = rule["expr"]?.array else { return nil }
                rules[key, default: []].append(parts)
            }
        }
        return hooks.contains { refuses($0, rules, depth: 0) }
    }

    private static func refuses(_ chain: Chain, _ rules: [Chain: [[JSONValue]]], depth: Int) -> Bool {
        guard depth < jumpsMax else { return false }
        for parts in rules[chain] ?? [] {
            let names = parts.compactMap { $0.object?.names.first }
            let isForAll = names.allSatisfy {
                ["counter", "log", "drop", "reject", "jump", "goto"].contains($0)
            }
            guard isForAll, names.count == parts.count else { continue }
            if names.contains("drop") || names.contains("reject") { return true }
            for part in parts {
                guard let target = (part["jump"] ?? part["goto"])?["target"]?.string else { continue }
                let next = Chain(family: chain.family, table: chain.table, name: target)
                if refuses(next, rules, depth: depth + 1) { return true }
            }
        }
        return false
    }

    private static func key(_ item: JSONValue, name: String) -> Chain? {
        guard let family = item["family"]?.string, let table = item["table"]?.string,
            let name = item[name]?.string
        else { return nil }
        return Chain(family: family, table: table, name: name)
    }
}
