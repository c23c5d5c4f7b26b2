/// One rule of a device policy against what is known of the device.
extension DeviceRule {
    /// The configured integration that the rule asks.
    public var integration: String {
        switch self {
        case .tags(let integration, _, _), .score(let integration, _, _), .risk(let integration, _, _),
            .sensorRunning(let integration, _), .managed(let integration, _),
            .agentFact(let integration, _, _), .agentFactIs(let integration, _, _, _),
            .agentManaged(let integration, _), .agentVersion(let integration, _),
            .agentKey(let integration, _), .setting(let integration, _, _),
            .verdictAge(let integration, _, _), .matchStrength(let integration, _):
            integration
        case .provenBy: ""
        }
    }

    /// - Parameter keepsEvidence: false where only the outcome and its reason are asked: a copy of a verdict counts
    ///   ten references.
    func finding(
        about device: DeviceFacts, _ use: VerdictUse, keepsEvidence: Bool = true, _ trace: inout Trace
    ) -> RuleFinding {
        switch self {
        case .tags, .score, .risk, .sensorRunning, .managed, .setting, .verdictAge, .matchStrength:
            verdictFinding(about: device, use, keepsEvidence, &trace)
        case .agentFact, .agentFactIs, .agentManaged, .agentVersion, .agentKey:
            statementFinding(about: device, keepsEvidence, &trace)
        case .provenBy(let proofs, let minimum): Self.proofFinding(about: device, proofs, minimum, &trace)
        }
    }

    private func answer(of verdict: VerdictReading, atSeconds nowSeconds: Int64) -> Ternary {
        switch self {
        case .tags(_, let matchesAll, let values): verdict.hasLabels(values, all: matchesAll)
        case .score(_, let comparison, let value): verdict.meetsScore(comparison, value)
        case .risk(_, let comparison, let value): verdict.meetsRisk(comparison, value)
        case .sensorRunning(_, let wanted): verdict.meetsSensor(isRunning: wanted)
        case .managed(_, let wanted): verdict.meetsManaged(wanted)
        case .setting(_, let name, let states): verdict.meetsSetting(name, states)
        case .verdictAge(_, let reportedMax, let fetchedMax):
            verdict.meetsAge(reportedMax, fetchedMax, atSeconds: nowSeconds)
        // A weaker match may be another device's verdict: not known.
        case .matchStrength(_, let minimum):
            verdict.matchStrength.rank >= minimum.rank ? .yes : .indeterminate
        case .agentFact, .agentFactIs, .agentManaged, .agentVersion, .agentKey, .provenBy: .indeterminate
        }
    }

    private func answer(of statement: AgentStatement, _ trace: inout Trace) -> (Ternary, Reason) {
        switch self {
        case .agentFact(_, let name, let values): statement.has(name, values)
        case .agentFactIs(_, let name, let comparison, let value):
            statement.compares(name, comparison, value)
        case .agentManaged(_, let secondsMax):
            statement.isManaged(lastSeenSecondsMax: secondsMax, &trace)
        case .agentVersion(_, let minimum): statement.isAtLeast(minimum)
        case .agentKey(_, let minimum):
            (Ternary(statement.keyLevel.rank >= minimum.rank), .postureNonCompliant)
        case .tags, .score, .risk, .sensorRunning, .managed, .setting, .verdictAge, .matchStrength, .provenBy:
            (.indeterminate, .postureIndeterminate)
        }
    }

    private func verdictFinding(
        about device: DeviceFacts, _ use: VerdictUse, _ keepsEvidence: Bool, _ trace: inout Trace
    ) -> RuleFinding {
        let integration = integration
        var worst = -1
        for index in device.verdicts.indices
        where ExactText.isEqual(device.verdicts[index].integration, integration) {
            let verdict = VerdictReading(device.verdicts[index])
            trace.read(.verdict(integration: integration, nativeID: device.verdicts[index].nativeID))
            trace.changes(atSeconds: verdict.endsAtSeconds(extendedBy: use.extensionSeconds))
            if case .verdictAge(_, let reportedMax, let fetchedMax) = self {
                Self.note(verdict.observedAtSeconds, reportedMax, &trace)
                Self.note(verdict.fetchedAtSeconds, fetchedMax, &trace)
            }
            worst = max(worst, verdict.state.severity)
        }
        var merged: RuleFinding?
        // Expired records take part in choosing the worst: if they did not, a bad answer would be forgotten
        // by getting old, and an older verdict must never get a better outcome.
        for index in device.verdicts.indices
        where device.verdicts[index].state.severity == worst
            && ExactText.isEqual(device.verdicts[index].integration, integration)
        {
            let evidence: RuleFinding.Evidence =
                keepsEvidence ? .verdict(device.verdicts[index]) : .none(integration: "")
            let verdict = VerdictReading(device.verdicts[index])
            let next = finding(in: verdict, evidence, use, atSeconds: trace.nowSeconds)
            merged = merged.map { $0.merged(with: next) } ?? next
        }
        return merged ?? RuleFinding(.indeterminate, .none(integration: integration), unless: .postureMissing)
    }

    /// The moment after which a verdict is too old for this rule; exactly at a limit still counts.
    private static func note(_ seconds: Int64, _ secondsMax: Int64?, _ trace: inout Trace) {
        guard let secondsMax else { return }
        trace.changes(atSeconds: seconds.sum(saturating: secondsMax).sum(saturating: 1))
    }

    private func finding(
        in verdict: VerdictReading, _ evidence: RuleFinding.Evidence, _ use: VerdictUse,
        atSeconds nowSeconds: Int64
    ) -> RuleFinding {
        // Age before state: a stale "compliant" and a stale "non-compliant" are equally worthless, and
        // "stale" tells the person to refresh rather than to repair the device.
        guard verdict.isFresh(atSeconds: nowSeconds, extendedBy: use.extensionSeconds) else {
            return RuleFinding(.indeterminate, evidence, unless: .postureStale)
        }
        guard verdict.matchStrength.rank >= use.matchStrengthMin.rank else {
            return RuleFinding(.indeterminate, evidence, unless: .postureIndeterminate)
        }
        let outcome = answer(of: verdict, atSeconds: nowSeconds)
        if outcome == .no { return RuleFinding(.no, evidence, unless: .postureNonCompliant) }
        return RuleFinding(outcome, evidence, unless: doubt(about: verdict))
    }

    private func doubt(about verdict: VerdictReading) -> Reason {
        if verdict.state == .notFound { return .postureMissing }
        if case .verdictAge = self, verdict.state.isDefinite { return .postureStale }
        return .postureIndeterminate
    }

    private func statementFinding(
        about device: DeviceFacts, _ keepsEvidence: Bool, _ trace: inout Trace
    ) -> RuleFinding {
        guard let statement = device.statement, ExactText.isEqual(statement.integration, integration) else {
            return RuleFinding(.indeterminate, .none(integration: integration), unless: .postureRequired)
        }
        trace.changes(
            atSeconds: statement.expiresAtSeconds,
            open: max(statement.expiresAtSeconds, statement.openUntilSeconds ?? .min))
        let evidence: RuleFinding.Evidence = keepsEvidence ? .statement(statement) : .none(integration: "")
        guard trace.nowSeconds < statement.expiresAtSeconds else {
            return RuleFinding(.indeterminate, evidence, unless: .postureRequired)
        }
        let (outcome, reason) = answer(of: statement, &trace)
        return RuleFinding(outcome, evidence, unless: reason)
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
    fileprivate func has(_ name: String, _ values: [ClaimValue]) -> (Ternary, Reason) {
        guard let fact = facts[name] else { return (.indeterminate, .postureIndeterminate) }
        return (Ternary(values.contains { fact.meets($0) }), .postureNonCompliant)
    }

    /// What is no number and no version cannot be compared, so nothing is known.
    func compares(_ name: String, _ comparison: Comparison, _ value: String) -> (Ternary, Reason) {
        switch facts[name] {
        case .integer(let have):
            guard let want = Int64(value) else { return (.indeterminate, .postureIndeterminate) }
            return (Ternary(comparison.holds(have, want)), .postureNonCompliant)
        case .text(let text):
            guard let have = DottedVersion(leading: text), let want = DottedVersion(value) else {
                return (.indeterminate, .postureIndeterminate)
            }
            return (Ternary(comparison.holds(have, want)), .postureNonCompliant)
        case .list, .flag, nil: return (.indeterminate, .postureIndeterminate)
        }
    }

    fileprivate func isAtLeast(_ minimum: String) -> (Ternary, Reason) {
        guard let have = DottedVersion(agentVersion), let want = DottedVersion(minimum) else {
            return (.indeterminate, .postureIndeterminate)
        }
        return (Ternary(have >= want), .postureNonCompliant)
    }

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
