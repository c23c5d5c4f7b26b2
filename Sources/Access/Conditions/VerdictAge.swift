/// The device reported to the provider, and the gateway fetched the answer, no longer ago than this; exactly at
/// a limit still counts.
///
/// Longer ago is "not known", not "no": growing old never lifts a rule that keeps somebody out.
public struct VerdictAgeCondition: Sendable, Codable, Hashable {
    /// The configured integration that is asked.
    public var integration: String
    /// The longest time since the device's own report; nil: not asked.
    public var reportedSecondsMax: Int64?
    /// The longest time since the fetch; nil: not asked.
    public var fetchedSecondsMax: Int64?
    /// Takes the members as they are; nothing is checked here.
    public init(integration: String, reportedSecondsMax: Int64? = nil, fetchedSecondsMax: Int64? = nil) {
        self.integration = integration
        self.reportedSecondsMax = reportedSecondsMax
        self.fetchedSecondsMax = fetchedSecondsMax
    }
}

extension VerdictAgeCondition: DeviceRuleCondition {
    var rule: DeviceRule {
        .verdictAge(
            integration: integration, reportedSecondsMax: reportedSecondsMax,
            fetchedSecondsMax: fetchedSecondsMax)
    }
}
