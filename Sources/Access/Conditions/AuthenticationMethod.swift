/// The sign-in used one of these methods: the `amr` claim (RFC 8176), for example `mfa`, `hwk` or `otp`.
public struct AuthenticationMethodCondition: Sendable, Codable, Hashable {
    /// Any of them will do; compared as bytes.
    public var methods: [String]
    /// Takes the members as they are; nothing is checked here.
    public init(methods: [String]) { self.methods = methods }
}

extension AuthenticationMethodCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String { "authentication method is one of: \(ExactText.list(methods))" }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        // A provider that lists no methods says nothing, also where it sends an empty list.
        guard let used = facts.session?.person.claims["amr"]?.texts, !used.isEmpty else {
            return .indeterminate
        }
        return Ternary(methods.contains { ExactText.contains(used, $0) })
    }

    func observed(in facts: DecidedFacts) -> String {
        let used = facts.session?.person.claims["amr"]?.texts ?? []
        return used.isEmpty ? "the provider names none" : ExactText.list(used)
    }

    func remedy(for facts: DecidedFacts) -> String {
        "Sign out, then sign in with \(methods.joined(separator: " or "))."
    }
}
