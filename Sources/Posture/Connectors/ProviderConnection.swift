import Fetch

/// One configured posture provider: what its kind's keys say, by key, as `integrations.<name>` has them.
public struct ProviderConnection: Sendable, Hashable {
    /// The configured name of the integration.
    public var integration: String
    /// The kind: `intune`, `crowdstrike`, …
    public var provider: String
    /// Texts, URLs (without a trailing slash), choices; numbers, durations (seconds) and flags as text.
    public var texts: [String: String]
    /// Secrets; never logged.
    public var secrets: [String: String]
    /// Lists of texts.
    public var lists: [String: [String]]
    /// Contents of named files.
    public var files: [String: [UInt8]]
    /// How often each known device is asked again, seconds.
    public var refreshSeconds: Int64
    /// A device that reported longer ago says nothing, seconds.
    public var deviceAgeSecondsMax: Int64
    /// How long a fetched answer may be used, seconds.
    public var ttlSeconds: Int64
    /// Of each call to the provider.
    public var timeouts = CallTimeouts()
    /// PEM of the only authorities trusted for the provider; nil: the system's.
    public var authoritiesPEM: [UInt8]?
    /// Plain HTTP is accepted, on loopback only.
    public var allowsPlainHTTP: Bool

    /// Takes the members as they are.
    public init(
        integration: String, provider: String, texts: [String: String] = [:], secrets: [String: String] = [:],
        lists: [String: [String]] = [:], files: [String: [UInt8]] = [:], refreshSeconds: Int64 = 900,
        deviceAgeSecondsMax: Int64 = 86_400, ttlSeconds: Int64 = 3_600, authoritiesPEM: [UInt8]? = nil,
        allowsPlainHTTP: Bool = false
    ) {
        self.integration = integration
        self.provider = provider
        self.texts = texts
        self.secrets = secrets
        self.lists = lists
        self.files = files
        self.refreshSeconds = refreshSeconds
        self.deviceAgeSecondsMax = deviceAgeSecondsMax
        self.ttlSeconds = ttlSeconds
        self.authoritiesPEM = authoritiesPEM
        self.allowsPlainHTTP = allowsPlainHTTP
    }

    /// The text of a key that the configuration requires.
    func text(_ key: String) throws(ConnectorFailure) -> String {
        guard let text = texts[key] else { throw missing(key) }
        return text
    }

    /// The secret of a key that the configuration requires.
    func secret(_ key: String) throws(ConnectorFailure) -> String {
        guard let secret = secrets[key] else { throw missing(key) }
        return secret
    }

    /// A number or duration with its default.
    func number(_ key: String, _ standard: Int64) -> Int64 { texts[key].flatMap { Int64($0) } ?? standard }

    /// When a fetched record says nothing any more (providers.md 14.1): after its own life, and when the device has
    /// been silent for too long.
    func expiry(fetchedAtSeconds: Int64, observedAtSeconds: Int64) -> Int64 {
        min(fetchedAtSeconds + ttlSeconds, observedAtSeconds + deviceAgeSecondsMax)
    }

    private func missing(_ key: String) -> ConnectorFailure {
        ConnectorFailure(.configError, "integrations.\(integration).\(key) is missing")
    }
}

/// What every connector is made with.
struct ConnectorParts: Sendable {
    var fetcher: any Fetcher
    var clock: PostureClock
    /// 0..<1, for jitter and back-off.
    var random: @Sendable () -> Double
    /// For what a provider hands out and wants back, such as refresh tokens.
    var vault = TokenVault.none

    func client(_ api: ProviderAPI) -> ProviderClient {
        ProviderClient(api: api, fetcher: fetcher, clock: clock, random: random)
    }
}

/// One vendor: the kind's name and how its connector is made. Each stands in its connector's file.
struct Vendor: Sendable {
    var name: String
    /// The product's name, for people; nil: the kind's name.
    var title: String?
    var make: @Sendable (ProviderConnection, ConnectorParts) throws(ConnectorFailure) -> any Connector

    /// Every vendor with a connector.
    static let all: [Vendor] = [
        IntuneConnector.vendor, EntraConnector.vendor, CrowdStrikeConnector.vendor, DefenderConnector.vendor,
        TaniumConnector.vendor, WorkspaceOneConnector.vendor, Jamf.vendor, SentinelOne.vendor, Kolide.vendor,
        Kandji.vendor, GoogleDevices.vendor, Fleet.vendor, CustomConnector.vendor,
    ]

    /// The connector of a configured provider.
    ///
    /// - Throws: `config_error` for a kind without a connector, or without what it needs.
    static func connector(
        _ connection: ProviderConnection, _ parts: ConnectorParts
    ) throws(ConnectorFailure) -> any Connector {
        guard let vendor = all.first(where: { $0.name == connection.provider }) else {
            throw ConnectorFailure(.configError, "no connector for provider \(connection.provider)")
        }
        var bounded = parts
        bounded.fetcher = BoundedFetcher(inner: parts.fetcher, timeouts: connection.timeouts)
        return try vendor.make(connection, bounded)
    }
}
