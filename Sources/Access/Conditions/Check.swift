/// One named check of the device passes: a fact of the agent's statement that is `true`, or a check of a
/// provider's verdict.
public struct CheckCondition: Sendable, Codable, Hashable {
    /// The configured integration that is asked.
    public var integration: String
    /// The fact's name, or the check's id or title.
    public var name: String
    /// Whether the integration is an agent, which signs statements, and no provider of verdicts.
    public var isAgent: Bool
    /// Takes the members as they are; nothing is checked here.
    public init(integration: String, name: String, isAgent: Bool) {
        self.integration = integration
        self.name = name
        self.isAgent = isAgent
    }
}

extension CheckCondition: DeviceRuleCondition {
    var rule: DeviceRule {
        isAgent
            ? .agentFact(integration: integration, name: name, values: [.flag(true)])
            : .setting(integration: integration, name: name, states: [.pass])
    }
}
