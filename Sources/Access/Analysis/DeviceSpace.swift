/// All devices that the rules of some policies can tell apart, and what each rule says of them: read from the
/// evaluator for every pair of a gate and a part.
struct DeviceSpace {
    /// How one application judges devices.
    struct Side: Hashable {
        var devicePolicies: [DevicePolicy]
        var noMatch: DeviceClass
        var unsupported: DeviceClass
        var outage: OutageSetting
        var owner: DeviceOwner
    }

    /// What a rule says of the devices of a domain.
    struct Outcome {
        var yes: Formulas.Node
        var no: Formulas.Node
    }

    /// Of one integration: an axis of gates and one for each kind of part.
    private struct VerdictAxes {
        var gates: [VerdictGate]
        var gate: Int
        /// Each value is one record or several that do not agree.
        var parts: [(kind: VerdictPart.Kind, axis: Int, values: [[VerdictPart]])]
    }

    private struct StatementAxes {
        /// nil: the device has signed nothing.
        var gates: [(integration: String, isFresh: Bool)?]
        var gate: Int
        var parts: [(kind: StatementPart.Kind, axis: Int, values: [StatementPart])]
    }

    private struct OutcomeKey: Hashable {
        var rule: DeviceRule
        var strength: Verdict.Strength
        var extensionSeconds: Int64
    }

    var formulas = Formulas()
    private(set) var bounds: [String] = []
    let sides: [Side]
    let atSeconds: Int64
    private let rules: [DeviceRule]
    /// Seconds, rising, without zero.
    private let extensions: [Int64]
    let platforms: [Platform?] = Platform.allCases + [nil]
    private(set) var platform = 0
    /// Choice 0: the owner is signed in.
    private(set) var owner = 0
    private var verdicts: [(integration: String, axes: VerdictAxes)] = []
    private var statements: StatementAxes?
    /// What the connection's certificate says; nil where nothing asks.
    private var certificate: Int?
    private static let strengths: [Verdict.Strength?] = [nil] + Verdict.Strength.allCases
    /// Whether a provider that no rule asks calls the device bad.
    private var otherIsBad = 0
    private var outcomes: [OutcomeKey: Outcome] = [:]

    init(_ sides: [Side], atoms: [DeviceRule], atSeconds: Int64) {
        self.sides = sides
        self.atSeconds = atSeconds
        var seen: Set<DeviceRule> = []
        rules = (sides.flatMap { $0.devicePolicies.flatMap(\.rules) } + atoms).filter {
            seen.insert($0).inserted
        }
        let softened = sides.contains { $0.outage == .partial } ? [OutageSetting.secondsMax] : []
        extensions = Set(sides.map(\.outage.extensionSeconds) + softened).subtracting([0]).sorted()
        platform = formulas.axis(valueCount: platforms.count)
        owner = formulas.axis(valueCount: 2)
        otherIsBad = formulas.axis(valueCount: 2)
        addVerdicts()
        addStatement()
        if rules.contains(where: \.asksProof) {
            certificate = formulas.axis(valueCount: Self.strengths.count)
        }
    }

    // MARK: Axes

    private mutating func addVerdicts() {
        var names: [String] = []
        for rule in rules where rule.asksVerdict && !names.contains(rule.integration) {
            names.append(rule.integration)
        }
        for name in names {
            let asked = rules.filter { $0.asksVerdict && $0.integration == name }
            let gates = gates(asked)
            var axes = VerdictAxes(gates: gates, gate: formulas.axis(valueCount: gates.count), parts: [])
            var kinds: [VerdictPart.Kind] = []
            for kind in asked.compactMap(\.verdictPart) where !kinds.contains(kind) { kinds.append(kind) }
            for kind in kinds {
                let about = asked.filter { $0.verdictPart == kind }
                guard let values = values(of: kind, about, integration: name) else {
                    bounds.append("too many values of \(kind) of \(name) can be told apart")
                    continue
                }
                axes.parts.append((kind, formulas.axis(valueCount: values.count), values))
            }
            verdicts.append((name, axes))
        }
    }

    private func gates(_ asked: [DeviceRule]) -> [VerdictGate] {
        let asksStrength =
            sides.contains { $0.devicePolicies.contains { $0.matchStrengthMin != .weak } }
            || asked.contains { if case .matchStrength = $0 { true } else { false } }
        let strengths: [Verdict.Strength] = asksStrength ? [.strong, .medium, .weak] : [.strong]
        var gates = [VerdictGate()]
        // What is gone says nothing but, where expired verdicts can count, that the device was bad.
        gates.append(VerdictGate(state: .compliant, staleness: extensions.count + 1))
        if !extensions.isEmpty {
            gates.append(VerdictGate(state: .noncompliant, staleness: extensions.count + 1))
        }
        for staleness in 0...extensions.count {
            for state in Verdict.State.allCases {
                for strength in strengths {
                    gates.append(VerdictGate(state: state, staleness: staleness, strength: strength))
                }
            }
        }
        return gates
    }

    /// Single values that the rules tell apart, and sets of them: several records of one provider whose answers
    /// differ are not known.
    private func values(
        of kind: VerdictPart.Kind, _ about: [DeviceRule], integration: String
    ) -> [[VerdictPart]]? {
        guard let single = VerdictPart.values(kind, about, max: CaseSpace.choicesMax) else { return nil }
        var seen: Set<[Ternary]> = []
        var values: [(parts: [VerdictPart], signature: [Ternary])] = []
        for part in single {
            let signature = [Verdict.State.compliant, .grace].flatMap { state in
                about.map { answer($0, VerdictGate(state: state), part, integration, extensionSeconds: 0) }
            }
            if seen.insert(signature).inserted { values.append(([part], signature)) }
        }
        var index = 0
        while index < values.count {
            for other in 0..<index {
                let merged = zip(values[index].signature, values[other].signature).map {
                    $0 == $1 ? $0 : Ternary.indeterminate
                }
                guard seen.insert(merged).inserted else { continue }
                values.append((values[index].parts + values[other].parts, merged))
            }
            if values.count > CaseSpace.choicesMax { return nil }
            index += 1
        }
        return values.map(\.parts)
    }

    private mutating func addStatement() {
        let asked = rules.filter(\.asksStatement)
        guard !asked.isEmpty || rules.contains(where: \.asksProof) else { return }
        var gates: [(integration: String, isFresh: Bool)?] = []
        let names = asked.isEmpty ? ["agent"] : Set(asked.map(\.integration)).sorted()
        for name in names { gates += [(name, true), (name, false)] }
        gates.append(nil)
        var axes = StatementAxes(gates: gates, gate: formulas.axis(valueCount: gates.count), parts: [])
        var kinds: [StatementPart.Kind] = []
        for kind in asked.compactMap(\.statementPart) where !kinds.contains(kind) { kinds.append(kind) }
        for kind in kinds {
            let values = StatementPart.values(kind, asked)
            axes.parts.append((kind, formulas.axis(valueCount: values.count), values))
        }
        statements = axes
    }

    // MARK: What rules say

    private func answer(
        _ rule: DeviceRule, _ gate: VerdictGate, _ part: VerdictPart?, _ integration: String,
        strength: Verdict.Strength = .weak, extensionSeconds: Int64
    ) -> Ternary {
        let parts = part.map { [$0] } ?? []
        let verdict = gate.verdict(integration, parts, extensions: extensions, atSeconds: atSeconds)
        var use = VerdictUse(extensionSeconds: extensionSeconds, for: nil)
        use.matchStrengthMin = strength
        var trace = Trace(nowSeconds: atSeconds, isRecording: false)
        let device = DeviceFacts(id: "", platform: nil, verdicts: verdict.map { [$0] } ?? [])
        return rule.finding(about: device, use, keepsEvidence: false, &trace).outcome
    }

    /// - Parameter extensionSeconds: how long an expired verdict still counts, unless some provider calls the device
    ///   bad.
    mutating func outcome(
        _ rule: DeviceRule, strength: Verdict.Strength, extensionSeconds: Int64
    ) -> Outcome {
        let key = OutcomeKey(rule: rule, strength: strength, extensionSeconds: extensionSeconds)
        if let known = outcomes[key] { return known }
        var outcome: Outcome
        if rule.asksStatement {
            outcome = statementOutcome(rule)
        } else if rule.asksProof {
            outcome = proofOutcome(rule)
        } else {
            outcome = verdictOutcome(rule, strength, extensionSeconds: 0)
            if extensionSeconds > 0 {
                let extended = verdictOutcome(rule, strength, extensionSeconds: extensionSeconds)
                let bad = isBad()
                let good = formulas.not(bad)
                let yes = [formulas.all([bad, outcome.yes]), formulas.all([good, extended.yes])]
                let no = [formulas.all([bad, outcome.no]), formulas.all([good, extended.no])]
                outcome = Outcome(yes: formulas.any(yes), no: formulas.any(no))
            }
        }
        outcomes[key] = outcome
        return outcome
    }

    private mutating func verdictOutcome(
        _ rule: DeviceRule, _ strength: Verdict.Strength, extensionSeconds: Int64
    ) -> Outcome {
        guard let axes = verdicts.first(where: { ExactText.isEqual($0.integration, rule.integration) })?.axes
        else { return Outcome(yes: Formulas.never, no: Formulas.never) }
        let part = rule.verdictPart.flatMap { kind in axes.parts.first { $0.kind == kind } }
        let values: [[VerdictPart]?] = part.map { $0.values.map(Optional.some) } ?? [nil]
        let single = Set(values.compactMap { $0 }.joined())
        var columns: [[Ternary]: [Int]] = [:]
        for (index, gate) in axes.gates.enumerated() {
            var known: [VerdictPart: Ternary] = [:]
            for part in single {
                known[part] = answer(
                    rule, gate, part, rule.integration, strength: strength, extensionSeconds: extensionSeconds
                )
            }
            let column = values.map { parts -> Ternary in
                guard let parts else {
                    return answer(
                        rule, gate, nil, rule.integration, strength: strength,
                        extensionSeconds: extensionSeconds)
                }
                let answers = Set(parts.compactMap { known[$0] })
                return answers.count == 1 ? answers.first ?? .indeterminate : .indeterminate
            }
            columns[column, default: []].append(index)
        }
        return outcome(columns, axes.gate, part?.axis)
    }

    private mutating func statementOutcome(_ rule: DeviceRule) -> Outcome {
        guard let axes = statements, let part = axes.parts.first(where: { $0.kind == rule.statementPart })
        else {
            return Outcome(yes: Formulas.never, no: Formulas.never)
        }
        var columns: [[Ternary]: [Int]] = [:]
        for (index, gate) in axes.gates.enumerated() {
            let column = part.values.map { value -> Ternary in
                var trace = Trace(nowSeconds: atSeconds, isRecording: false)
                let statement = gate.map { gate -> AgentStatement in
                    var statement = StatementPart.plain(
                        gate.integration, isFresh: gate.isFresh, atSeconds: atSeconds)
                    value.apply(to: &statement, atSeconds: atSeconds)
                    return statement
                }
                let device = DeviceFacts(id: "", platform: nil, statement: statement)
                return rule.finding(about: device, VerdictUse(.failClosed, for: nil), &trace).outcome
            }
            columns[column, default: []].append(index)
        }
        return outcome(columns, axes.gate, part.axis)
    }

    private mutating func proofOutcome(_ rule: DeviceRule) -> Outcome {
        guard let axes = statements, let certificate else {
            return Outcome(yes: Formulas.never, no: Formulas.never)
        }
        var columns: [[Ternary]: [Int]] = [:]
        for (index, gate) in axes.gates.enumerated() {
            let column = Self.strengths.map { strength -> Ternary in
                var trace = Trace(nowSeconds: atSeconds, isRecording: false)
                var device = DeviceFacts(id: "", platform: nil)
                device.statement = gate.map {
                    StatementPart.plain($0.integration, isFresh: $0.isFresh, atSeconds: atSeconds)
                }
                device.certificate = strength.map { .some($0, atSeconds: atSeconds) }
                return rule.finding(about: device, VerdictUse(.failClosed, for: nil), &trace).outcome
            }
            columns[column, default: []].append(index)
        }
        return outcome(columns, axes.gate, certificate)
    }

    /// - Parameter columns: what the rule says for each value of the part, and the gates at which it does.
    private mutating func outcome(_ columns: [[Ternary]: [Int]], _ gate: Int, _ part: Int?) -> Outcome {
        var (yes, no): ([Formulas.Node], [Formulas.Node]) = ([], [])
        // In the order of the gates: a dictionary's own differs from run to run, and with it the examples.
        for (column, gates) in columns.sorted(by: { ($0.value.first ?? 0) < ($1.value.first ?? 0) }) {
            let isAtGate = formulas.literal(gate, where: gates.contains)
            func holds(_ wanted: Ternary) -> Formulas.Node {
                guard let part else { return column[0] == wanted ? isAtGate : Formulas.never }
                return formulas.all([isAtGate, formulas.literal(part) { column[$0] == wanted }])
            }
            yes.append(holds(.yes))
            no.append(holds(.no))
        }
        return Outcome(yes: formulas.any(yes), no: formulas.any(no))
    }

    /// Some provider calls the device bad: then nothing that has expired counts any longer.
    private mutating func isBad() -> Formulas.Node {
        let other = formulas.literal(otherIsBad) { $0 == 1 }
        let known = verdicts.map { _, axes in
            formulas.literal(axes.gate) { axes.gates[$0].state?.isExplicitlyBad ?? false }
        }
        return formulas.any(known + [other])
    }

    // MARK: Asked of the analysis

    /// At least one provider (of that name) has a current verdict of that state.
    mutating func says(_ state: Verdict.State, by integration: String?) -> Formulas.Node {
        var ways: [Formulas.Node] = []
        for (name, axes) in verdicts where integration == nil || integration == name {
            ways.append(
                formulas.literal(axes.gate) { axes.gates[$0].state == state && axes.gates[$0].staleness == 0 }
            )
        }
        if state.isExplicitlyBad, integration == nil { ways.append(formulas.literal(otherIsBad) { $0 == 1 }) }
        return formulas.any(ways)
    }

    /// The integrations whose verdicts some rule asks.
    var integrations: [String] { verdicts.map(\.integration) }

    /// One device of a domain that a search has found.
    func someDevice(of domain: Formulas.Domain) -> DeviceFacts {
        let isOwners = formulas.firstValue(of: owner, in: domain) == 0
        var device = DeviceFacts(
            id: "some-device", platform: platforms[formulas.firstValue(of: platform, in: domain)],
            ownerIssuer: isOwners ? CaseDraft.name : nil, ownerSubject: isOwners ? CaseDraft.name : nil)
        for (integration, axes) in verdicts {
            let gate = axes.gates[formulas.firstValue(of: axes.gate, in: domain)]
            let parts = axes.parts.map { $0.values[formulas.firstValue(of: $0.axis, in: domain)] }
            // Several records where one part needs several; the others repeat themselves.
            for record in 0..<(parts.map(\.count).max() ?? 1) {
                let own = parts.map { $0[record % $0.count] }
                guard
                    var verdict = gate.verdict(integration, own, extensions: extensions, atSeconds: atSeconds)
                else { continue }
                verdict.nativeID = "\(integration)-\(record)"
                device.verdicts.append(verdict)
            }
        }
        if formulas.firstValue(of: otherIsBad, in: domain) == 1 {
            let gate = VerdictGate(state: .noncompliant)
            let verdict = gate.verdict("another-provider", [], extensions: extensions, atSeconds: atSeconds)
            device.verdicts += verdict.map { [$0] } ?? []
        }
        if let axes = statements, let gate = axes.gates[formulas.firstValue(of: axes.gate, in: domain)] {
            var statement = StatementPart.plain(gate.integration, isFresh: gate.isFresh, atSeconds: atSeconds)
            for part in axes.parts {
                part.values[formulas.firstValue(of: part.axis, in: domain)].apply(
                    to: &statement, atSeconds: atSeconds)
            }
            device.statement = statement
        }
        if let certificate {
            let strength = Self.strengths[formulas.firstValue(of: certificate, in: domain)]
            device.certificate = strength.map { .some($0, atSeconds: atSeconds) }
        }
        return device
    }
}

extension CertificateProof {
    /// One of that strength.
    fileprivate static func some(_ strength: Verdict.Strength, atSeconds now: Int64) -> CertificateProof {
        CertificateProof(
            issuerDigest: "", serial: "1", notAfterSeconds: now.sum(saturating: 86_400), key: "analysis",
            strength: strength, isAlone: false)
    }
}
