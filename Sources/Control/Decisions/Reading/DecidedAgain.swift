import Access

/// What a request comes to when it is decided again from the two logs.
enum DecidedAgain: Sendable, Hashable {
    case settled(Reason)
    /// By the client certificate, which the access log does not name: every word that one of them, or none, can bring.
    case byCertificate(Set<Reason>)

    /// Whether only the certificate would say.
    var isOpen: Bool {
        if case .byCertificate = self { true } else { false }
    }

    /// Whether the access log's word can be right.
    func permits(_ logged: Reason) -> Bool {
        switch self {
        case .settled(let reason): reason == logged
        case .byCertificate(let reasons): reasons.contains(logged)
        }
    }

    /// The word that holds; nil: only the certificate would say.
    ///
    /// - Parameter logged: what the access log says, where that is a decision's own word.
    func word(logged: Reason?) -> Reason? {
        switch self {
        case .settled(let reason): reason
        case .byCertificate(let reasons): logged.flatMap { reasons.contains($0) ? $0 : nil }
        }
    }

    /// For people.
    var text: String {
        switch self {
        case .settled(let reason): reason.rawValue
        case .byCertificate(let reasons): reasons.map(\.rawValue).sorted().joined(separator: " or ")
        }
    }
}

extension Residual {
    /// Decides a request whose connection may have proved any client certificate, or none.
    ///
    /// Each certificate condition is taken to hold or not whatever the others do, so that a word may be among the
    /// possible ones which no certificate brings; none that one brings is missing.
    func decidedAgain(_ request: RequestFacts, path: [UInt8]) -> DecidedAgain {
        let open = policies.indices.filter { policies[$0].asksForCertificate }
        guard !open.isEmpty else { return .settled(reason(request, path)) }
        var assumed = self
        for index in open { assumed.policies[index] = policies[index].assumed(toMatch: false) }
        let least = assumed.reason(request, path)
        var reasons: Set<Reason> = [least]
        // The first that matches decides, so each is asked with none before it.
        for index in open {
            var one = assumed
            one.policies[index] = policies[index].assumed(toMatch: true)
            reasons.insert(one.reason(request, path))
        }
        return reasons.count == 1 ? .settled(least) : .byCertificate(reasons)
    }

    /// The word that the access log has for what a residual says of a request.
    private func reason(_ request: RequestFacts, _ path: [UInt8]) -> Reason {
        var lasting = self
        lasting.validUntilSeconds = .max
        return switch lasting.decide(request, path: path.span, atSeconds: 0) {
        case .forward(let policy): lasting.policies[policy].reason
        case .signIn, .recompute: .signInRequired
        case .refuse(let reason): reason
        }
    }
}

extension ResidualPolicy {
    fileprivate var asksForCertificate: Bool {
        (anyOf + allOf + noneOf).contains(where: \.asksForCertificate)
    }

    /// The same policy where client certificates come to whatever makes it match, or not match.
    fileprivate func assumed(toMatch isMatch: Bool) -> ResidualPolicy {
        var policy = self
        policy.anyOf = anyOf.map { $0.assumed(toHold: isMatch) }
        policy.allOf = allOf.map { $0.assumed(toHold: isMatch) }
        policy.noneOf = noneOf.map { $0.assumed(toHold: !isMatch) }
        return policy
    }
}

extension Condition {
    /// Holds for nobody.
    private static let nobody = Condition.meets(
        ConditionGroup(name: "nobody", include: [], exclude: [.everyone]))

    fileprivate var asksForCertificate: Bool {
        switch self {
        case .certificate: true
        case .meets(let group):
            (group.include + group.require + group.exclude).contains(where: \.asksForCertificate)
        case _: false
        }
    }

    fileprivate func assumed(toHold isHeld: Bool) -> Condition {
        switch self {
        case .certificate: return isHeld ? .everyone : Self.nobody
        case .meets(var group):
            group.include = group.include.map { $0.assumed(toHold: isHeld) }
            group.require = group.require.map { $0.assumed(toHold: isHeld) }
            group.exclude = group.exclude.map { $0.assumed(toHold: !isHeld) }
            return .meets(group)
        case _: return self
        }
    }
}
