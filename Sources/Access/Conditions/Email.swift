/// The person's verified address is one of these, exactly. Case matters nowhere: both sides are ASCII-folded.
public struct EmailCondition: Sendable, Codable, Hashable {
    /// Lower case.
    public var addresses: [String]
    /// Takes the members as they are; nothing is checked here.
    public init(addresses: [String]) { self.addresses = addresses }
}

extension EmailCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String { "email is one of: \(ExactText.list(addresses))" }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        guard let email = facts.session?.person.email else { return .indeterminate }
        return Ternary(addresses.contains { ExactText.isEqualFoldingASCII($0, email) })
    }

    func observed(in facts: DecidedFacts) -> String { facts.session?.person.email ?? "no verified address" }

    func remedy(for facts: DecidedFacts) -> String {
        "Sign in with an address that this application admits, or ask its administrator for access."
    }
}
