/// One kind of device that the policies of an application can tell apart.
struct DeviceChoice {
    /// By side.
    var classes: [DeviceClass]
    /// By side, what each rule says that conditions ask.
    var outcomes: [[Ternary]]
    /// Whether the person who is signed in enrolled it.
    var isOwners: Bool
    /// Devices are judged so from this moment on, until that of another choice.
    var fromSeconds: Int64
    /// The moment to which `facts` belong.
    var atSeconds: Int64
    /// One such device.
    var facts: DeviceFacts

    /// How much of what policies ask it meets, at least 1.
    var rank: Int {
        let met = outcomes.joined().count { $0 == .yes }
        let fulfilled = classes.map { deviceClass -> Int in
            switch deviceClass {
            case .denied: 0
            case .partial: 1
            case .compliant: 2
            }
        }
        return 1 + fulfilled.reduce(0, +) * 1_000 + met
    }

    /// Whether a moment belongs to the choices that begin at `start`.
    static func isWithin(_ moment: Int64, from start: Int64, _ choices: [DeviceChoice]) -> Bool {
        moment >= start && !choices.contains { $0.fromSeconds > start && $0.fromSeconds <= moment }
    }
}

/// All kinds of devices of an application.
struct DeviceAxis {
    /// Whether any policy of the application asks for a device.
    var isAsked = false
    /// Beside "none is shown".
    var choices: [DeviceChoice] = []
    /// Of each rule that conditions ask, its place in `outcomes`.
    var atoms: [DeviceRule: Int] = [:]
    var bounds: [String] = []

    /// Of one side, for two that judge alike.
    var onBothSides: DeviceAxis {
        var axis = self
        for index in choices.indices {
            axis.choices[index].classes += choices[index].classes
            axis.choices[index].outcomes += choices[index].outcomes
        }
        return axis
    }
}

/// Which devices an analysis is about.
public struct DeviceQuery: Sendable, Hashable {
    /// What a provider says.
    public struct Saying: Sendable, Hashable {
        /// nil: at least one provider says so.
        public var integration: String?
        /// Of a verdict that has not expired.
        public var state: Verdict.State
        /// Takes the members as they are.
        public init(integration: String?, state: Verdict.State) {
            self.integration = integration
            self.state = state
        }
    }

    /// false: only sessions that have shown no device; nil: both.
    public var isShown: Bool?
    /// nil: any.
    public var platform: Platform?
    /// What device policies make of it; nil: anything.
    public var deviceClass: DeviceClass?
    /// All of them hold.
    public var sayings: [Saying]
    /// Takes the members as they are.
    public init(
        isShown: Bool? = nil, platform: Platform? = nil, deviceClass: DeviceClass? = nil,
        sayings: [Saying] = []
    ) {
        self.isShown = isShown
        self.platform = platform
        self.deviceClass = deviceClass
        self.sayings = sayings
    }
}

extension DeviceSpace {
    /// - Parameters:
    ///   - atoms: the rules that conditions of the application ask.
    ///   - moments: the first moment of each time during which strategies stay as they are, rising.
    mutating func axis(atoms: [DeviceRule], _ query: DeviceQuery, moments: [Int64]) -> DeviceAxis {
        var axis = DeviceAxis(isAsked: true, bounds: bounds)
        for (index, rule) in atoms.enumerated() { axis.atoms[rule] = index }
        guard query.isShown != false else { return axis }
        var wanted: [Formulas.Node] = []
        if let asked = query.platform {
            let platforms = platforms
            wanted.append(formulas.literal(platform) { platforms[$0] == asked })
        }
        for saying in query.sayings { wanted.append(says(saying.state, by: saying.integration)) }
        let owners = sides.contains { $0.owner == .samePerson } ? [true, false] : [true]
        var seen: Set<[Int64]> = []
        for moment in moments {
            let questions = questions(atoms, moment)
            for isOwners in owners {
                let isAsked = formulas.literal(owner) { ($0 == 0) == isOwners }
                enumerate(questions[...], wanted + [isAsked], [], &axis) { answers, domain in
                    let key = [moment] + answers.map(Int64.init)
                    guard seen.insert(key).inserted else { return nil }
                    return self.choice(answers, atoms.count, domain, isOwners, moment)
                }
            }
        }
        if let asked = query.deviceClass { axis.choices.removeAll { $0.classes[0] != asked } }
        return axis
    }

    /// Each question with the statements of its three answers: the class of each side, then each rule of each side.
    private mutating func questions(_ atoms: [DeviceRule], _ moment: Int64) -> [[Formulas.Node]] {
        var questions: [[Formulas.Node]] = []
        for side in sides {
            let classes = classes(side, atSeconds: moment)
            questions.append([classes.denied, classes.partial, classes.compliant])
        }
        for side in sides {
            for rule in atoms {
                let said = outcome(rule, strength: .weak, extensionSeconds: side.outage.extensionSeconds)
                let unknown = formulas.all([formulas.not(said.yes), formulas.not(said.no)])
                questions.append([said.no, unknown, said.yes])
            }
        }
        return questions
    }

    /// Walks all combinations of answers that some device gives.
    private func enumerate(
        _ questions: ArraySlice<[Formulas.Node]>, _ wanted: [Formulas.Node], _ answers: [Int],
        _ axis: inout DeviceAxis, _ choice: ([Int], Formulas.Domain) -> DeviceChoice?
    ) {
        guard axis.choices.count < CaseSpace.choicesMax else {
            let bound = "more than \(CaseSpace.choicesMax) kinds of devices can be told apart"
            if !axis.bounds.contains(bound) { axis.bounds.append(bound) }
            return
        }
        var search = Search(formulas)
        switch search.first(of: wanted, in: formulas.everything) {
        case .nothing: return
        case .undecided: axis.bounds.append("the devices of one kind could not be told apart in time")
        case .found(let domain):
            guard let question = questions.first else {
                if let next = choice(answers, domain) { axis.choices.append(next) }
                return
            }
            for (index, node) in question.enumerated() where node != Formulas.never {
                enumerate(questions.dropFirst(), wanted + [node], answers + [index], &axis, choice)
            }
        }
    }

    private func choice(
        _ answers: [Int], _ atomCount: Int, _ domain: Formulas.Domain, _ isOwners: Bool, _ moment: Int64
    ) -> DeviceChoice {
        let ternaries: [Ternary] = [.no, .indeterminate, .yes]
        let classes: [DeviceClass] = [.denied, .partial, .compliant]
        return DeviceChoice(
            classes: sides.indices.map { classes[answers[$0]] },
            outcomes: sides.indices.map { side in
                (0..<atomCount).map { ternaries[answers[sides.count + side * atomCount + $0]] }
            },
            isOwners: isOwners, fromSeconds: moment, atSeconds: atSeconds, facts: someDevice(of: domain))
    }
}
