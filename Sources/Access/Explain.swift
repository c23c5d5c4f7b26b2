/// One line of an explanation: rule → condition → observed value → source → age.
public struct ExplainLine: Sendable, Codable, Hashable {
    /// The policy (or device policy) and the position in it: `staff.require[0]`, `healthy-mac.rules[1]`.
    public var rule: String
    /// The condition in words: `email domain is one of: corp.example`.
    public var condition: String
    /// What the condition came to.
    public var outcome: Ternary
    /// The fact that was compared.
    public var observed: String
    /// `session`, `intune (verdict 0192…)`, `agents (statement)`, `request`.
    public var source: String
    /// Seconds since the source observed it; nil where age means nothing.
    public var ageSeconds: Int64?
    /// Plain words for the person when the outcome is not `yes`.
    public var remedy: String?
    /// The integration whose word or silence the line is about; nil where none was asked.
    public var integration: String?
    /// The fact of that integration's agents which was asked for; nil: something else was.
    public var fact: String?
    /// Takes the members as they are; nothing is checked here.
    public init(
        rule: String, condition: String, outcome: Ternary, observed: String, source: String,
        ageSeconds: Int64? = nil,
        remedy: String? = nil, integration: String? = nil, fact: String? = nil
    ) {
        self.rule = rule
        self.condition = condition
        self.outcome = outcome
        self.observed = observed
        self.source = source
        self.ageSeconds = ageSeconds
        self.remedy = remedy
        self.integration = integration
        self.fact = fact
    }
}

/// Why a session (or nobody) gets what it gets at one application.
public struct ExplainRecord: Sendable, Codable, Hashable {
    /// The application's configured name.
    public var application: String
    /// The content hash of the policy that was asked.
    public var policyIdentity: String
    /// nil: no policy of the application asks for a device, or none has been shown.
    public var deviceClass: DeviceClass?
    /// The device policy that decided, if one did.
    public var devicePolicy: String?
    /// In the order of evaluation: session, device, then the application's policies up to the first certain
    /// match.
    public var lines: [ExplainLine]
    /// What the lines led to; equal to what the gateway uses.
    public var residual: Residual
    /// Takes the members as they are; nothing is checked here.
    public init(
        application: String, policyIdentity: String, deviceClass: DeviceClass?, devicePolicy: String?,
        lines: [ExplainLine], residual: Residual
    ) {
        self.application = application
        self.policyIdentity = policyIdentity
        self.deviceClass = deviceClass
        self.devicePolicy = devicePolicy
        self.lines = lines
        self.residual = residual
    }
}

extension ExplainRecord {
    /// The same with the administrator's own words for failed checks of agents.
    ///
    /// - Parameter remedies: by integration, then by fact. They replace general advice only where the fact is
    ///   known to be wrong: what is merely not known is repaired by asking again.
    public func saying(_ remedies: [String: [String: String]]) -> ExplainRecord {
        guard !remedies.isEmpty else { return self }
        var record = self
        for index in record.lines.indices where record.lines[index].remedy != nil {
            let line = record.lines[index]
            guard line.outcome != .indeterminate, let integration = line.integration, let fact = line.fact,
                let remedy = remedies[integration]?[fact]
            else { continue }
            record.lines[index].remedy = remedy
        }
        return record
    }
}
