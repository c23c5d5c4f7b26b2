/// The provider's risk for the device compares so with a level: risk first.
public struct RiskCondition: Sendable, Codable, Hashable {
    /// The configured integration that is asked.
    public var integration: String
    /// How the two are compared; `none` is the least.
    public var comparison: Comparison
    /// The level.
    public var level: Verdict.Risk
    /// Takes the members as they are; nothing is checked here.
    public init(integration: String, comparison: Comparison, level: Verdict.Risk) {
        self.integration = integration
        self.comparison = comparison
        self.level = level
    }
}

extension RiskCondition: DeviceRuleCondition {
    var rule: DeviceRule { .risk(integration: integration, comparison: comparison, value: level) }
}
