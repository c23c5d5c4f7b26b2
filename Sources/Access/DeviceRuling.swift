/// The way of one device through its policies.
struct DeviceRuling {
    var deviceClass = DeviceClass.denied
    var reason: Reason?
    /// The policy whose result counted.
    var policy: DevicePolicy?
    /// Of the policy whose result counted.
    var warnings: [CheckWarning] = []
    /// The best class that is still possible: an indeterminate policy that might have stopped the device
    /// lowers it.
    private var cap = DeviceClass.compliant
    private var capReason: Reason?
    /// What kept the device from the first policy that would have made it compliant.
    private var obstacle: Reason?

    init(deviceClass: DeviceClass = .denied, reason: Reason? = nil) {
        self.deviceClass = deviceClass
        self.reason = reason
    }

    mutating func judge(
        _ device: DeviceFacts, under snapshot: PolicySnapshot, _ use: VerdictUse, _ trace: inout Trace
    ) {
        let asked = snapshot.devicePolicyOrder.places(of: device.platform)
        guard !asked.isEmpty else {
            settleByDefault(snapshot.deviceDefaultUnsupported, "default-unsupported", device, &trace)
            return
        }
        for index in asked {
            let policy = snapshot.devicePolicies[index]
            let tally = policy.tally(for: device, use, &trace)
            if tally.outcome == .yes {
                settle(by: policy, tally)
                return
            }
            if policy.result == .compliant {
                obstacle = obstacle ?? tally.failure?.reason
            } else if tally.outcome == .indeterminate, isStopped(by: policy, tally.failure?.reason) {
                return
            }
        }
        settleByDefault(snapshot.deviceDefaultNoMatch, "default-no-match", device, &trace)
    }

    /// The provider's silence alone makes nobody `denied`: what the last verdicts would have given counts, but not
    /// for more than `partial`.
    mutating func soften(_ device: DeviceFacts, under snapshot: PolicySnapshot, _ trace: inout Trace) {
        guard deviceClass == .denied else { return }
        var last = DeviceRuling()
        var edges = Trace(nowSeconds: trace.nowSeconds, isRecording: false)
        let use = VerdictUse(extensionSeconds: OutageSetting.secondsMax, for: device)
        last.judge(device, under: snapshot, use, &edges)
        trace.changes(atSeconds: edges.validUntilSeconds, open: edges.openUntilSeconds)
        guard last.deviceClass > .denied else { return }
        deviceClass = .partial
        policy = last.policy
        trace.note(
            ExplainLine(
                rule: "outage", condition: "the last verdicts count for partial access", outcome: .yes,
                observed: last.policy?.name ?? "a default", source: "application",
                remedy: "Let the device report to its provider, or wait until the provider answers again."))
    }

    private mutating func settle(by policy: DevicePolicy, _ tally: DeviceTally) {
        self.policy = policy
        warnings = tally.warnings
        deviceClass = min(policy.result, cap)
        if policy.result == .denied {
            reason = .deviceDenied
        } else {
            reason = policy.result == .compliant ? capReason : obstacle ?? .devicePartial
        }
        guard tally.ceiling < deviceClass else { return }
        deviceClass = tally.ceiling
        reason = tally.ceilingReason
    }

    /// An outage must not lift a device that this policy might have stopped. That holds for policies whose
    /// result is `partial` as it does for those that deny.
    private mutating func isStopped(by policy: DevicePolicy, _ failure: Reason?) -> Bool {
        switch policy.onUnknown {
        case .unsafeIgnore: return false
        case .cap:
            cap = min(cap, .partial)
            capReason = capReason ?? failure
            return false
        case .deny:
            self.policy = policy
            deviceClass = .denied
            reason = failure
            return true
        }
    }

    /// A default never makes a device compliant, whatever was configured.
    private mutating func settleByDefault(
        _ setting: DeviceClass, _ name: String, _ device: DeviceFacts, _ trace: inout Trace
    ) {
        deviceClass = min(setting, .partial)
        reason = obstacle ?? capReason ?? (deviceClass == .denied ? .deviceDenied : .devicePartial)
        trace.note(
            ExplainLine(
                rule: name, condition: "no device policy decides: \(deviceClass.rawValue)", outcome: .yes,
                observed: "platform \(device.platform?.rawValue ?? "unknown")", source: "device policies",
                remedy: "Meet the checks of one of the device policies."))
    }
}
