/// A claim of the identity provider equals one of the values (a list claim: contains one of them).
///
/// Types are not converted: the text `true` is not the flag `true`. An absent claim is not known.
public struct ClaimCondition: Sendable, Codable, Hashable {
    /// The claim's exact name.
    public var name: String
    /// Any of them will do; never empty in a checked configuration.
    public var values: [ClaimValue]
    /// Takes the members as they are; nothing is checked here.
    public init(name: String, values: [ClaimValue]) {
        self.name = name
        self.values = values
    }
}

extension ClaimCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String { "claim \(name) is one of: \(ExactText.list(values.map(\.description)))" }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        guard let claim = facts.session?.person.claims[name] else { return .indeterminate }
        return Ternary(values.contains { claim.meets($0) })
    }

    func observed(in facts: DecidedFacts) -> String {
        facts.session?.person.claims[name]?.description ?? "no such claim"
    }

    func remedy(for facts: DecidedFacts) -> String {
        "Ask your administrator: your account lacks the value of \(name) that this application asks for."
    }
}

extension ClaimValue: CustomStringConvertible {
    /// For explain records and canonical text.
    public var description: String {
        switch self {
        case .text(let text): text
        case .list(let values): ExactText.list(values)
        case .flag(let flag): flag ? "true" : "false"
        case .integer(let number): String(number)
        }
    }

    /// Equal as bytes, or a list that holds the wanted text.
    func meets(_ wanted: ClaimValue) -> Bool {
        switch (self, wanted) {
        case (.text(let have), .text(let want)): ExactText.isEqual(have, want)
        case (.list(let have), .text(let want)): ExactText.contains(have, want)
        case (.list(let have), .list(let want)):
            have.count == want.count && zip(have, want).allSatisfy(ExactText.isEqual)
        case (.flag(let have), .flag(let want)): have == want
        case (.integer(let have), .integer(let want)): have == want
        case (.text, _), (.list, _), (.flag, _), (.integer, _): false
        }
    }
}
