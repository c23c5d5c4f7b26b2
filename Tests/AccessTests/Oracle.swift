import Access

/// A second, naive reading of the rules: no residual, no early end, every condition asked with the request
/// at hand. Written from providers.md 10.2 and DESIGN 7 and 8, sharing no code with the module.
struct Oracle {
    enum Answer: Equatable {
        case forward(String)
        case signIn
        case refuse(restricted: Reason?)
    }

    let policy: PolicySnapshot
    let application: Application
    let session: SessionFacts?
    let device: DeviceFacts?
    let request: RequestFacts
    let path: String
    let at: Int64

    private var counted: SessionFacts? {
        guard let session, session.expiresAtSeconds > at else { return nil }
        return application.identityProviders.contains(session.identityProvider) ? session : nil
    }

    func answer() -> Answer {
        var isOld = false
        for policy in application.policies {
            let matches = all(
                [any(policy.include, policy), all(policy.require.map { ask($0, policy, helps: true) })]
                    + policy.exclude.map { inverted(ask($0, policy, helps: false)) })
            let outside = restrictionBroken(policy)
            switch policy.action {
            case .service: continue
            case .block where matches != false:
                return counted == nil && hangsOnPerson(policy) ? .signIn : .refuse(restricted: nil)
            case .block: continue
            case .allow, .bypass:
                let age = counted.map { at - $0.createdAtSeconds } ?? 0
                let isTooOld = policy.action == .allow && age >= policy.sessionSecondsMax ?? .max
                if matches == true && (counted != nil || policy.action == .bypass) && !isTooOld {
                    return outside.map { .refuse(restricted: $0) } ?? .forward(policy.name)
                }
                isOld = isOld || isTooOld
                // Whether it matches is not known, or no longer: what it would take away stays away.
                if matches != false, let outside {
                    return counted == nil ? .signIn : .refuse(restricted: outside)
                }
            }
        }
        // An old session is asked to sign in again only where that was the first obstacle; the caller
        // compares no more than that nobody gets in.
        return counted == nil || isOld ? .signIn : .refuse(restricted: nil)
    }

    private func restrictionBroken(_ policy: ApplicationPolicy) -> Reason? {
        if let methods = policy.restriction?.methods, !methods.contains(request.method) {
            return .restrictedMethod
        }
        if let below = policy.restriction?.pathPrefixes, !below.contains(where: isAtOrBelow) {
            return .restrictedPath
        }
        return nil
    }

    /// Whether signing in could tell more than the request alone does.
    private func hangsOnPerson(_ policy: ApplicationPolicy) -> Bool {
        let hidden = (policy.require + policy.exclude).contains { ask($0, policy, helps: true) == nil }
        return hidden
            || policy.include.contains { ask($0, policy, helps: true) == nil }
                && !policy.include.contains(.everyone)
    }

    // MARK: Three values as an optional Bool, nil for not known.

    private func all(_ values: [Bool?]) -> Bool? {
        if values.contains(false) { return false }
        return values.contains(nil) ? nil : true
    }

    private func any(_ conditions: [Condition], _ policy: ApplicationPolicy) -> Bool? {
        let values = conditions.map { ask($0, policy, helps: true) }
        if values.contains(true) { return true }
        return values.contains(nil) ? nil : false
    }

    private func inverted(_ value: Bool?) -> Bool? { value.map { !$0 } }

    private func isAtOrBelow(_ prefix: String) -> Bool { path == prefix || path.hasPrefix(prefix + "/") }

    /// `helps` is about an allow; for a block it is the other way round.
    private func ask(_ condition: Condition, _ policy: ApplicationPolicy, helps: Bool) -> Bool? {
        let person = counted?.person
        switch condition {
        case .everyone: return true
        case .method(let asked): return asked.methods.contains(request.method) && request.method != .other
        case .path(let asked):
            return asked.prefixes.contains(where: isAtOrBelow) || asked.exact.contains(path)
        case .network(let asked):
            return asked.ranges.contains {
                $0.base.low >> UInt64(128 - $0.prefixLength)
                    == request.client.low >> UInt64(128 - $0.prefixLength)
            }
        case .email(let asked): return person?.email.map { asked.addresses.contains($0) }
        case .emailDomain(let asked):
            return person?.email.map { mail in asked.domains.contains { mail.hasSuffix("@" + $0) } }
        case .group(let asked): return person.map { !Set($0.groups).isDisjoint(with: asked.groups) }
        case .claim(let asked): return person?.claims[asked.name].map { asked.values.contains($0) }
        case .identityProvider(let asked): return counted.map { asked.names.contains($0.identityProvider) }
        case .device(let asked):
            guard let counted, let device else { return nil }
            let result = classify(device, of: counted)
            if result == .denied && helps != (policy.action == .block) { return false }
            return asked.classes.contains(result)
        }
    }

    // MARK: The device

    private func classify(_ device: DeviceFacts, of session: SessionFacts) -> DeviceClass {
        if application.deviceOwner == .samePerson {
            guard device.ownerIssuer == session.person.issuer, device.ownerSubject == session.person.subject
            else {
                return .denied
            }
        }
        let mine = policy.devicePolicies.filter { $0.platform == device.platform }
        if mine.isEmpty { return min(.partial, policy.deviceDefaultUnsupported) }
        var best = DeviceClass.compliant
        for one in mine.sorted(by: {
            $0.priority == $1.priority ? $0.name < $1.name : $0.priority < $1.priority
        }) {
            var holds = all(one.rules.map { hold($0, device) })
            if one.rules.isEmpty && one.result == .compliant { holds = nil }
            if holds == true { return min(best, one.result) }
            if holds == nil && one.result != .compliant {
                if one.onUnknown == .deny { return .denied }
                if one.onUnknown == .cap { best = .partial }
            }
        }
        return min(.partial, policy.deviceDefaultNoMatch)
    }

    private static let worstFirst: [Verdict.State] = [
        .noncompliant, .notManaged, .error, .ambiguous, .unknown, .delegated, .notFound, .grace, .compliant,
    ]

    private func hold(_ rule: DeviceRule, _ device: DeviceFacts) -> Bool? {
        switch rule {
        case .tags(let name, _, _), .score(let name, _, _), .risk(let name, _, _),
            .sensorRunning(let name, _),
            .managed(let name, _):
            let all = device.verdicts.filter { $0.integration == name }
            guard let worst = Self.worstFirst.first(where: { state in all.contains { $0.state == state } })
            else {
                return nil
            }
            let answers = all.filter { $0.state == worst }.map { hold(rule, $0) }
            return Set(answers).count == 1 ? answers[0] : nil
        case .agentFact(let name, _, _), .agentManaged(let name, _), .agentVersion(let name, _),
            .agentKey(let name, _):
            guard let signed = device.statement, signed.integration == name, at < signed.expiresAtSeconds
            else {
                return nil
            }
            return hold(rule, signed)
        }
    }

    private func hold(_ rule: DeviceRule, _ verdict: Verdict) -> Bool? {
        if at >= verdict.expiresAtSeconds || verdict.observedAtSeconds > at + 300 { return nil }
        let words: [Verdict.State: String] = [.compliant: "compliant", .noncompliant: "noncompliant"]
        let isVague = [.unknown, .error, .ambiguous, .notFound, .delegated].contains(verdict.state)
        switch rule {
        case .tags(_, let matchesAll, let values):
            if isVague { return nil }
            let labels = Set(verdict.labels + [words[verdict.state] ?? "-"])
            return matchesAll ? labels.isSuperset(of: values) : !labels.isDisjoint(with: values)
        case .score(_, let comparison, let bound):
            guard !isVague, let score = verdict.score, score.value <= score.maximum else { return nil }
            return compare(score.value, comparison, bound)
        case .risk(_, let comparison, let bound):
            guard !isVague, let risk = verdict.risk else { return nil }
            let order = Verdict.Risk.allCases
            return compare(
                Int64(order.firstIndex(of: risk)!), comparison, Int64(order.firstIndex(of: bound)!))
        case .sensorRunning(_, let wanted):
            return isVague ? nil : verdict.isSensorRunning.map { $0 == wanted }
        case .managed(_, let wanted):
            if verdict.state == .notFound || verdict.state == .notManaged { return !wanted }
            return isVague ? nil : verdict.isManaged.map { $0 == wanted }
        case .agentFact, .agentManaged, .agentVersion, .agentKey: return nil
        }
    }

    private func compare(_ left: Int64, _ comparison: Comparison, _ right: Int64) -> Bool {
        switch comparison {
        case .less: left < right
        case .lessOrEqual: !(left > right)
        case .equal: left == right
        case .greaterOrEqual: !(left < right)
        case .greater: left > right
        }
    }

    private func hold(_ rule: DeviceRule, _ signed: AgentStatement) -> Bool? {
        switch rule {
        case .agentFact(_, let name, let values): return signed.facts[name].map { values.contains($0) }
        case .agentManaged(_, let limit):
            if !signed.isManaged { return false }
            return signed.lastSeenSeconds + limit < at || signed.lastSeenSeconds > at + 300 ? nil : true
        case .agentKey(_, let minimum):
            let order = AgentStatement.KeyLevel.allCases
            return order.firstIndex(of: signed.keyLevel)! >= order.firstIndex(of: minimum)!
        case .agentVersion, .tags, .score, .risk, .sensorRunning, .managed: return nil
        }
    }
}
