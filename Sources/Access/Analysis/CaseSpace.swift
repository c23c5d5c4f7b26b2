/// One application under one policy; equivalence compares two of them over the same cases.
struct AnalysisSide {
    var snapshot: PolicySnapshot
    var application: Application
}

/// All cases that the policies of an application can tell apart: the axes, which of their values each condition holds
/// for, and which combinations cannot be.
struct CaseSpace {
    /// Above so many values of one axis the analysis says so instead of answering.
    static let choicesMax = 2_048

    /// Which values of its axis a condition holds for.
    struct Meaning {
        var yes: Formulas.Node
        var notNo: Formulas.Node
        /// Where it harms; for request conditions only, which are never in doubt.
        var harms: Formulas.Node
    }

    struct Axis {
        var index: Int
        var choices: [CaseChoice]
    }

    enum StandingKey: Hashable { case session(Int), service(Int), nobody(Int), hidesGroups }

    struct DeviceKey: Hashable {
        var condition: Condition
        var helps: Bool
        var side: Int
    }

    /// What the evaluator made of the device at one place of its axis. The people of all cases are one account, so
    /// nothing else about a case matters to it.
    struct JudgedKey: Hashable {
        var device: Int
        var side: Int
        var isSession: Bool
        var nowSeconds: Int64
    }

    /// When a condition that does not ask the request holds, and when it does not certainly fail.
    struct SettledNodes {
        var yes: Formulas.Node
        var notNo: Formulas.Node
    }

    let sides: [AnalysisSide]
    var formulas = Formulas()
    /// What every case keeps.
    var constraints: [Formulas.Node] = []
    /// What could not be taken into account; empty: everything that is said is exact.
    var bounds: [String] = []
    private(set) var axes: [Axis] = []
    private var places: [CaseAxis: Int] = [:]
    private var meanings: [Condition: Meaning] = [:]
    private var members: [ExactKey: Formulas.Node] = [:]
    /// Of each side who has a session there, who is a service and who is neither; made when first asked.
    var standingNodes: [StandingKey: Formulas.Node] = [:]
    /// What conditions about the device come to, for the same reason.
    var deviceNodes: [DeviceKey: SettledNodes] = [:]
    /// By the evaluator, for cases that were put to it.
    var judgedDevices: [JudgedKey: DeviceResult] = [:]
    /// A case that no policy decides, where one is known: what searches begin with.
    var guess: Formulas.Domain?
    let devices: [DeviceChoice]
    /// Of each rule that conditions ask, its place in a choice's outcomes.
    private let atoms: [DeviceRule: Int]

    /// - Parameters:
    ///   - asked: what the applications of the sides ask.
    ///   - query: whom and what the analysis is about.
    init(_ sides: [AnalysisSide], _ asked: AskedConditions, devices: DeviceAxis, _ query: CaseQuery) {
        self.sides = sides
        self.devices = devices.choices
        atoms = devices.atoms
        bounds = devices.bounds
        var asked = asked
        asked.paths += sides.flatMap {
            $0.application.policies.flatMap { $0.restriction?.pathPrefixes ?? [] }
        }
        addStanding(asked)
        addSessionAge()
        if devices.isAsked { addDevices() }
        addPerson(asked, query)
        addRequest(asked, query)
    }

    // MARK: Axes

    @discardableResult
    mutating func add(_ kind: CaseAxis, _ choices: [CaseChoice]) -> Int {
        let index = formulas.axis(valueCount: choices.count)
        places[kind] = axes.count
        axes.append(Axis(index: index, choices: choices))
        return index
    }

    /// An axis whose conditions the evaluator answers for every value.
    private mutating func addRead(_ kind: CaseAxis, _ reading: AxisReading, _ choices: [CaseChoice]?) {
        guard let choices, choices.count <= Self.choicesMax * 8 else { return refuse(kind) }
        let distinct = reading.distinct(choices)
        guard distinct.count <= Self.choicesMax else { return refuse(kind) }
        let axis = add(kind, distinct.map(\.choice))
        for (index, condition) in reading.conditions.enumerated() {
            let answers = distinct.map { $0.signature[index] }
            meanings[condition] = Meaning(
                yes: formulas.literal(axis) { answers[$0].helps == .yes },
                notNo: formulas.literal(axis) { answers[$0].helps != .no },
                harms: formulas.literal(axis) { answers[$0].harms == .yes })
        }
    }

    mutating func refuse(_ kind: CaseAxis) {
        bounds.append("more than \(Self.choicesMax) values of \(kind) can be told apart")
    }

    private mutating func addStanding(_ asked: AskedConditions) {
        var providers: [String] = []
        for side in sides {
            providers += side.application.identityProviders.filter { !ExactText.contains(providers, $0) }
        }
        let services = asked.services + [PersonChoices.fresh("another-service", unlike: asked.services)]
        add(
            .standing,
            providers.map { .standing(.session(provider: $0)) } + [.standing(.nobody)]
                + services.map { .standing(.service(name: $0)) }
                + TokenChoices.issuers(asked.tokens).map { .standing(.token(issuer: $0)) })
    }

    private mutating func addSessionAge() {
        let limits = sides.flatMap { $0.application.policies.compactMap(\.sessionSecondsMax) }
        guard !limits.isEmpty else { return }
        let ages = Set(limits.flatMap { [$0.difference(saturating: 1), $0] }).union([0]).filter { $0 >= 0 }
            .sorted()
        add(.sessionAge, ages.map { .sessionAge($0) })
    }

    private mutating func addDevices() {
        let axis = add(.device, [.device(nil)] + devices.indices.map { .device($0) })
        // Whose device it is matters to sessions only: a service client is nobody.
        let foreign = formulas.literal(axis) { $0 > 0 && !devices[$0 - 1].isOwners }
        let sessions = standing { if case .session = $0 { true } else { false } }
        constraints.append(formulas.any([formulas.not(foreign), sessions]))
    }

    private mutating func addPerson(_ asked: AskedConditions, _ query: CaseQuery) {
        if !asked.emails.isEmpty || query.email != nil {
            addRead(.email, reading(asked.emails, query), PersonChoices.emails(asked.emails, query.email))
        }
        if !asked.groups.isEmpty || !query.groups.isEmpty { addGroups(asked.groups + query.groups) }
        for names in asked.claimNames {
            let conditions = asked.conditions(about: names)
            let reading = reading(conditions, query)
            if names.contains("hasgroups") || names.contains("_claim_names") {
                bounds.append("a condition asks for the claim that says whether the list of groups is whole")
            }
            addRead(
                .claims(names), reading,
                PersonChoices.claims(names, conditions, reading, max: Self.choicesMax * 8))
        }
        addTokens(asked.tokens)
        if !asked.authenticated.isEmpty {
            addRead(
                .authenticated, reading(asked.authenticated, query),
                PersonChoices.authenticated(asked.authenticated))
        }
        if !asked.keys.isEmpty {
            addRead(.keyBound, reading(asked.keys, query), [.keyBound(false), .keyBound(true)])
        }
    }

    private mutating func addGroups(_ names: [String]) {
        let hidden = add(.hiddenGroups, [.hidesGroups(false), .hidesGroups(true)])
        var members: [Formulas.Node] = []
        var seen: Set<ExactKey> = []
        for name in names where seen.insert(ExactKey(name)).inserted {
            let axis = add(.group(ExactKey(name)), [.group(nil), .group(name)])
            let member = formulas.literal(axis) { $0 == 1 }
            self.members[ExactKey(name)] = member
            members.append(member)
        }
        let isWhole = formulas.literal(hidden) { $0 == 0 }
        let isNone = formulas.all(members.map { formulas.not($0) })
        constraints.append(formulas.any([isWhole, isNone]))
    }

    private mutating func addRequest(_ asked: AskedConditions, _ query: CaseQuery) {
        let edges = devices.map(\.fromSeconds)
        if !asked.times.isEmpty || edges.contains(where: { $0 > query.fromSeconds }) {
            let moments = TimeChoices.moments(asked.times, edges: edges, from: query.fromSeconds)
            // Moments stay apart where devices are judged differently.
            if edges.contains(where: { $0 > query.fromSeconds }) {
                addMoments(moments, reading(asked.times, query))
            } else {
                addRead(.time, reading(asked.times, query), moments)
            }
        }
        let restrictsMethods = sides.contains {
            $0.application.policies.contains { $0.restriction?.methods != nil }
        }
        if !asked.methods.isEmpty || restrictsMethods {
            addRead(.method, reading(asked.methods + restrictedMethods, query), RequestChoices.methods)
        }
        if !asked.networks.isEmpty {
            addRead(.client, reading(asked.networks, query), RequestChoices.clients(asked.networks))
        }
        if !asked.paths.isEmpty {
            let conditions = asked.pathConditions + restrictedPaths
            addRead(.path, reading(conditions, query), RequestChoices.paths(asked.paths))
        }
        if !asked.certificates.isEmpty {
            let reading = reading(asked.certificates, query)
            let choices = RequestChoices.certificates(asked.certificates, reading, max: Self.choicesMax * 8)
            addRead(.certificate, reading, choices)
        }
    }

    private mutating func addMoments(_ moments: [CaseChoice], _ reading: AxisReading) {
        guard moments.count <= Self.choicesMax else { return refuse(.time) }
        let signatures = moments.map { reading.signature(of: $0) }
        let axis = add(.time, moments)
        for (index, condition) in reading.conditions.enumerated() {
            let node = formulas.literal(axis) { signatures[$0][index].helps == .yes }
            meanings[condition] = Meaning(yes: node, notNo: node, harms: node)
        }
        guard let device = places[.device].map({ axes[$0].index }) else { return }
        for start in Set(devices.map(\.fromSeconds)).sorted() {
            let others = formulas.literal(device) { $0 == 0 || devices[$0 - 1].fromSeconds != start }
            let during = formulas.literal(axis) {
                guard case .time(let moment) = moments[$0] else { return false }
                return DeviceChoice.isWithin(moment, from: start, devices)
            }
            constraints.append(formulas.any([others, during]))
        }
    }

    private func reading(_ conditions: [Condition], _ query: CaseQuery) -> AxisReading {
        var seen: Set<Condition> = []
        let distinct = conditions.filter { seen.insert($0).inserted }
        return AxisReading(conditions: distinct, nowSeconds: query.fromSeconds)
    }

    private var restrictedMethods: [Condition] {
        sides.flatMap {
            $0.application.policies.compactMap {
                $0.restriction?.methods.map { .method(MethodCondition(methods: $0)) }
            }
        }
    }

    private var restrictedPaths: [Condition] {
        sides.flatMap {
            $0.application.policies.compactMap {
                $0.restriction?.pathPrefixes.map { .path(PathCondition(prefixes: $0, exact: [])) }
            }
        }
    }

    // MARK: What conditions mean

    /// The axis of that kind, or nil where nothing asks about it.
    func axis(_ kind: CaseAxis) -> Axis? { places[kind].map { axes[$0] } }

    /// The axis stands at one of the values that `isIn` admits; always, where nothing asks about it.
    mutating func literal(_ kind: CaseAxis, where isIn: (CaseChoice) -> Bool) -> Formulas.Node {
        guard let axis = axis(kind) else { return Formulas.always }
        return formulas.literal(axis.index) { isIn(axis.choices[$0]) }
    }

    mutating func standing(_ isIn: (CaseDraft.Standing) -> Bool) -> Formulas.Node {
        literal(.standing) { if case .standing(let standing) = $0 { isIn(standing) } else { false } }
    }

    func meaning(of condition: Condition) -> Meaning {
        // Without one its axis was too large, which `bounds` says: then nothing that is found is told.
        meanings[condition] ?? Meaning(yes: Formulas.never, notNo: Formulas.always, harms: Formulas.never)
    }

    mutating func isMember(of groups: [String]) -> Formulas.Node {
        formulas.any(groups.map { members[ExactKey($0)] ?? Formulas.always })
    }

    /// The shown device is one for which `isIn` holds; nil stands for none.
    mutating func device(_ isIn: (DeviceChoice?) -> Bool) -> Formulas.Node {
        let devices = devices
        return literal(.device) {
            if case .device(let index) = $0 { isIn(index.map { devices[$0] }) } else { false }
        }
    }

    func atom(_ rule: DeviceRule) -> Int? { atoms[rule] }
}

extension CaseSpace {
    /// One case of a domain that a search has found.
    func someCase(of domain: Formulas.Domain, fromSeconds: Int64) -> AnalyzedCase {
        var draft = CaseDraft(nowSeconds: fromSeconds)
        for axis in axes {
            let choice = axis.choices[formulas.firstValue(of: axis.index, in: domain)]
            choice.apply(to: &draft)
            if case .device(let index?) = choice {
                draft.device = devices[index].facts
                draft.deviceSeconds = devices[index].atSeconds
            }
        }
        // Without an axis of time, the moment at which the device is judged so is the one there is.
        return draft.whole
    }
}
