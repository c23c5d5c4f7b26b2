import Testing

@testable import Access

/// One device, and what an application that accepts these proofs makes of it.
struct ProvenCase: Sendable, CustomTestStringConvertible {
    var name: String
    var proofs: [DeviceProofKind]
    var device: DeviceFacts?
    /// nil: let in.
    var reason: Reason?
    var testDescription: String {
        "\(name), where \(proofs.map(\.rawValue).joined(separator: " or ")) counts"
    }

    init(_ name: String, _ proofs: [DeviceProofKind], _ device: DeviceFacts?, _ reason: Reason? = nil) {
        (self.name, self.proofs, self.device, self.reason) = (name, proofs, device, reason)
    }
}

private let good = [verdict(labels: ["compliant"])]

private func proof(
    _ strength: Verdict.Strength? = .strong, until: Int64 = now + 600, alone: Bool = true,
    contradicted: Bool = false
) -> CertificateProof {
    CertificateProof(
        issuerDigest: String(repeating: "a", count: 64), serial: "0b", notAfterSeconds: until,
        key: "intune-device-id", strength: strength, isAlone: alone, isContradicted: contradicted)
}

private func certified(
    _ proof: CertificateProof, _ statement: AgentStatement? = nil, _ verdicts: [Verdict] = good,
    owner: String? = "ada"
) -> DeviceFacts {
    var known = device(verdicts, statement: statement, owner: owner)
    known.certificate = proof
    return known
}

private func app(_ proofs: [DeviceProofKind], _ require: [Condition] = []) -> Application {
    var made = application([
        ApplicationPolicy(
            name: "staff", action: .allow, include: [everyDomain], require: [deviceIs(.compliant)] + require)
    ])
    made.deviceProofs = proofs
    return made
}

private func refusal(_ device: DeviceFacts?, _ application: Application, at seconds: Int64 = now) -> Reason? {
    switch decide(session(), device, application, at: seconds) {
    case .refuse(let reason): reason
    case .forward: nil
    case .signIn, .recompute: .sessionEnded
    }
}

@Suite("How a person's device is proven: by its agent, by the connection's certificate, or by either")
struct ProvenDeviceTests {
    private static let both: [DeviceProofKind] = [.agent, .certificate]
    private static let agents = device(good, statement: statement())
    private static let table: [ProvenCase] = [
        // Agent no, certificate no.
        .init("nothing", [.agent], nil, .deviceRequired),
        .init("nothing", [.certificate], nil, .deviceCertificateRequired),
        .init("nothing", both, nil, .deviceRequired),
        // Agent yes, certificate no.
        .init("the agent", [.agent], agents),
        .init("the agent", [.certificate], agents, .deviceCertificateRequired),
        .init("the agent", both, agents),
        // Agent no, certificate yes.
        .init("a certificate", [.agent], certified(proof()), .deviceRequired),
        .init("a certificate", [.certificate], certified(proof())),
        .init("a certificate", both, certified(proof())),
        // Both.
        .init("both", [.agent], certified(proof(alone: false), statement())),
        .init("both", [.certificate], certified(proof(alone: false), statement())),
        .init("both", both, certified(proof(alone: false), statement())),
        // Certificates that prove nothing.
        .init("an ended one", [.certificate], certified(proof(until: now)), .deviceCertificateRequired),
        .init("one in its last second", [.certificate], certified(proof(until: now + 1))),
        .init("an ended one", both, certified(proof(until: now)), .deviceRequired),
        .init("an ended one beside the agent", both, certified(proof(until: now, alone: false), statement())),
        .init("an unknown device's", [.certificate], certified(proof(nil)), .deviceCertificateUnknown),
        .init("an unknown device's", both, certified(proof(nil)), .deviceRequired),
        .init("an unknown device's beside the agent", both, certified(proof(nil, alone: false), statement())),
        .init(
            "another device's than the agent's", both,
            certified(proof(alone: false, contradicted: true), statement()), .deviceCertificateConflict),
        .init(
            "another device's than the agent's", [.certificate],
            certified(proof(alone: false, contradicted: true), statement()), .deviceCertificateConflict),
        .init(
            "another device's, ended", both,
            certified(proof(until: now, alone: false, contradicted: true), statement()),
            .deviceCertificateConflict),
        // The device itself.
        .init(
            "somebody else's device", [.certificate], certified(proof(), owner: "bob"), .deviceOwnerMismatch),
        .init("nobody's device", [.certificate], certified(proof(), owner: nil), .deviceUnknown),
        .init(
            "a device that is not compliant", [.certificate],
            certified(proof(), nil, [verdict(.noncompliant)]), .postureNonCompliant),
        .init(
            "a device of which nobody says anything", [.certificate], certified(proof(), nil, []),
            .postureMissing),
        .init(
            "a device about which two providers disagree", [.certificate],
            certified(proof(), nil, good + [verdict(.noncompliant, native: "d-2")]), .postureNonCompliant),
    ]

    @Test(
        "001.8 001.9 a device counts where one of its proofs does, and then its verdicts decide",
        arguments: table)
    func counts(_ row: ProvenCase) {
        #expect(refusal(row.device, app(row.proofs)) == row.reason)
    }

    @Test func `each of the four combinations has a row for each choice of proofs`() {
        #expect(Set(Self.table.prefix(12).map { "\($0.name) \($0.proofs.count)\($0.proofs[0])" }).count == 12)
    }

    @Test func `the answer ends with the certificate, not with what is known of the device`() {
        let application = app([.certificate])
        let residual = snapshot().residual(
            of: session(), certified(proof(until: now + 40)), for: application, atSeconds: now)
        #expect(residual.validUntilSeconds == now + 40)
        #expect(refusal(certified(proof(until: now + 40)), application, at: now + 39) == nil)
        #expect(
            refusal(certified(proof(until: now + 40)), application, at: now + 40)
                == .deviceCertificateRequired)
    }

    @Test func `what an agent said that does not count here is not known here`() {
        var application = app(Self.both)
        application.posture = PostureDemand(ageSecondsMax: 10)
        let rule = DeviceRule.agentFact(integration: "agents", name: "disk-encryption", values: [.flag(true)])
        let policies = snapshot([devicePolicy("encrypted", 10, [rule], .compliant)])
        let known = certified(proof(alone: false), statement())
        // Thirty seconds old: the certificate counts, the statement does not.
        #expect(!decide(session(), known, application, policies).isForward)
        application.posture = nil
        #expect(decide(session(), known, application, policies).isForward)
    }

    // MARK: The condition

    private static func condition(
        _ proofs: [DeviceProofKind], _ minimum: Verdict.Strength = .medium
    ) -> Condition { .deviceProof(DeviceProofCondition(proofs: proofs, minimum: minimum)) }

    @Test func `a policy may ask how the device is proven, and how surely`() {
        let byName = certified(proof(.medium))
        let byID = certified(proof())
        let together = certified(proof(alone: false), statement())
        let rows: [(Condition, DeviceFacts, Reason?)] = [
            (Self.condition([.certificate]), byName, nil), (Self.condition([.certificate]), byID, nil),
            (Self.condition([.certificate], .strong), byName, .postureIndeterminate),
            (Self.condition([.certificate], .strong), byID, nil),
            (Self.condition([.certificate]), Self.agents, .deviceCertificateRequired),
            (Self.condition([.agent]), byID, .postureRequired), (Self.condition([.agent]), Self.agents, nil),
            (Self.condition([.agent, .certificate]), byName, nil),
            (Self.condition([.agent, .certificate], .strong), byName, .postureRequired),
            (Self.condition([.agent, .certificate], .strong), together, nil),
        ]
        for (condition, known, reason) in rows {
            #expect(refusal(known, app(Self.both, [condition])) == reason, "\(condition) of \(known)")
        }
        // Both at once are two conditions.
        let asked = [Self.condition([.agent]), Self.condition([.certificate])]
        #expect(refusal(together, app(Self.both, asked)) == nil)
        #expect(refusal(byID, app(Self.both, asked)) == .postureRequired)
        #expect(refusal(Self.agents, app(Self.both, asked)) == .deviceCertificateRequired)
    }

    @Test func `an explain record says which proof counted, and what to do without one`() throws {
        let record = snapshot().explain(
            session(), certified(proof()), for: app([.certificate]), atSeconds: now)
        let line = try #require(record.lines.first { $0.rule == "device-proofs" })
        #expect(line.outcome == .yes && line.remedy == nil)
        #expect(
            line.observed.contains("certificate 0b") && line.observed.contains("intune-device-id (strong)"))
        let without = snapshot().explain(session(), nil, for: app([.certificate]), atSeconds: now)
        let missing = try #require(without.lines.first { $0.rule == "device-proofs" })
        #expect(missing.outcome == .no && missing.remedy?.contains("certificate") == true)
        let other = snapshot().explain(
            session(), certified(proof(alone: false, contradicted: true), statement()), for: app(Self.both),
            atSeconds: now)
        #expect(other.lines.contains { $0.observed.contains("another device than the agent's") })
        // Where certificates do not count none is spoken of.
        let plain = snapshot().explain(session(), Self.agents, for: app([.agent]), atSeconds: now)
        #expect(!plain.lines.contains { $0.rule == "device-proofs" })
    }
}
