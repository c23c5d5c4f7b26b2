/// The device is of one of these classes. The set is explicit: `partial` matches only where a policy names
/// it.
///
/// A `denied` device meets a condition that harms the person (exclude, block) and never one that helps.
public struct DeviceCondition: Sendable, Codable, Hashable {
    /// Any of them will do.
    public var classes: [DeviceClass]
    /// Takes the members as they are; nothing is checked here.
    public init(classes: [DeviceClass]) { self.classes = classes }
}

extension DeviceCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String { "device is: \(classes.map(\.rawValue).joined(separator: " or "))" }

    /// Where the device policy that decided has no message of its own: its checks say what to do.
    public static let generalRemedy =
        "Follow the remedies of the device's own checks; access returns by itself."

    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        guard let device = facts.device else { return .indeterminate }
        if device.deviceClass == .denied && role == .helps { return .no }
        return Ternary(classes.contains(device.deviceClass))
    }

    func observed(in facts: DecidedFacts) -> String {
        guard let device = facts.device else { return "no device has been shown" }
        return device.deviceClass.rawValue + (device.reason.map { " (\($0.rawValue))" } ?? "")
    }

    func source(in facts: DecidedFacts) -> String {
        guard let device = facts.device else { return "no device" }
        return device.policyName.map { "device policy \($0)" } ?? "device policies"
    }

    func ageSeconds(in facts: DecidedFacts) -> Int64? { nil }

    func remedy(for facts: DecidedFacts) -> String {
        guard let device = facts.device else { return "Continue to the device check." }
        if let message = device.message { return message }
        return Self.generalRemedy
    }
}
