/// What an application does with a case, as far as analysis compares it.
enum CaseOutcome: Hashable {
    /// Forwarded, under these limits.
    case forward([AccessLimit])
    case refuse
    case signIn
}

/// The policies of an application as statements; the first that holds decides. The same rules that `Evaluation`,
/// `PolicyReading`, `ConditionTerms` and `Residual.decide` follow one fact at a time.
struct Clause {
    enum Part {
        /// What the policy is for: it lets in, or it blocks.
        case deed
        /// It matches, and does not grant this method or path.
        case restriction
        /// It may match, and would not grant this.
        case withheld
    }

    /// Index of the policy; nil: no policy matches.
    var policy: Int?
    var part: Part
    var holds: Formulas.Node
    var outcome: CaseOutcome
    /// The policy's conditions hold for certain; a block also decides where that is not known.
    var matches = Formulas.always
}

extension CaseSpace {
    /// How what is not known is taken.
    enum View {
        case certain, possible
        var inverted: View { self == .certain ? .possible : .certain }
    }

    /// Whether what is settled, and what is asked of the request, helps or harms: a policy that withholds asks the
    /// request as a block does.
    private struct Roles {
        var settled: ConditionRole
        var request: ConditionRole
        var inverted: Roles { Roles(settled: settled.inverted, request: request.inverted) }
    }

    fileprivate struct Lists {
        var include: [Condition]
        var require: [Condition]
        var exclude: [Condition]
    }

    /// In the order in which they are asked; the last one holds always.
    ///
    /// - Parameter known: what is already known of a policy, under whatever index; nil: nothing.
    mutating func clauses(of side: Int, known: (Int) -> [Clause]? = { _ in nil }) -> [Clause] {
        var clauses: [Clause] = []
        for index in sides[side].application.policies.indices {
            guard var next = known(index) else {
                clauses += self.clauses(ofPolicy: index, side)
                continue
            }
            for place in next.indices { next[place].policy = index }
            clauses += next
        }
        let nobody = isNobody(side)
        clauses.append(Clause(policy: nil, part: .deed, holds: nobody, outcome: .signIn))
        clauses.append(Clause(policy: nil, part: .deed, holds: Formulas.always, outcome: .refuse))
        return clauses
    }

    private mutating func clauses(ofPolicy index: Int, _ side: Int) -> [Clause] {
        let policy = sides[side].application.policies[index]
        let lists = Lists(include: policy.include, require: policy.require, exclude: policy.exclude)
        let nobody = isNobody(side)
        if policy.action == .block {
            let harms = Roles(settled: .harms, request: .harms)
            let possible = matches(lists, .possible, harms, side)
            let isSettled = formulas.any([formulas.not(nobody), isCertain(lists, .harms, side)])
            let refuses = formulas.all([possible, isSettled])
            let certain = matches(lists, .certain, harms, side)
            return [
                Clause(policy: index, part: .deed, holds: refuses, outcome: .refuse, matches: certain),
                Clause(policy: index, part: .deed, holds: possible, outcome: .signIn, matches: certain),
            ].filter { $0.holds != Formulas.never }
        }
        let certain = matches(lists, .certain, Roles(settled: .helps, request: .helps), side)
        let counts = audience(policy.action, side)
        var clauses: [Clause] = []
        let isYoung = isYoung(policy)
        let lets = formulas.all([counts, isYoung, certain])
        let (granted, withheldRequests) = granted(policy.restriction)
        clauses.append(
            Clause(
                policy: index, part: .deed, holds: formulas.all([lets, granted]),
                outcome: .forward(policy.restriction?.limits ?? [])))
        if granted == Formulas.always { return clauses.filter { $0.holds != Formulas.never } }
        clauses.append(Clause(policy: index, part: .restriction, holds: lets, outcome: .refuse))
        let possible = matches(lists, .possible, Roles(settled: .helps, request: .harms), side)
        let isDoubtful = doubt(policy, lists, side, isYoung)
        let withheld = formulas.all([isDoubtful, possible, withheldRequests])
        clauses.append(
            Clause(policy: index, part: .withheld, holds: formulas.all([nobody, withheld]), outcome: .signIn))
        clauses.append(Clause(policy: index, part: .withheld, holds: withheld, outcome: .refuse))
        return clauses.filter { $0.holds != Formulas.never }
    }

    /// When a policy with a restriction also takes away what it would not grant.
    private mutating func doubt(
        _ policy: ApplicationPolicy, _ lists: Lists, _ side: Int, _ isYoung: Formulas.Node
    ) -> Formulas.Node {
        let uncertain = formulas.not(isCertain(lists, .helps, side))
        switch policy.action {
        case .block: return Formulas.never
        case .bypass: return uncertain
        case .service: return formulas.all([isService(side), uncertain])
        case .allow:
            let session = isSession(side)
            let doubtful = formulas.any([uncertain, formulas.not(isYoung)])
            return formulas.any([isNobody(side), formulas.all([session, doubtful])])
        }
    }

    /// Of the requests that a restriction grants, and of those that it would withhold as a block does: both take a
    /// granted path as it is written.
    private mutating func granted(_ restriction: Restriction?) -> (Formulas.Node, Formulas.Node) {
        var nodes: [Formulas.Node] = []
        if let methods = restriction?.methods {
            nodes.append(meaning(of: .method(MethodCondition(methods: methods))).yes)
        }
        if let prefixes = restriction?.pathPrefixes {
            nodes.append(meaning(of: .path(PathCondition(prefixes: prefixes, exact: []))).yes)
        }
        let granted = formulas.all(nodes)
        return (granted, formulas.not(granted))
    }

    private mutating func isYoung(_ policy: ApplicationPolicy) -> Formulas.Node {
        guard policy.action == .allow, let secondsMax = policy.sessionSecondsMax else {
            return Formulas.always
        }
        return literal(.sessionAge) { if case .sessionAge(let age) = $0 { age < secondsMax } else { true } }
    }

    private mutating func audience(_ action: PolicyAction, _ side: Int) -> Formulas.Node {
        switch action {
        case .allow: isSession(side)
        case .service: isService(side)
        case .block, .bypass: Formulas.always
        }
    }

    // MARK: Who

    mutating func isSession(_ side: Int) -> Formulas.Node {
        if let known = standingNodes[.session(side)] { return known }
        let accepted = sides[side].application.identityProviders
        let node = standing {
            if case .session(let provider) = $0 { ExactText.contains(accepted, provider) } else { false }
        }
        standingNodes[.session(side)] = node
        return node
    }

    mutating func isService(_ side: Int) -> Formulas.Node {
        if let known = standingNodes[.service(side)] { return known }
        let node = standing {
            switch $0 {
            case .service, .token: true
            case .nobody, .session: false
            }
        }
        standingNodes[.service(side)] = node
        return node
    }

    mutating func isNobody(_ side: Int) -> Formulas.Node {
        if let known = standingNodes[.nobody(side)] { return known }
        let known = formulas.any([isSession(side), isService(side)])
        let node = formulas.not(known)
        standingNodes[.nobody(side)] = node
        return node
    }

    private mutating func hidesGroups() -> Formulas.Node {
        if let known = standingNodes[.hidesGroups] { return known }
        let node = literal(.hiddenGroups) { if case .hidesGroups(true) = $0 { true } else { false } }
        standingNodes[.hidesGroups] = node
        return node
    }

    // MARK: Conditions

    private mutating func matches(
        _ lists: Lists, _ view: View, _ roles: Roles, _ side: Int
    ) -> Formulas.Node {
        var nodes = [formulas.any(lists.include.map { node($0, view, roles, side) })]
        for condition in lists.require { nodes.append(node(condition, view, roles, side)) }
        for condition in lists.exclude {
            nodes.append(formulas.not(node(condition, view.inverted, roles.inverted, side)))
        }
        return formulas.all(nodes)
    }

    private mutating func node(
        _ condition: Condition, _ view: View, _ roles: Roles, _ side: Int
    ) -> Formulas.Node {
        if case .meets(let group) = condition { return matches(Lists(group), view, roles, side) }
        if condition.subjects == .request {
            let meaning = meaning(of: condition)
            return roles.request == .helps ? meaning.yes : meaning.harms
        }
        return settled(condition, roles.settled, side, view)
    }

    /// When a condition that does not ask the request holds for certain, or when it does not certainly fail.
    mutating func settled(
        _ condition: Condition, _ role: ConditionRole, _ side: Int, _ view: View
    ) -> Formulas.Node {
        switch condition {
        case .everyone, .network, .method, .path, .certificate, .meets: return Formulas.always
        case .tag(let asked):
            let tags = sides[side].application.tags
            let holds = asked.tags.contains { ExactText.contains(tags, $0) }
            return holds ? Formulas.always : Formulas.never
        case .identityProvider(let asked):
            let named = standing {
                if case .session(let provider) = $0 {
                    ExactText.contains(asked.names, provider)
                } else {
                    false
                }
            }
            return answer(named, isSession(side), side, view)
        case .service(let asked):
            let named = standing {
                if case .service(let name) = $0 { ExactText.contains(asked.names, name) } else { false }
            }
            return answer(named, isService(side), side, view)
        case .token(let asked):
            let (yes, notNo) = token(asked)
            return answer(view == .certain ? yes : notNo, isService(side), side, view)
        case .group(let asked):
            let isMember = isMember(of: asked.groups)
            let hides = view == .certain ? Formulas.never : hidesGroups()
            return answer(formulas.any(isMember, hides), isSession(side), side, view)
        case .email, .emailDomain, .claim, .authenticationContext, .authenticationMethod,
            .authenticatedWithin, .keyBound:
            let meaning = meaning(of: condition)
            return answer(view == .certain ? meaning.yes : meaning.notNo, isSession(side), side, view)
        case .time, .until:
            let meaning = meaning(of: condition)
            let somebody = formulas.not(isNobody(side))
            return answer(view == .certain ? meaning.yes : meaning.notNo, somebody, side, view)
        case .device, .check, .setting, .score, .risk, .verdictAge, .matchStrength,
            .deviceProof:
            let nodes = deviceNodes(condition, role, side)
            return view == .certain ? nodes.yes : nodes.notNo
        }
    }

    /// Of those who are asked at all; nobody is not known.
    private mutating func answer(
        _ holds: Formulas.Node, _ who: Formulas.Node, _ side: Int, _ view: View
    ) -> Formulas.Node {
        let counted = formulas.all(who, holds)
        return view == .certain ? counted : formulas.any(isNobody(side), counted)
    }

    private mutating func deviceNodes(
        _ condition: Condition, _ role: ConditionRole, _ side: Int
    ) -> SettledNodes {
        let key = DeviceKey(condition: condition, helps: role == .helps, side: side)
        if let known = deviceNodes[key] { return known }
        let atom = condition.deviceRule.flatMap(atom)
        let yes = device { $0?.answer(condition, role, side, atom) == .yes }
        let notNo = device { ($0?.answer(condition, role, side, atom) ?? .indeterminate) != .no }
        let somebody = formulas.not(isNobody(side))
        let nodes = SettledNodes(
            yes: answer(yes, somebody, side, .certain), notNo: answer(notNo, somebody, side, .possible))
        deviceNodes[key] = nodes
        return nodes
    }

    // MARK: Certainty

    /// Whether nothing that is settled in the lists is of doubt, as `ConditionTerms.isCertain` has it.
    private mutating func isCertain(_ lists: Lists, _ role: ConditionRole, _ side: Int) -> Formulas.Node {
        let included = formulas.any(lists.include.map { always($0, role, side) })
        let undoubted = formulas.all(lists.include.map { formulas.not(isDoubtful($0, role, side)) })
        var nodes = [formulas.any([included, undoubted])]
        for condition in lists.require { nodes.append(formulas.not(isDoubtful(condition, role, side))) }
        for condition in lists.exclude {
            nodes.append(formulas.not(isDoubtful(condition, role.inverted, side)))
        }
        return formulas.all(nodes)
    }

    private mutating func isDoubtful(
        _ condition: Condition, _ role: ConditionRole, _ side: Int
    ) -> Formulas.Node {
        if case .meets(let group) = condition { return formulas.not(isCertain(Lists(group), role, side)) }
        if condition.subjects == .request { return Formulas.never }
        let isCertain = settled(condition, role, side, .certain)
        return formulas.all(settled(condition, role, side, .possible), formulas.not(isCertain))
    }

    /// Certainly holds, whatever the request is.
    private mutating func always(
        _ condition: Condition, _ role: ConditionRole, _ side: Int
    ) -> Formulas.Node {
        if case .meets(let group) = condition {
            var nodes = [formulas.any(group.include.map { always($0, role, side) })]
            for condition in group.require { nodes.append(always(condition, role, side)) }
            for condition in group.exclude { nodes.append(never(condition, role.inverted, side)) }
            return formulas.all(nodes)
        }
        return condition.subjects == .request ? Formulas.never : settled(condition, role, side, .certain)
    }

    /// Certainly does not hold, whatever the request is.
    private mutating func never(_ condition: Condition, _ role: ConditionRole, _ side: Int) -> Formulas.Node {
        if case .meets(let group) = condition {
            var nodes = [formulas.all(group.include.map { never($0, role, side) })]
            for condition in group.require { nodes.append(never(condition, role, side)) }
            for condition in group.exclude { nodes.append(always(condition, role.inverted, side)) }
            return formulas.any(nodes)
        }
        if condition.subjects == .request { return Formulas.never }
        return formulas.not(settled(condition, role, side, .possible))
    }
}

extension CaseSpace.Lists {
    fileprivate init(_ group: ConditionGroup) {
        self.init(include: group.include, require: group.require, exclude: group.exclude)
    }
}

extension DeviceChoice {
    /// What a condition about the device says of it, as `DeviceCondition` and `DeviceRuleCondition` do.
    fileprivate func answer(
        _ condition: Condition, _ role: ConditionRole, _ side: Int, _ atom: Int?
    ) -> Ternary {
        if classes[side] == .denied && role == .helps { return .no }
        if case .device(let asked) = condition { return Ternary(asked.classes.contains(classes[side])) }
        return atom.map { outcomes[side][$0] } ?? .indeterminate
    }
}
