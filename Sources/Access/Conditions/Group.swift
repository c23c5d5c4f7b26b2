/// The person is in one of these groups, by the provider's exact name or id.
public struct GroupCondition: Sendable, Codable, Hashable {
    /// Any of them will do; compared as bytes.
    public var groups: [String]
    /// Takes the members as they are; nothing is checked here.
    public init(groups: [String]) { self.groups = groups }
}

extension GroupCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String { "member of one of: \(ExactText.list(groups))" }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        // The list alone: a copy of the person counts seven references.
        guard let known = facts.session?.person.groups else { return .indeterminate }
        if groups.contains(where: { facts.names.contains($0, among: known) }) { return .yes }
        guard known.isEmpty, let person = facts.session?.person else { return .no }
        return Self.isListCut(of: person) ? .indeterminate : .no
    }

    func observed(in facts: DecidedFacts) -> String {
        guard let person = facts.session?.person else { return "nobody" }
        if Self.isListCut(of: person) { return "the provider left the list out: too many groups" }
        return person.groups.isEmpty ? "no groups" : ExactText.list(person.groups)
    }

    func remedy(for facts: DecidedFacts) -> String {
        "Ask for membership of \(groups.joined(separator: " or ")), then sign in again."
    }

    /// Entra leaves the list out above 200 groups and says so by `_claim_names` or `hasgroups` ("groups
    /// overage claim"). Taken for an empty list it would lift every block that names a group.
    private static func isListCut(of person: PersonFacts) -> Bool {
        person.groups.isEmpty && (person.claims["_claim_names"] != nil || person.claims["hasgroups"] != nil)
    }
}
