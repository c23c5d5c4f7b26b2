/// One rule of a device policy against what is known of the device.
extension DeviceRule {
    /// The configured integration that the rule asks.
    public var integration: String {
        switch self {
        case .tags(let integration, _, _), .score(let integration, _, _), .risk(let integration, _, _),
            .sensorRunning(let integration, _), .managed(let integration, _),
            .agentFact(let integration, _, _),
            .agentManaged(let integration, _), .agentVersion(let integration, _),
            .agentKey(let integration, _):
            integration
        }
    }

    func finding(
        about device: DeviceFacts, matchStrengthMin: Verdict.Strength, _ trace: inout Trace
    ) -> RuleFinding {
        switch self {
        case .tags, .score, .risk, .sensorRunning, .managed:
            verdictFinding(about: device, matchStrengthMin: matchStrengthMin, &trace)
        case .agentFact, .agentManaged, .agentVersion, .agentKey:
            statementFinding(about: device, &trace)
        }
    }

    private func verdictFinding(
        about device: DeviceFacts, matchStrengthMin: Verdict.Strength, _ trace: inout Trace
    ) -> RuleFinding {
        let known = device.verdicts.filter { ExactText.isEqual($0.integration, integration) }
        for verdict in known {
            trace.read("verdict:\(verdict.integration):\(verdict.nativeID)")
            trace.changes(atSeconds: verdict.endsAtSeconds)
        }
        let worst = known.map(\.state.severity).max()
        var merged: RuleFinding?
        // Expired records take part in choosing the worst: if they did not, a bad answer would be forgotten
        // by getting old, and an older verdict must never get a better outcome.
        for verdict in known where verdict.state.severity == worst {
            let next = finding(in: verdict, matchStrengthMin: matchStrengthMin, atSeconds: trace.nowSeconds)
            merged = merged.map { $0.merged(with: next) } ?? next
        }
        return merged ?? RuleFinding(.indeterminate, .none(integration: integration), unless: .postureMissing)
    }

    private func finding(
        in verdict: Verdict, matchStrengthMin: Verdict.Strength, atSeconds nowSeconds: Int64
    ) -> RuleFinding {
        // Age before state: a stale "compliant" and a stale "non-compliant" are equally worthless, and
        // "stale" tells the person to refresh rather than to repair the device.
        guard verdict.isFresh(atSeconds: nowSeconds) else {
            return RuleFinding(.indeterminate, .verdict(verdict), unless: .postureStale)
        }
        guard verdict.matchStrength.rank >= matchStrengthMin.rank else {
            return RuleFinding(.indeterminate, .verdict(verdict), unless: .postureIndeterminate)
        }
        let outcome = answer(of: verdict)
        if outcome == .no { return RuleFinding(.no, .verdict(verdict), unless: .postureNonCompliant) }
        let reason: Reason = verdict.state == .notFound ? .postureMissing : .postureIndeterminate
        return RuleFinding(outcome, .verdict(verdict), unless: reason)
    }

    private func answer(of verdict: Verdict) -> Ternary {
        switch self {
        case .tags(_, let matchesAll, let values): verdict.hasLabels(values, all: matchesAll)
        case .score(_, let comparison, let value): verdict.meetsScore(comparison, value)
        case .risk(_, let comparison, let value): verdict.meetsRisk(comparison, value)
        case .sensorRunning(_, let wanted): verdict.meetsSensor(isRunning: wanted)
        case .managed(_, let wanted): verdict.meetsManaged(wanted)
        case .agentFact, .agentManaged, .agentVersion, .agentKey: .indeterminate
        }
    }

    private func statementFinding(about device: DeviceFacts, _ trace: inout Trace) -> RuleFinding {
        guard let statement = device.statement, ExactText.isEqual(statement.integration, integration) else {
            return RuleFinding(.indeterminate, .none(integration: integration), unless: .postureRequired)
        }
        trace.changes(atSeconds: statement.expiresAtSeconds)
        guard trace.nowSeconds < statement.expiresAtSeconds else {
            return RuleFinding(.indeterminate, .statement(statement), unless: .postureRequired)
        }
        let (outcome, reason) = answer(of: statement, &trace)
        return RuleFinding(outcome, .statement(statement), unless: reason)
    }

    private func answer(of statement: AgentStatement, _ trace: inout Trace) -> (Ternary, Reason) {
        switch self {
        case .agentFact(_, let name, let values):
            guard let fact = statement.facts[name] else { return (.indeterminate, .postureIndeterminate) }
            return (Ternary(values.contains { fact.meets($0) }), .postureNonCompliant)
        case .agentManaged(_, let lastSeenSecondsMax):
            return statement.isManaged(lastSeenSecondsMax: lastSeenSecondsMax, &trace)
        case .agentVersion(_, let minimum):
            guard let have = DottedVersion(statement.agentVersion), let want = DottedVersion(minimum) else {
                return (.indeterminate, .postureIndeterminate)
            }
            return (Ternary(have >= want), .postureNonCompliant)
        case .agentKey(_, let minimum):
            return (Ternary(statement.keyLevel.rank >= minimum.rank), .postureNonCompliant)
        case .tags, .score, .risk, .sensorRunning, .managed:
            return (.indeterminate, .postureIndeterminate)
        }
    }
}

extension RuleFinding {
    /// Two records of one state: what they do not agree on is not known.
    fileprivate func merged(with other: RuleFinding) -> RuleFinding {
        if outcome == other.outcome { return self }
        if outcome == .indeterminate { return self }
        if other.outcome == .indeterminate { return other }
        return RuleFinding(.indeterminate, evidence, unless: .postureIndeterminate)
    }
}

extension AgentStatement {
    /// Managed and seen recently enough; exactly at the limit still counts.
    fileprivate func isManaged(lastSeenSecondsMax: Int64, _ trace: inout Trace) -> (Ternary, Reason) {
        guard isManaged else { return (.no, .deviceNotManaged) }
        let now = trace.nowSeconds
        trace.changes(atSeconds: lastSeenSeconds.sum(saturating: lastSeenSecondsMax).sum(saturating: 1))
        // Too old, or in the future by more than the skew: when it was really seen is not known. "Not known"
        // rather than "no", so that growing old never lifts a policy that denies.
        guard lastSeenSeconds <= now.sum(saturating: Verdict.clockSkewSecondsMax),
            now.difference(saturating: lastSeenSeconds) <= lastSeenSecondsMax
        else { return (.indeterminate, .lastSeenStale) }
        return (.yes, .policyAllows)
    }
}

extension AgentStatement.KeyLevel {
    var rank: Int {
        switch self {
        case .software: 0
        case .claimed: 1
        case .attested: 2
        }
    }
}
