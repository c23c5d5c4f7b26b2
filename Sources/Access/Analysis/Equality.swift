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
        var analysis = self
        return snapshot.applications.map { ($0.name, analysis.comparison(of: $0, with: other)) }
            + onlyIn(other)
    }

    /// The same for one application of the first.
    public mutating func comparison(
        of application: Application, with other: PolicySnapshot
    ) -> ApplicationComparison {
        guard let second = other.application(named: application.name) else { return .onlyInFirst }
        let asked = AskedConditions([application, second])
        let found = compare(application, second, other, asked)
        guard found == .equal, asked.asksForDevice,
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

    private mutating func compare(
        _ first: Application, _ second: Application, _ other: PolicySnapshot, _ asked: AskedConditions
    ) -> ApplicationComparison {
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
            let moments = Self.moments([snapshot, other], from: fromSeconds)
            axis =
                judgesAlike
                ? devices([judging[0]], asked.rules, DeviceQuery(), moments: moments).onBothSides
                : devices(judging, asked.rules, DeviceQuery(), moments: moments)
        }
        var space = CaseSpace(sides, asked, devices: axis, CaseQuery(fromSeconds: fromSeconds))
        return space.difference(besides: common, fromSeconds: fromSeconds)
    }
}

/// Policies that are the same on both sides and mean the same there. Those before the first difference decide alike by
/// themselves. Of those after the last none decides on one side what another of them decides on the other: the earlier
/// of the two would hold there as well. One between the two that stands elsewhere on the other side holds for the same
/// cases there.
private struct CommonPolicies {
    private var firstCount = 0
    /// Where the last common ones begin, on each side; the end of everything, that no policy matches, is one of them.
    private var lastStarts: (Int, Int) = (.max, .max)
    /// Of each policy of the right its like on the left; nil: it has none.
    private var likes: [Int?] = []

    init() {}

    init(_ left: [ApplicationPolicy], _ right: [ApplicationPolicy]) {
        firstCount = zip(left, right).prefix { Self.isSame($0, $1) }.count
        let open = min(left.count, right.count) - firstCount
        let last = zip(left.reversed(), right.reversed()).prefix(open).prefix { Self.isSame($0, $1) }.count
        lastStarts = (left.count - last, right.count - last)
        likes = right.indices.map { index in
            if index < firstCount { return index }
            if index >= lastStarts.1 { return index - lastStarts.1 + lastStarts.0 }
            return (firstCount..<lastStarts.0).first { Self.isSame(left[$0], right[index]) }
        }
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

    /// The index on the left of a policy that means the same as that one of the right.
    func like(_ index: Int) -> Int? { likes.indices.contains(index) ? likes[index] : nil }
}

extension CaseSpace {
    /// - Parameter common: policies that need not be compared with each other.
    fileprivate mutating func difference(
        besides common: CommonPolicies, fromSeconds: Int64
    ) -> ApplicationComparison {
        let left = clauses(of: 0)
        let right = clauses(of: 1) { index in
            guard let like = common.like(index) else { return nil }
            return left.filter { $0.policy == like }
        }
        var isUndecided = false
        let everything = formulas.everything
        var earlier: [Formulas.Node] = []
        var decided: Set<Formulas.Node> = []
        for first in left {
            defer {
                earlier.append(formulas.not(first.holds))
                decided.insert(first.holds)
            }
            if common.isFirst(first) { continue }
            let rivals = rivals(of: first, among: right, common, besides: decided)
            guard !rivals.isEmpty else { continue }
            if guess == nil {
                let session = isSession(0)
                findGuess([left, right], [session])
            }
            let reached = everyCase([first.holds]) + earlier
            guard let domain = Search(formulas).conclusions(of: reached, in: everything) else { continue }
            var others: [Formulas.Node] = []
            for second in rivals {
                // Most pairs end here: what the first asks leaves the second no case.
                let holds = formulas.simplified(second.holds, in: domain)
                if holds == Formulas.never { continue }
                defer { others.append(formulas.not(holds)) }
                if first.outcome != second.outcome {
                    switch find(
                        reached + [holds] + others, in: domain, [(0, first), (1, second)],
                        fromSeconds: fromSeconds)
                    {
                    case .nothing: break
                    case .undecided: isUndecided = true
                    case .found(let example):
                        return .different(
                            .init(example: example, firstPolicy: first.policy, secondPolicy: second.policy))
                    }
                }
                // It takes all cases of the first: nothing is left to those behind it.
                if holds == Formulas.always { break }
            }
        }
        return isUndecided || !bounds.isEmpty ? .undecided(bounds) : .equal
    }

    /// The statements of the other side that may decide a case of the first, up to the last one that does so in another
    /// way.
    ///
    /// - Parameter decided: what stands before the first on its own side.
    private func rivals(
        of first: Clause, among right: [Clause], _ common: CommonPolicies, besides decided: Set<Formulas.Node>
    ) -> ArraySlice<Clause> {
        var rivals: [Clause] = []
        for second in right {
            // The first of the last ones leaves nothing to those behind it: their likes stand before the first.
            if common.areLast(first, second) { break }
            // What holds where an earlier one of the first's own side does is none of its cases.
            if common.isFirst(second) || decided.contains(second.holds) { continue }
            rivals.append(second)
            // The first itself: whatever is left of its cases ends there.
            if second.holds == first.holds { break }
        }
        let last = rivals.lastIndex { $0.outcome != first.outcome }
        return rivals[..<(last.map { $0 + 1 } ?? 0)]
    }
}
