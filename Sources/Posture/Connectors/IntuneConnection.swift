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
    /// A device that nothing else finds may be its owner's only one of its platform.
    var matchesOwners = false
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
        matchesOwners = connection.texts["unsafe-owner-match"] == "true"
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
