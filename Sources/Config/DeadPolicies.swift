import Access

/// Warns of policies and device policies that nothing reaches, as `gatepost analyze unreachable` finds them. Not where
/// something else is wrong: what could not be read would be called dead.
enum DeadPolicies {
    /// 2000-01-01: every moment counts, so that a file is judged alike whenever it is read.
    static let fromSeconds: Int64 = 946_684_800

    static func warn(_ policy: PolicySnapshot, _ root: SectionReader, _ read: [ApplicationsSection.Read]) {
        let diagnostics = root.context.diagnostics
        guard diagnostics.problems.isEmpty else { return }
        var analysis = PolicyAnalysis(policy, fromSeconds: fromSeconds)
        for dead in analysis.unreachableDevicePolicies().dead {
            diagnostics.warn(
                root.place(of: "device-policies"), "device-policies",
                "\(dead.policy) " + problem(dead, policy),
                dead.shadows.isEmpty
                    ? "correct its rules or remove it" : "give it a lower priority, or remove it")
        }
        for application in read {
            for dead in analysis.unreachable(in: application.decisions).dead {
                let (key, place) = application.policyPlaces[dead.policy]
                warn(dead, application.decisions.policies, key, place, diagnostics)
            }
        }
    }

    private static func problem(_ dead: DeadDevicePolicy, _ policy: PolicySnapshot) -> String {
        guard !dead.shadows.isEmpty else { return "never holds: its rules exclude each other" }
        let names = dead.shadows.map { name in
            let found = policy.devicePolicies.first { $0.name == name && $0.platform == dead.platform }
            return found.map { "\(name) (priority \($0.priority))" } ?? name
        }
        let hold = names.count == 1 ? "holds" : "hold"
        return "is never reached: \(names.joined(separator: " and ")) \(hold) whenever it would"
    }

    private static func warn(
        _ dead: DeadPolicy, _ policies: [ApplicationPolicy], _ key: String, _ place: Place,
        _ diagnostics: Diagnostics
    ) {
        let policy = policies[dead.policy]
        switch dead.cause {
        // Legal and often meant for another time or application: `gatepost analyze unreachable` tells.
        case .idle: return
        case .neverMatches:
            diagnostics.warn(
                place, key,
                "\(policy.action.rawValue) \(policy.name) never matches: its conditions exclude each other",
                "correct its conditions or remove it")
        case .shadowed(let indexes):
            let earlier = indexes.map { policies[$0] }
            guard let first = earlier.first else { return }
            let remedy =
                policy.action == .block && earlier.contains { $0.action != .block }
                ? "move the block before \(first.name)" : "move it before \(first.name) or remove it"
            let names = earlier.map { "\($0.action.rawValue) \($0.name)" }.joined(separator: " and ")
            diagnostics.warn(
                place, key,
                "\(policy.action.rawValue) \(policy.name) is never reached: "
                    + "\(names) \(earlier.count == 1 ? "matches" : "match") first", remedy)
        }
    }
}
