/// Conditions of a policy or of a named group, each settled as far as possible without the request.
struct ConditionTerms {
    /// How what is not known is taken.
    enum View {
        /// As not holding: only what certainly matches is left.
        case certain
        /// As holding: only what certainly does not match is gone.
        case possible
        /// As `certain`, but as if the device met whatever is asked of it.
        case hopeful

        /// Under a NOT.
        var inverted: View {
            switch self {
            case .certain: .possible
            case .possible: .certain
            case .hopeful: .hopeful
            }
        }
    }

    /// What one view leaves of a condition.
    enum Part { case never, always, asks(Condition) }

    /// What one view leaves of all of them; an empty `anyOf` is settled as true.
    struct Left {
        var anyOf: [Condition]
        var allOf: [Condition]
        var noneOf: [Condition]
        var isSettled: Bool { anyOf.isEmpty && allOf.isEmpty && noneOf.isEmpty }
    }

    struct Term {
        var certain: Part
        var possible: Part
        var hopeful: Part
        /// Whether something that is settled in it is not known, and matters.
        var isDoubtful = false
        var isAboutDevice = false
        var shortfall: Reason?

        func part(_ view: View) -> Part {
            switch view {
            case .certain: certain
            case .possible: possible
            case .hopeful: hopeful
            }
        }
    }

    private let include: [Term]
    private let require: [Term]
    private let exclude: [Term]

    init(
        include: [Condition], require: [Condition], exclude: [Condition], named name: String,
        _ role: ConditionRole, _ facts: DecidedFacts, _ trace: inout Trace
    ) {
        func terms(_ conditions: [Condition], _ list: String, _ role: ConditionRole) -> [Term] {
            var terms: [Term] = []
            terms.reserveCapacity(conditions.count)
            for (index, condition) in conditions.enumerated() {
                let place = { "\(name).\(list)[\(index)]" }
                terms.append(Self.term(condition, place, role, facts, &trace))
            }
            return terms
        }
        self.include = terms(include, "include", role)
        self.require = terms(require, "require", role)
        self.exclude = terms(exclude, "exclude", role.inverted)
    }

    var all: [Term] { include + require + exclude }

    /// Whether no view differs from another but for what the request itself decides.
    var isCertain: Bool {
        let isIncluded = include.contains { if case .always = $0.certain { true } else { false } }
        return (isIncluded || !include.contains(where: \.isDoubtful))
            && !require.contains(where: \.isDoubtful) && !exclude.contains(where: \.isDoubtful)
    }

    /// nil: never matches.
    func left(_ view: View) -> Left? {
        var left = Left(anyOf: [], allOf: [], noneOf: [])
        for term in require {
            switch term.part(view) {
            case .never: return nil
            case .always: break
            case .asks(let condition): left.allOf.append(condition)
            }
        }
        for term in exclude {
            switch term.part(view.inverted) {
            case .never: break
            case .always: return nil
            case .asks(let condition): left.noneOf.append(condition)
            }
        }
        var isIncluded = false
        for term in include {
            switch term.part(view) {
            case .never: break
            case .always: isIncluded = true
            case .asks(let condition): left.anyOf.append(condition)
            }
        }
        if isIncluded { left.anyOf = [] }
        return isIncluded || !left.anyOf.isEmpty ? left : nil
    }

    // Terms

    private static func term(
        _ condition: Condition, _ place: () -> String, _ role: ConditionRole, _ facts: DecidedFacts,
        _ trace: inout Trace
    ) -> Term {
        switch condition.asked {
        case .nothing:
            trace.note(.everyone(place()))
            return Term(certain: .always, possible: .always, hopeful: .always)
        case .decided(let decided):
            return term(decided, condition, place, role, facts, &trace)
        case .request(let asked):
            trace.note(.request(place(), asked))
            return Term(certain: .asks(condition), possible: .asks(condition), hopeful: .asks(condition))
        case .group(let group):
            return term(group, place(), role, facts, &trace)
        }
    }

    private static func term(
        _ decided: any SettledCondition, _ condition: Condition, _ place: () -> String,
        _ role: ConditionRole, _ facts: DecidedFacts, _ trace: inout Trace
    ) -> Term {
        // A service client is nobody's account: what is asked of a person is settled, or every block about
        // people would stop all services.
        let isNoPerson = facts.service != nil && condition.isAboutPerson
        let outcome = isNoPerson ? .no : decided.outcome(of: facts, role, &trace)
        trace.note(.decided(place(), decided, outcome, role, facts))
        let isAboutDevice = condition.isAboutDevice
        let meets: Part = role == .helps ? .always : .never
        let certain: Part = outcome == .yes ? .always : .never
        let possible: Part = outcome == .no ? .never : .always
        return Term(
            certain: certain, possible: possible,
            hopeful: isAboutDevice ? meets : role == .helps ? certain : possible,
            isDoubtful: outcome == .indeterminate, isAboutDevice: isAboutDevice,
            shortfall: role == .helps && outcome != .yes ? decided.shortfall(in: facts) : nil)
    }

    private static func term(
        _ group: ConditionGroup, _ place: String, _ role: ConditionRole, _ facts: DecidedFacts,
        _ trace: inout Trace
    ) -> Term {
        let terms = ConditionTerms(
            include: group.include, require: group.require, exclude: group.exclude,
            named: "\(place).\(group.name)", role, facts, &trace)
        func part(_ view: View) -> Part {
            guard let left = terms.left(view) else { return .never }
            if left.isSettled { return .always }
            return .asks(
                .meets(
                    ConditionGroup(
                        name: group.name, include: left.anyOf, require: left.allOf, exclude: left.noneOf)))
        }
        return Term(
            certain: part(.certain), possible: part(.possible), hopeful: part(.hopeful),
            isDoubtful: !terms.isCertain, isAboutDevice: terms.all.contains(where: \.isAboutDevice),
            shortfall: terms.left(.certain) == nil ? terms.all.lazy.compactMap(\.shortfall).first : nil)
    }
}

extension Condition {
    fileprivate var isAboutPerson: Bool { subjects.contains(.person) }
}

extension ExplainLine {
    fileprivate static func everyone(_ rule: String) -> ExplainLine {
        ExplainLine(rule: rule, condition: "everyone", outcome: .yes, observed: "anybody", source: "policy")
    }

    fileprivate static func decided(
        _ rule: String, _ condition: any SettledCondition, _ outcome: Ternary, _ role: ConditionRole,
        _ facts: DecidedFacts
    ) -> ExplainLine {
        let failed = role == .helps ? outcome != .yes : outcome != .no
        let isNobody = facts.session == nil && facts.service == nil
        let remedy = isNobody ? "Sign in." : condition.remedy(for: facts)
        return ExplainLine(
            rule: rule, condition: condition.description, outcome: outcome,
            observed: condition.observed(in: facts),
            source: condition.source(in: facts), ageSeconds: condition.ageSeconds(in: facts),
            remedy: failed ? remedy : nil, integration: condition.askedIntegration)
    }

    fileprivate static func request(_ rule: String, _ condition: any RequestCondition) -> ExplainLine {
        ExplainLine(
            rule: rule, condition: condition.description, outcome: .indeterminate,
            observed: "asked of every request", source: "request", remedy: condition.remedy)
    }
}
