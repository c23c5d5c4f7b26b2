public import Access

/// `gateway`: what concerns the whole process.
public struct GatewaySettings: Sendable, Hashable {
    /// The host that talks to identity providers and to the local agent, lower case.
    public var authHost: String
    /// The port in people's URLs; the first listener's when not configured.
    public var publicPort: UInt16
    /// At least one.
    public var listeners: [ListenerSettings]
    /// Number of reactors; nil: one per core.
    public var workers: Int?
    /// True: JSON lines.
    public var accessLog: Bool
    /// Folder of the SQLite files, absolute or relative to the working folder.
    public var storeFolder: String
    /// Folder of the key ring.
    public var keysFolder: String
    /// Path of the administration socket.
    public var adminSocket: String
    /// Schemes whose URLs become links on pages, lower case; everything else is shown as text.
    public var linkSchemes: [String]
    /// Bounds and deadlines of the data plane.
    public var limits: LimitSettings
    /// How much silence or a reload may cut at once; nil: everything.
    public var blastRadius: BlastRadiusSettings?
    /// Where decisions are on record; nil: nowhere.
    public var decisionLog: DecisionLogSettings?
    /// Who gets its lines as they are written; nil: nobody.
    public var decisionWebhook: DecisionWebhookSettings?
    /// A configuration whose policies are decided beside the live ones, without effect; nil: none.
    public var shadowPolicy: String?
    /// The planes run in a process each, below one that starts them again.
    public var hasTwoProcesses = true
    /// The user that both planes run as; nil: the one who starts the gateway.
    public var user: String?
    /// The configuration is read again when its files change.
    public var reloadsOnChange = false
}

/// `gateway.blast-radius`: beyond both bounds a change is held.
public struct BlastRadiusSettings: Sendable, Hashable {
    /// `share`: percent of the sessions in use, 0…100. Exactly this many may be cut.
    public var sharePercent = 20
    /// `sessions`: exactly this many may be cut.
    public var sessions = 10
    /// `window`: what was cut within so many seconds counts together.
    public var windowSeconds: Int64 = 300
    /// `hold`: seconds after which a held change has its effect.
    public var holdSeconds: Int64 = 86_400

    /// The defaults.
    public init() {}
}

/// `gateway.decision-log` and its bounds.
public struct DecisionLogSettings: Sendable, Hashable {
    /// The folder of the files, absolute or relative to the working folder.
    public var folder: String
    /// Bytes of all files together; the oldest go first.
    public var bytesMax: Int64
    /// Files that were last written longer ago than this go.
    public var ageSecondsMax: Int64
    /// Takes the members as they are; nothing is checked here.
    public init(folder: String, bytesMax: Int64, ageSecondsMax: Int64) {
        self.folder = folder
        self.bytesMax = bytesMax
        self.ageSecondsMax = ageSecondsMax
    }
}

/// One bound address.
public struct ListenerSettings: Sendable, Hashable {
    /// Numeric IPv4 or IPv6 address, without brackets.
    public var address: String
    /// 1…65535 (0 takes a free one and is refused in a file).
    public var port: UInt16
    /// At least one; the first is used for clients that name no host.
    public var certificates: [CertificateSettings]
    /// nil: clients are not asked for certificates.
    public var clientCertificates: ClientCertificateSettings?
    /// Clients may choose HTTP/2.
    public var offersHTTP2 = true
    /// Whose word counts for a client's address.
    public var clientAddresses = ClientAddressSettings()
}

/// `gateway.listeners[].client-certificates`.
public struct ClientCertificateSettings: Sendable, Hashable {
    /// PEM of the authorities that a certificate's path may end at.
    public var authoritiesPEM: [UInt8]
    /// Their revocation lists as their file holds them, PEM or DER; nil: revocation is not asked about.
    public var revocations: [UInt8]?
    /// The file.
    public var revocationsPath: String?
    /// A client without a certificate ends in the handshake.
    public var isRequired: Bool
    /// What devices with such certificates run; nil: not said.
    public var platform: Platform?
    /// Under which a device's id may be the first label of a DNS name, lower case; nil: an id stands alone.
    public var deviceSuffix: String?
    /// A common name is a device's name.
    public var matchesCommonName = false
    /// What may stand behind a device's name, lower case; nil: names are compared whole.
    public var deviceDomain: String?
}

/// A certificate chain and its key.
public struct CertificateSettings: Sendable, Hashable {
    /// The file, for messages.
    public var chainFile: String
    /// PEM, the leaf first.
    public var chainPEM: [UInt8]
    /// PEM of the leaf's private key.
    public var keyPEM: Secret
}

/// `identity-providers.<name>`.
public struct IdentityProviderSettings: Sendable, Hashable {
    /// The configured name: sessions remember it, applications list it.
    public var name: String
    /// What people read in the chooser; unique.
    public var displayName: String
    /// As in the `iss` claim, byte for byte.
    public var issuer: String
    /// Our client id there.
    public var clientID: String
    /// How we prove there that we are this client.
    public var authentication: ClientAuthenticationSettings
    /// Always with `openid`.
    public var scopes: [String]
    /// PEM of the only authorities trusted for this provider; nil: the system's.
    public var authoritiesPEM: [UInt8]?
    /// Plain HTTP is accepted, on loopback only.
    public var allowsPlainHTTP: Bool
    /// What every sign-in there asks, and how long its sessions last.
    public var signIn = SignInSettings()
    /// Authentication contexts are asked for in Entra's way (`acrs` in `claims`) instead of by `acr_values`.
    public var asksForACRS = false
    /// `email-domains`, lower case.
    public var emailDomains: [String] = []
    /// What is known of people beside the id token.
    public var further = FurtherClaimsSettings()
    /// `refresh`: how often sign-ins in use are refreshed at least; nil: `off`.
    public var refreshSeconds: Int64?
    /// `tenants`, lower case; empty: `issuer` is the one issuer.
    public var tenants: [String] = []
    /// `refresh-grace`: how long a sign-in counts that its provider does not confirm.
    public var refreshGraceSeconds: Int64 = 900
}

/// What sign-ins ask, at a provider or for an application.
public struct SignInSettings: Sendable, Hashable {
    /// `acr-values`, the preferred one first.
    public var contexts: [String] = []
    /// `max-age`.
    public var maxAgeSeconds: Int64?
    /// `prompt`.
    public var prompt: String?
    /// Of an application: scopes beside the provider's.
    public var scopes: [String] = []
    /// Of a provider: how long a sign-in there lasts; nil: the default.
    public var sessionSeconds: Int64?
    /// `idle`; nil: a session that is not used ends like every other.
    public var idleSeconds: Int64?
}

/// `integrations.<name>`.
public struct IntegrationSettings: Sendable, Hashable {
    /// What a kind of provider needs.
    public enum Kind: Sendable, Hashable {
        case provider(ProviderSettings)
        case endpointAgent(EndpointAgentSettings)
    }

    /// The configured name: device rules and applications name it.
    public var name: String
    /// The provider and its settings.
    public var kind: Kind
}

/// A posture provider: what its kind's keys say, by key.
public struct ProviderSettings: Sendable, Hashable {
    /// The kind: `intune`, `crowdstrike`, …
    public var provider: String
    /// Texts, URLs (without a trailing slash), choices; numbers, durations (seconds) and flags in decimal or as `true`.
    public var texts: [String: String] = [:]
    /// Secrets.
    public var secrets: [String: Secret] = [:]
    /// Lists of texts.
    public var lists: [String: [String]] = [:]
    /// Contents of named files.
    public var files: [String: [UInt8]] = [:]
    /// How often each known device is asked again.
    public var refreshSeconds: Int64 = 0
    /// Older reports of the device itself count as stale.
    public var deviceAgeSecondsMax: Int64 = 0
    /// How long a fetched answer may be used.
    public var ttlSeconds: Int64 = 0
    /// Bound of connecting to the provider.
    public var connectSecondsMax: Int64 = 5
    /// Bound of what comes before the first byte of an answer.
    public var firstByteSecondsMax: Int64 = 10
    /// Bound of a whole call.
    public var callSecondsMax: Int64 = 30
    /// PEM of the only authorities trusted for the provider; nil: the system's.
    public var authoritiesPEM: [UInt8]?
    /// Plain HTTP is accepted, on loopback only.
    public var allowsPlainHTTP = false

    init(provider: String) { self.provider = provider }
}

/// `provider: endpoint-agent`.
public struct EndpointAgentSettings: Sendable, Hashable {
    /// Where the agent listens on the person's own machine.
    public var port: UInt16
    /// Where further agents of the same machine listen, in the order in which they are asked.
    public var furtherPorts: [UInt16] = []
    /// Older check-ins of the device do not count as managed.
    public var lastSeenSecondsMax: Int64
    /// How long a verified statement may be used.
    public var ageSecondsMax: Int64
    /// How long after that the session keeps what it had while a new statement is awaited.
    public var graceSeconds: Int64
    /// How agents may prove their device, `x5c` and `stmt`, the preferred way first.
    public var modes: [String]
    /// Where device certificates come from; nil: none are accepted.
    public var authority: EnrollmentAuthoritySettings?
    /// Whose statements about devices count; nil: nobody's.
    public var statements: StatementSettings?
    /// Agents below this version are refused.
    public var minimumVersion: String?
    /// Facts that agents are asked for; nil: all that they know.
    public var wantedFacts: [String]?
    /// Custom checks that agents are asked for, each with what people read where it fails.
    public var checkRemedies: [String: String] = [:]
    /// PEM of the makers of security chips; nil: a key in any chip is attested.
    public var chipAuthoritiesPEM: [UInt8]?
}

/// `applications.<name>`. Its policies are in `ConfigSnapshot.policy.applications` under the same name.
public struct ApplicationSettings: Sendable, Hashable {
    /// The configured name, the audience of the assertion.
    public var name: String
    /// Lower case.
    public var host: String
    /// At least one.
    public var upstreams: [UpstreamSettings]
    /// How they are used.
    public var upstreamUse = UpstreamUseSettings()
    /// At least one configured name.
    public var identityProviders: [String]
    /// Whose device counts.
    public var deviceOwner: DeviceOwner
    /// Longest life of an application session.
    public var sessionSecondsMax: Int64
    /// Origins (`https://host[:port]`) whose scripts may read 401 and 403 answers.
    public var origins: [String]
    /// Plain fields that tell the upstream who it is.
    public var fields: [FieldSettings]
    /// `%2F` stays an opaque part of its segment instead of being refused.
    public var allowsEncodedSlash: Bool
    /// Requests carry `Forwarded` (RFC 7239) beside `X-Forwarded-*`.
    public var writesForwarded = false
    /// PEM of the only authorities trusted for the upstreams; nil: the system's.
    public var upstreamAuthoritiesPEM: [UInt8]?
    /// The `endpoint-agent` integration that proves devices for it; nil: none.
    public var agent: String?
    /// What sign-ins for it ask.
    public var signIn = SignInSettings()
    /// Browsers are offered to bind sessions to a key; the cookie then lasts so long. nil: not offered.
    public var boundSeconds: Int64?
    /// What scripts of other origins may do; nil: the application's own affair.
    public var crossOrigin: CrossOriginSettings?
    /// A form without a session is kept over the sign-in.
    public var keepsForms = false
    /// `remembered-provider: use`: the provider that the browser used last is gone to without a question.
    public var usesRememberedProvider = false
    /// A bearer token that counts goes on to the upstream.
    public var forwardsBearerTokens = false
    /// Paths that are forwarded under another one, redirected, or answered by the gateway.
    public var pathRoutes = PathRoutes()
    /// What every request to it carries or lacks.
    public var requestFields = FieldChangeSettings()
    /// What every answer of it carries or lacks.
    public var responseFields = FieldChangeSettings()
}

/// `applications.<name>.request-fields` and `response-fields`.
public struct FieldChangeSettings: Sendable, Hashable {
    /// A field as it is sent.
    public struct Line: Sendable, Hashable {
        /// The field's name.
        public var name: String
        /// Printable ASCII.
        public var value: String
    }
    /// In the place of whatever was sent under these names.
    public var set: [Line] = []
    /// Left out.
    public var removed: [String] = []
}

/// `applications.<name>.cors`.
public struct CrossOriginSettings: Sendable, Hashable {
    /// `https://host[:port]`, at most 64.
    public var origins: [String]
    /// The application answers preflights, and writes `Access-Control-*` itself.
    public var isForwarded = false
    /// Beside GET, HEAD and POST.
    public var methods: [String] = []
    /// Request fields that scripts may set.
    public var requestFields: [String] = []
    /// Response fields that scripts may read.
    public var responseFields: [String] = []
    /// Whether calls may carry cookies.
    public var allowsCredentials = false
    /// How long browsers remember the answer to a preflight.
    public var maxAgeSeconds: Int64 = 0
}

/// One place that requests of an application go to.
public struct UpstreamSettings: Sendable, Hashable {
    /// As it was written.
    public var url: String
    /// `https` or `h2`.
    public var isTLS: Bool
    /// Name or numeric address, without brackets, lower case.
    public var host: String
    /// The scheme's own when the URL has none.
    public var port: UInt16
    /// Share of requests beside the others', 1...100.
    public var weight = 1
    /// `h2` or `h2c`: HTTP/2 and nothing else.
    public var speaksHTTP2 = false
}

/// One plain upstream field and the claim whose value it gets.
public struct FieldSettings: Sendable, Hashable {
    /// The field's name as it is sent.
    public var field: String
    /// `email`, `name`, `subject`, `groups`, or a claim's name.
    public var claim: String
}
