import Access

/// Warns of policies that are never asked, because an earlier one matches whatever they would match.
enum PolicyShadows {
    static func warn(
        _ policies: [ApplicationPolicy], _ places: [Place], key: String, _ diagnostics: Diagnostics
    ) {
        for (index, policy) in policies.enumerated() {
            guard let earlier = policies[..<index].first(where: { covers($0, policy) }) else { continue }
            let remedy =
                policy.action == .block && earlier.action != .block
                ? "move the block before \(earlier.name)" : "move it before \(earlier.name) or remove it"
            diagnostics.warn(
                places[index], "\(key)[\(index)]",
                "\(policy.action.rawValue) \(policy.name) is never reached: "
                    + "\(earlier.action.rawValue) \(earlier.name) matches first", remedy)
        }
    }

    /// Sound, not complete: true only when every request that `later` matches is matched by `earlier`.
    private static func covers(_ earlier: ApplicationPolicy, _ later: ApplicationPolicy) -> Bool {
        let includes = later.include.allSatisfy { condition in
            earlier.include.contains { implies(condition, $0) }
        }
        // Either the later policy's includes or any of its requirements can make the earlier one's include
        // hold.
        let isIncluded =
            includes
            || later.require.contains { condition in earlier.include.contains { implies(condition, $0) } }
        let isRequired = earlier.require.allSatisfy { needed in
            needed == .everyone || later.require.contains { implies($0, needed) }
                || later.include.allSatisfy { implies($0, needed) }
        }
        let isExcluded = earlier.exclude.allSatisfy { excluded in
            later.exclude.contains { implies(excluded, $0) }
        }
        return isIncluded && isRequired && isExcluded
    }

    /// Whether `condition` holding means that `other` holds.
    private static func implies(_ condition: Condition, _ other: Condition) -> Bool {
        switch (condition, other) {
        case (_, .everyone): true
        case (.email(let left), .email(let right)): Set(left.addresses).isSubset(of: right.addresses)
        case (.email(let left), .emailDomain(let right)):
            left.addresses.allSatisfy { address in right.domains.contains { address.hasSuffix("@\($0)") } }
        case (.emailDomain(let left), .emailDomain(let right)): Set(left.domains).isSubset(of: right.domains)
        case (.group(let left), .group(let right)): Set(left.groups).isSubset(of: right.groups)
        case (.identityProvider(let left), .identityProvider(let right)):
            Set(left.names).isSubset(of: right.names)
        case (.device(let left), .device(let right)): Set(left.classes).isSubset(of: right.classes)
        case (.method(let left), .method(let right)): Set(left.methods).isSubset(of: right.methods)
        default: condition == other
        }
    }
}
