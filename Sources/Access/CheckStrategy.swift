/// What comes of a rule of a device policy that does not hold.
public struct CheckStrategy: Sendable, Codable, Hashable {
    /// How a rule counts.
    public enum Effect: String, Sendable, Codable, CaseIterable {
        /// The policy does not match: the plain conjunction.
        case require
        /// Nothing but a line in the explanation and a count.
        case report
        /// The device is at most `partial`, whether the rule fails or cannot be judged.
        case partial
        /// The device is `denied`; a rule that cannot be judged does what the policy's `onUnknown` says.
        case deny
    }

    /// What holds, from `warnsUntilSeconds` on if there is such a date.
    public var effect: Effect
    /// Before this second the rule only reports; nil: it never only warned.
    public var warnsUntilSeconds: Int64?
    /// Takes the members as they are; nothing is checked here.
    public init(_ effect: Effect, warnsUntilSeconds: Int64? = nil) {
        self.effect = effect
        self.warnsUntilSeconds = warnsUntilSeconds
    }

    /// The plain conjunction.
    public static let require = CheckStrategy(.require)

    func effect(atSeconds nowSeconds: Int64) -> Effect {
        if let warnsUntilSeconds, nowSeconds < warnsUntilSeconds { return .report }
        return effect
    }
}

extension DevicePolicy {
    /// The strategy of the rule at an index.
    public func strategy(ofRule index: Int) -> CheckStrategy {
        strategies.indices.contains(index) ? strategies[index] : .require
    }
}

/// A rule that does not hold and has no effect yet: who would be blocked, and why. For counters, pages and
/// explanations.
public struct CheckWarning: Sendable, Codable, Hashable {
    /// The device policy that decided.
    public var policy: String
    /// The index of the rule in it.
    public var rule: Int
    /// The rule in words.
    public var condition: String
    /// `no`, or `indeterminate` when it could not be judged.
    public var outcome: Ternary
    /// Why it does not hold.
    public var reason: Reason
    /// What the rule does once it counts; `report` when it never will.
    public var effect: CheckStrategy.Effect
    /// From when on it counts; nil: never, as it is written now.
    public var untilSeconds: Int64?
    /// Plain words for the person.
    public var remedy: String
    /// Takes the members as they are; nothing is checked here.
    public init(
        policy: String, rule: Int, condition: String, outcome: Ternary, reason: Reason,
        effect: CheckStrategy.Effect, untilSeconds: Int64?, remedy: String
    ) {
        self.policy = policy
        self.rule = rule
        self.condition = condition
        self.outcome = outcome
        self.reason = reason
        self.effect = effect
        self.untilSeconds = untilSeconds
        self.remedy = remedy
    }
}
