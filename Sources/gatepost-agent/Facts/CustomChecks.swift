import JSON

/// `checks`: the administrator's own checks, each `true`, `false` or `"unknown"`; and `vulnerability_score`.
struct CustomChecksFact: FactProbe {
    /// All of them together; those that did not get their turn are unknown.
    static let budgetMilliseconds: Int64 = 10_000

    let rulesPath: String
    var clock = AgentClock.system
    let names = ["checks", "vulnerability_score"]
    let patienceMilliseconds: Int64 = 3_000

    func read(_ machine: Machine) -> [Fact] {
        let rules = LocalRules(machine.root, path: rulesPath)
        var facts: [Fact] = []
        let end = clock.nowMilliseconds() + Self.budgetMilliseconds
        if let score = rules.vulnerabilityScore?.read(machine) { facts.append(score) }
        var results = JSONObject()
        for (name, check) in rules.checks.sorted(by: { $0.key < $1.key }) {
            let isInTime = clock.nowMilliseconds() < end
            let holds = isInTime ? check.flatMap { $0.holds(on: machine) } : nil
            results[name] = holds.map { .bool($0) } ?? "unknown"
        }
        if !results.isEmpty {
            facts.append(Fact(name: "checks", value: .object(results), source: rulesPath))
        }
        return facts
    }

    /// Of the results only those that a challenge names, as `check-<name>`; nil: none.
    static func asked(_ results: JSONValue?, _ requested: [String]) -> JSONValue? {
        guard let results = results?.object else { return nil }
        var asked = JSONObject()
        for (name, value) in results.members where requested.contains("check-" + name) { asked[name] = value }
        return asked.isEmpty ? nil : .object(asked)
    }
}
