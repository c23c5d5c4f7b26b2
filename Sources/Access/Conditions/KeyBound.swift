/// The session is bound to a key that the person's browser keeps (Device Bound Session Credentials): its cookie is
/// short-lived, and only the key renews it.
public struct KeyBoundCondition: Sendable, Codable, Hashable {
    /// Asks nothing more.
    public init() {}
}

extension KeyBoundCondition: DecidedCondition {
    /// In words, for explain records.
    public var description: String { "the session is bound to a key of the browser" }

    /// How long ago the key was proven asks nobody: an older proof is a cookie that has run out.
    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary {
        guard let session = facts.session else { return .indeterminate }
        return Ternary(session.keyProvenAtSeconds != nil)
    }

    func observed(in facts: DecidedFacts) -> String {
        guard let session = facts.session else { return "nobody" }
        return session.keyProvenAtSeconds.map { "key proven at \($0)" } ?? "an ordinary cookie"
    }

    func ageSeconds(in facts: DecidedFacts) -> Int64? {
        facts.session?.keyProvenAtSeconds.map { max(0, facts.nowSeconds.difference(saturating: $0)) }
    }

    func remedy(for facts: DecidedFacts) -> String {
        "Use a browser that keeps session keys (Chrome or Edge with a security chip), and sign in again."
    }
}

extension PolicySnapshot {
    /// Whether a session without a key would be let in further if it had one, everything else as it is.
    ///
    /// - Parameter policies: what is left of the policies for the session without one.
    func onlyKeyLacks(
        _ session: SessionFacts?, _ device: DeviceFacts?, for application: Application,
        atSeconds nowSeconds: Int64, beside policies: [ResidualPolicy]
    ) -> Bool {
        guard application.sieve.table.asksForKey, var bound = session, bound.keyProvenAtSeconds == nil else {
            return false
        }
        bound.keyProvenAtSeconds = nowSeconds
        let supposed = residual(of: bound, device, for: application, atSeconds: nowSeconds)
        func grants(_ policies: [ResidualPolicy]) -> [ResidualPolicy] {
            policies.filter { $0.action != .block }
        }
        return grants(supposed.policies).contains { !grants(policies).contains($0) }
    }
}
