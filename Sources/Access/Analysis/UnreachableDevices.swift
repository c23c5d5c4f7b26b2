/// A device policy that settles no device's class.
public struct DeadDevicePolicy: Sendable, Hashable {
    /// The policy's name.
    public var policy: String
    /// Its platform.
    public var platform: Platform
    /// Earlier policies that settle every device for which its rules hold; empty: its rules exclude each other.
    public var shadows: [String]
}

/// What is dead among the device policies.
public struct DeviceFindings: Sendable, Hashable {
    /// By platform, in the order in which they are asked.
    public var dead: [DeadDevicePolicy]
    /// What could not be settled; then nothing is named dead.
    public var bounds: [String]
}

extension PolicyAnalysis {
    /// Device policies that settle no device, whatever its providers and its agent say, now or later.
    public func unreachableDevicePolicies() -> DeviceFindings {
        let side = DeviceSpace.Side(
            devicePolicies: snapshot.devicePolicies, noMatch: snapshot.deviceDefaultNoMatch,
            unsupported: snapshot.deviceDefaultUnsupported, outage: .failClosed, owner: .any)
        var space = DeviceSpace([side], atoms: [], atSeconds: fromSeconds)
        var findings = DeviceFindings(dead: [], bounds: space.bounds)
        for platform in Platform.allCases {
            let dead = space.dead(
                side, platform, moments: Self.moments([snapshot], from: fromSeconds), &findings.bounds)
            findings.dead += dead
        }
        if !findings.bounds.isEmpty { findings.dead = [] }
        return findings
    }
}

extension DeviceSpace {
    fileprivate mutating func dead(
        _ side: Side, _ platform: Platform, moments: [Int64], _ bounds: inout [String]
    ) -> [DeadDevicePolicy] {
        var alive: Set<String> = []
        var settlings: [Settling] = []
        // Strategies that begin to count only make a rule ask less of whether the policy holds, so all times count.
        for moment in moments {
            settlings = walk(side, platform, 0, moment).settlings
            for settling in settlings where !alive.contains(settling.policy.name) {
                if exists([settling.settles], &bounds) { alive.insert(settling.policy.name) }
            }
        }
        return settlings.indices.filter { !alive.contains(settlings[$0].policy.name) }.map { index in
            DeadDevicePolicy(
                policy: settlings[index].policy.name, platform: platform,
                shadows: shadows(of: settlings[index], Array(settlings[..<index]), &bounds))
        }
    }

    /// The first earlier policy that is enough, or a set of which none can be left out.
    private mutating func shadows(
        of dead: Settling, _ earlier: [Settling], _ bounds: inout [String]
    ) -> [String] {
        guard exists([dead.holds], &bounds) else { return [] }
        var needed = earlier
        for settling in earlier where !exists([dead.holds, formulas.not(settling.holds)], &bounds) {
            return [settling.policy.name]
        }
        for settling in earlier.reversed() {
            let others = needed.filter { $0.policy.name != settling.policy.name }
            let open = others.map { formulas.not($0.holds) }
            if !exists([dead.holds] + open, &bounds) { needed = others }
        }
        return needed.map(\.policy.name)
    }

    private func exists(_ wanted: [Formulas.Node], _ bounds: inout [String]) -> Bool {
        var search = Search(formulas)
        switch search.first(of: wanted, in: formulas.everything) {
        case .found: return true
        case .nothing: return false
        case .undecided:
            bounds.append("a question about device policies took more than \(Search.stepsMax) steps")
            return true
        }
    }
}
