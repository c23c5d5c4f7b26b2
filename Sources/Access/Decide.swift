/// Per request: what is left depends on the request's own facts. Runs on the hot path: it allocates nothing
/// and calls nothing generic.
extension Residual {
    /// - Parameters:
    ///   - path: the canonical path, the same bytes that go upstream.
    ///   - nowSeconds: seconds since 1970-01-01T00:00:00Z.
    /// - Returns: `.recompute` when this residual is too old; never an answer by a stale one.
    public func decide(
        _ request: RequestFacts, path: borrowing Span<UInt8>, atSeconds nowSeconds: Int64
    ) -> Decision {
        // A stale answer is no answer.
        guard nowSeconds < validUntilSeconds else { return .recompute }
        var index = 0
        // By their addresses: the array's own subscript would copy each policy whole.
        let policies = policies.span
        // The administrator's order; a public path is a policy in it, not a hole before it.
        while index < policies.count {
            if Self.matches(policies, index, request, path: path) {
                return decision(at: index, request, path: path)
            }
            index += 1
        }
        // Unauthenticated, not unauthorized: there is something that the person can do.
        if !isSignedIn || refusal == .sessionEnded { return .signIn }
        // No match refuses.
        return .refuse(refusal)
    }

    /// The word for the access log. nil for `.recompute`, which decides nothing.
    ///
    /// - Precondition: the decision was made by this residual.
    public func reason(for decision: Decision) -> Reason? {
        switch decision {
        case .forward(let policy): policies[policy].reason
        case .signIn: refusal
        case .refuse(let reason): reason
        case .recompute: nil
        }
    }
}

extension Residual {
    /// Whether a request meets what policy `place` leaves to ask. By the place, because a policy that is handed on is
    /// copied whole, with a count for each of its seven references.
    @inline(__always)
    private static func matches(
        _ policies: borrowing Span<ResidualPolicy>, _ place: Int, _ request: RequestFacts,
        path: borrowing Span<UInt8>
    ) -> Bool {
        let role: ConditionRole = policies[place].action == .block ? .harms : .helps
        var index = 0
        while index < policies[place].allOf.count {
            if !policies[place].allOf[index].matches(request, path: path, role) { return false }
            index += 1
        }
        index = 0
        while index < policies[place].noneOf.count {
            if policies[place].noneOf[index].matches(request, path: path, role == .helps ? .harms : .helps) {
                return false
            }
            index += 1
        }
        if policies[place].anyOf.isEmpty { return true }
        index = 0
        while index < policies[place].anyOf.count {
            if policies[place].anyOf[index].matches(request, path: path, role) { return true }
            index += 1
        }
        return false
    }
}

extension Residual {
    /// What policy `index` says of a request that it matches. Asked of the residual, because a call of the
    /// policy's own would copy the whole policy.
    private func decision(
        at index: Int, _ request: RequestFacts, path: borrowing Span<UInt8>
    ) -> Decision {
        switch policies[index].action {
        case .block:
            // A block that hangs on who somebody is: nobody can say before they have signed in.
            return policies[index].reason == .signInRequired ? .signIn : .refuse(policies[index].reason)
        case .allow, .bypass, .service:
            // The first match decides: what it does not grant is refused, not looked for in later policies.
            if let methods = policies[index].restriction?.methods,
                !MethodCondition.contains(methods, request.method)
            {
                return .refuse(.restrictedMethod)
            }
            if let prefixes = policies[index].restriction?.pathPrefixes,
                !PathCondition.isBelow(prefixes, path)
            {
                return .refuse(.restrictedPath)
            }
            return .forward(policy: index)
        }
    }
}
