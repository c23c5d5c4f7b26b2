/// A check of a provider's verdict is in one of these states (the state of one setting of one policy).
public struct SettingCondition: Sendable, Codable, Hashable {
    /// The configured integration that is asked.
    public var integration: String
    /// The check's id or title, as bytes.
    public var name: String
    /// Any of them will do.
    public var states: [Verdict.Check.State]
    /// Takes the members as they are; nothing is checked here.
    public init(integration: String, name: String, states: [Verdict.Check.State]) {
        self.integration = integration
        self.name = name
        self.states = states
    }
}

extension SettingCondition: DeviceRuleCondition {
    var rule: DeviceRule { .setting(integration: integration, name: name, states: states) }
}
