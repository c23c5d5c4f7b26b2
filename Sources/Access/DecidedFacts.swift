/// What conditions may read before the request is known. A class of constants, because every condition of every
/// policy is handed it and a copy would count some thirty references.
final class DecidedFacts {
    /// Only a session that counts at the application: not expired, made by a provider that it accepts.
    let session: SessionFacts?
    /// nil: no device has been proven, or no policy asks for one.
    let device: DeviceResult?
    /// What `device` was made of; nil where that is nil.
    let deviceFacts: DeviceFacts?
    /// Why the proof of the device that was shown does not count here; `device` is nil then.
    let proofShortfall: Reason?
    /// How the application reads the device's verdicts.
    let verdictUse: VerdictUse
    /// Only where nobody has signed in: a client is a person or a service, never both.
    let service: ServiceFacts?
    /// Of the application.
    let tags: [String]
    let nowSeconds: Int64
    /// Of the person who is signed in; empty where nobody is.
    let names: NameTable

    private static let noNames = NameTable([], email: nil)

    init(
        session: SessionFacts?, service: ServiceFacts? = nil, device: DeviceResult? = nil,
        of deviceFacts: DeviceFacts? = nil, verdictUse: VerdictUse = VerdictUse(.failClosed, for: nil),
        proofShortfall: Reason? = nil, tags: [String], nowSeconds: Int64
    ) {
        self.session = session
        self.service = service
        self.device = device
        self.deviceFacts = deviceFacts
        self.verdictUse = verdictUse
        self.proofShortfall = proofShortfall
        self.tags = tags
        self.nowSeconds = nowSeconds
        names = session?.person.names ?? Self.noNames
    }

    /// Whether somebody, or a service, is behind this.
    var isKnown: Bool { session != nil || service != nil }
}

/// Which way a condition works. It matters only where safety is not symmetric: a denied device never helps.
enum ConditionRole {
    /// Being true helps the person: include and require of a policy that lets in, exclude of a block.
    case helps
    /// Being true harms the person: exclude of a policy that lets in, include and require of a block.
    case harms

    /// Under a NOT.
    var inverted: ConditionRole { self == .helps ? .harms : .helps }
}

/// A condition that is settled once per session and device, before any request.
protocol SettledCondition: CustomStringConvertible {
    /// `indeterminate` when the fact that it asks for is absent. Notes what was read and when the outcome
    /// changes by itself.
    func outcome(of facts: DecidedFacts, _ role: ConditionRole, _ trace: inout Trace) -> Ternary
    /// The word for what the device lacks; nil where there is none of its own.
    func shortfall(in facts: DecidedFacts) -> Reason?
    /// The fact that was compared, for explain records.
    func observed(in facts: DecidedFacts) -> String
    func source(in facts: DecidedFacts) -> String
    /// Seconds since the source learned the fact; nil where age means nothing.
    func ageSeconds(in facts: DecidedFacts) -> Int64?
    /// Plain words for the person who did not meet it.
    func remedy(for facts: DecidedFacts) -> String
    /// The integration that it asks; nil where it asks none.
    var askedIntegration: String? { get }
    /// The fact of agents that it asks for; nil where it asks none.
    var askedFact: String? { get }
}

extension SettledCondition {
    var askedIntegration: String? { nil }
    var askedFact: String? { nil }
}

/// One that reads the session, the application or the moment, and needs no trace for it.
protocol DecidedCondition: SettledCondition {
    func outcome(of facts: DecidedFacts, _ role: ConditionRole) -> Ternary
    /// The next second at which the outcome may be another without any fact changing; nil: never.
    func changes(in facts: DecidedFacts) -> Int64?
}

extension DecidedCondition {
    func changes(in facts: DecidedFacts) -> Int64? { nil }

    func outcome(of facts: DecidedFacts, _ role: ConditionRole, _ trace: inout Trace) -> Ternary {
        if let seconds = changes(in: facts) { trace.changes(atSeconds: seconds) }
        return outcome(of: facts, role)
    }

    func shortfall(in facts: DecidedFacts) -> Reason? { nil }

    func source(in facts: DecidedFacts) -> String {
        if facts.service != nil { return "a service client is no person" }
        return facts.session == nil ? "nobody is signed in" : "session"
    }

    func ageSeconds(in facts: DecidedFacts) -> Int64? {
        guard let session = facts.session else { return nil }
        return max(0, facts.nowSeconds.difference(saturating: session.createdAtSeconds))
    }
}

/// A condition that only a request can settle. `matches` is on the hot path: no allocation, no closure.
protocol RequestCondition: CustomStringConvertible {
    func matches(_ request: RequestFacts, path: borrowing Span<UInt8>, _ role: ConditionRole) -> Bool
    var remedy: String { get }
}
