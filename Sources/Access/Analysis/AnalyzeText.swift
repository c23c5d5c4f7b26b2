/// What `gatepost analyze` prints for people: one application after the other, the answer first.
public enum AnalyzeText {
    /// Who is let in where, and by which policy.
    ///
    /// - Parameter withExamples: with each policy a case that it lets in.
    public static func reach(_ reaches: [(Application, ApplicationReach)], withExamples: Bool) -> String {
        var lines: [String] = []
        for (application, reach) in reaches {
            if reach.policies.isEmpty {
                lines.append("\(application.name): \(reach.bounds.isEmpty ? "nobody" : "not known")")
            } else {
                lines.append(
                    "\(application.name): \(reach.isForEverybody ? "everybody, always" : "let in by")")
            }
            for part in reach.policies {
                let policy = application.policies[part.policy]
                let whom = part.whom.isEmpty ? "everybody" : part.whom
                lines.append("  \(policy.action.rawValue) \(policy.name): \(whom)")
                lines += limits(policy.restriction).map { "    only \($0)" }
                if withExamples { lines.append("    for example \(part.example)") }
            }
            lines += bounds(reach.bounds)
        }
        let count = reaches.filter { !$0.1.policies.isEmpty }.count
        lines.append("\(count) of \(reaches.count) applications let somebody in.")
        return lines.joined(separator: "\n")
    }

    /// What is dead; "Everything can be reached." where nothing is.
    public static func unreachable(
        _ findings: [(Application, ApplicationFindings)], _ devices: DeviceFindings
    )
        -> String
    {
        var lines: [String] = []
        for dead in devices.dead {
            let why =
                dead.shadows.isEmpty
                ? "never holds: its rules exclude each other"
                : "is never reached: \(dead.shadows.joined(separator: " and ")) settle what it would"
            lines.append("device policy \(dead.policy) (\(dead.platform.rawValue)) \(why)")
        }
        lines += bounds(devices.bounds)
        for (application, found) in findings {
            lines += found.dead.map { "\(application.name): \(text(of: $0, in: application))" }
            lines += bounds(found.bounds).map { "\(application.name):\($0)" }
        }
        let count = devices.dead.count + findings.map(\.1.dead.count).reduce(0, +)
        lines.append(count == 0 ? "Everything can be reached." : "\(count) found.")
        return lines.joined(separator: "\n")
    }

    /// Why a policy is dead, in one line.
    public static func text(of dead: DeadPolicy, in application: Application) -> String {
        func name(_ index: Int) -> String {
            "\(application.policies[index].action.rawValue) \(application.policies[index].name)"
        }
        switch dead.cause {
        case .neverMatches: return "\(name(dead.policy)) never matches: its conditions exclude each other"
        case .shadowed(let earlier):
            let names = earlier.map(name).joined(separator: " and ")
            return
                "\(name(dead.policy)) is never reached: \(names) \(earlier.count == 1 ? "matches" : "match") first"
        case .idle(let place):
            return "\(name(dead.policy)): \(place.list)[\(place.index)] never holds: \(place.condition)"
        }
    }

    /// What two policies decide differently, with each difference's explanation under both. Equal ones are counted.
    ///
    /// - Parameter first: what to call the first, usually its path, and its policy.
    public static func comparison(
        _ rows: [(application: String, ApplicationComparison)], _ first: (path: String, PolicySnapshot),
        _ second: (path: String, PolicySnapshot)
    ) -> String {
        var lines: [String] = []
        for (name, comparison) in rows {
            switch comparison {
            case .equal: continue
            case .onlyInFirst: lines.append("\(name): only in \(first.path)")
            case .onlyInSecond: lines.append("\(name): only in \(second.path)")
            case .undecided(let why): lines += ["\(name): not known"] + bounds(why)
            case .different(let difference):
                lines += ["\(name): different", "  \(difference.example)"]
                for (path, snapshot) in [first, second] {
                    lines += explanation(difference.example, path, snapshot, name)
                }
            }
        }
        let equal = rows.filter { if case .equal = $0.1 { true } else { false } }.count
        lines.append("\(equal) of \(rows.count) applications decide alike.")
        lines += notCompared(first.1, second.1).map { "not compared: \($0)" }
        return lines.joined(separator: "\n")
    }

    /// What a comparison of two policies leaves out; empty where neither has any of it.
    public static func notCompared(_ first: PolicySnapshot, _ second: PolicySnapshot) -> [String] {
        let policies = (first.applications + second.applications).flatMap(\.policies)
        guard policies.contains(where: { $0.restriction?.limits?.isEmpty == false }) else { return [] }
        return ["limits that a policy adds to later ones where it is not known whether it matches"]
    }

    private static func explanation(
        _ example: AnalyzedCase, _ path: String, _ snapshot: PolicySnapshot, _ name: String
    ) -> [String] {
        guard let application = snapshot.application(named: name) else { return [] }
        let (residual, decision) = example.decision(by: snapshot, for: application)
        let record = example.explanation(by: snapshot, for: application)
        return ["  \(path): \(word(for: decision, residual))"]
            + record.lines.map { "    \($0.rule): \($0.condition): \($0.outcome.rawValue) (\($0.observed))" }
    }

    /// A decision in a few words; names the policy.
    ///
    /// - Precondition: the decision was made by this residual.
    public static func word(for decision: Decision, _ residual: Residual) -> String {
        switch decision {
        case .forward(let policy): "let in by \(residual.policies[policy].name)"
        case .signIn: "asked to sign in"
        case .refuse(let reason): "refused: \(reason.rawValue)"
        case .recompute: "not decided"
        }
    }

    private static func limits(_ restriction: Restriction?) -> [String] {
        guard let restriction else { return [] }
        var limits: [String] = []
        if let methods = restriction.methods {
            limits.append("methods \(methods.map(\.rawValue).joined(separator: ", "))")
        }
        if let paths = restriction.pathPrefixes {
            limits.append("at or below \(paths.joined(separator: ", "))")
        }
        if restriction.blocksDownloads { limits.append("without downloads") }
        if restriction.blocksUploads { limits.append("without uploads") }
        return limits
    }

    private static func bounds(_ bounds: [String]) -> [String] { bounds.map { "  not exact: \($0)" } }
}
