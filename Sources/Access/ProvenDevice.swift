/// By what a session's device may be known.
public enum DeviceProofKind: String, Sendable, Codable, CaseIterable {
    /// The local agent answered a challenge in this session.
    case agent
    /// The connection showed a client certificate that names the device.
    case certificate
}

/// What a client certificate says of a session's device. It counts for requests of the connection that showed it.
public struct CertificateProof: Sendable, Codable, Hashable {
    /// SHA-256 of the issuing certificate, lower-case hexadecimal.
    public var issuerDigest: String
    /// The serial number, lower-case hexadecimal.
    public var serial: String
    /// From this second on it does not count.
    public var notAfterSeconds: Int64
    /// By what the certificate names the device: `intune-device-id` or `certificate-name`.
    public var key: String
    /// How surely it is that device; nil: it names none that anybody knows.
    public var strength: Verdict.Strength?
    /// Nothing else names the device in this session: the agent has not answered.
    public var isAlone: Bool
    /// The agent answered for another device, or nobody can say that it is the same.
    public var isContradicted: Bool
    /// Takes the members as they are; nothing is checked here.
    public init(
        issuerDigest: String, serial: String, notAfterSeconds: Int64, key: String,
        strength: Verdict.Strength?, isAlone: Bool = true, isContradicted: Bool = false
    ) {
        self.issuerDigest = issuerDigest
        self.serial = serial
        self.notAfterSeconds = notAfterSeconds
        self.key = key
        self.strength = strength
        self.isAlone = isAlone
        self.isContradicted = isContradicted
    }

    var text: String {
        let issuer = issuerDigest.prefix(16)
        guard let strength else { return "certificate \(serial) of \(issuer), which names no known device" }
        return "certificate \(serial) of \(issuer), by \(key) (\(strength.rawValue))"
            + (isContradicted ? ", another device than the agent's" : "")
    }
}

extension Application {
    /// Whether a device that is proven so counts here.
    public func accepts(_ proof: DeviceProofKind) -> Bool { deviceProofs.contains(proof) }

    /// The device with those of its proofs that count here.
    ///
    /// - Parameter nowSeconds: seconds since 1970-01-01T00:00:00Z.
    /// - Returns: no device, and why, when none of them does.
    public func counted(
        _ device: DeviceFacts, atSeconds nowSeconds: Int64
    ) -> (device: DeviceFacts?, shortfall: Reason?) {
        let certificate = accepts(.certificate) ? device.certificate : nil
        // Two devices in one session: nobody knows at which of them the person sits.
        if certificate?.isContradicted == true { return (nil, .deviceCertificateConflict) }
        let certified =
            certificate.map { nowSeconds < $0.notAfterSeconds && $0.strength != nil } ?? false
        var shortfall: Reason?
        if !accepts(.agent) {
            shortfall = .deviceCertificateRequired
        } else if device.certificate?.isAlone == true {
            shortfall = .deviceRequired
        } else {
            shortfall = proofShortfall(of: device, atSeconds: nowSeconds)
        }
        var counted = device
        if !certified { counted.certificate = nil }
        guard shortfall != nil else { return (counted, nil) }
        guard certified else {
            let isUnknown = certificate != nil && certificate?.strength == nil
            return (nil, isUnknown && !accepts(.agent) ? .deviceCertificateUnknown : shortfall)
        }
        // What an agent said that does not count here is not known here.
        counted.statement = nil
        return (counted, nil)
    }
}

/// What an application makes of how a device is proven. Mostly the device counts as it is: a copy of it counts nine
/// references.
enum CountedDevice {
    /// Why none does; nil: none was shown.
    case none(Reason?)
    case asShown
    /// With those of its proofs that count.
    case with(DeviceFacts)
}

extension Trace {
    /// What counts of the device, and when that changes.
    mutating func counted(_ device: DeviceFacts?, for application: Application) -> CountedDevice {
        guard let device else {
            guard !application.accepts(.agent) else { return .none(nil) }
            note(.certificate(nil, counts: false))
            return .none(.deviceCertificateRequired)
        }
        guard application.accepts(.certificate) || device.certificate != nil else {
            return proofShortfall(of: device, for: application).map { .none($0) } ?? .asShown
        }
        read(.device(id: device.id))
        if let certificate = device.certificate { changes(atSeconds: certificate.notAfterSeconds) }
        let result = application.counted(device, atSeconds: nowSeconds)
        note(.certificate(device.certificate, counts: result.device?.certificate != nil))
        // Its moments and its line: what it comes to is part of the result.
        if application.accepts(.agent), device.certificate?.isAlone != true {
            _ = proofShortfall(of: device, for: application)
        }
        return result.device.map { .with($0) } ?? .none(result.shortfall)
    }
}

extension ExplainLine {
    fileprivate static func certificate(_ proof: CertificateProof?, counts: Bool) -> ExplainLine {
        ExplainLine(
            rule: "device-proofs", condition: "a client certificate names the device",
            outcome: Ternary(counts),
            observed: proof?.text ?? "none was shown", source: "connection",
            remedy: counts ? nil : DeviceProofCondition.certificateRemedy)
    }
}
