/// From facts and policy to a residual: the one evaluation that both residuals and explain records come from.
extension PolicySnapshot {
    /// The application of that name, or nil.
    public func application(named name: String) -> Application? {
        applications.first { ExactText.isEqual($0.name, name) }
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
    ///   - nowSeconds: seconds since 1970-01-01T00:00:00Z.
    public func residual(
        of session: SessionFacts?, _ device: DeviceFacts?, for application: Application,
        atSeconds nowSeconds: Int64
    ) -> Residual {
        var evaluation = Evaluation(self, application, atSeconds: nowSeconds, isRecording: false)
        return evaluation.residual(of: session, device)
    }

    /// The same evaluation with every step told: rule → condition → observed value → source → age.
    public func explain(
        _ session: SessionFacts?, _ device: DeviceFacts?, for application: Application,
        atSeconds nowSeconds: Int64
    ) -> ExplainRecord {
        var evaluation = Evaluation(self, application, atSeconds: nowSeconds, isRecording: true)
        let residual = evaluation.residual(of: session, device)
        return ExplainRecord(
            application: application.name, policyIdentity: identity,
            deviceClass: evaluation.device?.deviceClass,
            devicePolicy: evaluation.device?.policyName, lines: evaluation.trace.lines, residual: residual)
    }
}

private struct Evaluation {
    let snapshot: PolicySnapshot
    let application: Application
    var trace: Trace
    /// nil: not asked for, or none known.
    private(set) var device: DeviceResult?

    init(_ snapshot: PolicySnapshot, _ application: Application, atSeconds: Int64, isRecording: Bool) {
        self.snapshot = snapshot
        self.application = application
        trace = Trace(nowSeconds: atSeconds, isRecording: isRecording)
    }

    mutating func residual(of session: SessionFacts?, _ device: DeviceFacts?) -> Residual {
        let (counted, absence) = standing(of: session)
        let asksForDevice = application.policies.contains(where: \.asksForDevice)
        if let counted, let device, asksForDevice { judge(device, of: counted) }
        let facts = DecidedFacts(session: counted, device: self.device, nowSeconds: trace.nowSeconds)
        var policies: [ResidualPolicy] = []
        var refusal: Reason?
        for policy in application.policies {
            let (left, obstacle) = reading(of: policy, facts)
            notePolicy(policy, left)
            refusal = refusal ?? obstacle
            policies += left
            // Nothing after a policy that matches whatever the request is can be reached, so nothing of it
            // is read.
            if left.contains(where: \.matchesEveryRequest) { break }
        }
        return Residual(
            policyIdentity: snapshot.identity, isSignedIn: counted != nil,
            validUntilSeconds: validUntil(session),
            policies: policies, refusal: absence ?? refusal ?? .noPolicyMatches, dependsOn: trace.dependsOn)
    }

    /// Nobody's residual reads nothing that passes: it lives as long as the policy, and is replaced with it.
    private func validUntil(_ session: SessionFacts?) -> Int64 {
        session == nil ? .max : trace.validUntilSeconds
    }

    /// Whether the session counts here, and if not why.
    private mutating func standing(of session: SessionFacts?) -> (SessionFacts?, Reason?) {
        guard let session else {
            noteSession("nobody", .no, nil, "Sign in.")
            return (nil, .signInRequired)
        }
        trace.read("session:\(session.id)")
        trace.changes(atSeconds: session.expiresAtSeconds)
        guard trace.nowSeconds < session.expiresAtSeconds else {
            noteSession("ended at \(session.expiresAtSeconds)", .no, session, "Sign in again.")
            return (nil, .sessionEnded)
        }
        // By the configured name, never by issuer or tenant: a session of a registration without
        // conditional access must not pass for one of the registration that has it.
        guard ExactText.contains(application.identityProviders, session.identityProvider) else {
            let names = application.identityProviders.joined(separator: " or ")
            noteSession(session.identityProvider, .no, session, "Sign in with \(names).")
            return (nil, .identityProviderNotAccepted)
        }
        noteSession(session.identityProvider, .yes, session, nil)
        return (session, nil)
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

    private mutating func judge(_ device: DeviceFacts, of session: SessionFacts) {
        let result = snapshot.deviceResult(
            of: device, for: session.person, owner: application.deviceOwner, atSeconds: trace.nowSeconds,
            recordingLines: trace.isRecording)
        trace.include(result)
        self.device = result
    }

    /// What is left of one policy, and what kept it from matching where the person can do something about it.
    private mutating func reading(
        of policy: ApplicationPolicy, _ facts: DecidedFacts
    ) -> ([ResidualPolicy], Reason?) {
        let reading = PolicyReading(policy, facts, &trace)
        let doubt = doubt(about: reading, facts)
        switch policy.action {
        case .block: return (reading.blocking(unless: doubt).map { [$0] } ?? [], nil)
        case .bypass:
            let left = reading.granting(reason: .policyBypasses).map { [$0] } ?? []
            if reading.isCertain { return (left, nil) }
            return (left + reading.withholding(isSignedIn: facts.session != nil), nil)
        case .allow: return allowing(reading, facts)
        // A service client needs a proof of its own. As long as there is none, nothing can be such a client.
        case .service: return ([], nil)
        }
    }

    private mutating func notePolicy(_ policy: ApplicationPolicy, _ left: [ResidualPolicy]) {
        let counted = left.filter { $0.action == policy.action }
        let outcome: Ternary =
            counted.contains(where: \.matchesEveryRequest) ? .yes : left.isEmpty ? .no : .indeterminate
        let observed =
            switch outcome {
            case .yes: "matches"
            case .indeterminate where counted.isEmpty: "cannot be known: refuses what it would not grant"
            case .indeterminate: "matches the requests that meet what is asked of them"
            case .no: policy.action == .service ? "no service client can be proven yet" : "does not match"
            }
        trace.note(
            ExplainLine(
                rule: policy.name, condition: policy.action.rawValue, outcome: outcome,
                observed: left.first.map { "\(observed) (\($0.reason.rawValue))" } ?? observed,
                source: "policy"))
    }

    private mutating func allowing(
        _ reading: PolicyReading, _ facts: DecidedFacts
    ) -> ([ResidualPolicy], Reason?) {
        guard let session = facts.session else { return (reading.withholding(isSignedIn: false), nil) }
        let left = reading.granting(reason: .policyAllows)
        let withheld = reading.withholding(isSignedIn: true)
        guard left != nil || reading.granting(deviceMeets: true, reason: .policyAllows) != nil else {
            return (withheld, nil)
        }
        if let seconds = reading.policy.sessionSecondsMax,
            isOver(session, after: seconds, reading.policy.name)
        {
            return (withheld, .sessionEnded)
        }
        guard let left else { return (withheld, Self.obstacle(facts.device)) }
        return (reading.isCertain ? [left] : [left] + withheld, nil)
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
        if facts.session == nil { return .signInRequired }
        return reading.hangsOnDevice ? .deviceRequired : .policyBlocks
    }

    /// What the device lacks that a policy asks for: the most helpful word there is.
    private static func obstacle(_ device: DeviceResult?) -> Reason {
        guard let device else { return .deviceRequired }
        // A compliant device that is still not accepted meets a policy for other classes only.
        return device.reason ?? .noPolicyMatches
    }
}

extension ApplicationPolicy {
    fileprivate var asksForDevice: Bool {
        include.contains(where: \.isAboutDevice) || require.contains(where: \.isAboutDevice)
            || exclude.contains(where: \.isAboutDevice)
    }
}

extension ResidualPolicy {
    fileprivate var matchesEveryRequest: Bool { anyOf.isEmpty && allOf.isEmpty && noneOf.isEmpty }
}
