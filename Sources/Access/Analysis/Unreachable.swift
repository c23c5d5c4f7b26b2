/// A policy that decides no case, or a condition that holds in none.
public struct DeadPolicy: Sendable, Hashable {
    /// Why.
    public enum Cause: Sendable, Hashable {
        /// Its conditions exclude each other, or none of them can hold.
        case neverMatches
        /// These earlier policies decide all that it would match; indexes, in order.
        case shadowed([Int])
        /// It is reached, but this part of it never holds.
        case idle(ConditionPlace)
    }

    /// Index of the application's policies.
    public var policy: Int
    /// Why.
    public var cause: Cause
}

/// What is dead in one application.
public struct ApplicationFindings: Sendable, Hashable {
    /// The application's name.
    public var application: String
    /// In the order of the policies.
    public var dead: [DeadPolicy]
    /// What could not be settled; empty: everything that is dead is named, and nothing else.
    public var bounds: [String]
}

extension PolicyAnalysis {
    /// Policies that decide no case of which they are about: none of which their conditions hold for certain. (A
    /// block whose conditions are not known refuses as well, but nobody writes one for that.) Each with the earlier
    /// ones that decide what it would; and conditions that never hold. Tags are left out: they are there to be
    /// false at some applications.
    public mutating func unreachable(in application: Application) -> ApplicationFindings {
        var space = cases(of: application, DeviceQuery(), CaseQuery(fromSeconds: fromSeconds))
        let clauses = space.clauses(of: 0)
        let session = space.isSession(0)
        space.findGuess([clauses], [session])
        var dead: [DeadPolicy] = []
        for (index, policy) in application.policies.enumerated() {
            if let cause = space.cause(ofPolicy: index, clauses, fromSeconds: fromSeconds) {
                dead.append(DeadPolicy(policy: index, cause: cause))
            } else {
                dead += space.idle(policy).map { DeadPolicy(policy: index, cause: .idle($0)) }
            }
        }
        // A policy is named dead only where nothing was left open.
        return ApplicationFindings(
            application: application.name, dead: space.bounds.isEmpty ? dead : [], bounds: space.bounds)
    }
}

extension CaseSpace {
    /// nil: something reaches it, or nobody knows.
    fileprivate mutating func cause(
        ofPolicy index: Int, _ clauses: [Clause], fromSeconds: Int64
    ) -> DeadPolicy.Cause? {
        let own = clauses.indices.filter { clauses[$0].policy == index && clauses[$0].part != .withheld }
        let everything = formulas.everything
        guard let first = own.first else { return .neverMatches }
        let earlier = clauses[..<first].filter { $0.policy != index }
        var open = formulas.never(earlier.map(\.holds))
        for clause in own {
            let wanted = everyCase([clauses[clause].holds, clauses[clause].matches]) + open
            switch find(wanted, in: everything, [(0, clauses[clause])], fromSeconds: fromSeconds) {
            case .found, .undecided: return nil
            case .nothing: open.append(formulas.not(clauses[clause].holds))
            }
        }
        let matching = formulas.any(own.map { formulas.all([clauses[$0].holds, clauses[$0].matches]) })
        var search = Search(formulas)
        guard case .found = search.first(of: everyCase([matching]), in: everything) else {
            return .neverMatches
        }
        return .shadowed(shadows(of: matching, earlier))
    }

    /// The first earlier policy that is enough, or a set of which none can be left out.
    private mutating func shadows(of matching: Formulas.Node, _ earlier: [Clause]) -> [Int] {
        var policies: [Int] = []
        for clause in earlier {
            if let index = clause.policy, !policies.contains(index) { policies.append(index) }
        }
        var needed: [Int: Formulas.Node] = [:]
        for index in policies {
            let holds = formulas.any(earlier.filter { $0.policy == index }.map(\.holds))
            needed[index] = formulas.not(holds)
        }
        let everything = formulas.everything
        func isEnough(_ policies: [Int]) -> Bool {
            var search = Search(formulas)
            let wanted = constraints + [matching] + policies.compactMap { needed[$0] }
            if case .nothing = search.first(of: wanted, in: everything) { return true }
            return false
        }
        if let one = policies.first(where: { isEnough([$0]) }) { return [one] }
        for index in policies.reversed() where isEnough(policies.filter { $0 != index }) {
            policies.removeAll { $0 == index }
        }
        return policies
    }

    /// Conditions of a living policy that hold in no case.
    fileprivate mutating func idle(_ policy: ApplicationPolicy) -> [ConditionPlace] {
        let role: ConditionRole = policy.action == .block ? .harms : .helps
        let lists: [(String, [Condition], ConditionRole)] = [
            ("include", policy.include, role), ("exclude", policy.exclude, role.inverted),
        ]
        var idle: [ConditionPlace] = []
        let everything = formulas.everything
        for (list, conditions, role) in lists {
            for (index, condition) in conditions.enumerated() {
                if case .tag = condition { continue }
                if case .meets = condition { continue }
                let holds = holds(condition, role)
                var search = Search(formulas)
                let answer = search.first(of: everyCase([holds]), in: everything, near: guess)
                guard case .nothing = answer else { continue }
                idle.append(ConditionPlace(list: list, index: index, condition: condition.description))
            }
        }
        return idle
    }

    /// Holds for certain, of somebody whom the policy is about.
    fileprivate mutating func holds(_ condition: Condition, _ role: ConditionRole) -> Formulas.Node {
        if condition.subjects == .request {
            let meaning = meaning(of: condition)
            return role == .helps ? meaning.yes : meaning.harms
        }
        return settled(condition, role, 0, .certain)
    }
}

extension Formulas {
    /// None of them holds.
    mutating func never(_ nodes: [Node]) -> [Node] { nodes.map { not($0) } }
}
