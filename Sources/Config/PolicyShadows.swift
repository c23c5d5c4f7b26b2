import Access

/// Warns of policies that are never asked: every case that they would match, an earlier one matches. Exact as long
/// as the cases can be enumerated (`PolicyWorlds.countMax`); beyond that only what one policy covers is found.
enum PolicyShadows {
    static func warn(
        _ policies: [ApplicationPolicy], _ places: [Place], key: String, providers: [String],
        _ diagnostics: Diagnostics
    ) {
        let worlds = PolicyWorlds(policies, providers: providers)
        let reach = worlds.count.map { _ in Self.reach(of: policies, in: worlds) }
        for (index, policy) in policies.enumerated() where policy.action != .service {
            var earlier: [ApplicationPolicy] = []
            if let reach {
                guard reach[index].isReached == false else { continue }
                if !reach[index].everMatches {
                    diagnostics.warn(
                        places[index], "\(key)[\(index)]",
                        "\(policy.action.rawValue) \(policy.name) never matches: its conditions exclude each other",
                        "correct its conditions or remove it")
                    continue
                }
                earlier = reach[index].shadows.map { policies[$0] }
            } else if let first = policies[..<index].first(where: { covers($0, policy) }) {
                earlier = [first]
            }
            guard let first = earlier.first else { continue }
            let remedy =
                policy.action == .block && earlier.contains { $0.action != .block }
                ? "move the block before \(first.name)" : "move it before \(first.name) or remove it"
            let names = earlier.map { "\($0.action.rawValue) \($0.name)" }.joined(separator: " and ")
            diagnostics.warn(
                places[index], "\(key)[\(index)]",
                "\(policy.action.rawValue) \(policy.name) is never reached: "
                    + "\(names) \(earlier.count == 1 ? "matches" : "match") first", remedy)
        }
    }

    private struct Reach {
        var everMatches = false
        var isReached = false
        /// Earlier policies that match all of its cases, while there is one.
        var coverers: Set<Int>
        /// Earlier policies that decide one of its cases.
        var deciders: Set<Int> = []

        /// One that is enough, or all that it takes.
        var shadows: [Int] { coverers.min().map { [$0] } ?? deciders.sorted() }
    }

    private static func reach(of policies: [ApplicationPolicy], in worlds: PolicyWorlds) -> [Reach] {
        let formulas = policies.map { policy -> PolicyWorlds.Formula in
            // For a service client, whom no world has.
            if policy.action == .service { return .constant(false) }
            let parts =
                [.any(policy.include.map(worlds.formula))] + policy.require.map(worlds.formula)
                + policy.exclude.map { PolicyWorlds.Formula.not(worlds.formula($0)) }
            return .all(policy.action == .allow ? [worlds.isSomebody] + parts : parts)
        }
        var reach = policies.indices.map { Reach(coverers: Set(0..<$0)) }
        worlds.forEach { world in
            let matching = formulas.indices.filter { formulas[$0].holds(in: world) }
            for index in matching {
                reach[index].everMatches = true
                reach[index].coverers.formIntersection(matching)
                if index == matching[0] {
                    reach[index].isReached = true
                } else {
                    reach[index].deciders.insert(matching[0])
                }
            }
        }
        return reach
    }

    /// Sound, not complete: true only when every request that `later` matches is matched by `earlier`.
    private static func covers(_ earlier: ApplicationPolicy, _ later: ApplicationPolicy) -> Bool {
        // An allow is for sessions only.
        if earlier.action == .service || earlier.action == .allow && later.action != .allow { return false }
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
