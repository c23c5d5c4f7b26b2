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
        snapshot.applications.map { ($0.name, comparison(of: $0, with: other)) } + onlyIn(other)
    }

    /// The same for one application of the first.
    public func comparison(of application: Application, with other: PolicySnapshot) -> ApplicationComparison {
        guard let second = other.application(named: application.name) else { return .onlyInFirst }
        let found = compare(application, second, other)
        guard found == .equal, AskedConditions([application, second]).asksForDevice,
            application.posture?.contentTexts != second.posture?.contentTexts
                || application.agent != second.agent
        else { return found }
        return .undecided([
            "what is asked of the device's proof (posture) differs, and proofs are not compared"
        ])
    }

    /// The applications that only the other has, in its order.
    public func onlyIn(_ other: PolicySnapshot) -> [(application: String, ApplicationComparison)] {
        let known = Set(snapshot.applications.map { ExactKey($0.name) })
        return other.applications.filter { !known.contains(ExactKey($0.name)) }
            .map { ($0.name, .onlyInSecond) }
    }

    private func compare(
        _ first: Application, _ second: Application, _ other: PolicySnapshot
    ) -> ApplicationComparison {
        let asked = AskedConditions([first, second])
        let judging = [DeviceSpace.Side(snapshot, first), DeviceSpace.Side(other, second)]
        let judgesAlike = !asked.asksForDevice || judging[0] == judging[1]
        let isAlike =
            judgesAlike && (!asked.asksForTags || ExactText.isEqual(first.tags, second.tags))
            && ExactText.isEqual(first.identityProviders, second.identityProviders)
        let common = isAlike ? CommonPolicies(first.policies, second.policies) : CommonPolicies()
        if common.isEverything(first.policies, second.policies) { return .equal }
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
        return space.difference(besides: common, fromSeconds: fromSeconds)
    }
}

/// Policies that are the same on both sides and mean the same there: what comes before the first difference, and what
/// comes after the last. The first decides alike by itself. Of the others none decides on one side what another of
/// them decides on the other: the earlier of the two would hold there as well.
private struct CommonPolicies {
    private var firstCount = 0
    /// Where the last common ones begin, on each side; the end of everything, that no policy matches, is one of them.
    private var lastStarts: (Int, Int) = (.max, .max)

    init() {}

    init(_ left: [ApplicationPolicy], _ right: [ApplicationPolicy]) {
        firstCount = zip(left, right).prefix { Self.isSame($0, $1) }.count
        let open = min(left.count, right.count) - firstCount
        let last = zip(left.reversed(), right.reversed()).prefix(open).prefix { Self.isSame($0, $1) }.count
        lastStarts = (left.count - last, right.count - last)
    }

    /// Equal as `String` has it is not enough: other bytes are another name.
    private static func isSame(_ left: ApplicationPolicy, _ right: ApplicationPolicy) -> Bool {
        left == right && exactTexts(left).elementsEqual(exactTexts(right)) { ExactText.isEqual($0, $1) }
    }

    private static func exactTexts(_ policy: ApplicationPolicy) -> [[String]] {
        let conditions = policy.include + policy.require + policy.exclude
        let limits = policy.restriction?.limits?.map(\.contentTexts) ?? []
        return conditions.map(\.contentTexts) + limits + [policy.restriction?.pathPrefixes ?? []]
    }

    /// Whether nothing else is left on either side.
    func isEverything(_ left: [ApplicationPolicy], _ right: [ApplicationPolicy]) -> Bool {
        firstCount == left.count && firstCount == right.count && lastStarts.0 != .max
    }

    func isFirst(_ clause: Clause) -> Bool { clause.policy.map { $0 < firstCount } ?? false }

    func areLast(_ left: Clause, _ right: Clause) -> Bool {
        guard lastStarts.0 != .max else { return false }
        return left.policy.map { $0 >= lastStarts.0 } ?? true
            && right.policy.map { $0 >= lastStarts.1 } ?? true
    }
}

extension CaseSpace {
    /// - Parameter common: policies that need not be compared with each other.
    fileprivate mutating func difference(
        besides common: CommonPolicies, fromSeconds: Int64
    ) -> ApplicationComparison {
        let (left, right) = (clauses(of: 0), clauses(of: 1))
        let session = isSession(0)
        findGuess([left, right], [session])
        var isUndecided = false
        let everything = formulas.everything
        var earlier: [Formulas.Node] = []
        for first in left {
            defer { earlier.append(formulas.not(first.holds)) }
            if common.isFirst(first) { continue }
            let reached = everyCase([first.holds]) + earlier
            guard let domain = Search(formulas).conclusions(of: reached, in: everything) else { continue }
            var others: [Formulas.Node] = []
            for second in right {
                // Its like on the other side stands among `earlier`; and after the first of the last there are only
                // more of them.
                if common.isFirst(second) { continue }
                if common.areLast(first, second) { break }
                // Most pairs end here: what the first asks leaves the second no case.
                let holds = formulas.simplified(second.holds, in: domain)
                if holds == Formulas.never { continue }
                defer { others.append(formulas.not(holds)) }
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
