import JSON

/// What happened, as far as the gateway acts on it: CAEP 1.0, RISC, and the events of a stream about itself.
enum SignalEvent: Sendable, Hashable {
    case sessionRevoked
    case claimsChanged(JSONObject)
    /// A credential was removed, replaced or changed: whoever used it proves anew who they are.
    ///
    /// - certificate: the one that was revoked, where it is one and the event names it.
    case credentialLost(kind: String, certificate: SignalledCertificate?)
    case credentialCreated(kind: String)
    case assuranceDecreased
    case assuranceNotDecreased
    case compliance(isCompliant: Bool)
    case risk(principal: Principal, RiskLevel)
    case verification(state: String?)
    case streamUpdated(StreamState, reason: String?)
    /// RISC: the account is gone, closed, taken over or its sessions are void.
    case accountEnded(String)
    /// RISC: an address or name is somebody else's from now on, or a new one.
    case identifierChanged
    /// Known, and nothing to do.
    case noted(String)
    case unknown

    /// Whom a risk is about.
    enum Principal: String, Sendable { case user = "USER", device = "DEVICE", session = "SESSION", other }
    enum RiskLevel: String, Sendable { case low = "LOW", medium = "MEDIUM", high = "HIGH" }
    /// Of a stream (Shared Signals 1.0 §8.1.2).
    enum StreamState: String, Sendable { case enabled, paused, disabled }

    static let caep = "https://schemas.openid.net/secevent/caep/event-type/"
    static let risc = "https://schemas.openid.net/secevent/risc/event-type/"
    static let framework = "https://schemas.openid.net/secevent/ssf/event-type/"
    static let verificationType = framework + "verification"

    /// What streams are asked for.
    static let wanted =
        [
            "session-revoked", "token-claims-change", "credential-change", "assurance-level-change",
            "device-compliance-change", "risk-level-change",
        ].map { caep + $0 }
        + [
            "account-disabled", "account-purged", "account-credential-change-required",
            "credential-compromise",
            "identifier-changed", "identifier-recycled", "sessions-revoked",
        ].map { risc + $0 }

    /// Reads an event.
    ///
    /// - Throws: `invalid_request` when a member that the event type requires is missing or not of its words.
    init(_ event: SecurityEvent) throws(SignalRefusal) {
        let members = EventMembers(members: event.members)
        if event.type.hasPrefix(Self.caep) {
            self = try Self.caep(String(event.type.dropFirst(Self.caep.count)), members)
        } else if event.type.hasPrefix(Self.risc) {
            self = Self.risc(String(event.type.dropFirst(Self.risc.count)))
        } else if event.type.hasPrefix(Self.framework) {
            self = try Self.framework(String(event.type.dropFirst(Self.framework.count)), members)
        } else {
            self = .unknown
        }
    }

    private static func caep(_ name: String, _ members: EventMembers) throws(SignalRefusal) -> SignalEvent {
        switch name {
        case "session-revoked": return .sessionRevoked
        case "token-claims-change":
            guard let claims = members.members["claims"]?.object, !claims.isEmpty else {
                throw SignalRefusal(.invalidRequest, "claims is missing or no object")
            }
            return .claimsChanged(claims)
        case "credential-change":
            let kind = try members.text("credential_type")
            switch try members.word("change_type", of: ["create", "revoke", "update", "delete"]) {
            case "create": return .credentialCreated(kind: kind)
            case "revoke":
                return .credentialLost(
                    kind: kind, certificate: kind == "x509" ? SignalledCertificate(members.members) : nil)
            case _: return .credentialLost(kind: kind, certificate: nil)
            }
        case "assurance-level-change":
            _ = try members.text("namespace")
            let current = try members.text("current_level")
            // Without a direction and with another level before, it may have fallen.
            guard let direction = members.members["change_direction"] else {
                let before = members.members["previous_level"]?.string
                return before == current ? .assuranceNotDecreased : .assuranceDecreased
            }
            guard direction == "increase" || direction == "decrease" else {
                throw SignalRefusal(.invalidRequest, "change_direction is no word of the event")
            }
            return direction == "decrease" ? .assuranceDecreased : .assuranceNotDecreased
        case "device-compliance-change":
            let words = ["compliant", "not-compliant"]
            _ = try members.word("previous_status", of: words)
            return .compliance(isCompliant: try members.word("current_status", of: words) == "compliant")
        case "risk-level-change":
            let principal = Principal(rawValue: try members.text("principal")) ?? .other
            guard let level = RiskLevel(rawValue: try members.text("current_level")) else {
                throw SignalRefusal(.invalidRequest, "current_level is no word of the event")
            }
            return .risk(principal: principal, level)
        case "session-established", "session-presented": return .noted(name)
        case _: return .unknown
        }
    }

    private static func risc(_ name: String) -> SignalEvent {
        switch name {
        case "account-disabled", "account-purged", "account-credential-change-required",
            "credential-compromise", "sessions-revoked":
            .accountEnded(name)
        case "identifier-changed", "identifier-recycled": .identifierChanged
        case "account-enabled", "opt-in", "opt-out-initiated", "opt-out-cancelled", "opt-out-effective",
            "recovery-activated", "recovery-information-changed":
            .noted(name)
        case _: .unknown
        }
    }

    private static func framework(
        _ name: String, _ members: EventMembers
    ) throws(SignalRefusal) -> SignalEvent {
        switch name {
        case "verification":
            guard let state = members.members["state"] else { return .verification(state: nil) }
            guard let text = state.string else { throw SignalRefusal(.invalidState, "state is no text") }
            return .verification(state: text)
        case "stream-updated":
            guard let status = StreamState(rawValue: try members.text("status")) else {
                throw SignalRefusal(.invalidRequest, "status is no word of the event")
            }
            return .streamUpdated(status, reason: members.members["reason"]?.string)
        case _: return .unknown
        }
    }
}

/// Required members of an event.
private struct EventMembers {
    var members: JSONObject

    func text(_ name: String) throws(SignalRefusal) -> String {
        guard let text = members[name]?.string, (1...256).contains(text.utf8.count) else {
            throw SignalRefusal(.invalidRequest, "\(name) is missing or no text")
        }
        return text
    }

    func word(_ name: String, of words: [String]) throws(SignalRefusal) -> String {
        let text = try text(name)
        guard words.contains(text) else {
            throw SignalRefusal(.invalidRequest, "\(name) is no word of the event")
        }
        return text
    }
}
