/// Whom and what a question about reach is about.
public struct ReachQuery: Sendable, Hashable {
    /// Which devices.
    public var device: DeviceQuery
    /// nil: any person.
    public var email: String?
    /// The person is in all of these.
    public var groups: [String]
    /// Takes the members as they are.
    public init(device: DeviceQuery, email: String? = nil, groups: [String] = []) {
        self.device = device
        self.email = email
        self.groups = groups
    }
}

/// One policy that lets in.
public struct PolicyReach: Sendable, Hashable {
    /// Index of the application's policies.
    public var policy: Int
    /// What is still asked of whom the question is about: any of these (empty: nothing) …
    public var anyOf: [String]
    /// … all of these …
    public var allOf: [String]
    /// … and none of these.
    public var noneOf: [String]
    /// A case that it lets in.
    public var example: AnalyzedCase
}

/// What one application lets in of those whom a question is about.
public struct ApplicationReach: Sendable, Hashable {
    /// The application's name.
    public var application: String
    /// In the order in which they are asked; empty: nobody is let in.
    public var policies: [PolicyReach]
    /// Everybody who is signed in is let in, whatever the request.
    public var isForEverybody: Bool
    /// What could not be settled; empty: this is exact.
    public var bounds: [String]
}

extension PolicyAnalysis {
    /// Which policies let in somebody who is signed in, on such a device; and whether they let in everybody.
    public mutating func reach(of application: Application, _ query: ReachQuery) -> ApplicationReach {
        let asked = CaseQuery(fromSeconds: fromSeconds, email: query.email, groups: query.groups)
        var space = cases(of: application, query.device, asked)
        let clauses = space.clauses(of: 0)
        let wanted = space.everyCase([space.isSession(0)] + space.whom(query))
        space.findGuess([clauses], wanted)
        // What follows from the question itself, so that what is left of each policy is short.
        let everything = space.formulas.everything
        let domain = Search(space.formulas).conclusions(of: wanted, in: everything) ?? everything
        var reach = ApplicationReach(
            application: application.name, policies: [], isForEverybody: true, bounds: [])
        var earlier: [Formulas.Node] = []
        for clause in clauses {
            let holds = space.formulas.simplified(clause.holds, in: domain)
            let question = wanted + [holds] + earlier
            if holds == Formulas.never { continue }
            let isGrant = if case .forward = clause.outcome { true } else { false }
            // One case of refusal is enough.
            if isGrant || reach.isForEverybody {
                switch space.find(question, in: domain, [(0, clause)], fromSeconds: fromSeconds) {
                case .nothing: break
                case .undecided: reach.isForEverybody = false
                case .found(let example):
                    if isGrant, let policy = clause.policy {
                        reach.policies.append(space.left(of: policy, in: domain, example))
                    } else {
                        reach.isForEverybody = false
                    }
                }
            }
            earlier.append(space.formulas.not(holds))
        }
        reach.isForEverybody = reach.isForEverybody && !reach.policies.isEmpty && space.bounds.isEmpty
        reach.bounds = space.bounds
        return reach
    }
}

extension CaseSpace {
    /// The person and the device of a question.
    fileprivate mutating func whom(_ query: ReachQuery) -> [Formulas.Node] {
        var wanted: [Formulas.Node] = []
        if let email = query.email {
            wanted.append(
                literal(.email) {
                    if case .email(let other?) = $0 {
                        ExactText.isEqualFoldingASCII(other, email)
                    } else {
                        false
                    }
                })
        }
        for group in query.groups { wanted.append(isMember(of: [group])) }
        if let isShown = query.device.isShown { wanted.append(device { ($0 != nil) == isShown }) }
        return wanted
    }

    /// What a policy still asks of the cases of a domain.
    fileprivate mutating func left(
        of index: Int, in domain: Formulas.Domain, _ example: AnalyzedCase
    ) -> PolicyReach {
        let policy = sides[0].application.policies[index]
        var reach = PolicyReach(policy: index, anyOf: [], allOf: [], noneOf: [], example: example)
        var isIncluded = false
        for condition in policy.include {
            switch truth(of: condition, .helps, in: domain).certain {
            case .yes: isIncluded = true
            case .indeterminate: reach.anyOf.append(condition.description)
            case .no: continue
            }
        }
        if isIncluded { reach.anyOf = [] }
        for condition in policy.require where truth(of: condition, .helps, in: domain).certain != .yes {
            reach.allOf.append(condition.description)
        }
        for condition in policy.exclude where truth(of: condition, .harms, in: domain).possible != .no {
            reach.noneOf.append(condition.description)
        }
        if let seconds = policy.sessionSecondsMax {
            reach.allOf.append("signed in less than \(seconds) s ago")
        }
        return reach
    }

    private mutating func truth(
        of condition: Condition, _ role: ConditionRole, in domain: Formulas.Domain
    ) -> (certain: Ternary, possible: Ternary) {
        // A named group of conditions stands for itself: what is left of it is its own text.
        if case .meets = condition { return (.indeterminate, .indeterminate) }
        if condition.subjects == .request {
            let meaning = meaning(of: condition)
            let truth = formulas.truth(role == .helps ? meaning.yes : meaning.harms, in: domain)
            return (truth, truth)
        }
        let certain = settled(condition, role, 0, .certain)
        let possible = settled(condition, role, 0, .possible)
        return (formulas.truth(certain, in: domain), formulas.truth(possible, in: domain))
    }
}
