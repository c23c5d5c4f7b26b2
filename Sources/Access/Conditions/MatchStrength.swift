/// The provider's verdict was matched to the device at least this strongly (providers.md 13).
///
/// Weaker is "not known", not "no": perhaps it is another device's verdict.
public struct MatchStrengthCondition: Sendable, Codable, Hashable {
    /// The configured integration that is asked.
    public var integration: String
    /// The weakest match that counts.
    public var minimum: Verdict.Strength
    /// Takes the members as they are; nothing is checked here.
    public init(integration: String, minimum: Verdict.Strength) {
        self.integration = integration
        self.minimum = minimum
    }
}

extension MatchStrengthCondition: DeviceRuleCondition {
    var rule: DeviceRule { .matchStrength(integration: integration, minimum: minimum) }
}
