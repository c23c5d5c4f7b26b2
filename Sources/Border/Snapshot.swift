public import Access

/// What the data plane needs of the configuration: no provider secret is in here.
public struct GatewaySnapshot: Sendable, Codable, Hashable {
    /// More certificates are not revoked one by one: their authority's list is the place.
    public static let revokedSerialsMax = 50_000
    public var version: UInt8 = 1
    public var revision: UInt64
    public var authHost: String
    /// The port that people's URLs name (for redirects and Origin checks).
    public var publicPort: UInt16
    public var certificates: [ListenerCertificate]
    public var applications: [ApplicationRoute]
    public var limits: Limits
    /// Cookie MAC keys by key id; only these verify, the first signs.
    public var cookieKeys: [MACKey]
    /// TLS ticket keys, the current one first; each 80 bytes (name 16, AES 32, HMAC 32).
    public var ticketKeys: [[UInt8]]
    public var accessLog: Bool
    /// What each listener asks of clients, in the listeners' order; nil, or none at all: it asks nobody.
    public var clientCertificates: [ClientCertificates?] = []
    /// Serial numbers, as `CertificateFacts.number`, that an administrator revoked: at most `revokedSerialsMax`, in
    /// order. Reactors keep what they were told before; nil: none.
    public var revokedSerials: [String]?
    /// Listeners, by their number, that offer HTTP/1.1 alone.
    public var listenersWithoutHTTP2: Set<Int> = []
    /// Whose word each listener takes for a client's address, in the same order; nil, or none at all: nobody's.
    public var clientAddresses: [ClientAddressTrust?] = []
    public init(
        revision: UInt64, authHost: String, publicPort: UInt16, certificates: [ListenerCertificate],
        applications: [ApplicationRoute], limits: Limits, cookieKeys: [MACKey], ticketKeys: [[UInt8]],
        accessLog: Bool
    ) {
        self.revision = revision
        self.authHost = authHost
        self.publicPort = publicPort
        self.certificates = certificates
        self.applications = applications
        self.limits = limits
        self.cookieKeys = cookieKeys
        self.ticketKeys = ticketKeys
        self.accessLog = accessLog
    }

    /// Whether clients of this listener may choose HTTP/2.
    public func offersHTTP2(_ listener: Int) -> Bool { !listenersWithoutHTTP2.contains(listener) }
}

public struct MACKey: Sendable, Codable, Hashable {
    public var id: UInt8
    /// 32 bytes.
    public var secret: [UInt8]
    public init(id: UInt8, secret: [UInt8]) {
        self.id = id
        self.secret = secret
    }
}

public struct ListenerCertificate: Sendable, Codable, Hashable {
    /// Lower-case names this certificate serves (exact, or `*.` and a parent); the first certificate is the default.
    public var names: [String]
    public var chainPEM: [UInt8]
    public var keyPEM: [UInt8]
    public init(names: [String], chainPEM: [UInt8], keyPEM: [UInt8]) {
        self.names = names
        self.chainPEM = chainPEM
        self.keyPEM = keyPEM
    }
}

/// Whose client certificates a listener trusts.
public struct ClientCertificates: Sendable, Codable, Hashable {
    /// PEM of the authorities that a path may end at, and of intermediate ones that clients do not send.
    public var authoritiesPEM: [UInt8]
    /// PEM of the authorities' revocation lists. Then every authority of a path needs one that is in date.
    public var revocationsPEM: [UInt8]?
    /// A client without a certificate ends in the handshake.
    public var isRequired: Bool
    public init(authoritiesPEM: [UInt8], revocationsPEM: [UInt8]? = nil, isRequired: Bool = false) {
        self.authoritiesPEM = authoritiesPEM
        self.revocationsPEM = revocationsPEM
        self.isRequired = isRequired
    }
}

public struct UpstreamAddress: Sendable, Codable, Hashable {
    /// Numeric IPv4 or IPv6 address.
    public var address: String
    public var port: UInt16
    /// nil: plain HTTP; otherwise the name that the upstream's certificate must carry.
    public var serverName: String?
    /// PEM of the only authorities trusted for this upstream; nil: the system's.
    public var authoritiesPEM: [UInt8]?
    /// Shown when the upstream asks for a certificate; nil: nothing is.
    public var client: UpstreamIdentity?
    /// Whatever certificate it has will do.
    public var isUnverified = false
    /// Its share of requests beside that of the others, 1...100.
    public var weight = 1
    /// HTTP/2, and nothing else; nil or false: HTTP/1.1.
    public var speaksHTTP2: Bool?
    public init(address: String, port: UInt16, serverName: String? = nil, authoritiesPEM: [UInt8]? = nil) {
        self.address = address
        self.port = port
        self.serverName = serverName
        self.authoritiesPEM = authoritiesPEM
    }
}

/// A host and where its requests go. The kind is an enum so that other front doors are new kinds, not new cores.
public struct ApplicationRoute: Sendable, Codable, Hashable {
    public enum Kind: String, Sendable, Codable { case proxy, admin }
    public var name: String
    public var kind: Kind
    /// Lower case, exact.
    public var host: String
    public var upstreams: [UpstreamAddress]
    public var upstreamRules = UpstreamRules()
    /// Decides for requests without a session: public paths live in here as policies of their own.
    public var anonymous: Residual
    /// Origins (besides the own host) whose scripts may read 401 and 403 answers.
    public var origins: [String]
    public var allowsEncodedSlash: Bool
    /// Further request fields that clients may never set; folded comparison.
    public var identityFieldNames: [String]
    /// Its policies look at client certificates: only who asks for such a host is asked for one.
    public var asksForCertificate = false
    /// Its policies let in clients without a person: service tokens and certificates are looked at.
    public var servesMachines = false
    /// A certificate beside a session stands for the device.
    public var readsDeviceCertificates = false
    /// What scripts of other origins may do; nil: the application's own affair.
    public var crossOrigin: CrossOriginRules?
    /// A form that is sent without a session is kept over the sign-in.
    public var keepsForms = false
    /// Its policies ask for bearer tokens of configured issuers: there `Authorization: Bearer` is for the gateway.
    public var readsBearerTokens = false
    /// A bearer token that counts goes on to the upstream.
    public var forwardsBearerTokens = false
    /// Requests carry `Forwarded` (RFC 7239) beside `X-Forwarded-*`.
    public var writesForwarded = false
    /// Paths that are forwarded under another one, redirected, or answered here.
    public var pathRoutes = PathRoutes()
    /// What requests carry upstream beside or without what clients sent.
    public var requestFields = FieldChanges()
    /// What the application's answers carry beside or without what it sent.
    public var responseFields = FieldChanges()
    public init(
        name: String, kind: Kind = .proxy, host: String, upstreams: [UpstreamAddress], anonymous: Residual,
        origins: [String] = [], allowsEncodedSlash: Bool = false, identityFieldNames: [String] = []
    ) {
        self.name = name
        self.kind = kind
        self.host = host
        self.upstreams = upstreams
        self.anonymous = anonymous
        self.origins = origins
        self.allowsEncodedSlash = allowsEncodedSlash
        self.identityFieldNames = identityFieldNames
    }
}

/// Bounds and deadlines of the data plane; every one can be configured under `gateway.limits`.
public struct Limits: Sendable, Codable, Hashable {
    public var connectionsMax = 10_000
    public var headBytesMax = 32_768
    public var fieldsMax = 100
    public var targetBytesMax = 16_384
    public var handshakeMilliseconds = 10_000
    public var headMilliseconds = 10_000
    public var idleMilliseconds = 75_000
    /// Longest silence while a body is moving, in either direction.
    public var bodyIdleMilliseconds = 60_000
    public var upstreamConnectMilliseconds = 5_000
    public var upstreamHeadMilliseconds = 60_000
    public var upstreamIdlePerReactorMax = 256
    public var parkedMax = 1_024
    public var parkedMilliseconds = 10_000
    public var sessionsCachedMax = 100_000
    /// Of one IPv4 address or IPv6 /64; 0 is no bound, here and for what follows up to `bodyRateMin`.
    public var connectionsPerAddressMax = 1_000
    public var handshakesPerAddressPerSecondMax = 500
    public var handshakesPerSecondMax = 5_000
    /// Bytes per second.
    public var bodyRateMin = 240
    public var bodyPatienceMilliseconds = 20_000
    public var firstRequestMilliseconds = 15_000
    /// What buffers of one connection, of one address's connections (0: no bound), and of all together may take.
    public var connectionMemoryBytesMax = 8_388_608
    public var memoryPerAddressBytesMax = 12_582_912
    public var memoryBytesMax = 268_435_456
    public var http2 = HTTP2Limits()
    public init() {}
}
