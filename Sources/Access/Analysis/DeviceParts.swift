/// What devices differ in: for each integration what kind of verdict there is (`VerdictGate`), and of each thing that
/// rules ask about a verdict its value (`VerdictPart`). Statements likewise.

/// Whether there is a verdict, in which state, how fresh and how strongly matched.
struct VerdictGate: Hashable {
    /// nil: the integration says nothing about the device.
    var state: Verdict.State?
    /// 0: fresh. n: expired, so long ago that only the n-th of the extensions still counts it. Beyond: gone.
    var staleness = 0
    var strength = Verdict.Strength.strong

    /// - Parameter extensions: seconds, rising.
    func verdict(_ integration: String, _ parts: [VerdictPart], extensions: [Int64], atSeconds now: Int64)
        -> Verdict?
    {
        guard let state else { return nil }
        let overdue = staleness == 0 ? -86_400 : staleness == 1 ? 0 : extensions[staleness - 2]
        var verdict = Verdict(
            id: "\(integration)-verdict", integration: integration, provider: integration,
            nativeID: integration,
            state: state, observedAtSeconds: now - 1, fetchedAtSeconds: now - 1,
            expiresAtSeconds: now - overdue,
            matchKey: "analysis", matchStrength: strength)
        // An extension needs that the verdict was fresh when it was fetched.
        verdict.fetchedAtSeconds = min(now - 1, verdict.expiresAtSeconds - 1)
        for part in parts { part.apply(to: &verdict, atSeconds: now) }
        return verdict
    }
}

/// One value of one thing that rules ask about a verdict.
enum VerdictPart: Hashable {
    enum Kind: Hashable { case labels, score, risk, sensor, managed, check(String), age }

    case labels([String])
    case score(Int64?)
    case risk(Verdict.Risk?)
    case sensor(Bool?)
    case managed(Bool?)
    case check(String, Verdict.Check.State?)
    /// Seconds since the report and since the fetch.
    case age(Int64, Int64)

    func apply(to verdict: inout Verdict, atSeconds now: Int64) {
        switch self {
        case .labels(let labels): verdict.labels = labels
        case .score(let value):
            verdict.score = value.map { .init(value: $0, minimum: .min, maximum: .max, higherIsBetter: true) }
        case .risk(let risk): verdict.risk = risk
        case .sensor(let runs): verdict.isSensorRunning = runs
        case .managed(let isManaged): verdict.isManaged = isManaged
        case .check(let name, let state):
            if let state { verdict.checks.append(.init(id: name, title: name, state: state)) }
        case .age(let reported, let fetched):
            verdict.observedAtSeconds = now.difference(saturating: reported)
            // What an extension still counts was fetched while it was fresh.
            verdict.fetchedAtSeconds = min(now.difference(saturating: fetched), verdict.expiresAtSeconds - 1)
        }
    }

    /// Every value of that kind that the rules can tell apart; nil: more than `max`.
    static func values(_ kind: Kind, _ rules: [DeviceRule], max: Int) -> [VerdictPart]? {
        switch kind {
        case .labels:
            var labels: [String] = []
            for case .tags(_, _, let values) in rules {
                labels += values.filter { !ExactText.contains(labels, $0) }
            }
            guard labels.count < 12, 1 << labels.count <= max else { return nil }
            return (0..<(1 << labels.count)).map { bits in
                .labels(labels.indices.filter { bits >> $0 & 1 == 1 }.map { labels[$0] })
            }
        case .score:
            var values: Set<Int64> = []
            for case .score(_, _, let value) in rules {
                values.formUnion([value.difference(saturating: 1), value, value.sum(saturating: 1)])
            }
            return [.score(nil)] + values.sorted().map { .score($0) }
        case .risk: return [.risk(nil)] + Verdict.Risk.allCases.map { .risk($0) }
        case .sensor: return [.sensor(nil), .sensor(true), .sensor(false)]
        case .managed: return [.managed(nil), .managed(true), .managed(false)]
        case .check(let name):
            return [.check(name, nil)] + Verdict.Check.State.allCases.map { .check(name, $0) }
        case .age: return ages(rules)
        }
    }

    private static func ages(_ rules: [DeviceRule]) -> [VerdictPart] {
        var (reported, fetched): (Set<Int64>, Set<Int64>) = ([1], [1])
        for case .verdictAge(_, let reportedMax, let fetchedMax) in rules {
            if let reportedMax { reported.formUnion([reportedMax, reportedMax.sum(saturating: 1)]) }
            if let fetchedMax { fetched.formUnion([fetchedMax, fetchedMax.sum(saturating: 1)]) }
        }
        return reported.sorted().flatMap { age in fetched.sorted().map { .age(age, $0) } }
    }
}

extension DeviceRule {
    /// What the rule asks about a verdict; nil: nothing beyond what there is, or it asks the agent.
    var verdictPart: VerdictPart.Kind? {
        switch self {
        case .tags: .labels
        case .score: .score
        case .risk: .risk
        case .sensorRunning: .sensor
        case .managed: .managed
        case .setting(_, let name, _): .check(name)
        case .verdictAge: .age
        case .matchStrength, .provenBy, .agentFact, .agentFactIs, .agentManaged, .agentVersion, .agentKey: nil
        }
    }

    /// Whether it asks how the device is proven.
    var asksProof: Bool { if case .provenBy = self { true } else { false } }

    /// Whether a provider's verdict answers.
    var asksVerdict: Bool { !asksStatement && !asksProof }

    /// Whether the agent's statement answers.
    var asksStatement: Bool {
        switch self {
        case .agentFact, .agentFactIs, .agentManaged, .agentVersion, .agentKey: true
        case .tags, .score, .risk, .sensorRunning, .managed, .setting, .verdictAge, .matchStrength,
            .provenBy:
            false
        }
    }
}

/// One value of one thing that rules ask about a statement.
enum StatementPart: Hashable {
    enum Kind: Hashable { case fact(String), managed, version, key }

    case fact(String, ClaimValue?)
    /// nil: not managed; otherwise seconds since the device was last seen.
    case managed(Int64?)
    case version(String)
    case key(AgentStatement.KeyLevel)

    func apply(to statement: inout AgentStatement, atSeconds now: Int64) {
        switch self {
        case .fact(let name, let value): statement.facts[name] = value
        case .managed(let secondsAgo):
            statement.isManaged = secondsAgo != nil
            statement.lastSeenSeconds = now.difference(saturating: secondsAgo ?? 1)
        case .version(let version): statement.agentVersion = version
        case .key(let level): statement.keyLevel = level
        }
    }

    static func plain(_ integration: String, isFresh: Bool, atSeconds now: Int64) -> AgentStatement {
        AgentStatement(
            integration: integration, verifiedAtSeconds: now - 1,
            expiresAtSeconds: isFresh ? now + 86_400 : now,
            lastSeenSeconds: now - 1, isManaged: true, keyLevel: .attested, agentVersion: "0", osVersion: "",
            facts: [:])
    }

    static func values(_ kind: Kind, _ rules: [DeviceRule]) -> [StatementPart] {
        switch kind {
        case .fact(let name):
            var wanted: [ClaimValue] = []
            for case .agentFact(_, name, let values) in rules { wanted += values }
            let lists = rules.compactMap { rule -> [ClaimValue]? in
                if case .agentFact(_, name, let values) = rule { values } else { nil }
            }
            let bounds = FactBounds(name, rules)
            let values = ClaimChoices.values(wanted + bounds.values) { value in
                lists.map { list -> Bool? in list.contains { value.meets($0) } } + bounds.outcomes(of: value)
            }
            return [.fact(name, nil)] + values.map { .fact(name, $0) }
        case .managed:
            var ages: Set<Int64> = [1, -Verdict.clockSkewSecondsMax - 1]
            for case .agentManaged(_, let secondsMax) in rules {
                ages.formUnion([secondsMax, secondsMax.sum(saturating: 1)])
            }
            return [.managed(nil)] + ages.sorted().map { .managed($0) }
        case .version:
            var versions = ["0", ""]
            for case .agentVersion(_, let minimum) in rules { versions.append(minimum) }
            return versions.map { .version($0) }
        case .key: return AgentStatement.KeyLevel.allCases.map { .key($0) }
        }
    }
}

extension DeviceRule {
    /// What the rule asks about a statement; nil: it asks a verdict.
    var statementPart: StatementPart.Kind? {
        switch self {
        case .agentFact(_, let name, _), .agentFactIs(_, let name, _, _): .fact(name)
        case .agentManaged: .managed
        case .agentVersion: .version
        case .agentKey: .key
        case .tags, .score, .risk, .sensorRunning, .managed, .setting, .verdictAge, .matchStrength,
            .provenBy:
            nil
        }
    }
}
