import Access

/// What one residual lets through that another does not: the question whether a change takes something away.
extension Residual {
    /// Whether a request that `old` lets through may be refused by this one. In doubt it may.
    func grantsLess(than old: Residual) -> Bool {
        let had = old.policies.filter(\.grants)
        guard !had.isEmpty else { return false }
        if old.isSignedIn, !isSignedIn { return true }
        let isSame = policies.elementsEqual(old.policies) { $0.doesSame(as: $1) }
        if isSame { return false }
        if let first = policies.first, first.grants, first.meetsEveryRequest {
            return had.contains { !Self.covers(first.restriction, $0.restriction) }
        }
        return isNarrowed(had, blockedBefore: old.policies.filter { !$0.grants })
    }

    /// Every block was there before, and every grant of before is still there, in its order.
    private func isNarrowed(_ had: [ResidualPolicy], blockedBefore: [ResidualPolicy]) -> Bool {
        var left = had[...]
        for policy in policies {
            if policy.grants {
                guard let next = left.first else { break }
                if policy.doesSame(as: next) {
                    left = left.dropFirst()
                } else if policy.restriction != nil {
                    // It is asked first, and what it does not grant no later one gives back.
                    return true
                }
            } else if !blockedBefore.contains(where: { $0.doesSame(as: policy) }) {
                return true
            }
        }
        return !left.isEmpty
    }

    /// Whether what `narrow` grants is granted by `wide` as well; nil grants everything.
    private static func covers(_ wide: Restriction?, _ narrow: Restriction?) -> Bool {
        guard let wide else { return true }
        let methods = wide.methods.map { all in narrow?.methods?.allSatisfy(all.contains) ?? false } ?? true
        let paths = wide.pathPrefixes.map { all in narrow?.pathPrefixes?.allSatisfy(all.contains) ?? false }
        let limits = (wide.limits ?? []).allSatisfy { narrow?.limits?.contains($0) ?? false }
        return methods && paths ?? true && limits
    }
}

extension ResidualPolicy {
    /// Whether a match lets a request through.
    var grants: Bool {
        switch action {
        case .allow, .bypass, .service: true
        case .block: false
        }
    }

    fileprivate var meetsEveryRequest: Bool { anyOf.isEmpty && allOf.isEmpty && noneOf.isEmpty }

    /// The same effect on the same requests; neither the name nor the word for the log is part of it.
    fileprivate func doesSame(as other: ResidualPolicy) -> Bool {
        grants == other.grants && anyOf == other.anyOf && allOf == other.allOf && noneOf == other.noneOf
            && restriction == other.restriction
    }
}

extension Reason {
    /// Whether it says that something about the device is missing or not known; not that it is bad, nor who
    /// may come in.
    var isAboutDevice: Bool {
        switch self {
        case .deviceRequired, .deviceUnknown, .deviceDenied, .devicePartial, .postureMissing,
            .postureRequired,
            .deviceCertificateRequired, .deviceCertificateUnknown, .deviceCertificateConflict,
            .postureStale, .postureNonCompliant, .postureIndeterminate:
            true
        case _: false
        }
    }
}
