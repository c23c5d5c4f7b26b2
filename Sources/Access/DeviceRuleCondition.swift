/// A condition that asks what one rule of a device policy asks, of the device that the session has shown. The
/// device's own class counts too: a denied device meets nothing that helps.
protocol DeviceRuleCondition: SettledCondition {
    var rule: DeviceRule { get }
}

extension DeviceRuleCondition {
    /// In words, for explain records.
    public var description: String { rule.description }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole, _ trace: inout Trace) -> Ternary {
        guard let device = facts.device, let known = facts.deviceFacts else { return .indeterminate }
        if device.deviceClass == .denied && role == .helps { return .no }
        return rule.finding(about: known, facts.verdictUse, keepsEvidence: false, &trace).outcome
    }

    func shortfall(in facts: DecidedFacts) -> Reason? { finding(in: facts)?.reason }

    func observed(in facts: DecidedFacts) -> String {
        finding(in: facts).map { rule.observed(in: $0.evidence) } ?? "no device has been shown"
    }

    func source(in facts: DecidedFacts) -> String { finding(in: facts)?.source ?? "no device" }

    func ageSeconds(in facts: DecidedFacts) -> Int64? {
        finding(in: facts)?.age(atSeconds: facts.nowSeconds)
    }

    var askedIntegration: String? { rule.integration }

    var askedFact: String? { rule.askedFact }

    func remedy(for facts: DecidedFacts) -> String {
        finding(in: facts)?.remedy(of: rule, on: facts.deviceFacts?.platform)
            ?? "Continue to the device check."
    }

    private func finding(in facts: DecidedFacts) -> RuleFinding? {
        var trace = Trace(nowSeconds: facts.nowSeconds, isRecording: false)
        return facts.deviceFacts.map { rule.finding(about: $0, facts.verdictUse, &trace) }
    }
}
