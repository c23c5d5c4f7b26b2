/// One provider's dated statement about one device (the posture verdict).
///
/// Times are seconds since 1970-01-01T00:00:00Z. Two ages matter and are kept apart: when the *device* last
/// reported (`observedAtSeconds`) and when *we* fetched the answer (`fetchedAtSeconds`).
public struct Verdict: Sendable, Codable, Hashable {
    /// What the provider says (providers.md 14.1).
    public enum State: String, Sendable, Codable, CaseIterable {
        case compliant, grace, noncompliant
        case notManaged = "not_managed"
        case notFound = "not_found"
        case ambiguous
        case unknown, error, delegated
    }
    /// How sure it is that the verdict is about this device (providers.md 13).
    public enum Strength: String, Sendable, Codable, CaseIterable { case weak, medium, strong }
    /// From least to worst.
    public enum Risk: String, Sendable, Codable, CaseIterable {
        case none, informational, low, medium, high, critical
    }

    /// A number on the provider's own scale.
    public struct Score: Sendable, Codable, Hashable {
        /// On the scale below.
        public var value: Int64
        /// The scale's lowest value.
        public var minimum: Int64
        /// The scale's highest value.
        public var maximum: Int64
        /// Which end is the good one; for people, rules compare numbers.
        public var higherIsBetter: Bool
        /// Takes the members as they are; nothing is checked here.
        public init(value: Int64, minimum: Int64, maximum: Int64, higherIsBetter: Bool) {
            self.value = value
            self.minimum = minimum
            self.maximum = maximum
            self.higherIsBetter = higherIsBetter
        }
    }

    /// One setting, signal or policy that the provider judged by itself (providers.md 14.1).
    public struct Check: Sendable, Codable, Hashable {
        /// What the provider says of it.
        public enum State: String, Sendable, Codable, CaseIterable {
            case pass, fail, unknown
            case notApplicable = "not_applicable"
        }
        /// The provider's own id.
        public var id: String
        /// For people; rules may name it too.
        public var title: String
        /// The answer.
        public var state: State
        /// Takes the members as they are; nothing is checked here.
        public init(id: String, title: String, state: State) {
            self.id = id
            self.title = title
            self.state = state
        }
    }

    /// Which call said it (providers.md 14.1): what an administrator asks the vendor's support about.
    public struct Provenance: Sendable, Codable, Hashable {
        /// How it came to us.
        public enum Transport: String, Sendable, Codable, CaseIterable {
            case apiPoll = "api_poll"
            case apiPush = "api_push"
            case ssf
            case localAgent = "local_agent"
            case tokenClaim = "token_claim"
        }
        /// How it came to us.
        public var transport: Transport
        /// Method (but GET) and path below the API's base, ids in it as `{id}`; of a signal its stream.
        public var endpoint: String
        /// The vendor's id of the call, or ours where it was sent along; nil: there is none.
        public var requestID: String?
        /// Takes the members as they are; nothing is checked here.
        public init(transport: Transport, endpoint: String, requestID: String? = nil) {
            self.transport = transport
            self.endpoint = endpoint
            self.requestID = requestID
        }
    }

    /// Unique, time-ordered.
    public var id: String
    /// The configured instance, for example `intune-prod`.
    public var integration: String
    /// The kind: `intune`, `crowdstrike`, …
    public var provider: String
    /// The provider's own id of the device.
    public var nativeID: String
    /// The answer itself.
    public var state: State
    /// nil: the provider does not say.
    public var isManaged: Bool?
    /// nil: the provider gives none.
    public var score: Score?
    /// nil: the provider gives none.
    public var risk: Risk?
    /// nil: the provider does not say.
    public var isSensorRunning: Bool?
    /// Sorted, without doubles: `compliant`, `registered`, provider tags.
    public var labels: [String]
    /// When the device last reported to the provider.
    public var observedAtSeconds: Int64
    /// When the provider judged, if it says so.
    public var assessedAtSeconds: Int64?
    /// When the gateway received it.
    public var fetchedAtSeconds: Int64
    /// The hard end: from this second on the verdict says nothing.
    public var expiresAtSeconds: Int64
    /// The end of a grace; ends a verdict in grace.
    public var graceUntilSeconds: Int64?
    /// What the device was matched by: `serial`, `intune-device-id`, …
    public var matchKey: String
    /// How strong that match is.
    public var matchStrength: Strength
    /// The vendor's own word, for people who compare with the vendor's console.
    public var rawState: String
    /// SHA-256 of the canonical record, lower-case hex: names the input in the decision log.
    public var digest: String
    /// Sentences for the person: what failed and what to do, from the provider or derived.
    public var remedies: [String]
    /// Empty where the provider names none; records stored before there were any read so.
    public var checks: [Check]
    /// nil: not known; records stored before it was kept read so. Nothing is decided by it.
    public var provenance: Provenance?

    /// Takes the members as they are; nothing is checked here.
    public init(
        id: String, integration: String, provider: String, nativeID: String, state: State,
        isManaged: Bool? = nil,
        score: Score? = nil, risk: Risk? = nil, isSensorRunning: Bool? = nil, labels: [String] = [],
        observedAtSeconds: Int64, assessedAtSeconds: Int64? = nil, fetchedAtSeconds: Int64,
        expiresAtSeconds: Int64,
        graceUntilSeconds: Int64? = nil, matchKey: String, matchStrength: Strength, rawState: String = "",
        digest: String = "", remedies: [String] = [], checks: [Check] = []
    ) {
        self.id = id
        self.integration = integration
        self.provider = provider
        self.nativeID = nativeID
        self.state = state
        self.isManaged = isManaged
        self.score = score
        self.risk = risk
        self.isSensorRunning = isSensorRunning
        self.labels = labels
        self.observedAtSeconds = observedAtSeconds
        self.assessedAtSeconds = assessedAtSeconds
        self.fetchedAtSeconds = fetchedAtSeconds
        self.expiresAtSeconds = expiresAtSeconds
        self.graceUntilSeconds = graceUntilSeconds
        self.matchKey = matchKey
        self.matchStrength = matchStrength
        self.rawState = rawState
        self.digest = digest
        self.remedies = remedies
        self.checks = checks
    }
}
