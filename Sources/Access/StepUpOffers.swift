/// What signing in once more could open: asked beside `decide`, and only of what it refused.

/// One stronger sign-in and what it would open.
public struct StepUpOffer: Sendable, Codable, Hashable {
    /// The policy whose conditions it meets.
    public var policy: String
    /// What to ask the provider of the session for.
    public var stepUp: StepUp
    /// The decision as it would be then: a request that this forwards is one that the step-up helps.
    public var residual: Residual
    /// Takes the members as they are; nothing is checked here.
    public init(policy: String, stepUp: StepUp, residual: Residual) {
        self.policy = policy
        self.stepUp = stepUp
        self.residual = residual
    }
}

extension PolicySnapshot {
    /// The sign-ins at the session's own provider that would let in where this session is refused. Each is supposed and
    /// then decided by the evaluator itself, blocks and device included: what is offered here would be granted.
    ///
    /// - Parameters:
    ///   - session: one that counts at the application; nothing is offered to any other.
    ///   - decided: what it was decided to have, from the same facts and at the same moment; nil: that is asked here.
    ///   - nowSeconds: seconds since 1970-01-01T00:00:00Z.
    /// - Returns: in the order of the policies; empty for applications that ask nothing of sign-ins, at next
    /// to no cost.
    public func stepUps(
        of session: SessionFacts, _ device: DeviceFacts?, for application: Application,
        decided: Residual? = nil, atSeconds nowSeconds: Int64
    ) -> [StepUpOffer] {
        let missing = missing(session, application, nowSeconds)
        if missing.isEmpty { return [] }
        let decided =
            decided ?? residual(of: session, device, for: application, atSeconds: nowSeconds)
        // Who is let in everywhere as it is needs nothing more.
        guard decided.outcome != .forward else { return [] }
        var offers: [StepUpOffer] = []
        for (policy, stepUp) in missing {
            guard !offers.contains(where: { $0.stepUp == stepUp }) else { continue }
            let residual = residual(
                of: stepUp.supposed(of: session, atSeconds: nowSeconds), device, for: application,
                atSeconds: nowSeconds)
            // Of its own policy: what others grant, they grant without it.
            let isOpen = residual.policies.contains {
                $0.action == .allow && ExactText.isEqual($0.name, policy)
            }
            guard isOpen else { continue }
            offers.append(StepUpOffer(policy: policy, stepUp: stepUp, residual: residual))
        }
        return offers
    }

    /// Whether some device could let this request in, alone or with a stronger sign-in: is it honest to send
    /// somebody to the device check?
    ///
    /// The device is taken to meet whatever is asked of it, even where two conditions contradict each other: it errs
    /// towards the check, never towards a page that nobody can leave.
    public func couldDeviceHelp(
        _ session: SessionFacts, for application: Application, _ request: RequestFacts,
        path: borrowing Span<UInt8>, atSeconds nowSeconds: Int64
    ) -> Bool {
        guard counts(session, application, nowSeconds) else { return false }
        let stronger = StepUpWays.ways(of: application).map {
            $0.stepUp.supposed(of: session, atSeconds: nowSeconds)
        }
        for session in [session] + stronger {
            if isHopeful(session, application, request, path: path, nowSeconds) { return true }
        }
        return false
    }

    private func counts(_ session: SessionFacts, _ application: Application, _ now: Int64) -> Bool {
        now < session.expiresAtSeconds
            && ExactText.contains(application.identityProviders, session.identityProvider)
    }

    private func missing(
        _ session: SessionFacts, _ application: Application, _ now: Int64
    ) -> [(policy: String, stepUp: StepUp)] {
        guard application.sieve.table.asksForSignIn, counts(session, application, now) else { return [] }
        return StepUpWays.ways(of: application).compactMap { policy, stepUp in
            // What is there already brings nothing when it is asked for again.
            guard !stepUp.unmet(by: session.person, atSeconds: now).isEmpty else { return nil }
            var stepUp = stepUp
            let age = StepUp(ageSecondsMax: stepUp.ageSecondsMax)
            stepUp.isAgeShort = !age.unmet(by: session.person, atSeconds: now).isEmpty
            return (policy, stepUp)
        }
    }

    private func isHopeful(
        _ session: SessionFacts, _ application: Application, _ request: RequestFacts,
        path: borrowing Span<UInt8>, _ now: Int64
    ) -> Bool {
        let facts = DecidedFacts(session: session, tags: application.tags, nowSeconds: now)
        var trace = Trace(nowSeconds: now, isRecording: false)
        var before: [ResidualPolicy] = []
        for policy in application.policies {
            guard let left = PolicyReading(policy, facts, &trace).hoping else { continue }
            switch policy.action {
            case .block: before.append(left)
            case .allow:
                // Each by itself: what an earlier policy restricts, a better device may get from a later one.
                let alone = Residual(
                    policyIdentity: identity, isSignedIn: true, validUntilSeconds: .max,
                    policies: before + [left], refusal: .noPolicyMatches, dependsOn: [])
                if case .forward = alone.decide(request, path: path, atSeconds: now) { return true }
            case .bypass, .service: break
            }
        }
        return false
    }
}
