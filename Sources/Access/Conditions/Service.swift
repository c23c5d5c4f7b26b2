/// The client proved itself by one of these service tokens. A person is never one.
public struct ServiceCondition: Sendable, Codable, Hashable {
    /// Configured names; any of them will do.
    public var names: [String]
    /// Takes the members as they are; nothing is checked here.
    public init(names: [String]) { self.names = names }
}

extension ServiceCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String { "service client is one of: \(ExactText.list(names))" }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        if let service = facts.service { return Ternary(ExactText.contains(names, service.name)) }
        return facts.session == nil ? .indeterminate : .no
    }

    func observed(in facts: DecidedFacts) -> String { facts.service?.name ?? "no service client" }
    func source(in facts: DecidedFacts) -> String {
        facts.service == nil ? "no service token" : "service token"
    }
    func ageSeconds(in facts: DecidedFacts) -> Int64? { nil }
    func remedy(for facts: DecidedFacts) -> String {
        "Use a service token named \(names.joined(separator: " or "))."
    }
}
