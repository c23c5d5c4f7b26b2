/// Device policies: by platform and priority, three-valued, the first true one wins (providers.md 10.2).
extension PolicySnapshot {
    /// - Parameters:
    ///   - person: whose session asks; nil when nobody is signed in.
    ///   - owner: what the application asks about whose device it is. Under `samePerson` a device of another
    ///     person is `denied` (`device-owner-mismatch`), and one that nobody enrolled too (`device-unknown`).
    ///   - outage: what the application makes of verdicts that have expired.
    public func deviceResult(
        of device: DeviceFacts, for person: PersonFacts?, owner: DeviceOwner,
        outage: OutageSetting = .failClosed, atSeconds nowSeconds: Int64, recordingLines: Bool = true
    ) -> DeviceResult {
        var trace = Trace(nowSeconds: nowSeconds, isRecording: recordingLines)
        trace.read(.device(id: device.id))
        var ruling = DeviceRuling()
        if let mismatch = Self.ownerMismatch(of: device, person, owner, &trace) {
            ruling = DeviceRuling(deviceClass: .denied, reason: mismatch)
        } else {
            ruling.judge(device, under: self, VerdictUse(outage, for: device), &trace)
            if outage == .partial { ruling.soften(device, under: self, &trace) }
        }
        return DeviceResult(
            deviceClass: ruling.deviceClass, policyName: ruling.policy?.name, message: ruling.policy?.message,
            lines: trace.lines, validUntilSeconds: trace.validUntilSeconds,
            openUntilSeconds: trace.openUntilSeconds, dependsOn: trace.dependsOn,
            reason: ruling.deviceClass == .compliant ? nil : ruling.reason, warnings: ruling.warnings)
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
