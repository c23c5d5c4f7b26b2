/// The application carries one of these tags, so that one policy text can stand at many applications and leave
/// some out.
public struct TagCondition: Sendable, Codable, Hashable {
    /// Any of them will do; compared as bytes.
    public var tags: [String]
    /// Takes the members as they are; nothing is checked here.
    public init(tags: [String]) { self.tags = tags }
}

extension TagCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String { "application is tagged one of: \(ExactText.list(tags))" }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        Ternary(tags.contains { ExactText.contains(facts.tags, $0) })
    }

    func observed(in facts: DecidedFacts) -> String {
        facts.tags.isEmpty ? "no tags" : ExactText.list(facts.tags)
    }

    func source(in facts: DecidedFacts) -> String { "policy" }
    func ageSeconds(in facts: DecidedFacts) -> Int64? { nil }
    func remedy(for facts: DecidedFacts) -> String { "This policy is about other applications." }
}
