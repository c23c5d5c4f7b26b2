/// `applications.<name>.upstreams`, everything beside the addresses.
public struct UpstreamUseSettings: Sendable, Hashable {
    /// Which endpoint is asked.
    public enum Balance: String, Sendable, CaseIterable {
        case roundRobin = "round-robin"
        case leastConnections = "least-connections"
        case sessionHash = "session-hash"
    }
    /// Round robin where nothing is configured.
    public var balance = Balance.roundRobin
    /// What is shown and checked over TLS.
    public var tls = UpstreamTLSSettings()
    /// nil: endpoints are not asked whether they are well.
    public var health: UpstreamHealthSettings?
    /// nil: endpoints that fail are not left out.
    public var ejection: UpstreamEjectionSettings? = UpstreamEjectionSettings()
    /// How often a request is tried again.
    public var retries = 2
    /// nil: `gateway.limits.upstream-connect`.
    public var connectSeconds: Int64?
    /// nil: `gateway.limits.upstream-head`.
    public var headSeconds: Int64?
    /// nil: `gateway.limits.body-idle`.
    public var idleSeconds: Int64?
    /// Open requests at a time; nil: as many as come.
    public var concurrency: Int?
    /// HTTP/2 connections of each reactor to one endpoint; nil: the gateway's own number.
    public var connections: Int?
    /// Requests that wait for one of them.
    public var queue = 0
    /// How long they wait.
    public var queueSeconds: Int64 = 5
    /// How often names are asked again, at the most.
    public var resolveSeconds: Int64 = 30
}

/// `applications.<name>.upstreams.tls`.
public struct UpstreamTLSSettings: Sendable, Hashable {
    /// PEM of the only authorities trusted; nil: the system's.
    public var authoritiesPEM: [UInt8]?
    /// The name that certificates must carry; nil: the host of the URL.
    public var serverName: String?
    /// PEM, the gateway's own certificate first; nil: none is shown.
    public var chainPEM: [UInt8]?
    /// The key of `chainPEM`.
    public var key: Secret?
    /// Certificates are not looked at.
    public var isUnverified = false
}

/// `applications.<name>.upstreams.health`.
public struct UpstreamHealthSettings: Sendable, Hashable {
    /// What is asked for.
    public var path: String
    /// Between two checks of an endpoint.
    public var intervalSeconds: Int64 = 10
    /// For a whole check.
    public var timeoutSeconds: Int64 = 2
    /// Good answers; empty: 200 to 299.
    public var statuses: [Int] = []
    /// Good answers one behind the other that make it healthy again.
    public var healthyAfter = 2
    /// Failures one behind the other that make it unhealthy.
    public var unhealthyAfter = 3
}

/// `applications.<name>.upstreams.ejection`.
public struct UpstreamEjectionSettings: Sendable, Hashable {
    /// Failures one behind the other.
    public var failures = 5
    /// Share of answers of 500 and above; nil: they do not count.
    public var errorPercent: Int?
    /// The first ejection.
    public var seconds: Int64 = 2
    /// The longest.
    public var secondsMax: Int64 = 60
}
