/// What the policies of an application ask of clients that are no people.
extension Application {
    /// Whether a client certificate can change a decision here, by a condition or as a service's identity: only such
    /// an application's host asks clients for one.
    public var looksAtCertificates: Bool {
        servesMachines || accepts(.certificate)
            || policies.contains { policy in
                policy.conditions.contains { condition in
                    if case .certificate = condition { true } else { false }
                }
            }
    }

    /// Whether any policy lets in clients without a person.
    public var servesMachines: Bool { policies.contains { $0.action == .service } }

    /// The service tokens that its policies name, each once, in their order.
    public var serviceNames: [String] {
        var names: [String] = []
        for case .service(let asked) in policies.flatMap(\.conditions) {
            names += asked.names.filter { !ExactText.contains(names, $0) }
        }
        return names
    }

    /// The configured issuers whose bearer tokens its policies ask for, each once, in their order. Only those
    /// are looked at: to every other application `Authorization` belongs.
    public var tokenIssuers: [String] {
        var names: [String] = []
        for case .token(let asked) in policies.flatMap(\.conditions)
        where !ExactText.contains(names, asked.issuer) { names.append(asked.issuer) }
        return names
    }
}

extension ApplicationPolicy {
    /// All that it asks, groups opened.
    fileprivate var conditions: [Condition] { Condition.opened(include + require + exclude) }
}

extension Condition {
    fileprivate static func opened(_ conditions: [Condition]) -> [Condition] {
        conditions.flatMap { condition in
            guard case .meets(let group) = condition else { return [condition] }
            return opened(group.include + group.require + group.exclude)
        }
    }
}
