import Access

/// Warns of device policies that are never asked: an earlier one of the platform holds whenever they would.
enum DevicePolicyShadows {
    static func warn(_ policies: [DevicePolicy], _ root: SectionReader) {
        for (index, policy) in policies.enumerated() {
            let earlier = policies[..<index].first { $0.platform == policy.platform && covers($0, policy) }
            guard let earlier else { continue }
            root.context.diagnostics.warn(
                root.place(of: "device-policies"), "device-policies",
                "\(policy.name) is never reached: \(earlier.name) (priority \(earlier.priority)) "
                    + "holds whenever it would",
                "give it a lower priority than \(earlier.priority), or remove it")
        }
    }

    private static func covers(_ earlier: DevicePolicy, _ later: DevicePolicy) -> Bool {
        let strengths = Verdict.Strength.allCases
        guard
            strengths.firstIndex(of: earlier.matchStrengthMin) ?? 0
                <= strengths.firstIndex(of: later.matchStrengthMin) ?? 0
        else { return false }
        let (needed, given) = (required(earlier), required(later))
        return needed.allSatisfy { need in given.contains { implies($0, need) } }
    }

    /// Rules with a strategy of their own keep no policy from matching.
    private static func required(_ policy: DevicePolicy) -> [DeviceRule] {
        policy.rules.indices.filter {
            policy.strategy(ofRule: $0) == .require
        }
        .map { policy.rules[$0] }
    }

    /// Whether `rule` holding means that `other` holds.
    private static func implies(_ rule: DeviceRule, _ other: DeviceRule) -> Bool {
        guard rule.integration == other.integration else { return false }
        switch (rule, other) {
        case (.tags(_, let all, let have), .tags(_, let wantsAll, let want)):
            if wantsAll { return (all || have.count == 1) && Set(want).isSubset(of: have) }
            return all ? !Set(have).isDisjoint(with: want) : Set(have).isSubset(of: want)
        case (.score(_, let left, let value), .score(_, let right, let bound)):
            let points = [Int64.min, value - 1, value, value + 1, bound - 1, bound, bound + 1, .max]
            return points.allSatisfy { !left.isTrue($0, value) || right.isTrue($0, bound) }
        case (.risk(_, let left, let value), .risk(_, let right, let bound)):
            let levels = Verdict.Risk.allCases
            func rank(_ risk: Verdict.Risk) -> Int64 { Int64(levels.firstIndex(of: risk) ?? 0) }
            return levels.allSatisfy {
                !left.isTrue(rank($0), rank(value)) || right.isTrue(rank($0), rank(bound))
            }
        case (.agentManaged(_, let have), .agentManaged(_, let want)):
            // "The integration's own" is not known here and equal only to itself.
            return have == want || have >= 0 && want >= 0 && have <= want
        case (.agentKey(_, let have), .agentKey(_, let want)):
            let levels = AgentStatement.KeyLevel.allCases
            return levels.firstIndex(of: have) ?? 0 >= levels.firstIndex(of: want) ?? 0
        case (.agentFact(_, let have, let values), .agentFact(_, let want, let wanted)):
            return have == want && Set(values).isSubset(of: wanted)
        case (.setting(_, let have, let states), .setting(_, let want, let wanted)):
            return have == want && Set(states).isSubset(of: wanted)
        case (.verdictAge(_, let reported, let fetched), .verdictAge(_, let oldReport, let oldFetch)):
            return isWithin(reported, oldReport) && isWithin(fetched, oldFetch)
        default: return rule == other
        }
    }

    private static func isWithin(_ have: Int64?, _ want: Int64?) -> Bool {
        guard let want else { return true }
        return have.map { $0 <= want } ?? false
    }
}
