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

/// One configured `intune` integration, as this module needs it.
struct IntuneConnection: Sendable {
    /// The configured name of the integration.
    public var integration: String
    /// Directory id (GUID) or verified domain.
    public var tenant: String
    /// Application (client) id.
    public var clientID: String
    /// How it proves to be it.
    var credential: Graph.Credential
    /// nil: it reads in its own name.
    var delegation: Graph.Delegation?
    /// How often each known device is asked again, seconds (003.2).
    public var refreshSeconds: Int64
    /// How often everything is read, seconds.
    public var fullSyncSeconds: Int64
    /// A device that reported longer ago says nothing, seconds (003.5).
    public var deviceAgeSecondsMax: Int64
    /// How long a fetched answer may be used, seconds.
    public var ttlSeconds: Int64
    /// What names a person there: `email`, `subject` or a claim (001.21).
    var ownerAttribute = "email"
    /// Whether `inGracePeriod` carries the label `compliant` until the grace ends.
    public var graceCountsAsCompliant: Bool
    /// Without a slash at the end.
    public var loginURL: String
    /// Without a slash at the end.
    public var graphURL: String
    /// PEM of the only authorities trusted for both; nil: the system's.
    public var authoritiesPEM: [UInt8]?
    /// Plain HTTP is accepted, on loopback only.
    public var allowsPlainHTTP: Bool

    /// The settings of a configured provider.
    init(_ connection: ProviderConnection, vault: TokenVault = .none) throws(ConnectorFailure) {
        let tenant = try Graph.Tenant(connection, vault: vault)
        self.init(
            integration: connection.integration, tenant: tenant.id, clientID: tenant.clientID,
            clientSecret: "", refreshSeconds: connection.refreshSeconds,
            deviceAgeSecondsMax: connection.deviceAgeSecondsMax, ttlSeconds: connection.ttlSeconds,
            loginURL: tenant.loginURL, graphURL: tenant.graphURL, authoritiesPEM: connection.authoritiesPEM,
            allowsPlainHTTP: connection.allowsPlainHTTP)
        ownerAttribute = connection.texts["owner-attribute"] ?? ownerAttribute
        credential = tenant.credential
        delegation = tenant.delegation
    }

    /// Makes settings with the defaults of providers.md 14.2.
    public init(
        integration: String, tenant: String, clientID: String, clientSecret: String,
        refreshSeconds: Int64 = 7_200,
        fullSyncSeconds: Int64 = 86_400, deviceAgeSecondsMax: Int64 = 86_400, ttlSeconds: Int64 = 14_400,
        graceCountsAsCompliant: Bool = true, loginURL: String = "https://login.microsoftonline.com",
        graphURL: String = "https://graph.microsoft.com", authoritiesPEM: [UInt8]? = nil,
        allowsPlainHTTP: Bool = false
    ) {
        self.integration = integration
        self.tenant = tenant
        self.clientID = clientID
        credential = .secret(clientSecret)
        self.refreshSeconds = refreshSeconds
        self.fullSyncSeconds = fullSyncSeconds
        self.deviceAgeSecondsMax = deviceAgeSecondsMax
        self.ttlSeconds = ttlSeconds
        self.graceCountsAsCompliant = graceCountsAsCompliant
        self.loginURL = loginURL
        self.graphURL = graphURL
        self.authoritiesPEM = authoritiesPEM
        self.allowsPlainHTTP = allowsPlainHTTP
    }
}
