/// The person proved who they are no longer ago than this; exactly at the limit still counts.
///
/// Longer ago is "not known", not "no": growing old never lifts a rule that keeps somebody out.
public struct AuthenticatedWithinCondition: Sendable, Codable, Hashable {
    /// The longest age.
    public var secondsMax: Int64
    /// Takes the members as they are; nothing is checked here.
    public init(secondsMax: Int64) { self.secondsMax = secondsMax }
}

extension AuthenticatedWithinCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String { "authenticated at most \(secondsMax) s ago" }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        guard let seconds = Self.authenticated(in: facts) else { return .indeterminate }
        // A provider's clock that is too far ahead tells no age.
        guard seconds <= facts.nowSeconds.sum(saturating: Verdict.clockSkewSecondsMax),
            facts.nowSeconds.difference(saturating: seconds) <= secondsMax
        else { return .indeterminate }
        return .yes
    }

    func changes(in facts: DecidedFacts) -> Int64? {
        Self.authenticated(in: facts).map { $0.sum(saturating: secondsMax).sum(saturating: 1) }
    }

    func observed(in facts: DecidedFacts) -> String {
        Self.authenticated(in: facts).map { "authenticated at \($0)" } ?? "the provider does not say when"
    }

    func ageSeconds(in facts: DecidedFacts) -> Int64? {
        Self.authenticated(in: facts).map { max(0, facts.nowSeconds.difference(saturating: $0)) }
    }

    func remedy(for facts: DecidedFacts) -> String { "Sign out, then sign in again." }

    /// 0 stands for a provider that does not say.
    private static func authenticated(in facts: DecidedFacts) -> Int64? {
        guard let seconds = facts.session?.person.authenticatedAtSeconds, seconds > 0 else { return nil }
        return seconds
    }
}
