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

    /// Makes settings with the documented defaults.
    public init(
        integration: String, authOrigin: String, audience: String? = nil, port: UInt16 = 17472,
        ageSecondsMax: Int64 = 900, graceSeconds: Int64 = 60, lastSeenSecondsMax: Int64 = 604_800,
        minimumVersion: String? = nil,
        requestedFacts: [String] = HandshakeSettings.knownFacts
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
    }

    /// Every fact that handshake.md 6 names, in the spelling of device rules.
    public static let knownFacts = [
        "av-edr", "device-ids", "disk-encryption", "firewall", "hostname", "machine-id", "mac-addresses",
        "os-name",
        "os-version", "kernel-version", "platform", "patch-age-days", "pending-updates", "screen-lock",
        "secure-boot",
        "tpm", "vulnerability-score",
    ]
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

    /// Makes settings with the documented defaults.
    public init(
        tokenSeconds: Int64 = 86_400, certificateSeconds: Int64 = 14 * 86_400,
        renewAfterSeconds: Int64 = 86_400
    ) {
        self.tokenSeconds = tokenSeconds
        self.certificateSeconds = certificateSeconds
        self.renewAfterSeconds = renewAfterSeconds
    }
}
