/// Device policies: by platform and priority, three-valued, the first true one wins (providers.md 10.2).
extension PolicySnapshot {
    /// - Parameters:
    ///   - person: whose session asks; nil when nobody is signed in.
    ///   - owner: what the application asks about whose device it is. Under `samePerson` a device of another
    ///     person is `denied` (`device-owner-mismatch`), and one that nobody enrolled too (`device-unknown`).
    public func deviceResult(
        of device: DeviceFacts, for person: PersonFacts?, owner: DeviceOwner, atSeconds nowSeconds: Int64,
        recordingLines: Bool = true
    ) -> DeviceResult {
        var trace = Trace(nowSeconds: nowSeconds, isRecording: recordingLines)
        trace.read("device:\(device.id)")
        var ruling = DeviceRuling()
        if let mismatch = Self.ownerMismatch(of: device, person, owner, &trace) {
            ruling = DeviceRuling(deviceClass: .denied, reason: mismatch)
        } else {
            ruling.judge(device, under: self, &trace)
        }
        return DeviceResult(
            deviceClass: ruling.deviceClass, policyName: ruling.policy?.name, message: ruling.policy?.message,
            lines: trace.lines, validUntilSeconds: trace.validUntilSeconds, dependsOn: trace.dependsOn,
            reason: ruling.deviceClass == .compliant ? nil : ruling.reason)
    }

    private static func ownerMismatch(
        of device: DeviceFacts, _ person: PersonFacts?, _ owner: DeviceOwner, _ trace: inout Trace
    ) -> Reason? {
        guard owner == .samePerson else { return nil }
        var outcome = Ternary.indeterminate
        if let issuer = device.ownerIssuer, let subject = device.ownerSubject, let person {
            outcome = Ternary(
                ExactText.isEqual(issuer, person.issuer) && ExactText.isEqual(subject, person.subject))
        }
        trace.note(
            ExplainLine(
                rule: "device-owner", condition: "the device was enrolled by the person who is signed in",
                outcome: outcome,
                observed: device.ownerSubject.map { "\(device.ownerIssuer ?? "?") \($0)" }
                    ?? "enrolled by nobody",
                source: "enrolment of \(device.id)",
                remedy: outcome == .yes ? nil : "Use your own device, or enrol this one in your name."))
        switch outcome {
        case .yes: return nil
        case .no: return .deviceOwnerMismatch
        case .indeterminate: return .deviceUnknown
        }
    }
}

/// The way of one device through its policies.
private struct DeviceRuling {
    var deviceClass = DeviceClass.denied
    var reason: Reason?
    /// The policy whose result counted.
    var policy: DevicePolicy?
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

    mutating func judge(_ device: DeviceFacts, under snapshot: PolicySnapshot, _ trace: inout Trace) {
        let policies = snapshot.devicePolicies.filter { $0.platform == device.platform }
            .sorted { ($0.priority, $0.name) < ($1.priority, $1.name) }
        guard !policies.isEmpty else {
            settleByDefault(snapshot.deviceDefaultUnsupported, "default-unsupported", device, &trace)
            return
        }
        for policy in policies {
            let (outcome, failure) = policy.outcome(for: device, &trace)
            if outcome == .yes {
                settle(by: policy)
                return
            }
            if policy.result == .compliant {
                obstacle = obstacle ?? failure
            } else if outcome == .indeterminate, isStopped(by: policy, failure) {
                return
            }
        }
        settleByDefault(snapshot.deviceDefaultNoMatch, "default-no-match", device, &trace)
    }

    private mutating func settle(by policy: DevicePolicy) {
        self.policy = policy
        deviceClass = min(policy.result, cap)
        if policy.result == .denied {
            reason = .deviceDenied
        } else {
            reason = policy.result == .compliant ? capReason : obstacle ?? .devicePartial
        }
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

extension DevicePolicy {
    /// All rules (AND). The reason is that of the failure worth most: a definite one before one of age,
    /// before one of absence; nil when the outcome is `yes`.
    fileprivate func outcome(for device: DeviceFacts, _ trace: inout Trace) -> (Ternary, Reason?) {
        // "Compliant" without asking anything would be a hole, however it came about.
        if rules.isEmpty && result == .compliant { return (.indeterminate, .postureIndeterminate) }
        var outcome = Ternary.yes
        var failure: RuleFinding?
        for (index, rule) in rules.enumerated() {
            let finding = rule.finding(about: device, matchStrengthMin: matchStrengthMin, &trace)
            let now = trace.nowSeconds
            trace.note(
                finding.line("\(name).rules[\(index)]", rule, helps: result == .compliant, atSeconds: now))
            outcome = outcome && finding.outcome
            if finding.outcome != .yes, finding.weight > (failure?.weight ?? 0) { failure = finding }
        }
        return (outcome, outcome == .yes ? nil : failure?.reason)
    }
}

extension RuleFinding {
    fileprivate var weight: Int {
        if outcome == .no { return 5 }
        return switch reason {
        case .postureStale, .lastSeenStale: 4
        case .postureRequired: 3
        case .postureMissing: 2
        default: 1
        }
    }
}
