/// What device policies made of one device at one moment (providers.md 10.2).
public struct DeviceResult: Sendable, Codable, Hashable {
    /// What the device is good for.
    public var deviceClass: DeviceClass
    /// The device policy that decided; nil when a default or the question of ownership did.
    public var policyName: String?
    /// The message of the deciding policy, for the person; at most 256 characters.
    public var message: String?
    /// Empty when lines were not asked for.
    public var lines: [ExplainLine]
    /// From this second on the result may be another; at most 900 s after it was made, never in the past.
    public var validUntilSeconds: Int64
    /// The same for what is already open, for as long as the device's proof counts for new requests too.
    public var openUntilSeconds: Int64
    /// The device and the verdicts that were read, sorted, each once.
    public var dependsOn: [DecisionInput]
    /// Why the class is not `compliant`; nil when it is.
    public var reason: Reason?
    /// Rules of the deciding policy that do not hold and have no effect (yet), in its order.
    public var warnings: [CheckWarning]
    /// Takes the members as they are; nothing is checked here.
    ///
    /// - Parameter openUntilSeconds: nil: as `validUntilSeconds`.
    public init(
        deviceClass: DeviceClass, policyName: String? = nil, message: String? = nil,
        lines: [ExplainLine] = [],
        validUntilSeconds: Int64, openUntilSeconds: Int64? = nil, dependsOn: [DecisionInput], reason: Reason?,
        warnings: [CheckWarning] = []
    ) {
        self.deviceClass = deviceClass
        self.policyName = policyName
        self.message = message
        self.lines = lines
        self.validUntilSeconds = validUntilSeconds
        self.openUntilSeconds = openUntilSeconds ?? validUntilSeconds
        self.dependsOn = dependsOn
        self.reason = reason
        self.warnings = warnings
    }
}
