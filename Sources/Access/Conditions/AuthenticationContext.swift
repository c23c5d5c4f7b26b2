/// The sign-in reached one of these authentication contexts: the `acr` claim (OpenID Connect Core §2), or one
/// of Microsoft's `acrs`.
public struct AuthenticationContextCondition: Sendable, Codable, Hashable {
    /// Any of them will do; compared as bytes.
    public var values: [String]
    /// Takes the members as they are; nothing is checked here.
    public init(values: [String]) { self.values = values }
}

extension AuthenticationContextCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String { "authentication context is one of: \(ExactText.list(values))" }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        let reached = Self.reached(in: facts)
        if reached.isEmpty { return .indeterminate }
        return Ternary(values.contains { ExactText.contains(reached, $0) })
    }

    func observed(in facts: DecidedFacts) -> String {
        let reached = Self.reached(in: facts)
        return reached.isEmpty ? "the provider names none" : ExactText.list(reached)
    }

    func remedy(for facts: DecidedFacts) -> String {
        "Sign out, then sign in with the stronger method that this application asks for."
    }

    private static func reached(in facts: DecidedFacts) -> [String] {
        let claims = facts.session?.person.claims
        return (claims?["acr"]?.texts ?? []) + (claims?["acrs"]?.texts ?? [])
    }
}

extension ClaimValue {
    /// The texts in it; flags and numbers have none.
    var texts: [String] {
        switch self {
        case .text(let text): [text]
        case .list(let texts): texts
        case .flag, .integer: []
        }
    }
}
