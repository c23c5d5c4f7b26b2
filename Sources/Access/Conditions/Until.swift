/// The moment is before this one: an exception that ends by itself.
///
/// Nobody's answer never depends on it, as with `TimeCondition`.
public struct UntilCondition: Sendable, Codable, Hashable {
    /// From this second on it does not hold.
    public var seconds: Int64
    /// Takes the members as they are; nothing is checked here.
    public init(seconds: Int64) { self.seconds = seconds }
}

extension UntilCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String { "time is before \(seconds)" }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        facts.isKnown ? Ternary(facts.nowSeconds < seconds) : .indeterminate
    }

    func changes(in facts: DecidedFacts) -> Int64? { facts.isKnown ? seconds : nil }
    func observed(in facts: DecidedFacts) -> String { String(facts.nowSeconds) }
    func source(in facts: DecidedFacts) -> String { "clock" }
    func ageSeconds(in facts: DecidedFacts) -> Int64? { nil }
    func remedy(for facts: DecidedFacts) -> String { "The exception has ended; ask for a new one." }
}
