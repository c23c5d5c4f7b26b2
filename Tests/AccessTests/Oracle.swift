import Access

/// A second, naive reading of the rules: no residual, no early end, every condition asked with the request
/// at hand. Written from providers.md 10.2 and DESIGN 7 and 8, sharing no code with the module.
struct Oracle {
    enum Answer: Equatable {
        /// With the limits that certainly have to be on the exchange.
        case forward(String, limits: Set<AccessLimit>)
        case signIn
        case refuse(restricted: Reason?)
    }

    let policy: PolicySnapshot
    let application: Application
    let session: SessionFacts?
    var service: ServiceFacts?
    let device: DeviceFacts?
    let request: RequestFacts
    let path: String
    let at: Int64

    var counted: SessionFacts? {
        guard let session, session.expiresAtSeconds > at else { return nil }
        return application.identityProviders.contains(session.identityProvider) ? session : nil
    }

    /// A client is a person or a service; somebody who showed a session is no service, whatever became of it.
    var client: ServiceFacts? {
        guard session == nil, let service, service.expiresAtSeconds > at else { return nil }
        return service
    }

    private var isKnown: Bool { counted != nil || client != nil }

    func answer() -> Answer {
        var isOld = false
        var limits: Set<AccessLimit> = []
        for policy in application.policies {
            let matches = holds(
                policy.include, policy.require, policy.exclude, helps: policy.action != .block)
            let outside = restrictionBroken(policy)
            if policy.action == .block {
                if matches == false { continue }
                return !isKnown && isDoubtful(policy) ? .signIn : .refuse(restricted: nil)
            }
            if policy.action == .allow && client != nil { continue }
            if policy.action == .service && client == nil { continue }
            let age = counted.map { at - $0.createdAtSeconds } ?? 0
            let isTooOld = policy.action == .allow && age >= policy.sessionSecondsMax ?? .max
            let isProven = policy.action != .allow || counted != nil
            if matches == true && isProven && !isTooOld {
                let own = Set(policy.restriction?.limits ?? [])
                return outside.map { .refuse(restricted: $0) }
                    ?? .forward(policy.name, limits: limits.union(own))
            }
            isOld = isOld || isTooOld
            // Whether it matches is not known, or no longer: what it would take away stays away.
            if matches == false { continue }
            if let outside { return isKnown ? .refuse(restricted: outside) : .signIn }
            limits.formUnion(policy.restriction?.limits ?? [])
        }
        // An old session is asked to sign in again only where that was the first obstacle; the caller
        // compares no more than that nobody gets in.
        return !isKnown || isOld ? .signIn : .refuse(restricted: nil)
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
    private func isDoubtful(_ policy: ApplicationPolicy) -> Bool {
        isDoubtful(policy.include, policy.require, policy.exclude, helps: policy.action != .block)
    }

    private func isDoubtful(
        _ include: [Condition], _ require: [Condition], _ exclude: [Condition], helps: Bool
    ) -> Bool {
        let isIncluded = include.contains { isSettledTrue($0, helps: helps) }
        return (!isIncluded && include.contains { isDoubtful($0, helps: helps) })
            || require.contains { isDoubtful($0, helps: helps) }
            || exclude.contains { isDoubtful($0, helps: !helps) }
    }

    private func isDoubtful(_ condition: Condition, helps: Bool) -> Bool {
        if case .meets(let group) = condition {
            return isDoubtful(group.include, group.require, group.exclude, helps: helps)
        }
        return ask(condition, helps: helps) == nil
    }

    /// True whatever the request is.
    private func isSettledTrue(_ condition: Condition, helps: Bool) -> Bool {
        switch condition {
        case .method, .path, .network, .certificate: false
        case .meets(let group):
            group.include.contains { isSettledTrue($0, helps: helps) }
                && group.require.allSatisfy { isSettledTrue($0, helps: helps) }
                && group.exclude.allSatisfy { isSettledFalse($0, helps: !helps) }
        case _: ask(condition, helps: helps) == true
        }
    }

    private func isSettledFalse(_ condition: Condition, helps: Bool) -> Bool {
        switch condition {
        case .method, .path, .network, .certificate: false
        case .meets(let group):
            group.include.allSatisfy { isSettledFalse($0, helps: helps) }
                || group.require.contains { isSettledFalse($0, helps: helps) }
                || group.exclude.contains { isSettledTrue($0, helps: !helps) }
        case _: ask(condition, helps: helps) == false
        }
    }

    // MARK: Three values as an optional Bool, nil for not known.

    static func all(_ values: [Bool?]) -> Bool? {
        if values.contains(false) { return false }
        return values.contains(nil) ? nil : true
    }

    static func any(_ values: [Bool?]) -> Bool? {
        if values.contains(true) { return true }
        return values.contains(nil) ? nil : false
    }

    private func holds(
        _ include: [Condition], _ require: [Condition], _ exclude: [Condition], helps: Bool
    ) -> Bool? {
        Self.all(
            [Self.any(include.map { ask($0, helps: helps) })] + require.map { ask($0, helps: helps) }
                + exclude.map { ask($0, helps: !helps).map { !$0 } })
    }

    private func isAtOrBelow(_ prefix: String) -> Bool { path == prefix || path.hasPrefix(prefix + "/") }

    // MARK: Conditions

    /// `helps`: whether being true helps whoever asks.
    private func ask(_ condition: Condition, helps: Bool) -> Bool? {
        switch condition {
        case .everyone: true
        case .meets(let group): holds(group.include, group.require, group.exclude, helps: helps)
        case .tag(let asked): !Set(asked.tags).isDisjoint(with: application.tags)
        case .method(let asked): asked.methods.contains(request.method) && request.method != .other
        case .path(let asked): asked.prefixes.contains(where: isAtOrBelow) || asked.exact.contains(path)
        case .network(let asked):
            asked.ranges.contains {
                $0.base.low >> UInt64(128 - $0.prefixLength)
                    == request.client.low >> UInt64(128 - $0.prefixLength)
            }
        case .certificate(let asked):
            request.certificate.map { shown in
                (asked.subjects?.contains(shown.subject ?? "none") ?? true)
                    && (asked.issuerDigests?.contains(shown.issuerDigest) ?? true)
                    && (asked.names.map { !Set($0).isDisjoint(with: shown.names) } ?? true)
            } ?? false
        case .service(let asked):
            client.map { asked.names.contains($0.name) } ?? (counted == nil ? nil : false)
        case .token(let asked):
            if let client {
                asksToken(asked, client.token)
            } else {
                counted == nil ? nil : false
            }
        case .time(let asked): isKnown ? isWithin(asked) : nil
        case .until(let asked): isKnown ? at < asked.seconds : nil
        case .email, .emailDomain, .group, .claim, .identityProvider, .authenticationContext,
            .authenticationMethod, .authenticatedWithin, .keyBound:
            client == nil ? counted.flatMap { ask(condition, of: $0) } : false
        case .device, .check, .setting, .score, .risk, .verdictAge, .matchStrength, .deviceProof:
            askDevice(condition, helps: helps)
        }
    }

    private func asksToken(_ asked: TokenCondition, _ token: TokenFacts?) -> Bool? {
        guard let token, token.issuer == asked.issuer else { return false }
        let claims = asked.claims.map { claim -> Bool? in
            switch token.claims[claim.name] {
            case nil: nil
            case .list(let texts)?: texts.contains { claim.values.contains(.text($0)) }
            case let value?: claim.values.contains(value)
            }
        }
        return Self.all([asked.subjects?.contains(token.subject) ?? true] + claims)
    }

    private func ask(_ condition: Condition, of session: SessionFacts) -> Bool? {
        let person = session.person
        func texts(_ claim: String) -> [String] {
            switch person.claims[claim] {
            case .text(let text): [text]
            case .list(let list): list
            case .flag, .integer, nil: []
            }
        }
        func meets(_ have: [String], _ want: [String]) -> Bool? {
            have.isEmpty ? nil : !Set(have).isDisjoint(with: want)
        }
        switch condition {
        case .email(let asked): return person.email.map { asked.addresses.contains($0) }
        case .emailDomain(let asked):
            return person.email.map { mail in asked.domains.contains { mail.hasSuffix("@" + $0) } }
        case .group(let asked): return !Set(person.groups).isDisjoint(with: asked.groups)
        case .claim(let asked): return person.claims[asked.name].map { asked.values.contains($0) }
        case .keyBound: return session.keyProvenAtSeconds != nil
        case .identityProvider(let asked): return asked.names.contains(session.identityProvider)
        case .authenticationContext(let asked): return meets(texts("acr") + texts("acrs"), asked.values)
        case .authenticationMethod(let asked): return meets(texts("amr"), asked.methods)
        case .authenticatedWithin(let asked):
            let age = at - person.authenticatedAtSeconds
            return person.authenticatedAtSeconds > 0 && age <= asked.secondsMax && age >= -300 ? true : nil
        case _: return nil
        }
    }

    /// Minute by minute through the week, counted from a Monday in 1970.
    private func isWithin(_ asked: TimeCondition) -> Bool {
        let monday: Int64 = 4 * 86_400
        let minute = Int((at + Int64(asked.offsetMinutes) * 60 - monday) / 60 % 10_080)
        let day = TimeCondition.Weekday.allCases[minute / 1_440]
        return asked.days.contains(day) && (asked.fromMinute..<asked.untilMinute).contains(minute % 1_440)
    }

    private func askDevice(_ condition: Condition, helps: Bool) -> Bool? {
        guard isKnown, let device else { return nil }
        let reading = DeviceOracle(
            policy: policy, application: application, person: counted?.person, device: device, at: at)
        let result = reading.classify()
        if result == .denied && helps { return false }
        func hold(_ rule: DeviceRule) -> Bool? { reading.hold(rule, minimum: .weak, reading.extraSeconds) }
        switch condition {
        case .device(let asked): return asked.classes.contains(result)
        case .check(let asked):
            return hold(
                asked.isAgent
                    ? .agentFact(integration: asked.integration, name: asked.name, values: [.flag(true)])
                    : .setting(integration: asked.integration, name: asked.name, states: [.pass]))
        case .setting(let asked):
            return hold(.setting(integration: asked.integration, name: asked.name, states: asked.states))
        case .score(let asked):
            return hold(
                .score(integration: asked.integration, comparison: asked.comparison, value: asked.value))
        case .risk(let asked):
            return hold(
                .risk(integration: asked.integration, comparison: asked.comparison, value: asked.level))
        case .verdictAge(let asked):
            return hold(
                .verdictAge(
                    integration: asked.integration, reportedSecondsMax: asked.reportedSecondsMax,
                    fetchedSecondsMax: asked.fetchedSecondsMax))
        case .matchStrength(let asked):
            return hold(.matchStrength(integration: asked.integration, minimum: asked.minimum))
        case .deviceProof(let asked): return hold(.provenBy(asked.proofs, minimum: asked.minimum))
        case _: return nil
        }
    }
}
