import Access

/// One configured identity provider: a client of ours at an OpenID Provider.
///
/// Several registrations may share one issuer (two clients of one tenant, one of them behind a conditional-access
/// policy). They are told apart by `name` everywhere; the issuer never decides which one a session belongs to.
public struct IdentityProviderRegistration: Sendable, Hashable {
    /// The configured name: it stands in sessions, in applications' lists and in the callback path.
    public var name: String
    /// As in the `iss` claim, byte for byte.
    public var issuer: String
    /// Our client id there.
    public var clientID: String
    /// Our client secret there; empty: a public client, protected by PKCE alone.
    public var clientSecret: String
    /// What people read in the chooser.
    public var displayName: String
    /// Scopes to ask for; `openid` is always among those sent.
    public var scopes: [String]
    /// PEM of the only authorities trusted for this provider; nil: the system's.
    public var authoritiesPEM: [UInt8]?
    /// Plain HTTP is accepted, on loopback only.
    public var allowsPlainHTTP: Bool
    /// What every sign-in here asks.
    public var ask = ConfiguredAsk()
    /// How authentication contexts are asked for.
    public var contextStyle = ContextStyle.acr
    /// Domains of the addresses that people here have, lower case: who types one of them is brought here.
    public var emailDomains: [String] = []
    /// How we prove which client we are.
    public var proof = ClientProof.announced
    /// Whether authorization requests are pushed.
    public var pushedAuthorization = PushedAuthorization.automatic
    /// What is taken from access tokens; nil: nothing, and nobody looks into them.
    public var accessTokenClaims: AccessTokenClaims?
    /// Base of the Microsoft Graph that knows the groups which a token has no place for; nil: they stay unknown.
    public var graphURL: String?
    /// Where its signing keys are found.
    public var keySource = KeySource.metadata
    /// How often sign-ins that are in use are refreshed at least; nil: never, and no refresh token is kept.
    public var refreshSeconds: Int64?
    /// How long a sign-in goes on whose refresh fails, or waits because those of others fail.
    public var refreshGraceSeconds: Int64 = 900
    /// Of a provider that signs for many tenants: those that count; nil: `issuer` is the one issuer.
    public var tenants: TenantIssuers?

    /// How a provider is asked for an authentication context.
    public enum ContextStyle: String, Sendable, Hashable, CaseIterable {
        /// `acr_values` (OpenID Connect Core §3.1.2.1).
        case acr
        /// The `claims` parameter with `acrs`: Microsoft Entra's authentication contexts.
        case acrs
    }

    /// A registration out of its parts.
    public init(
        name: String, issuer: String, clientID: String, clientSecret: String, displayName: String,
        scopes: [String] = ["openid", "email", "profile"], authoritiesPEM: [UInt8]? = nil,
        allowsPlainHTTP: Bool = false
    ) {
        self.name = name
        self.issuer = issuer
        self.clientID = clientID
        self.clientSecret = clientSecret
        self.displayName = displayName
        self.scopes = scopes
        self.authoritiesPEM = authoritiesPEM
        self.allowsPlainHTTP = allowsPlainHTTP
    }
}

/// What signing in needs to know of one protected application.
public struct IdentityApplication: Sendable, Hashable {
    /// The configured name.
    public var name: String
    /// Its host, lower case, without port.
    public var host: String
    /// Configured names of the accepted providers, in the order in which the chooser shows them.
    public var identityProviders: [String]
    /// How long an application session lasts at most; it never outlives its global session.
    public var sessionSeconds: Int64
    /// What every sign-in for it asks.
    public var ask = ConfiguredAsk()
    /// Of several accepted providers the one that this browser used last is gone to without a question.
    public var usesRememberedProvider = false

    /// An application out of its parts.
    public init(name: String, host: String, identityProviders: [String], sessionSeconds: Int64 = 8 * 3600) {
        self.name = name
        self.host = host
        self.identityProviders = identityProviders
        self.sessionSeconds = sessionSeconds
    }
}

/// Everything configured that signing in reads; replaced whole at a reload.
public struct IdentityConfiguration: Sendable, Hashable {
    /// The host that talks to identity providers, lower case, without port.
    public var authHost: String
    /// The port of people's URLs, on the auth host and on every application host.
    public var publicPort: UInt16
    /// Every configured provider.
    public var providers: [IdentityProviderRegistration]
    /// Every application.
    public var applications: [IdentityApplication]
    /// How long a global session lasts.
    public var globalSessionSeconds: Int64

    /// A configuration out of its parts.
    public init(
        authHost: String, publicPort: UInt16 = 443, providers: [IdentityProviderRegistration],
        applications: [IdentityApplication], globalSessionSeconds: Int64 = 12 * 3600
    ) {
        self.authHost = authHost
        self.publicPort = publicPort
        self.providers = providers
        self.applications = applications
        self.globalSessionSeconds = globalSessionSeconds
    }

    /// Whether any session ends because nobody uses it.
    var hasIdleTimes: Bool {
        providers.contains { $0.ask.idleSeconds != nil }
            || applications.contains { $0.ask.idleSeconds != nil }
    }

    /// `https://host[:port]`, the port only where it is not 443: also the exact value of our own `Origin`.
    func origin(of host: String) -> String {
        publicPort == 443 ? "https://\(host)" : "https://\(host):\(publicPort)"
    }

    func provider(_ name: String) -> IdentityProviderRegistration? {
        providers.first { ExactText.isEqual($0.name, name) }
    }
    func application(_ name: String) -> IdentityApplication? {
        applications.first { ExactText.isEqual($0.name, name) }
    }
    func application(host: String) -> IdentityApplication? {
        applications.first { ExactText.isEqual($0.host, host) }
    }

    /// Where every provider sends browsers after its own sign-out; to be registered there.
    var signedOutURL: String { origin(of: authHost) + ReservedPath.signedOut }

    /// The registered redirect URI of a provider: one path per registration, so that an answer meant for one can
    /// never be taken for another's (RFC 9700 §4.4.2.2).
    func callbackURL(of provider: IdentityProviderRegistration) -> String {
        origin(of: authHost) + ReservedPath.callbackPrefix + FormText.encode(provider.name)
    }
}

/// The reserved paths of signing in (`/.gatepost/…`).
enum ReservedPath {
    static let prefix = "/.gatepost/"
    static let signIn = "/.gatepost/sign-in"
    static let callbackPrefix = "/.gatepost/callback/"
    static let handoff = "/.gatepost/handoff"
    static let signOut = "/.gatepost/sign-out"
    static let signedOut = "/.gatepost/signed-out"
    static let backchannelLogoutPrefix = "/.gatepost/backchannel-logout/"
    static let frontchannelLogoutPrefix = "/.gatepost/frontchannel-logout/"
}
