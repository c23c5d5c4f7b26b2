import Access

/// The naive reading of device policies: every policy and every rule is judged, then the first that counts is
/// looked for.
struct DeviceOracle {
    let policy: PolicySnapshot
    let application: Application
    /// nil: a service client, whose device needs no owner.
    let person: PersonFacts?
    let device: DeviceFacts
    let at: Int64

    /// How long an expired verdict still counts: not at all once any provider said something bad.
    var extraSeconds: Int64 {
        guard case .unsafeLastVerdict(let seconds) = application.outage else { return 0 }
        return isEverBad ? 0 : min(seconds, 7 * 86_400)
    }

    private var isEverBad: Bool {
        device.verdicts.contains { $0.state == .noncompliant || $0.state == .notManaged }
    }

    func classify() -> DeviceClass {
        if let person, application.deviceOwner == .samePerson {
            guard device.ownerIssuer == person.issuer, device.ownerSubject == person.subject else {
                return .denied
            }
        }
        let result = classify(extraSeconds)
        guard application.outage == .partial, result == .denied else { return result }
        return min(.partial, classify(isEverBad ? 0 : 7 * 86_400))
    }

    private func classify(_ extra: Int64) -> DeviceClass {
        let mine = policy.devicePolicies.filter { $0.platform == device.platform }
        if mine.isEmpty { return min(.partial, policy.deviceDefaultUnsupported) }
        var best = DeviceClass.compliant
        for one in mine.sorted(by: {
            $0.priority == $1.priority ? $0.name < $1.name : $0.priority < $1.priority
        }) {
            let answers = one.rules.map { hold($0, minimum: one.matchStrengthMin, extra) }
            let required = one.rules.indices.filter { effect(one, $0) == .require }
            var holds = Oracle.all(required.map { answers[$0] })
            if one.rules.isEmpty && one.result == .compliant { holds = nil }
            if holds == true { return ([best, one.result] + limits(one, answers)).min() ?? .denied }
            if holds == nil && one.result != .compliant {
                if one.onUnknown == .deny { return .denied }
                if one.onUnknown == .cap { best = .partial }
            }
        }
        return min(.partial, policy.deviceDefaultNoMatch)
    }

    private func effect(_ policy: DevicePolicy, _ index: Int) -> CheckStrategy.Effect {
        guard index < policy.strategies.count else { return .require }
        let strategy = policy.strategies[index]
        return at < strategy.warnsUntilSeconds ?? .min ? .report : strategy.effect
    }

    private func limits(_ policy: DevicePolicy, _ answers: [Bool?]) -> [DeviceClass] {
        answers.indices.compactMap { index in
            switch (effect(policy, index), answers[index]) {
            case (_, true), (.require, _), (.report, _): nil
            case (.partial, _): .partial
            case (.deny, false): .denied
            case (.deny, _): [.cap: .partial, .deny: .denied][policy.onUnknown]
            }
        }
    }

    private static let worstFirst: [Verdict.State] = [
        .noncompliant, .notManaged, .error, .ambiguous, .unknown, .delegated, .notFound, .grace, .compliant,
    ]

    func hold(_ rule: DeviceRule, minimum: Verdict.Strength, _ extra: Int64) -> Bool? {
        switch rule {
        case .tags(let name, _, _), .score(let name, _, _), .risk(let name, _, _),
            .sensorRunning(let name, _),
            .managed(let name, _), .setting(let name, _, _), .verdictAge(let name, _, _),
            .matchStrength(let name, _):
            let all = device.verdicts.filter { $0.integration == name }
            guard let worst = Self.worstFirst.first(where: { state in all.contains { $0.state == state } })
            else { return nil }
            let strengths = Verdict.Strength.allCases
            let answers = all.filter { $0.state == worst }.map { verdict -> Bool? in
                guard isFresh(verdict, extra),
                    strengths.firstIndex(of: verdict.matchStrength)! >= strengths.firstIndex(of: minimum)!
                else { return nil }
                return hold(rule, verdict)
            }
            return Set(answers).count == 1 ? answers[0] : nil
        case .agentFact(let name, _, _), .agentFactIs(let name, _, _, _), .agentManaged(let name, _),
            .agentVersion(let name, _), .agentKey(let name, _):
            guard let signed = device.statement, signed.integration == name, at < signed.expiresAtSeconds
            else { return nil }
            return hold(rule, signed)
        case .provenBy(let proofs, let least):
            if proofs.contains(.agent), let signed = device.statement, at < signed.expiresAtSeconds {
                return true
            }
            guard proofs.contains(.certificate), application.deviceProofs.contains(.certificate),
                let shown = device.certificate, let strength = shown.strength, at < shown.notAfterSeconds
            else { return false }
            let order = Verdict.Strength.allCases
            return order.firstIndex(of: strength)! >= order.firstIndex(of: least)! ? true : nil
        }
    }

    private func isFresh(_ verdict: Verdict, _ extra: Int64) -> Bool {
        if verdict.observedAtSeconds > at + 300 { return false }
        if verdict.state == .grace, let until = verdict.graceUntilSeconds, at >= until { return false }
        let isSilent = verdict.fetchedAtSeconds >= verdict.expiresAtSeconds
        return at < verdict.expiresAtSeconds + (isSilent ? 0 : extra)
    }

    private func hold(_ rule: DeviceRule, _ verdict: Verdict) -> Bool? {
        let isVague = [.unknown, .error, .ambiguous, .notFound, .delegated].contains(verdict.state)
        switch rule {
        case .tags(_, let matchesAll, let values):
            let answers = values.map { hasLabel($0, verdict, isVague) }
            return matchesAll ? Oracle.all(answers) : Oracle.any(answers)
        case .score(_, let comparison, let bound):
            guard !isVague, let score = verdict.score, score.value <= score.maximum,
                score.value >= score.minimum
            else { return nil }
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
        case .setting(_, let name, let states):
            let answers = verdict.checks.filter { $0.id == name || $0.title == name }.map { check -> Bool? in
                states.contains(check.state) ? true : check.state == .unknown ? nil : false
            }
            return !isVague && Set(answers).count == 1 ? answers[0] : nil
        case .verdictAge(_, let reported, let fetched):
            let isYoung =
                at - verdict.observedAtSeconds <= reported ?? .max
                && at - verdict.fetchedAtSeconds <= fetched ?? .max
            return !isVague && isYoung ? true : nil
        case .matchStrength(_, let minimum):
            let order = Verdict.Strength.allCases
            return order.firstIndex(of: verdict.matchStrength)! >= order.firstIndex(of: minimum)! ? true : nil
        case .agentFact, .agentFactIs, .agentManaged, .agentVersion, .agentKey, .provenBy: return nil
        }
    }

    private static let words: [Verdict.State: String] = [
        .compliant: "compliant", .grace: "in-grace", .noncompliant: "noncompliant",
        .notManaged: "not-managed",
        .notFound: "not-found", .ambiguous: "ambiguous", .unknown: "unknown", .error: "error",
        .delegated: "delegated",
    ]

    /// Words of states come from the state; every other label is the provider's.
    private func hasLabel(_ label: String, _ verdict: Verdict, _ isVague: Bool) -> Bool? {
        if Self.words[verdict.state] == label { return true }
        if verdict.state == .notFound && label == "not-managed" { return true }
        if ["not-found", "ambiguous", "unknown", "error", "delegated"].contains(label) { return false }
        if isVague { return nil }
        if label == "compliant" { return verdict.state == .grace && verdict.labels.contains(label) }
        return !Self.words.values.contains(label) && verdict.labels.contains(label)
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
        case .agentFactIs(_, let name, let comparison, let value):
            guard case .integer(let have)? = signed.facts[name], let want = Int64(value) else { return nil }
            switch comparison {
            case .less: return have < want
            case .lessOrEqual: return have <= want
            case .equal: return have == want
            case .greaterOrEqual: return have >= want
            case .greater: return have > want
            }
        case .agentManaged(_, let limit):
            if !signed.isManaged { return false }
            return signed.lastSeenSeconds + limit < at || signed.lastSeenSeconds > at + 300 ? nil : true
        case .agentKey(_, let minimum):
            let order = AgentStatement.KeyLevel.allCases
            return order.firstIndex(of: signed.keyLevel)! >= order.firstIndex(of: minimum)!
        case .agentVersion(_, let minimum):
            func numbers(_ text: String) -> [Int] { text.split(separator: ".").map { Int($0)! } + [0, 0, 0] }
            return !numbers(signed.agentVersion).lexicographicallyPrecedes(numbers(minimum))
        case .tags, .score, .risk, .sensorRunning, .managed, .setting, .verdictAge, .matchStrength,
            .provenBy:
            return nil
        }
    }
}
