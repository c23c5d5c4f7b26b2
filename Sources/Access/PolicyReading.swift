/// One application policy with every condition settled that does not depend on the request.
struct PolicyReading {
    enum Term {
        case settled(Ternary, isAboutDevice: Bool)
        case request(Condition)
    }

    let policy: ApplicationPolicy
    private let include: [Term]
    private let require: [Term]
    private let exclude: [Term]

    init(_ policy: ApplicationPolicy, _ facts: DecidedFacts, _ trace: inout Trace) {
        self.policy = policy
        let helping: ConditionRole = policy.action == .block ? .harms : .helps
        let lifting: ConditionRole = policy.action == .block ? .helps : .harms
        include = Self.terms(policy.include, "\(policy.name).include", helping, facts, &trace)
        require = Self.terms(policy.require, "\(policy.name).require", helping, facts, &trace)
        exclude = Self.terms(policy.exclude, "\(policy.name).exclude", lifting, facts, &trace)
    }

    private static func terms(
        _ conditions: [Condition], _ list: String, _ role: ConditionRole, _ facts: DecidedFacts,
        _ trace: inout Trace
    ) -> [Term] {
        var terms: [Term] = []
        for (index, condition) in conditions.enumerated() {
            let rule = "\(list)[\(index)]"
            switch condition.asked {
            case .nothing:
                terms.append(.settled(.yes, isAboutDevice: false))
                trace.note(.everyone(rule))
            case .decided(let decided):
                let outcome = decided.outcome(of: facts, role)
                terms.append(.settled(outcome, isAboutDevice: condition.isAboutDevice))
                trace.note(.decided(rule, decided, outcome, role, facts))
            case .request(let asked):
                terms.append(.request(condition))
                trace.note(.request(rule, asked))
            }
        }
        return terms
    }

    /// What is left of a policy that lets in: nil unless it *certainly* matches once the request meets the
    /// rest. An indeterminate include or require never grants, an indeterminate exclude does not either.
    ///
    /// - Parameter deviceMeets: as if the device met every condition about it: would showing another one
    ///   help?
    func granting(deviceMeets: Bool = false, reason: Reason) -> ResidualPolicy? {
        let included = Self.settled(include, deviceMeets ? .yes : nil)
        let required = Self.settled(require, deviceMeets ? .yes : nil)
        let excluded = Self.settled(exclude, deviceMeets ? .no : nil)
        let anyOf = included.contains(.yes) ? [] : Self.left(include)
        guard included.contains(.yes) || !anyOf.isEmpty else { return nil }
        guard required.allSatisfy({ $0 == .yes }), excluded.allSatisfy({ $0 == .no }) else { return nil }
        return residual(anyOf: anyOf, reason: reason)
    }

    /// What is left of a policy that blocks: nil only when it *certainly* does not match. What is not known
    /// counts as matching, so that a missing fact can never lift a block.
    func blocking(unless reason: Reason) -> ResidualPolicy? {
        let included = Self.settled(include, nil)
        let required = Self.settled(require, nil)
        let excluded = Self.settled(exclude, nil)
        let mayInclude = included.contains { $0 != .no }
        let anyOf = mayInclude ? [] : Self.left(include)
        guard mayInclude || !anyOf.isEmpty else { return nil }
        guard required.allSatisfy({ $0 != .no }), excluded.allSatisfy({ $0 != .yes }) else { return nil }
        return residual(anyOf: anyOf, reason: isCertain ? .policyBlocks : reason)
    }

    /// Whether nothing that is settled is of doubt: what is left to match depends on the request alone.
    var isCertain: Bool {
        let included = Self.settled(include, nil)
        return (included.contains(.yes) || !included.contains(.indeterminate))
            && Self.settled(require, nil).allSatisfy { $0 != .indeterminate }
            && Self.settled(exclude, nil).allSatisfy { $0 != .indeterminate }
    }

    /// A policy that lets in with a restriction also takes something away: what it does not grant, no later
    /// policy gives back. When it is not known whether it matches, that part holds, or a missing fact would
    /// lift it. Stands after what `granting` leaves: there one alternative may be certain while another is
    /// not known.
    ///
    /// - Returns: one block for each kind of restriction; empty when there is none, or when the policy
    ///   certainly does not match.
    func withholding(isSignedIn: Bool) -> [ResidualPolicy] {
        guard let restriction = policy.restriction, let matched = blocking(unless: .policyBlocks) else {
            return []
        }
        var kinds: [(Condition, Reason)] = []
        if let methods = restriction.methods {
            kinds.append((.method(MethodCondition(methods: methods)), .restrictedMethod))
        }
        if let prefixes = restriction.pathPrefixes {
            kinds.append((.path(PathCondition(prefixes: prefixes, exact: [])), .restrictedPath))
        }
        return kinds.map { granted, reason in
            ResidualPolicy(
                name: matched.name, action: .block, anyOf: matched.anyOf, allOf: matched.allOf,
                noneOf: matched.noneOf + [granted], restriction: nil,
                reason: isSignedIn ? reason : .signInRequired)
        }
    }

    /// Whether something about the device, and nothing else that is settled, is not known.
    var hangsOnDevice: Bool {
        (include + require + exclude).contains {
            if case .settled(.indeterminate, isAboutDevice: true) = $0 { true } else { false }
        }
    }

    private func residual(anyOf: [Condition], reason: Reason) -> ResidualPolicy {
        ResidualPolicy(
            name: policy.name, action: policy.action, anyOf: anyOf, allOf: Self.left(require),
            noneOf: Self.left(exclude), restriction: policy.restriction, reason: reason)
    }

    private static func settled(_ terms: [Term], _ device: Ternary?) -> [Ternary] {
        terms.compactMap { term in
            switch term {
            case .settled(let outcome, let isAboutDevice): isAboutDevice ? device ?? outcome : outcome
            case .request: nil
            }
        }
    }

    private static func left(_ terms: [Term]) -> [Condition] {
        terms.compactMap { term in
            switch term {
            case .settled: nil
            case .request(let condition): condition
            }
        }
    }
}

extension ExplainLine {
    fileprivate static func everyone(_ rule: String) -> ExplainLine {
        ExplainLine(rule: rule, condition: "everyone", outcome: .yes, observed: "anybody", source: "policy")
    }

    fileprivate static func decided(
        _ rule: String, _ condition: any DecidedCondition, _ outcome: Ternary, _ role: ConditionRole,
        _ facts: DecidedFacts
    ) -> ExplainLine {
        let failed = role == .helps ? outcome != .yes : outcome != .no
        let remedy = facts.session == nil ? "Sign in." : condition.remedy(for: facts)
        return ExplainLine(
            rule: rule, condition: condition.description, outcome: outcome,
            observed: condition.observed(in: facts),
            source: condition.source(in: facts), ageSeconds: condition.ageSeconds(in: facts),
            remedy: failed ? remedy : nil)
    }

    fileprivate static func request(_ rule: String, _ condition: any RequestCondition) -> ExplainLine {
        ExplainLine(
            rule: rule, condition: condition.description, outcome: .indeterminate,
            observed: "asked of every request", source: "request", remedy: condition.remedy)
    }
}
