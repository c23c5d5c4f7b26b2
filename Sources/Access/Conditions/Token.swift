/// The client proved itself by a bearer token of this configured issuer, and the token says so.
///
/// A claim that the token lacks is not known, as with people's claims: it grants nothing and lifts no block.
public struct TokenCondition: Sendable, Codable, Hashable {
    /// The issuer's configured name.
    public var issuer: String
    /// The token's subject is one of these, as bytes; nil: any.
    public var subjects: [String]?
    /// Each must hold.
    public var claims: [ClaimCondition]
    /// Takes the members as they are; nothing is checked here.
    public init(issuer: String, subjects: [String]? = nil, claims: [ClaimCondition] = []) {
        self.issuer = issuer
        self.subjects = subjects
        self.claims = claims
    }
}

extension TokenCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String {
        var parts = ["bearer token of \(issuer)"]
        if let subjects { parts.append("subject is one of: \(ExactText.list(subjects))") }
        parts += claims.map(\.description)
        return parts.joined(separator: "; ")
    }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        guard let service = facts.service else { return facts.session == nil ? .indeterminate : .no }
        guard let token = service.token, ExactText.isEqual(token.issuer, issuer) else { return .no }
        if let subjects, !ExactText.contains(subjects, token.subject) { return .no }
        return claims.reduce(.yes) { $0 && Self.outcome($1, token.claims[$1.name]) }
    }

    static func outcome(_ asked: ClaimCondition, _ claim: ClaimValue?) -> Ternary {
        guard let claim else { return .indeterminate }
        return Ternary(asked.values.contains { claim.meets($0) })
    }

    func observed(in facts: DecidedFacts) -> String {
        guard let token = facts.service?.token else { return "no bearer token" }
        let values = claims.map { "\($0.name) \(token.claims[$0.name]?.description ?? "absent")" }
        return (["\(token.issuer): \(token.subject)"] + values).joined(separator: ", ")
    }
    func source(in facts: DecidedFacts) -> String {
        facts.service?.token == nil ? "no bearer token" : "bearer token"
    }
    func ageSeconds(in facts: DecidedFacts) -> Int64? { nil }
    func remedy(for facts: DecidedFacts) -> String {
        "Use a token of \(issuer) that says what this application asks for."
    }
}
