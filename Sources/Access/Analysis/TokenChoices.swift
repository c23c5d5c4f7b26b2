/// The values that conditions about bearer tokens can tell apart.
enum TokenChoices {
    static func issuers(_ asked: [TokenCondition]) -> [String] {
        var issuers: [String] = []
        for condition in asked where !ExactText.contains(issuers, condition.issuer) {
            issuers.append(condition.issuer)
        }
        return issuers
    }

    /// Each that is named, and one that is named nowhere.
    static func subjects(_ named: [String]) -> [CaseChoice] {
        var subjects: [String] = []
        for subject in named where !ExactText.contains(subjects, subject) { subjects.append(subject) }
        subjects.append(PersonChoices.fresh("another-subject", unlike: named))
        return subjects.map { .tokenSubject($0) }
    }

    static func claimNames(_ asked: [TokenCondition]) -> [String] {
        var names: [String] = []
        for name in asked.flatMap(\.claims).map(\.name) where !ExactText.contains(names, name) {
            names.append(name)
        }
        return names
    }

    /// What one claim can be, for all conditions that ask for it.
    static func values(of name: String, _ asked: [TokenCondition]) -> [CaseChoice] {
        let lists = asked.flatMap(\.claims).filter { ExactText.isEqual($0.name, name) }.map(\.values)
        let values = ClaimChoices.values(lists.flatMap { $0 }) { value in
            lists.map { list in list.contains { value.meets($0) } }
        }
        return [.tokenClaim(name, nil)] + values.map { .tokenClaim(name, $0) }
    }
}

extension CaseSpace {
    /// Each claim is an axis of its own: a condition reads several, and is put together where it is asked.
    mutating func addTokens(_ asked: [TokenCondition]) {
        let subjects = asked.flatMap { $0.subjects ?? [] }
        if !subjects.isEmpty { add(.tokenSubject, TokenChoices.subjects(subjects)) }
        for name in TokenChoices.claimNames(asked) {
            let choices = TokenChoices.values(of: name, asked)
            guard choices.count <= Self.choicesMax else {
                refuse(.tokenClaim(ExactKey(name)))
                continue
            }
            add(.tokenClaim(ExactKey(name)), choices)
        }
    }

    /// When a condition about a token holds, and when it does not certainly fail.
    mutating func token(_ asked: TokenCondition) -> (yes: Formulas.Node, notNo: Formulas.Node) {
        var common = [
            standing {
                if case .token(let issuer) = $0 { ExactText.isEqual(issuer, asked.issuer) } else { false }
            }
        ]
        if let subjects = asked.subjects {
            common.append(
                literal(.tokenSubject) {
                    if case .tokenSubject(let text) = $0 { ExactText.contains(subjects, text) } else { false }
                })
        }
        var (yes, notNo) = (common, common)
        for claim in asked.claims {
            let answers: (CaseChoice) -> Ternary = {
                guard case .tokenClaim(_, let value) = $0 else { return .indeterminate }
                return TokenCondition.outcome(claim, value)
            }
            let kind = CaseAxis.tokenClaim(ExactKey(claim.name))
            yes.append(literal(kind) { answers($0) == .yes })
            notNo.append(literal(kind) { answers($0) != .no })
        }
        return (formulas.all(yes), formulas.all(notNo))
    }
}
