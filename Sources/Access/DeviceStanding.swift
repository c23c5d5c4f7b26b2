extension PolicySnapshot {
    /// Whether the device policies call a device compliant, for somebody who may not be told anything else:
    /// nil when that is not known. What is missing, stale or ambiguous never makes a device non-compliant
    /// here, and what a strategy leaves of a device that otherwise complies is a "no" only when its rule is
    /// known not to hold.
    public func standing(of device: DeviceFacts, atSeconds nowSeconds: Int64) -> Bool? {
        var trace = Trace(nowSeconds: nowSeconds, isRecording: false)
        let use = VerdictUse(.failClosed, for: device)
        var ruling = DeviceRuling()
        ruling.judge(device, under: self, use, &trace)
        guard ruling.deviceClass != .compliant else { return true }
        let policies = devicePolicyOrder.places(of: device.platform).map { devicePolicies[$0] }
        for policy in policies {
            let outcome = policy.tally(for: device, use, &trace).outcome
            if policy.result == .compliant {
                guard outcome != .no else { continue }
                return outcome == .yes && policy.isLimited(device, use, &trace) ? false : nil
            }
            if outcome == .yes { return false }
        }
        // Nothing is asked of devices of this platform, or all that could make it compliant is known not to
        // hold.
        return policies.contains { $0.result == .compliant } ? false : nil
    }
}

extension DevicePolicy {
    /// Whether a rule with a strategy of its own is known not to hold.
    fileprivate func isLimited(_ device: DeviceFacts, _ use: VerdictUse, _ trace: inout Trace) -> Bool {
        var use = use
        use.matchStrengthMin = matchStrengthMin
        for (index, rule) in rules.enumerated() {
            let effect = strategy(ofRule: index).effect(atSeconds: trace.nowSeconds)
            guard effect == .partial || effect == .deny else { continue }
            if rule.finding(about: device, use, &trace).outcome == .no { return true }
        }
        return false
    }
}
