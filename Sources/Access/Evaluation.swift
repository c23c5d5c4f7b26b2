/// From facts and policy to a residual: the one evaluation that both residuals and explain records come from.
extension PolicySnapshot {
    /// The application of that name, or nil.
    public func application(named name: String) -> Application? {
        // By its place: whoever is handed one application after the other copies each, with all that it holds.
        applications.indices.first { ExactText.isEqual(applications[$0].name, name) }.map { applications[$0] }
    }

    /// Once per session, device and snapshot: everything that does not depend on the request itself.
    ///
    /// - Parameters:
    ///   - session: nil for nobody. An expired session, and one made by a provider that the application
    /// does not
    ///     accept, count as nobody; `refusal` then says which.
    ///   - device: the device proven in this session; nil when none was. Without a session it says nothing:
    /// who
    ///     somebody is comes before what they use.
    ///   - service: a client without a person. It counts only without a session: one request has one client.
    ///     Its device needs no owner, because there is nobody who could be one.
    ///   - nowSeconds: seconds since 1970-01-01T00:00:00Z.
    public func residual(
        of session: SessionFacts?, _ device: DeviceFacts?, service: ServiceFacts? = nil,
        for application: Application, atSeconds nowSeconds: Int64
    ) -> Residual {
        assess(session, device, service: service, for: application, atSeconds: nowSeconds).residual
    }

    /// The same, with what the device came to: its class, and the warnings of rules that only report.
    public func assess(
        _ session: SessionFacts?, _ device: DeviceFacts?, service: ServiceFacts? = nil,
        for application: Application, atSeconds nowSeconds: Int64
    ) -> Assessment {
        assess(session, device, judged: nil, service: service, for: application, atSeconds: nowSeconds)
    }

    /// The same for callers that ask about one device many times over.
    ///
    /// - Parameter judged: what the device came to in an assessment of the same facts and moment, by the same policies
    ///   and for the same application and person; nil: it is judged.
    func assess(
        _ session: SessionFacts?, _ device: DeviceFacts?, judged: DeviceResult?, service: ServiceFacts?,
        for application: Application, atSeconds nowSeconds: Int64
    ) -> Assessment {
        var evaluation = Evaluation(self, application, atSeconds: nowSeconds, isRecording: false)
        evaluation.known = judged
        let residual = evaluation.residual(of: session, device, service)
        return Assessment(
            residual: residual, device: evaluation.facts?.device,
            openUntilSeconds: evaluation.isProofRunning ? evaluation.openUntilSeconds : nil)
    }

    /// The same evaluation with every step told: rule → condition → observed value → source → age.
    public func explain(
        _ session: SessionFacts?, _ device: DeviceFacts?, service: ServiceFacts? = nil,
        for application: Application, atSeconds nowSeconds: Int64
    ) -> ExplainRecord {
        var evaluation = Evaluation(self, application, atSeconds: nowSeconds, isRecording: true)
        let residual = evaluation.residual(of: session, device, service)
        return ExplainRecord(
            application: application.name, policyIdentity: identity,
            deviceClass: evaluation.facts?.device?.deviceClass,
            devicePolicy: evaluation.facts?.device?.policyName, lines: evaluation.trace.lines,
            residual: residual)
    }
}

/// A residual and the device result that it rests on.
public struct Assessment: Sendable, Hashable {
    /// What the gateway applies to requests.
    public var residual: Residual
    /// nil: no policy of the application asks for a device, or none has been shown.
    public var device: DeviceResult?
    /// For what is already open the same residual holds until this second, because the device's proof counts for new
    /// requests as well. nil: that has run out or falls short, so what is open has to be assessed by itself
    /// (`DeviceFacts.forWhatIsOpen`).
    public var openUntilSeconds: Int64?
}

private struct Evaluation {
    let snapshot: PolicySnapshot
    let application: Application
    var trace: Trace
    /// What was decided of; nil before.
    private(set) var facts: DecidedFacts?
    /// What the device came to before.
    var known: DeviceResult?
    /// Whether the device's proof counts now, or nothing asked for one: its grace then moves the end and nothing else.
    private(set) var isProofRunning = true

    /// Until when the residual holds for what is open, while `isProofRunning`.
    var openUntilSeconds: Int64 { trace.openUntilSeconds }

    init(_ snapshot: PolicySnapshot, _ application: Application, atSeconds: Int64, isRecording: Bool) {
        self.snapshot = snapshot
        self.application = application
        trace = Trace(nowSeconds: atSeconds, isRecording: isRecording)
    }

    mutating func residual(
        of session: SessionFacts?, _ device: DeviceFacts?, _ service: ServiceFacts?
    ) -> Residual {
        let absence = absence(of: session, service)
        let isPerson = absence == nil
        let client = session == nil ? standing(of: service) : nil
        let isKnown = isPerson || client != nil
        let facts =
            isKnown && application.sieve.table.asksForDevice
            ? self.facts(of: isPerson ? session : nil, device, client)
            : DecidedFacts(
                session: isPerson ? session : nil, service: client, tags: application.tags,
                nowSeconds: trace.nowSeconds)
        self.facts = facts
        var (policies, refusal) = readings(facts)
        if refusal == nil,
            snapshot.onlyKeyLacks(
                facts.session, device, for: application, atSeconds: trace.nowSeconds, beside: policies)
        {
            refusal = .keyRequired
        }
        return Residual(
            policyIdentity: snapshot.identity, isSignedIn: isKnown,
            // Nobody's residual reads nothing that passes: it lives as long as the policy, and is replaced
            // with it.
            validUntilSeconds: session == nil && client == nil ? .max : trace.validUntilSeconds,
            policies: policies, refusal: (isKnown ? nil : absence) ?? refusal ?? .noPolicyMatches,
            dependsOn: trace.dependsOn)
    }

    /// What policies that ask for a device are decided of.
    private mutating func facts(
        of session: SessionFacts?, _ device: DeviceFacts?, _ client: ServiceFacts?
    ) -> DecidedFacts {
        var counted: DeviceFacts?
        var shortfall: Reason?
        // A machine's device is proven by each of its connections; only people's browsers do handshakes.
        switch session == nil ? .asShown : trace.counted(device, for: application) {
        case .none(let reason): shortfall = reason
        case .asShown: counted = device
        case .with(let facts): counted = facts
        }
        let result = counted.map { judge($0, of: session) }
        if let device {
            // Beside a certificate more may change than the end: what is open is then assessed by itself.
            let isByAgent = device.certificate == nil && application.accepts(.agent)
            let proofEnd = device.statement?.expiresAtSeconds ?? .max
            isProofRunning = isByAgent && shortfall == nil && trace.nowSeconds < proofEnd
        }
        return DecidedFacts(
            session: session, service: client, device: result, of: counted,
            verdictUse: VerdictUse(counted == nil ? .failClosed : application.outage, for: counted),
            proofShortfall: shortfall, tags: application.tags, nowSeconds: trace.nowSeconds)
    }

    private mutating func readings(_ facts: DecidedFacts) -> ([ResidualPolicy], Reason?) {
        var policies: [ResidualPolicy] = []
        var refusal: Reason?
        var carried: [AccessLimit] = []
        // A record tells of every policy, so that it also shows what the sieve passes over.
        var sieving = trace.isRecording ? nil : PolicySieving(application.sieve, facts)
        for index in application.policies.indices {
            if sieving?.passes(index, asksWhy: refusal == nil, &trace) == false { continue }
            let reading = PolicyReading(application.policies[index], facts, &trace)
            let first = policies.count
            let obstacle = leave(reading, facts, asksWhy: refusal == nil, in: &policies)
            if !carried.isEmpty {
                for index in first..<policies.count where policies[index].action != .block {
                    policies[index].restriction = (policies[index].restriction ?? Restriction()).adding(
                        carried)
                }
            }
            if trace.isRecording { notePolicy(reading.policy, policies[first...]) }
            refusal = refusal ?? obstacle
            // Nothing after a policy that matches whatever the request is can be reached, so nothing of it
            // is read.
            let left = first..<policies.count
            if left.contains(where: { policies[$0].matchesEveryRequest }) { break }
            let isSettled =
                reading.isCertain && left.contains { policies[$0].action == reading.policy.action }
            if !isSettled, counts(reading.policy.action, facts) {
                for limit in reading.withheldLimits where !carried.contains(limit) { carried.append(limit) }
            }
        }
        return (policies, refusal)
    }

    /// Whether a policy of this action is for clients of this kind at all.
    private func counts(_ action: PolicyAction, _ facts: DecidedFacts) -> Bool {
        switch action {
        case .allow: facts.service == nil
        case .service: facts.service != nil
        case .block, .bypass: true
        }
    }

    /// Why nobody is signed in here; nil: the session counts.
    private mutating func absence(of session: SessionFacts?, _ service: ServiceFacts?) -> Reason? {
        guard let session else {
            noteSession(service == nil ? "nobody" : "a service client", .no, nil, "Sign in.")
            return .signInRequired
        }
        trace.read(.session(id: session.id))
        trace.changes(atSeconds: session.expiresAtSeconds)
        guard trace.nowSeconds < session.expiresAtSeconds else {
            noteSession("ended at \(session.expiresAtSeconds)", .no, session, "Sign in again.")
            return .sessionEnded
        }
        // By the configured name, never by issuer or tenant: a session of a registration without
        // conditional access must not pass for one of the registration that has it.
        guard ExactText.contains(application.identityProviders, session.identityProvider) else {
            let names = application.identityProviders.joined(separator: " or ")
            noteSession(session.identityProvider, .no, session, "Sign in with \(names).")
            return .identityProviderNotAccepted
        }
        noteSession(session.identityProvider, .yes, session, nil)
        return nil
    }

    private mutating func noteSession(
        _ observed: String, _ outcome: Ternary, _ session: SessionFacts?, _ remedy: String?
    ) {
        let now = trace.nowSeconds
        let accepted = application.identityProviders
        trace.note(
            ExplainLine(
                rule: "session", condition: "signed in with one of: \(ExactText.list(accepted))",
                outcome: outcome,
                observed: observed, source: session.map { "session \($0.id)" } ?? "no session",
                ageSeconds: session.map { max(0, now.difference(saturating: $0.createdAtSeconds)) },
                remedy: remedy))
    }

    private mutating func standing(of service: ServiceFacts?) -> ServiceFacts? {
        guard let service else { return nil }
        trace.read(.service(id: service.id))
        trace.changes(atSeconds: service.expiresAtSeconds)
        let counts = trace.nowSeconds < service.expiresAtSeconds
        trace.note(
            ExplainLine(
                rule: "service",
                condition: service.token == nil
                    ? "a service token that counts" : "a bearer token that counts",
                outcome: Ternary(counts),
                observed: "\(service.name) until \(service.expiresAtSeconds)",
                source: "service \(service.id)",
                remedy: counts ? nil : service.token == nil ? "Get a new service token." : "Get a new token.")
        )
        return counts ? service : nil
    }

    private mutating func judge(_ device: DeviceFacts, of session: SessionFacts?) -> DeviceResult {
        let result =
            known
            ?? snapshot.deviceResult(
                of: device, for: session?.person, owner: session == nil ? .any : application.deviceOwner,
                outage: application.outage, atSeconds: trace.nowSeconds, recordingLines: trace.isRecording)
        trace.include(result)
        return result
    }

    /// Adds what is left of one policy.
    ///
    /// - Returns: what kept it from matching, where the person can do something about it.
    private mutating func leave(
        _ reading: PolicyReading, _ facts: DecidedFacts, asksWhy: Bool, in policies: inout [ResidualPolicy]
    ) -> Reason? {
        switch reading.policy.action {
        case .block:
            if let left = reading.blocking(unless: doubt(about: reading, facts)) { policies.append(left) }
            return nil
        case .bypass:
            if let left = reading.granting(reason: .policyBypasses) { policies.append(left) }
            if !reading.isCertain { policies += reading.withholding(isSignedIn: facts.isKnown) }
            return nil
        case .allow: return facts.service == nil ? allow(reading, facts, asksWhy, in: &policies) : nil
        case .service: return facts.service == nil ? nil : serve(reading, facts, asksWhy, in: &policies)
        }
    }

    private func serve(
        _ reading: PolicyReading, _ facts: DecidedFacts, _ asksWhy: Bool, in policies: inout [ResidualPolicy]
    ) -> Reason? {
        let left = reading.granting(reason: .policyAllows)
        if let left { policies.append(left) }
        if !reading.isCertain { policies += reading.withholding(isSignedIn: true) }
        let isDevice = left == nil && asksWhy && reading.isHopeful
        return isDevice ? Self.obstacle(facts, reading) : nil
    }

    private mutating func allow(
        _ reading: PolicyReading, _ facts: DecidedFacts, _ asksWhy: Bool, in policies: inout [ResidualPolicy]
    ) -> Reason? {
        guard let session = facts.session else {
            policies += reading.withholding(isSignedIn: false)
            return nil
        }
        let left = reading.granting(reason: .policyAllows)
        guard left != nil || reading.isHopeful else {
            policies += reading.withholding(isSignedIn: true)
            return nil
        }
        if let seconds = reading.policy.sessionSecondsMax,
            isOver(session, after: seconds, reading.policy.name)
        {
            policies += reading.withholding(isSignedIn: true)
            return .sessionEnded
        }
        if let left { policies.append(left) }
        if left == nil || !reading.isCertain { policies += reading.withholding(isSignedIn: true) }
        return left == nil && asksWhy ? Self.obstacle(facts, reading) : nil
    }

    private mutating func notePolicy(_ policy: ApplicationPolicy, _ left: ArraySlice<ResidualPolicy>) {
        let counted = left.filter { $0.action == policy.action }
        let outcome: Ternary =
            counted.contains(where: \.matchesEveryRequest) ? .yes : left.isEmpty ? .no : .indeterminate
        let observed =
            switch outcome {
            case .yes: "matches"
            case .indeterminate where counted.isEmpty: "cannot be known: refuses what it would not grant"
            case .indeterminate: "matches the requests that meet what is asked of them"
            case .no: "does not match"
            }
        trace.note(
            ExplainLine(
                rule: policy.name, condition: policy.action.rawValue, outcome: outcome,
                observed: left.first.map { "\(observed) (\($0.reason.rawValue))" } ?? observed,
                source: "policy"))
    }

    private mutating func isOver(_ session: SessionFacts, after secondsMax: Int64, _ name: String) -> Bool {
        let end = session.createdAtSeconds.sum(saturating: secondsMax)
        let now = trace.nowSeconds
        trace.changes(atSeconds: end)
        trace.note(
            ExplainLine(
                rule: "\(name).session",
                condition: "the session at this application is younger than \(secondsMax) s",
                outcome: Ternary(now < end), observed: "signed in at \(session.createdAtSeconds)",
                source: "session",
                ageSeconds: max(0, now.difference(saturating: session.createdAtSeconds)),
                remedy: now < end ? nil : "Sign in again."))
        return now >= end
    }

    /// Why a block applies whose conditions could not be known.
    private func doubt(about reading: PolicyReading, _ facts: DecidedFacts) -> Reason {
        if !facts.isKnown { return .signInRequired }
        return reading.hangsOnDevice ? facts.proofShortfall ?? .deviceRequired : .policyBlocks
    }

    /// What the device lacks that a policy asks for: the most helpful word there is.
    private static func obstacle(_ facts: DecidedFacts, _ reading: PolicyReading) -> Reason {
        guard let device = facts.device else { return facts.proofShortfall ?? .deviceRequired }
        // A compliant device that is still not accepted meets a policy for other classes only.
        return reading.shortfall(facts) ?? device.reason ?? .noPolicyMatches
    }
}

extension ResidualPolicy {
    fileprivate var matchesEveryRequest: Bool { anyOf.isEmpty && allOf.isEmpty && noneOf.isEmpty }
}
