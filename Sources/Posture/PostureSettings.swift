import Access

public import Signatures

/// One configured `endpoint-agent` integration, as this module needs it.
public struct HandshakeSettings: Sendable, Hashable {
    /// The configured name of the integration.
    public var integration: String
    /// `https://auth-host[:port]`, without a slash at the end: issuer of challenges and the only page origin.
    public var authOrigin: String
    /// `aud` of challenges: the agents' tenant as a URN.
    public var audience: String
    /// Where the agent listens on the person's own machine (004.9).
    public var port: UInt16
    /// Where further agents of the same machine listen, one for each further user; asked in this order.
    public var furtherPorts: [UInt16] = []
    /// How long a verified statement may be used, seconds.
    public var ageSecondsMax: Int64
    /// How long after that what is open may go on without a new statement, seconds (handshake.md 4.4).
    public var graceSeconds: Int64
    /// Oldest proven check-in that still counts as managed, seconds, inclusive (004.13).
    public var lastSeenSecondsMax: Int64
    /// Agents below this version are refused (004.6); nil: none is.
    public var minimumVersion: String?
    /// The facts that the administrator permits to ask for; everything else in an answer is dropped.
    public var requestedFacts: [String]
    /// How agents may prove their device, the preferred way first; at least one.
    public var modes: [HandshakeProfile]
    /// Whether a key in a chip of an unknown maker is no more than a claim (`tpm-authorities`).
    public var isChipMakerDemanded = false

    /// Makes settings with the documented defaults.
    public init(
        integration: String, authOrigin: String, audience: String? = nil, port: UInt16 = 17472,
        ageSecondsMax: Int64 = 900, graceSeconds: Int64 = 60, lastSeenSecondsMax: Int64 = 604_800,
        minimumVersion: String? = nil,
        requestedFacts: [String] = HandshakeSettings.knownFacts, modes: [HandshakeProfile] = [.certificate]
    ) {
        self.integration = integration
        self.authOrigin = authOrigin
        self.audience = audience ?? "urn:gatepost:agents:\(integration)"
        self.port = port
        self.ageSecondsMax = ageSecondsMax
        self.graceSeconds = graceSeconds
        self.lastSeenSecondsMax = lastSeenSecondsMax
        self.minimumVersion = minimumVersion
        self.requestedFacts = requestedFacts
        self.modes = modes
    }

    /// All ports of the machine, in the order in which they are asked.
    var ports: [UInt16] { [port] + furtherPorts.filter { $0 != port } }

    /// Every fact that handshake.md 6 names, in the spelling of device rules.
    public static let knownFacts: [String] = StatementFacts.shapes.keys.sorted() + ["device-ids"]

    /// What agents are asked for: the wanted facts (nil: all), the custom checks, and always what names the
    /// device and its platform, without which no policy and no provider could be found for it.
    public static func requested(_ wanted: [String]?, checks: [String]) -> [String] {
        let facts = wanted.map { $0 + ["device-ids", "platform"] } ?? knownFacts
        var requested: [String] = []
        for name in facts + checks.map({ StatementFacts.checkPrefix + $0 })
        where !ExactText.contains(requested, name) { requested.append(name) }
        return requested
    }
}

/// How device certificates are made.
public struct EnrollmentSettings: Sendable, Hashable {
    /// Life of an enrolment token, seconds (handshake.md 9: 24 h).
    public var tokenSeconds: Int64
    /// Life of a device certificate, seconds: short instead of revocation lists (handshake.md 4.2).
    public var certificateSeconds: Int64
    /// How long after its issue the agent asks for the next one, seconds. Well below `lastSeenSecondsMax`,
    /// because the certificate's age *is* the proven check-in.
    public var renewAfterSeconds: Int64
    /// Whose chips are known (`tpm-authorities`); nil: nobody's, and none needs to be.
    public var chipAuthorities: EndorsementAuthorities?

    /// Makes settings with the documented defaults.
    public init(
        tokenSeconds: Int64 = 86_400, certificateSeconds: Int64 = 14 * 86_400,
        renewAfterSeconds: Int64 = 86_400, chipAuthorities: EndorsementAuthorities? = nil
    ) {
        self.tokenSeconds = tokenSeconds
        self.certificateSeconds = certificateSeconds
        self.renewAfterSeconds = renewAfterSeconds
        self.chipAuthorities = chipAuthorities
    }
}
