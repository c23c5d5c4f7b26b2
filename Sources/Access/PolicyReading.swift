/// One application policy with every condition settled that does not depend on the request.
struct PolicyReading {
    let policy: ApplicationPolicy
    private let terms: ConditionTerms

    init(_ policy: ApplicationPolicy, _ facts: DecidedFacts, _ trace: inout Trace) {
        self.policy = policy
        terms = ConditionTerms(
            include: policy.include, require: policy.require, exclude: policy.exclude, named: policy.name,
            policy.action == .block ? .harms : .helps, facts, &trace)
    }

    /// What is left of a policy that lets in: nil unless it *certainly* matches once the request meets the
    /// rest. An indeterminate include or require never grants, an indeterminate exclude does not either.
    func granting(reason: Reason) -> ResidualPolicy? {
        terms.left(.certain).map { residual($0, reason) }
    }

    /// Whether it would match if the device met every condition about it: would showing another one help?
    var isHopeful: Bool { terms.left(.hopeful) != nil }

    /// What would be left if the device met every condition about it; nil where it could not match even so.
    var hoping: ResidualPolicy? { terms.left(.hopeful).map { residual($0, .policyAllows) } }

    /// What is left of a policy that blocks: nil only when it *certainly* does not match. What is not known
    /// counts as matching, so that a missing fact can never lift a block.
    func blocking(unless reason: Reason) -> ResidualPolicy? {
        terms.left(.possible).map { residual($0, isCertain ? .policyBlocks : reason) }
    }

    /// Whether nothing that is settled is of doubt: what is left to match depends on the request alone.
    var isCertain: Bool { terms.isCertain }

    /// Whether something about the device, and nothing else that is settled, is not known.
    var hangsOnDevice: Bool { terms.hangsOnDevice }

    /// What the device lacks for a condition of its own; nil where no such condition failed.
    func shortfall(_ facts: DecidedFacts) -> Reason? { terms.shortfall(facts) }

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

    /// The same for what holds beyond the request line, unless the policy certainly does not match. A block cannot
    /// say it, so later policies carry it.
    var withheldLimits: [AccessLimit] {
        guard let limits = policy.restriction?.limits, terms.left(.possible) != nil else { return [] }
        return limits
    }

    private func residual(_ left: ConditionTerms.Left, _ reason: Reason) -> ResidualPolicy {
        ResidualPolicy(
            name: policy.name, action: policy.action, anyOf: left.anyOf, allOf: left.allOf,
            noneOf: left.noneOf, restriction: policy.restriction, reason: reason)
    }
}
