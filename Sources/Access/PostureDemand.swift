/// How a device proved itself (handshake.md 4.1, 4.2).
public enum HandshakeMode: String, Sendable, Codable, CaseIterable {
    /// The device's own certificate, made by the enrolment authority.
    case x5c
    /// The management server's statement about the device, and a proof of the device's key.
    case statement = "stmt"
    /// One key of the management server for all devices: whoever is root on one of them can be any of them.
    case unsafeStatic = "static"
}

/// The way by which challenge and answer travelled between browser and agent (handshake.md 4.3).
public enum HandshakeTransport: String, Sendable, Codable, CaseIterable {
    case fetch, popup, navigation

    /// By the word in an agent's answer and in a gateway's offer; nil for every other word.
    public init?(wire: String) {
        switch wire {
        case "fetch": self = .fetch
        case "popup": self = .popup
        case "nav", "navigation": self = .navigation
        case _: return nil
        }
    }
}

/// What an application asks of the handshake that proves a device (`applications.<name>.posture`). A device whose
/// proof does not meet it counts there as not shown.
public struct PostureDemand: Sendable, Codable, Hashable {
    /// Any of them will do; the others do not.
    public var modes: [HandshakeMode]
    /// Any of them will do; the others do not.
    public var transports: [HandshakeTransport]
    /// The proof counts for so long, seconds; at most until its own end, which its integration gives it. nil: as long
    /// as the sign-in that keeps it.
    public var ageSecondsMax: Int64?
    /// One to four numbers between dots; nil: every version of the agent will do.
    public var minimumVersion: String?

    /// Takes the members as they are; nothing is checked here.
    public init(
        modes: [HandshakeMode] = [.x5c, .statement],
        transports: [HandshakeTransport] = HandshakeTransport.allCases, ageSecondsMax: Int64? = 900,
        minimumVersion: String? = nil
    ) {
        self.modes = modes
        self.transports = transports
        self.ageSecondsMax = ageSecondsMax
        self.minimumVersion = minimumVersion
    }

    /// Whether an agent of that version will do. One that says nothing that can be compared is too old.
    public func accepts(agentVersion: String) -> Bool {
        guard let minimumVersion else { return true }
        guard let have = DottedVersion(agentVersion), let want = DottedVersion(minimumVersion) else {
            return false
        }
        return have >= want
    }

    /// What holds where nothing is written about it: however a device proved itself, the proof ages.
    public static func aging(ageSecondsMax: Int64) -> PostureDemand {
        PostureDemand(modes: HandshakeMode.allCases, ageSecondsMax: ageSecondsMax)
    }

    /// Whether nothing is asked of how the proof came about.
    private var takesEveryWay: Bool {
        HandshakeMode.allCases.allSatisfy(modes.contains)
            && HandshakeTransport.allCases.allSatisfy(transports.contains)
    }

    /// Why the proof does not count; nil: it does.
    ///
    /// A statement that does not say how it came about was kept by a version before this one: where that matters it
    /// does not count, and the next handshake says it.
    func shortfall(of device: DeviceFacts, atSeconds nowSeconds: Int64) -> Reason? {
        guard let statement = device.statement else { return .postureRequired }
        // Age first: whoever comes again brings a new answer, and maybe a newer agent.
        guard isFresh(statement, of: device, atSeconds: nowSeconds) else { return .postureRequired }
        guard takesEveryWay || isAccepted(statement.mode, statement.transport) else {
            return .postureRequired
        }
        return accepts(agentVersion: statement.agentVersion) ? nil : .agentOutdated
    }

    private func isAccepted(_ mode: HandshakeMode?, _ transport: HandshakeTransport?) -> Bool {
        guard let mode, let transport else { return false }
        return modes.contains(mode) && transports.contains(transport)
    }

    private func isFresh(
        _ statement: AgentStatement, of device: DeviceFacts, atSeconds nowSeconds: Int64
    ) -> Bool {
        guard ageSecondsMax != nil else { return true }
        // A proof from the future is one before the clock was set back: its age is not known.
        return statement.verifiedAtSeconds <= nowSeconds.sum(saturating: Verdict.clockSkewSecondsMax)
            && nowSeconds < endsAtSeconds(of: statement, of: device)
    }

    /// - Returns: `.max` where it does not end by its age.
    func endsAtSeconds(of statement: AgentStatement, of device: DeviceFacts) -> Int64 {
        guard let ageSecondsMax else { return .max }
        let own = statement.verifiedAtSeconds.sum(saturating: ageSecondsMax)
        return min(statement.expiresAtSeconds, own.sum(saturating: device.graceSeconds))
    }
}

extension PostureDemand: CustomStringConvertible {
    /// In words, for explain records.
    public var description: String {
        let how = modes.map(\.rawValue).joined(separator: " or ")
        let way = transports.map(\.rawValue).joined(separator: " or ")
        return "the device proved itself" + (takesEveryWay ? "" : " by \(how), over \(way),")
            + (ageSecondsMax.map { " less than \($0) s ago" } ?? " in this sign-in")
            + (minimumVersion.map { ", by an agent of version \($0) or later" } ?? "")
    }

    var contentTexts: [String] {
        [
            modes.map(\.rawValue).sorted().joined(separator: ","),
            transports.map(\.rawValue).sorted().joined(separator: ","),
            ageSecondsMax.map { String($0) } ?? "off",
        ] + (minimumVersion.map { [$0] } ?? [])
    }
}

extension Application {
    /// Why what the device proved does not count at this application; nil: it does, or nothing is asked of it.
    ///
    /// - Parameter nowSeconds: seconds since 1970-01-01T00:00:00Z.
    public func proofShortfall(of device: DeviceFacts, atSeconds nowSeconds: Int64) -> Reason? {
        if isProvenElsewhere(device) { return .postureRequired }
        return posture?.shortfall(of: device, atSeconds: nowSeconds)
    }

    /// A proof for another integration is one by other authorities and other rules: it says nothing here.
    func isProvenElsewhere(_ device: DeviceFacts) -> Bool {
        guard let agent, let statement = device.statement else { return false }
        return !ExactText.isEqual(agent, statement.integration)
    }

    /// From when on the proof may be repeated ahead of its end, at four fifths of its life; nil: there is none, or
    /// its age decides nothing here.
    ///
    /// - Parameter asksAgent: whether device policies ask the agent's statement.
    public func proofAgesAtSeconds(of device: DeviceFacts, asksAgent: Bool) -> Int64? {
        guard let statement = device.statement else { return nil }
        let demanded = posture?.endsAtSeconds(of: statement, of: device) ?? .max
        let end = asksAgent || asksAgentItself ? min(demanded, statement.expiresAtSeconds) : demanded
        guard end < .max else { return nil }
        let life = end.difference(saturating: statement.verifiedAtSeconds)
        return life > 0 ? statement.verifiedAtSeconds.sum(saturating: life - life / 5) : nil
    }

    /// The same application for a device that is proven as it asks. Analysis is about such devices: every other one
    /// counts as none, and that case it has anyhow.
    var withProofMet: Application {
        guard posture != nil || agent != nil || deviceProofs.count < DeviceProofKind.allCases.count else {
            return self
        }
        var application = self
        application.posture = nil
        application.agent = nil
        application.deviceProofs = DeviceProofKind.allCases
        return application
    }

    private var asksAgentItself: Bool {
        func asks(_ condition: Condition) -> Bool {
            switch condition {
            case .check(let check): check.isAgent
            case .meets(let group): group.all.contains(where: asks)
            case _: false
            }
        }
        return policies.contains { ($0.include + $0.require + $0.exclude).contains(where: asks) }
    }
}

extension PolicySnapshot {
    /// Whether a device policy asks the agent's statement.
    public var asksAgent: Bool { devicePolicies.contains { $0.rules.contains(where: \.asksStatement) } }
}

extension Trace {
    private mutating func provenElsewhere(_ device: DeviceFacts, _ agent: String) -> Reason {
        read(.device(id: device.id))
        let (statement, now) = (device.statement, nowSeconds)
        note(
            ExplainLine(
                rule: "agent", condition: "the device proved itself to \(agent)", outcome: .no,
                observed: statement.map(\.proof) ?? "nothing",
                source: statement.map { "\($0.integration) (statement)" } ?? "no statement",
                ageSeconds: statement.map { max(0, now.difference(saturating: $0.verifiedAtSeconds)) },
                remedy: "Continue to the device check; the agent has to answer again."))
        return .postureRequired
    }

    /// Whether the proof counts, and when that changes.
    ///
    /// - Returns: why it does not count; nil: it does.
    mutating func proofShortfall(of device: DeviceFacts, for application: Application) -> Reason? {
        if application.isProvenElsewhere(device) { return provenElsewhere(device, application.agent ?? "") }
        guard let demand = application.posture else { return nil }
        read(.device(id: device.id))
        if let statement = device.statement {
            let open = device.forWhatIsOpen
            changes(
                atSeconds: demand.endsAtSeconds(of: statement, of: device),
                open: demand.endsAtSeconds(of: open.statement ?? statement, of: open))
            if demand.ageSecondsMax != nil {
                changes(
                    atSeconds: statement.verifiedAtSeconds.difference(
                        saturating: Verdict.clockSkewSecondsMax))
            }
        }
        let shortfall = demand.shortfall(of: device, atSeconds: nowSeconds)
        let (statement, now) = (device.statement, nowSeconds)
        note(
            ExplainLine(
                rule: "posture", condition: demand.description, outcome: Ternary(shortfall == nil),
                observed: statement.map(\.proof) ?? "nothing",
                source: statement.map { "\($0.integration) (statement)" } ?? "no statement",
                ageSeconds: statement.map { max(0, now.difference(saturating: $0.verifiedAtSeconds)) },
                remedy: shortfall.map { reason in
                    reason == .agentOutdated
                        ? DeviceRule.agentUpdate(to: demand.minimumVersion ?? "", on: device.platform)
                        : "Continue to the device check; the agent has to answer again."
                }))
        return shortfall
    }
}

extension AgentStatement {
    fileprivate var proof: String {
        "\(mode?.rawValue ?? "unknown mode") over \(transport?.rawValue ?? "unknown transport"), "
            + "agent \(agentVersion)"
    }
}
