/// The values of one fact that comparisons of rules can tell apart: at each bound, below it and above it.
struct FactBounds {
    private let name: String
    private let rules: [DeviceRule]

    init(_ name: String, _ rules: [DeviceRule]) {
        self.name = name
        self.rules = rules.filter { rule in
            guard case .agentFactIs(_, let asked, _, _) = rule else { return false }
            return ExactText.isEqual(asked, name)
        }
    }

    var values: [ClaimValue] {
        var values: [ClaimValue] = []
        for case .agentFactIs(_, _, _, let bound) in rules {
            values += [.text("0"), .text(bound)] + Self.above(bound).map { .text($0) }
            guard let number = Int64(bound) else { continue }
            values += [number.difference(saturating: 1), number, number.sum(saturating: 1)].map {
                .integer($0)
            }
        }
        return values
    }

    /// nil where a comparison makes nothing of the value.
    func outcomes(of value: ClaimValue) -> [Bool?] {
        var statement = StatementPart.plain("analysis", isFresh: true, atSeconds: 0)
        statement.facts = [name: value]
        return rules.map { rule in
            guard case .agentFactIs(_, _, let comparison, let bound) = rule else { return nil }
            switch statement.compares(name, comparison, bound).0 {
            case .yes: return true
            case .no: return false
            case .indeterminate: return nil
            }
        }
    }

    /// Versions just after a bound: with one more number, or with the last one raised.
    private static func above(_ bound: String) -> [String] {
        var parts = bound.split(separator: ".").map(String.init)
        let longer = parts.count < 4 ? [bound + ".1"] : []
        guard let last = parts.last.flatMap({ Int($0) }), last < 999_999_999 else { return longer }
        parts[parts.count - 1] = String(last + 1)
        return longer + [parts.joined(separator: ".")]
    }
}
