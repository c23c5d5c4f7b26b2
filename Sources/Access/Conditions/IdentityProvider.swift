/// The session was made by one of these *configured* providers; two of them may share one issuer.
public struct IdentityProviderCondition: Sendable, Codable, Hashable {
    /// Names of `identity-providers` in the configuration.
    public var names: [String]
    /// Takes the members as they are; nothing is checked here.
    public init(names: [String]) { self.names = names }
}

extension IdentityProviderCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String { "identity provider is one of: \(ExactText.list(names))" }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        guard let session = facts.session else { return .indeterminate }
        return Ternary(ExactText.contains(names, session.identityProvider))
    }

    func observed(in facts: DecidedFacts) -> String { facts.session?.identityProvider ?? "nobody" }

    func remedy(for facts: DecidedFacts) -> String { "Sign in with \(names.joined(separator: " or "))." }
}
