/// The provider's number for the device compares so with a value: number first.
public struct ScoreCondition: Sendable, Codable, Hashable {
    /// The configured integration that is asked.
    public var integration: String
    /// How the two are compared.
    public var comparison: Comparison
    /// On the provider's own scale.
    public var value: Int64
    /// Takes the members as they are; nothing is checked here.
    public init(integration: String, comparison: Comparison, value: Int64) {
        self.integration = integration
        self.comparison = comparison
        self.value = value
    }
}

extension ScoreCondition: DeviceRuleCondition {
    var rule: DeviceRule { .score(integration: integration, comparison: comparison, value: value) }
}
