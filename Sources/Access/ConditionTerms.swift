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

    /// What one view leaves of a condition; `asks` of the request what the condition asks, or its group's remainder.
    enum Part: UInt8 { case never, always, asks }

    /// What one view leaves of all of them; an empty `anyOf` is settled as true.
    struct Left {
        var anyOf: [Condition]
        var allOf: [Condition]
        var noneOf: [Condition]
        var isSettled: Bool { anyOf.isEmpty && allOf.isEmpty && noneOf.isEmpty }
    }

    /// One condition, settled. Small and almost always without references: fifty policies make some hundred of them
    /// for each residual.
    struct Term {
        var certain: Part
        var possible: Part
        var hopeful: Part
        /// Whether something that is settled in it is not known, and matters.
        var isDoubtful = false
        var isAboutDevice = false
        /// It should help, and does not.
        var fails = false
        var group: Remainder?

        func part(_ view: View) -> Part {
            switch view {
            case .certain: certain
            case .possible: possible
            case .hopeful: hopeful
            }
        }
    }

    /// What is left of a named group of conditions.
    final class Remainder {
        let group: ConditionGroup
        let terms: ConditionTerms

        init(_ group: ConditionGroup, _ terms: ConditionTerms) {
            self.group = group
            self.terms = terms
        }

        func part(_ view: View) -> Part {
            guard let left = terms.left(view) else { return .never }
            return left.isSettled ? .always : .asks
        }

        func condition(_ view: View) -> Condition? {
            terms.left(view).map {
                .meets(
                    ConditionGroup(
                        name: group.name, include: $0.anyOf, require: $0.allOf, exclude: $0.noneOf))
            }
        }
    }

    private let include: [Condition]
    private let require: [Condition]
    private let exclude: [Condition]
    /// Those of `include`, then of `require`, then of `exclude`.
    private var terms: [Term] = []

    init(
        include: [Condition], require: [Condition], exclude: [Condition], named name: String,
        _ role: ConditionRole, _ facts: DecidedFacts, _ trace: inout Trace
    ) {
        self.include = include
        self.require = require
        self.exclude = exclude
        terms.reserveCapacity(include.count + require.count + exclude.count)
        for index in include.indices {
            terms.append(
                Self.term(include[index], { "\(name).include[\(index)]" }, role, facts, &trace))
        }
        for index in require.indices {
            terms.append(
                Self.term(require[index], { "\(name).require[\(index)]" }, role, facts, &trace))
        }
        for index in exclude.indices {
            terms.append(
                Self.term(exclude[index], { "\(name).exclude[\(index)]" }, role.inverted, facts, &trace))
        }
    }

    private var requireStart: Int { include.count }
    private var excludeStart: Int { include.count + require.count }

    private func condition(_ index: Int) -> Condition {
        if index < requireStart { return include[index] }
        return index < excludeStart ? require[index - requireStart] : exclude[index - excludeStart]
    }

    /// What a term that asks the request asks.
    private func asked(_ index: Int, _ view: View) -> Condition? {
        guard let group = terms[index].group else { return condition(index) }
        return group.condition(view)
    }

    /// Whether no view differs from another but for what the request itself decides.
    var isCertain: Bool {
        var isIncluded = false
        var isIncludeDoubtful = false
        for index in terms.indices {
            if index < requireStart {
                if terms[index].certain == .always { isIncluded = true }
                if terms[index].isDoubtful { isIncludeDoubtful = true }
            } else if terms[index].isDoubtful {
                return false
            }
        }
        return isIncluded || !isIncludeDoubtful
    }

    /// Whether something about the device, and nothing else that is settled, is not known.
    var hangsOnDevice: Bool { terms.contains { $0.isDoubtful && $0.isAboutDevice } }

    var isAboutDevice: Bool { terms.contains(where: \.isAboutDevice) }

    /// What the device lacks for a condition of its own; nil where no such condition failed.
    func shortfall(_ facts: DecidedFacts) -> Reason? {
        for index in terms.indices {
            if let group = terms[index].group {
                if group.terms.left(.certain) == nil, let found = group.terms.shortfall(facts) {
                    return found
                }
            } else if terms[index].fails, case .decided(let decided) = condition(index).asked,
                let found = decided.shortfall(in: facts)
            {
                return found
            }
        }
        return nil
    }

    /// nil: never matches.
    func left(_ view: View) -> Left? {
        var left = Left(anyOf: [], allOf: [], noneOf: [])
        for index in requireStart..<excludeStart {
            switch terms[index].part(view) {
            case .never: return nil
            case .always: break
            case .asks: if let condition = asked(index, view) { left.allOf.append(condition) }
            }
        }
        let inverted = view.inverted
        for index in excludeStart..<terms.count {
            switch terms[index].part(inverted) {
            case .never: break
            case .always: return nil
            case .asks: if let condition = asked(index, inverted) { left.noneOf.append(condition) }
            }
        }
        for index in 0..<requireStart where terms[index].part(view) == .always { return left }
        for index in 0..<requireStart where terms[index].part(view) == .asks {
            if let condition = asked(index, view) { left.anyOf.append(condition) }
        }
        return left.anyOf.isEmpty ? nil : left
    }

    // Terms

    /// One condition, settled as far as that can be without the request.
    ///
    /// - Parameter place: where it stands, for explain records; nil: none is being made.
    static func term(
        _ condition: Condition, _ place: (() -> String)?, _ role: ConditionRole, _ facts: DecidedFacts,
        _ trace: inout Trace
    ) -> Term {
        if case .meets(let group) = condition {
            let name = trace.isRecording ? place?() : nil
            return term(group, name ?? "", role, facts, &trace)
        }
        // A service client is nobody's account: what is asked of a person is settled, or every block about
        // people would stop all services.
        let subjects = condition.subjects
        let isNoPerson = facts.service != nil && subjects.contains(.person)
        let outcome = isNoPerson ? .no : condition.outcome(of: facts, role, &trace)
        if trace.isRecording, let place { note(condition, outcome, place(), role, facts, &trace) }
        guard let outcome else { return Term(certain: .asks, possible: .asks, hopeful: .asks) }
        let isAboutDevice = subjects.contains(.device)
        let meets: Part = role == .helps ? .always : .never
        let certain: Part = outcome == .yes ? .always : .never
        let possible: Part = outcome == .no ? .never : .always
        return Term(
            certain: certain, possible: possible,
            hopeful: isAboutDevice ? meets : role == .helps ? certain : possible,
            isDoubtful: outcome == .indeterminate, isAboutDevice: isAboutDevice,
            fails: role == .helps && outcome != .yes)
    }

    private static func note(
        _ condition: Condition, _ outcome: Ternary?, _ place: String, _ role: ConditionRole,
        _ facts: DecidedFacts, _ trace: inout Trace
    ) {
        if case .request(let asked) = condition.asked {
            trace.note(.request(place, asked))
        } else if case .decided(let decided) = condition.asked, let outcome {
            trace.note(.decided(place, decided, outcome, role, facts))
        } else {
            trace.note(.everyone(place))
        }
    }

    private static func term(
        _ group: ConditionGroup, _ place: String, _ role: ConditionRole, _ facts: DecidedFacts,
        _ trace: inout Trace
    ) -> Term {
        let terms = ConditionTerms(
            include: group.include, require: group.require, exclude: group.exclude,
            named: trace.isRecording ? "\(place).\(group.name)" : "", role, facts, &trace)
        let remainder = Remainder(group, terms)
        return Term(
            certain: remainder.part(.certain), possible: remainder.part(.possible),
            hopeful: remainder.part(.hopeful),
            isDoubtful: !terms.isCertain, isAboutDevice: terms.isAboutDevice, group: remainder)
    }
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
            remedy: failed ? remedy : nil, integration: condition.askedIntegration,
            fact: condition.askedFact)
    }

    fileprivate static func request(_ rule: String, _ condition: any RequestCondition) -> ExplainLine {
        ExplainLine(
            rule: rule, condition: condition.description, outcome: .indeterminate,
            observed: "asked of every request", source: "request", remedy: condition.remedy)
    }
}
