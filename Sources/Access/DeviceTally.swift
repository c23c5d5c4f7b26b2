/// What the rules of one device policy come to for one device.
struct DeviceTally {
    /// Of the rules that the policy requires.
    var outcome = Ternary.yes
    /// The failure worth most among them: a definite one before one of age, before one of absence; nil when
    /// `outcome` is `yes`.
    var failure: RuleFinding?
    /// The best class that rules with a strategy of their own leave.
    var ceiling = DeviceClass.compliant
    var ceilingReason: Reason?
    var warnings: [CheckWarning] = []

    mutating func require(_ finding: RuleFinding) {
        outcome = outcome && finding.outcome
        if finding.outcome != .yes, finding.weight > (failure?.weight ?? 0) { failure = finding }
    }

    mutating func limit(to deviceClass: DeviceClass, _ reason: Reason?) {
        guard deviceClass < ceiling else { return }
        ceiling = deviceClass
        ceilingReason = reason
    }

    /// What is not known does what the policy says of its own rules: it caps, denies, or is ignored.
    mutating func deny(_ finding: RuleFinding, _ onUnknown: OnUnknown) {
        if finding.outcome == .no { return limit(to: .denied, finding.reason) }
        switch onUnknown {
        case .cap: limit(to: .partial, finding.reason)
        case .deny: limit(to: .denied, finding.reason)
        case .unsafeIgnore: break
        }
    }
}

extension DevicePolicy {
    func tally(for device: DeviceFacts, _ use: VerdictUse, _ trace: inout Trace) -> DeviceTally {
        var tally = DeviceTally()
        // "Compliant" without asking anything would be a hole, however it came about.
        if rules.isEmpty && result == .compliant {
            tally.require(RuleFinding(.indeterminate, .none(integration: ""), unless: .postureIndeterminate))
            return tally
        }
        // Only lines and warnings say what was seen; without strategies nothing warns.
        let tells = trace.isRecording || !strategies.isEmpty
        var use = use
        use.matchStrengthMin = matchStrengthMin
        for (index, rule) in rules.enumerated() {
            let finding = rule.finding(about: device, use, keepsEvidence: tells, &trace)
            let strategy = strategy(ofRule: index)
            if let edge = strategy.warnsUntilSeconds { trace.changes(atSeconds: edge) }
            let effect = strategy.effect(atSeconds: trace.nowSeconds)
            let now = trace.nowSeconds
            let helps = result == .compliant || effect != .require
            trace.note(
                finding.line(
                    "\(name).rules[\(index)]", rule, effect.note, helps: helps, on: device.platform,
                    atSeconds: now))
            guard let reason = finding.reason, effect != .require else {
                if effect == .require { tally.require(finding) }
                continue
            }
            if effect == .report {
                tally.warnings.append(
                    warning(of: finding, reason, at: index, rule, strategy, on: device.platform))
            } else if effect == .partial {
                tally.limit(to: .partial, reason)
            } else {
                tally.deny(finding, onUnknown)
            }
        }
        return tally
    }

    private func warning(
        of finding: RuleFinding, _ reason: Reason, at index: Int, _ rule: DeviceRule,
        _ strategy: CheckStrategy, on platform: Platform?
    ) -> CheckWarning {
        CheckWarning(
            policy: name, rule: index, condition: rule.description, outcome: finding.outcome,
            reason: reason, effect: strategy.effect,
            untilSeconds: strategy.effect == .report ? nil : strategy.warnsUntilSeconds,
            remedy: finding.remedy(of: rule, on: platform))
    }
}

extension CheckStrategy.Effect {
    fileprivate var note: String {
        switch self {
        case .require: ""
        case .report: " (reported only)"
        case .partial: " (else at most partial)"
        case .deny: " (else denied)"
        }
    }
}

extension RuleFinding {
    fileprivate var weight: Int {
        if outcome == .no { return 5 }
        return switch reason {
        case .postureStale, .lastSeenStale: 4
        case .postureRequired: 3
        case .postureMissing: 2
        default: 1
        }
    }
}
