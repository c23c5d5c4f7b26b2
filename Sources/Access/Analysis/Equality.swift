/// How two policies compare at one application.
public enum ApplicationComparison: Sendable, Hashable {
    /// Both let in the same cases, to the same.
    case equal
    /// Decided differently; the evaluator's own decisions.
    case different(Difference)
    /// Only one of the two has the application.
    case onlyInFirst, onlyInSecond
    /// Nobody knows.
    case undecided([String])

    /// A case that two policies decide differently.
    public struct Difference: Sendable, Hashable {
        /// The case.
        public var example: AnalyzedCase
        /// Index of the policy that decides under the first; nil: none matches.
        public var firstPolicy: Int?
        /// The same under the second.
        public var secondPolicy: Int?
    }
}

extension PolicyAnalysis {
    /// Compares who is let in, with which restriction and limits, and whether nobody is sent to sign in. Words of
    /// refusals, messages and names of policies make no difference. Limits that a policy adds to later ones where it
    /// is not known whether it matches are not compared.
    ///
    /// - Returns: for every application of either, in the order of the first and then of the second.
    public func comparison(with other: PolicySnapshot) -> [(application: String, ApplicationComparison)] {
        var rows: [(application: String, ApplicationComparison)] = []
        for application in snapshot.applications {
            guard let second = other.application(named: application.name) else {
                rows.append((application.name, .onlyInFirst))
                continue
            }
            rows.append((application.name, compare(application, second, other)))
        }
        for application in other.applications where snapshot.application(named: application.name) == nil {
            rows.append((application.name, .onlyInSecond))
        }
        return rows
    }

    private func compare(
        _ first: Application, _ second: Application, _ other: PolicySnapshot
    ) -> ApplicationComparison {
        let asked = AskedConditions([first, second])
        let judging = [DeviceSpace.Side(snapshot, first), DeviceSpace.Side(other, second)]
        let judgesAlike = !asked.asksForDevice || judging[0] == judging[1]
        if first == second && judgesAlike { return .equal }
        let sides = [
            AnalysisSide(snapshot: snapshot, application: first),
            AnalysisSide(snapshot: other, application: second),
        ]
        var axis = DeviceAxis()
        if asked.asksForDevice {
            var space = DeviceSpace(judging, atoms: asked.rules, atSeconds: fromSeconds)
            axis = space.axis(
                atoms: asked.rules, DeviceQuery(),
                moments: Self.moments([snapshot, other], from: fromSeconds))
        }
        var space = CaseSpace(sides, devices: axis, CaseQuery(fromSeconds: fromSeconds))
        let isAlike =
            judgesAlike && first.tags == second.tags && first.identityProviders == second.identityProviders
        let common = isAlike ? zip(first.policies, second.policies).prefix { $0 == $1 }.count : 0
        return space.difference(skipping: common, fromSeconds: fromSeconds)
    }
}

extension CaseSpace {
    /// - Parameter common: so many first policies are the same on both sides.
    fileprivate mutating func difference(skipping common: Int, fromSeconds: Int64) -> ApplicationComparison {
        let (left, right) = (clauses(of: 0), clauses(of: 1))
        var isUndecided = false
        let everything = formulas.everything
        var earlier: [Formulas.Node] = []
        for first in left {
            defer { earlier.append(formulas.not(first.holds)) }
            if let policy = first.policy, policy < common { continue }
            let reached = everyCase([first.holds]) + earlier
            let search = Search(formulas)
            guard let domain = search.conclusions(of: reached, in: everything) else { continue }
            var others: [Formulas.Node] = []
            for second in right {
                // Most pairs end here: what the first asks leaves the second no case.
                let holds = formulas.simplified(second.holds, in: domain)
                if holds == Formulas.never { continue }
                defer { others.append(formulas.not(holds)) }
                if let policy = second.policy, policy < common { continue }
                if first.outcome == second.outcome { continue }
                let wanted = reached + [holds] + others
                switch find(wanted, in: domain, [(0, first), (1, second)], fromSeconds: fromSeconds) {
                case .nothing: continue
                case .undecided: isUndecided = true
                case .found(let example):
                    return .different(
                        .init(example: example, firstPolicy: first.policy, secondPolicy: second.policy))
                }
            }
        }
        return isUndecided || !bounds.isEmpty ? .undecided(bounds) : .equal
    }
}
