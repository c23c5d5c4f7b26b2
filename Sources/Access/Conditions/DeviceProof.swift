/// The device is proven in one of these ways: by the local agent, or by the client certificate of the connection.
///
/// A certificate that names the device less surely than is asked is "not known", not "no".
public struct DeviceProofCondition: Sendable, Codable, Hashable {
    /// Any of them will do.
    public var proofs: [DeviceProofKind]
    /// The weakest match of a certificate's device that counts.
    public var minimum: Verdict.Strength
    /// Takes the members as they are; nothing is checked here.
    public init(proofs: [DeviceProofKind], minimum: Verdict.Strength = .medium) {
        self.proofs = proofs
        self.minimum = minimum
    }

    static let certificateRemedy =
        "Open the page in a browser that may use this device's certificate, and choose that certificate."
}

extension DeviceProofCondition: DeviceRuleCondition {
    var rule: DeviceRule { .provenBy(proofs, minimum: minimum) }
    var askedIntegration: String? { nil }
}

extension DeviceRule {
    /// What is said of the ways in which the device is proven; those that do not count are not among its facts.
    static func proofFinding(
        about device: DeviceFacts, _ proofs: [DeviceProofKind], _ minimum: Verdict.Strength,
        _ trace: inout Trace
    ) -> RuleFinding {
        var isDoubtful = false
        if proofs.contains(.agent), let statement = device.statement {
            trace.changes(
                atSeconds: statement.expiresAtSeconds,
                open: max(statement.expiresAtSeconds, statement.openUntilSeconds ?? .min))
            if trace.nowSeconds < statement.expiresAtSeconds {
                return RuleFinding(.yes, .proof("the agent answered"), unless: .postureRequired)
            }
        }
        if proofs.contains(.certificate), let certificate = device.certificate,
            let strength = certificate.strength, trace.nowSeconds < certificate.notAfterSeconds
        {
            trace.changes(atSeconds: certificate.notAfterSeconds)
            if strength.rank >= minimum.rank {
                return RuleFinding(.yes, .proof(certificate.text), unless: .deviceCertificateRequired)
            }
            isDoubtful = true
        }
        let reason: Reason =
            proofs.contains(.agent)
            ? .postureRequired : isDoubtful ? .postureIndeterminate : .deviceCertificateRequired
        let shown = device.certificate?.text ?? (device.statement == nil ? "nothing" : "the agent answered")
        return RuleFinding(isDoubtful ? .indeterminate : .no, .proof(shown), unless: reason)
    }
}
