/// Rules of device policies in words, for explain records and the person.
extension DeviceRule: CustomStringConvertible {
    /// `intune labels have any of: compliant`.
    public var description: String {
        switch self {
        case .tags(let name, let matchesAll, let values):
            "\(name) labels have \(matchesAll ? "all" : "any") of: \(ExactText.list(values))"
        case .score(let name, let comparison, let value): "\(name) score \(comparison.rawValue) \(value)"
        case .risk(let name, let comparison, let value):
            "\(name) risk \(comparison.rawValue) \(value.rawValue)"
        case .sensorRunning(let name, let wanted): "\(name) sensor \(wanted ? "runs" : "does not run")"
        case .managed(let name, let wanted): "\(name) says \(wanted ? "managed" : "not managed")"
        case .agentFact(let integration, let name, let values):
            "\(integration) fact \(name) is one of: \(ExactText.list(values.map(\.description)))"
        case .agentFactIs(let integration, let name, let comparison, let value):
            "\(integration) fact \(name) is \(comparison.rawValue) \(value)"
        case .agentManaged(let name, let seconds): "\(name) says managed, last seen at most \(seconds) s ago"
        case .agentVersion(let name, let minimum): "\(name) version is at least \(minimum)"
        case .agentKey(let name, let minimum): "\(name) key is at least \(minimum.rawValue)"
        case .setting(let integration, let name, let states):
            "\(integration) check \(name) is one of: \(ExactText.list(states.map(\.rawValue)))"
        case .verdictAge(let name, let reported, let fetched):
            name
                + (reported.map { " reported at most \($0) s ago" } ?? "")
                + (fetched.map { " fetched at most \($0) s ago" } ?? "")
        case .matchStrength(let name, let minimum): "\(name) match is at least \(minimum.rawValue)"
        case .provenBy(let proofs, let minimum):
            "device is proven by: \(proofs.map(\.rawValue).joined(separator: " or "))"
                + (proofs.contains(.certificate) ? ", a certificate at least \(minimum.rawValue)" : "")
        }
    }

    /// What to do about a definite failure when the provider itself names no remedy.
    ///
    /// - Parameter platform: the device's; nil: not known.
    func remedy(on platform: Platform?) -> String {
        switch self {
        case .tags(let name, let matchesAll, let values):
            "Put right what \(name) lists for this device, until \(name) calls it "
                + "\(matchesAll ? "" : values.count > 1 ? "one of: " : "")\(ExactText.list(values))."
        case .score(let name, let comparison, let value):
            "Repair what \(name) lists until its score is \(comparison.rawValue) \(value)."
        case .risk(let name, let comparison, let value):
            "Repair what \(name) lists until its risk is \(comparison.rawValue) \(value.rawValue)."
        case .sensorRunning(let name, let wanted):
            wanted
                ? "The protection software that \(name) watches does not run on this device. Start it, or "
                    + "restart the device; if it stays off, ask whoever manages this device."
                : "Stop the sensor of \(name)."
        case .managed(let name, let wanted):
            wanted ? "Enrol the device with \(name)." : "Remove it from \(name)."
        case .agentFact(_, let name, let values): FactRemedy.text(name, oneOf: values, on: platform)
        case .agentFactIs(_, let name, let comparison, let value):
            FactRemedy.text(name, comparison, value, on: platform)
        case .agentManaged: "Enrol the device with your organisation's management."
        case .agentVersion(_, let minimum): Self.agentUpdate(to: minimum, on: platform)
        case .agentKey:
            "Enrol this device again with its key in the security chip"
                + (platform == .linux ? ": sudo gatepost-agent enroll --key-storage tpm." : ".")
        case .setting(let integration, let name, _): "Repair \(name), which \(integration) checks."
        case .verdictAge(let name, _, _): "Let the device report to \(name), then try again."
        case .matchStrength(let name, _): "Enrol the device again, so that \(name) knows it by its own id."
        case .provenBy(let proofs, _):
            proofs.contains(.agent) ? "Continue to the device check." : DeviceProofCondition.certificateRemedy
        }
    }

    /// What to do about an agent that is too old.
    static func agentUpdate(to minimum: String, on platform: Platform?) -> String {
        "Update Gatepost’s agent on this device to version \(minimum) or later"
            + (platform == .linux ? ": install the newest package gatepost-agent." : ".")
    }

    func observed(in evidence: RuleFinding.Evidence) -> String {
        switch evidence {
        case .none: "nothing"
        case .verdict(let verdict): observed(in: verdict)
        case .statement(let statement): observed(in: statement)
        case .proof(let text): text
        }
    }

    private func observed(in verdict: Verdict) -> String {
        switch self {
        case .score:
            verdict.score.map {
                "\($0.value) of \($0.minimum)…\($0.maximum), state \(verdict.state.rawValue)"
            }
                ?? "no score, state \(verdict.state.rawValue)"
        case .risk: "risk \(verdict.risk?.rawValue ?? "unknown"), state \(verdict.state.rawValue)"
        case .sensorRunning:
            "sensor \(verdict.isSensorRunning.map { $0 ? "runs" : "does not run" } ?? "unknown"), "
                + "state \(verdict.state.rawValue)"
        case .managed:
            "\(verdict.isManaged.map { $0 ? "managed" : "not managed" } ?? "management unknown"), "
                + "state \(verdict.state.rawValue)"
        case .setting(_, let name, _):
            verdict.checks.first { ExactText.isEqual($0.id, name) || ExactText.isEqual($0.title, name) }
                .map { "check \($0.title): \($0.state.rawValue)" } ?? "no such check"
        case .verdictAge:
            "reported at \(verdict.observedAtSeconds), fetched at \(verdict.fetchedAtSeconds)"
        case .matchStrength: "matched by \(verdict.matchKey): \(verdict.matchStrength.rawValue)"
        case .tags, .agentFact, .agentFactIs, .agentManaged, .agentVersion, .agentKey, .provenBy:
            "state \(verdict.state.rawValue)"
                + (verdict.labels.isEmpty ? "" : ", labels: \(ExactText.list(verdict.labels))")
        }
    }

    private func observed(in statement: AgentStatement) -> String {
        switch self {
        case .agentFact(_, let name, _), .agentFactIs(_, let name, _, _):
            statement.facts[name]?.description ?? "the agent does not say"
        case .agentVersion: statement.agentVersion
        case .agentKey: statement.keyLevel.rawValue
        case .tags, .score, .risk, .sensorRunning, .managed, .agentManaged, .setting, .verdictAge,
            .matchStrength, .provenBy:
            "\(statement.isManaged ? "managed" : "not managed"), last seen at \(statement.lastSeenSeconds)"
        }
    }

    /// The fact of the agent that it asks for; nil: something else.
    var askedFact: String? {
        switch self {
        case .agentFact(_, let name, _), .agentFactIs(_, let name, _, _): name
        case .tags, .score, .risk, .sensorRunning, .managed, .agentManaged, .agentVersion, .agentKey,
            .setting,
            .verdictAge, .matchStrength, .provenBy:
            nil
        }
    }
}
