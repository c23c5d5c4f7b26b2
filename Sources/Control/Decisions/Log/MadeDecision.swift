import Access
import Border

/// A residual as it was made, with everything that it was made of: what the decision log keeps.
struct MadeDecision: Sendable {
    var atSeconds: Int64
    var application: String
    /// nil: a client without a person, which `service` is then.
    var session: SessionFacts?
    var service: ServiceFacts?
    var device: DeviceFacts?
    var policy: PolicySnapshot
    /// As the policy gave it, before it was bounded by the assertion's life.
    var residual: Residual
    /// What decides for what is already open, when that is another one.
    var open: Residual?
    /// nil: no device was shown.
    var deviceResult: DeviceResult?
    /// What tells it from the session's decisions on other connections; nil: those without a certificate.
    var connection: String?

    /// What decisions about this client, application and certificate are remembered under.
    var remembered: String { connection.map { "\(sessionID) \($0)" } ?? sessionID }

    var sessionID: String { session?.id ?? service?.recordID(at: application) ?? "" }
}

extension ServiceFacts {
    /// The id of its records at one application, where people's have their session's.
    func recordID(at application: String) -> String { "\(id)@\(application)" }
}

/// Why a decision is not the one before it: the first of its inputs that changed.
enum DecisionCause: String, Sendable, CaseIterable {
    /// Nothing is remembered of the session: the first decision, or the first for a while.
    case pull
    /// The same as before, written again because a new file of the log began.
    case renew
    case reload
    /// The session or what the identity provider said of the person.
    case claims
    /// The device or what its agent signed.
    case agent
    case signal
    case verdict
    /// Time alone.
    case expiry
}

/// The times and the name of a verdict: what changes when a provider says the same again.
struct VerdictMark: Sendable, Hashable {
    var id: String
    var integration: String
    var provider: String
    var observedAtSeconds: Int64
    var assessedAtSeconds: Int64?
    var fetchedAtSeconds: Int64
    var expiresAtSeconds: Int64
    var graceUntilSeconds: Int64?
    /// Which call said it.
    var provenance: Verdict.Provenance?

    init(_ verdict: Verdict) {
        provenance = verdict.provenance
        id = verdict.id
        integration = verdict.integration
        provider = verdict.provider
        observedAtSeconds = verdict.observedAtSeconds
        assessedAtSeconds = verdict.assessedAtSeconds
        fetchedAtSeconds = verdict.fetchedAtSeconds
        expiresAtSeconds = verdict.expiresAtSeconds
        graceUntilSeconds = verdict.graceUntilSeconds
    }
}

extension Verdict {
    /// What the provider says, without when: the content that the log names by its digest.
    var withoutTimes: Verdict {
        var content = self
        content.id = ""
        content.observedAtSeconds = 0
        content.assessedAtSeconds = nil
        content.fetchedAtSeconds = 0
        content.expiresAtSeconds = 0
        content.graceUntilSeconds = nil
        content.provenance = nil
        return content
    }
}

/// Whether two decisions of a session are the same, input by input, in 48 bytes.
///
/// Hashes under the process's own random key: nobody outside can make two facts look alike.
struct DecisionPrint: Sendable, Hashable {
    private var policy: Int
    private var session: Int
    private var device: Int
    private var verdicts: Int
    private var result: Int
    private var shadow: Int

    init(_ made: MadeDecision, _ finding: ShadowFinding?) {
        policy = made.policy.identity.hashValue
        var hasher = Hasher()
        var asked = made.session
        // A proof comes every few minutes, and only whether there is a key decides anything.
        if asked?.keyProvenAtSeconds != nil { asked?.keyProvenAtSeconds = 0 }
        hasher.combine(asked)
        hasher.combine(made.service)
        session = hasher.finalize()
        var plain = made.device
        plain?.verdicts = []
        device = plain.hashValue
        verdicts = (made.device?.verdicts ?? []).map(\.withoutTimes).hashValue
        var residual = made.residual
        residual.validUntilSeconds = 0
        var open = made.open
        open?.validUntilSeconds = 0
        var came = Hasher()
        came.combine([residual, open])
        // What a rule that only reports says is no part of the residual, and changes with time alone as well.
        for warning in made.deviceResult?.warnings ?? [] {
            came.combine(warning.policy)
            came.combine(warning.rule)
            came.combine(warning.outcome)
            came.combine(warning.reason)
        }
        result = came.finalize()
        shadow = finding.hashValue
    }

    /// - Parameters:
    ///   - old: of the decision before.
    ///   - isSignal: whether a security event is among the verdicts that changed.
    func cause(after old: DecisionPrint, isSignal: Bool) -> DecisionCause {
        if policy != old.policy { return .reload }
        if session != old.session { return .claims }
        if verdicts != old.verdicts { return isSignal ? .signal : .verdict }
        if device != old.device { return .agent }
        return result == old.result ? .renew : .expiry
    }
}
