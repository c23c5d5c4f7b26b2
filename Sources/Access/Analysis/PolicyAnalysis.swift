/// Answers questions about all cases at once: whom an application lets in, which policies nobody reaches, whether two
/// policies decide alike. Exact, because policies compare with listed values only: cases are told apart by the values
/// that the policies name, each question is searched for a case, and every case that is found is put to the
/// evaluator itself before it is told. What could not be settled stands in `bounds`, never as an answer.
///
/// Time begins at a given moment: what only held before it is never reached.
public struct PolicyAnalysis: Sendable {
    /// Nothing before this moment counts.
    public let fromSeconds: Int64
    let snapshot: PolicySnapshot
    private var spaces: [SpaceKey: DeviceSpace] = [:]
    private var axes: [AxisKey: DeviceAxis] = [:]
    /// Every rule that some application's conditions ask, so that one space of devices serves them all.
    private let rules: [DeviceRule]
    /// Those of this policy alone.
    private let moments: [Int64]

    private struct SpaceKey: Hashable {
        /// One, or two that are compared.
        var sides: [DeviceSpace.Side]
        /// Asked beside those of `rules`: by applications of another policy.
        var others: [DeviceRule]
    }

    private struct AxisKey: Hashable {
        var space: SpaceKey
        var rules: [DeviceRule]
        var query: DeviceQuery
        var moments: [Int64]
    }

    /// - Parameter fromSeconds: usually now, seconds since 1970-01-01T00:00:00Z.
    public init(_ snapshot: PolicySnapshot, fromSeconds: Int64) {
        self.snapshot = snapshot
        self.fromSeconds = fromSeconds
        var seen: Set<DeviceRule> = []
        rules = snapshot.applications.flatMap { AskedConditions([$0]).rules }.filter {
            seen.insert($0).inserted
        }
        moments = Self.moments([snapshot], from: fromSeconds)
    }

    /// The integrations whose verdicts some rule asks, sorted.
    public var integrations: [String] {
        let asked = snapshot.devicePolicies.flatMap(\.rules) + rules
        return Set(asked.filter { !$0.asksStatement }.map(\.integration)).sorted()
    }

    mutating func cases(of application: Application, _ device: DeviceQuery, _ query: CaseQuery) -> CaseSpace {
        let asked = AskedConditions([application])
        let side = AnalysisSide(snapshot: snapshot, application: application)
        var axis = DeviceAxis()
        if asked.asksForDevice {
            let judging = DeviceSpace.Side(snapshot, application)
            axis = devices([judging], asked.rules, device, moments: moments)
        }
        return CaseSpace([side], asked, devices: axis, query)
    }

    /// The kinds of devices that applications who judge so can tell apart, listed once for all of them.
    ///
    /// - Parameter asked: the rules that their conditions ask, in any order.
    mutating func devices(
        _ sides: [DeviceSpace.Side], _ asked: [DeviceRule], _ query: DeviceQuery, moments: [Int64]
    ) -> DeviceAxis {
        // In one order for all: applications ask the same rules in any.
        let own = rules.filter(asked.contains)
        let others = asked.filter { !own.contains($0) }
        let key = SpaceKey(sides: sides, others: others)
        let axisKey = AxisKey(space: key, rules: own, query: query, moments: moments)
        if let known = axes[axisKey] { return known }
        var space =
            spaces.removeValue(forKey: key)
            ?? DeviceSpace(sides, atoms: rules + others, atSeconds: fromSeconds)
        let axis = space.axis(atoms: own + others, query, moments: moments)
        spaces[key] = space
        axes[axisKey] = axis
        return axis
    }

    /// When strategies that only warn come into force.
    static func moments(_ snapshots: [PolicySnapshot], from fromSeconds: Int64) -> [Int64] {
        let ends = snapshots.flatMap {
            $0.devicePolicies.flatMap { $0.strategies.compactMap(\.warnsUntilSeconds) }
        }
        return [fromSeconds] + Set(ends.filter { $0 > fromSeconds }).sorted()
    }
}

extension DeviceSpace.Side {
    init(_ snapshot: PolicySnapshot, _ application: Application) {
        self.init(
            devicePolicies: snapshot.devicePolicies, noMatch: snapshot.deviceDefaultNoMatch,
            unsupported: snapshot.deviceDefaultUnsupported, outage: application.outage,
            owner: application.deviceOwner)
    }
}

/// A condition of a policy by its place: `include`, `require` or `exclude`, and which of them.
public struct ConditionPlace: Sendable, Hashable {
    /// `include`, `require` or `exclude`.
    public var list: String
    /// From 0.
    public var index: Int
    /// In words.
    public var condition: String
}

extension CaseSpace {
    /// What was found of one question.
    enum Finding {
        case found(AnalyzedCase)
        case nothing
        /// The search was cut, or what it found is not what the evaluator says.
        case undecided
    }

    /// A case of which all statements hold; put to the evaluator, which must decide it as `clause` says.
    mutating func find(
        _ wanted: [Formulas.Node], in domain: Formulas.Domain, _ expected: [(side: Int, clause: Clause)],
        fromSeconds: Int64
    ) -> Finding {
        var search = Search(formulas)
        switch search.first(of: wanted, in: domain, near: guess) {
        case .nothing: return .nothing
        case .undecided:
            note("a question took more than \(Search.stepsMax) steps")
            return .undecided
        case .found(let domain):
            let found = someCase(of: domain, fromSeconds: fromSeconds)
            let device = axis(.device).map { formulas.firstValue(of: $0.index, in: domain) }
            for (side, clause) in expected where !agrees(found, device ?? 0, side, clause) {
                note("a case that was found is decided otherwise by the evaluator; report this policy")
                return .undecided
            }
            return .found(found)
        }
    }

    private mutating func note(_ bound: String) {
        if !bounds.contains(bound) { bounds.append(bound) }
    }

    /// Whether the evaluator decides the case by that clause.
    private mutating func agrees(_ found: AnalyzedCase, _ device: Int, _ side: Int, _ clause: Clause) -> Bool
    {
        let key = JudgedKey(
            device: device, side: side, isSession: found.session != nil, nowSeconds: found.nowSeconds)
        var judged = judgedDevices[key]
        let (residual, decision) = found.decision(
            by: sides[side].snapshot, for: sides[side].application, judged: &judged)
        if let judged { judgedDevices[key] = judged }
        switch (decision, clause.outcome) {
        case (.forward(let index), .forward):
            guard let policy = clause.policy else { return false }
            return ExactText.isEqual(
                residual.policies[index].name, sides[side].application.policies[policy].name)
        case (.refuse, .refuse): return true
        // Somebody who signed in too long ago for a policy is asked again: not let in.
        case (.signIn, .refuse): return residual.isSignedIn
        case (.signIn, .signIn): return !residual.isSignedIn
        case (.forward, _), (.refuse, _), (.signIn, _), (.recompute, _): return false
        }
    }

    /// Looks for somebody with a session whom no policy decides: questions about policies begin with that case.
    mutating func findGuess(_ clauses: [[Clause]], _ wanted: [Formulas.Node]) {
        let open = formulas.never(clauses.flatMap { $0.dropLast() }.map(\.holds))
        let everything = formulas.everything
        let near = plainest
        var search = Search(formulas)
        if case .found(let domain) = search.first(of: everyCase(wanted + open), in: everything, near: near) {
            guess = formulas.first(of: domain)
        }
    }

    /// Somebody whom no policy names, on the best device that there is: what policies ask of devices is then met
    /// already, and each of them is one change of the person away.
    private var plainest: Formulas.Domain {
        var plainest = formulas.first(of: formulas.everything)
        guard let axis = axis(.device) else { return plainest }
        var best: (place: Int, rank: Int)?
        for (place, choice) in axis.choices.enumerated() {
            guard case .device(let index?) = choice else { continue }
            let rank = devices[index].rank
            if rank > (best?.rank ?? 0) { best = (place, rank) }
        }
        if let best { formulas.put(axis.index, at: best.place, in: &plainest) }
        return plainest
    }

    /// The statements together with what every case keeps.
    func everyCase(_ wanted: [Formulas.Node]) -> [Formulas.Node] { constraints + wanted }
}
