/// The part after the only "@" of the person's verified address is one of these, exactly: no subdomain
/// matches.
public struct EmailDomainCondition: Sendable, Codable, Hashable {
    /// Lower case, without "@".
    public var domains: [String]
    /// Takes the members as they are; nothing is checked here.
    public init(domains: [String]) { self.domains = domains }
}

extension EmailDomainCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String { "email domain is one of: \(ExactText.list(domains))" }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        // An address that cannot be split without doubt has no domain that we know of, good or bad.
        guard let email = facts.session?.person.email, let domain = Self.domain(of: email) else {
            return .indeterminate
        }
        return Ternary(domains.contains { ExactText.isEqualFoldingASCII($0, domain) })
    }

    func observed(in facts: DecidedFacts) -> String { facts.session?.person.email ?? "no verified address" }

    func remedy(for facts: DecidedFacts) -> String {
        "Sign in with an address of \(domains.joined(separator: " or "))."
    }

    /// - Returns: nil unless there is exactly one "@" with something on both sides.
    static func domain(of email: String) -> String? {
        let parts = email.utf8.split(separator: 0x40, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        return String(parts[1])
    }
}
