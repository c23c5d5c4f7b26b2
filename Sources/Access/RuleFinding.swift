/// What came of one rule of a device policy.
struct RuleFinding {
    enum Evidence {
        /// The integration said nothing about this device.
        case none(integration: String)
        // Elsewhere, because few ask for it and a finding is handed on several times for each rule.
        indirect case verdict(Verdict)
        indirect case statement(AgentStatement)
        /// How the device is proven, in words.
        case proof(String)
    }

    var outcome: Ternary
    /// Why the outcome is not `yes`; nil when it is.
    var reason: Reason?
    var evidence: Evidence

    init(_ outcome: Ternary, _ evidence: Evidence, unless reason: Reason) {
        self.outcome = outcome
        self.evidence = evidence
        self.reason = outcome == .yes ? nil : reason
    }
}

extension RuleFinding {
    /// - Parameters:
    ///   - note: what follows the condition in words, where its failure is not the policy's.
    ///   - helps: false for rules of a policy that denies: there `yes` is what needs a remedy.
    ///   - platform: the device's; nil: not known.
    func line(
        _ position: String, _ rule: DeviceRule, _ note: String, helps: Bool, on platform: Platform?,
        atSeconds nowSeconds: Int64
    ) -> ExplainLine {
        let failed = helps ? outcome != .yes : outcome != .no
        // What held and should not has no opposite in words: "bring it to noncompliant" would be bad advice.
        let advice = helps || outcome != .yes ? remedy(of: rule, on: platform) : repair(of: rule)
        return ExplainLine(
            rule: position, condition: rule.description + note, outcome: outcome,
            observed: rule.observed(in: evidence), source: source, ageSeconds: age(atSeconds: nowSeconds),
            remedy: failed ? advice : nil, integration: rule.integration, fact: rule.askedFact)
    }

    private func repair(of rule: DeviceRule) -> String {
        if case .verdict(let verdict) = evidence, !verdict.remedies.isEmpty {
            return verdict.remedies.joined(separator: " ")
        }
        return "Repair what \(rule.integration) reports about this device."
    }

    var source: String {
        switch evidence {
        case .none(let integration): "\(integration) (nothing known)"
        case .verdict(let verdict):
            "\(verdict.integration) (verdict \(verdict.id), match \(verdict.matchStrength.rawValue))"
        case .statement(let statement): "\(statement.integration) (statement)"
        case .proof: "session and connection"
        }
    }

    func age(atSeconds nowSeconds: Int64) -> Int64? {
        switch evidence {
        case .none, .proof: nil
        case .verdict(let verdict): max(0, nowSeconds.difference(saturating: verdict.observedAtSeconds))
        case .statement(let statement): max(0, nowSeconds.difference(saturating: statement.verifiedAtSeconds))
        }
    }

    func remedy(of rule: DeviceRule, on platform: Platform?) -> String {
        if outcome != .indeterminate, case .verdict(let verdict) = evidence, !verdict.remedies.isEmpty {
            return verdict.remedies.joined(separator: " ")
        }
        let name = rule.integration
        switch reason {
        case .postureMissing:
            return "Check that the device is enrolled with \(name); new devices take some minutes."
        case .postureStale: return "Let the device report to \(name), then try again."
        case .postureRequired: return "Continue to the device check; the agent has to answer again."
        case .lastSeenStale: return "Let the device check in with its management, then try again."
        case .deviceNotManaged: return "Enrol the device with your organisation's management."
        case .postureIndeterminate:
            return "Wait a moment; if it stays, tell your administrator what \(name) says."
        default: return rule.remedy(on: platform)
        }
    }
}
