/// How an application's upstreams are used: who is asked, who is left out, how long, and by how many at a time.
public struct UpstreamRules: Sendable, Codable, Hashable {
    /// Who of several endpoints is asked.
    public enum Balance: String, Sendable, Codable, CaseIterable {
        case roundRobin = "round-robin"
        case leastConnections = "least-connections"
        case sessionHash = "session-hash"
    }
    public var balance = Balance.roundRobin
    /// When an endpoint that fails is left out for a while; nil: never.
    public var ejection: EjectionRules? = EjectionRules()
    /// How endpoints are asked whether they are well; nil: they are not.
    public var health: HealthRules?
    /// How often a request may be tried again; 0: what fails once has failed.
    public var retriesMax = 2
    /// nil: the gateway's own limit. So the two below.
    public var connectMilliseconds: Int?
    /// From the whole request to the head of the answer.
    public var headMilliseconds: Int?
    /// The longest silence while a body or a tunnel is open.
    public var idleMilliseconds: Int?
    /// Requests and tunnels that are open at a time, all reactors together; nil: as many as come.
    public var concurrencyMax: Int?
    /// Requests that wait for one of those to end, all reactors together.
    public var waitingMax = 0
    /// How long one of them waits.
    public var waitingMilliseconds = 5_000
    /// HTTP/2 connections of each reactor to one endpoint; nil: as many as `http2ConnectionsStandard`.
    public var http2ConnectionsMax: Int?
    public static let http2ConnectionsStandard = 16
    /// Round robin, as many as come, the gateway's own limits.
    public init() {}
}

/// When an endpoint is left out because of what became of requests.
public struct EjectionRules: Sendable, Codable, Hashable {
    /// So many failures one behind the other. A connection that cannot be made counts as all of them.
    public var failuresMax = 5
    /// This share of answers of 500 and above within ten seconds, of at least twenty answers; nil: they are answers.
    public var errorPercent: Int?
    /// How long the first time; each further time twice as long.
    public var milliseconds = 2_000
    public var millisecondsMax = 60_000
    /// Five failures, two seconds to a minute.
    public init() {}
}

/// How an endpoint is asked whether it is well.
public struct HealthRules: Sendable, Codable, Hashable {
    /// Begins with a slash; no byte that ends a request line.
    public var path: String
    public var intervalMilliseconds = 10_000
    public var timeoutMilliseconds = 2_000
    /// What counts as well; empty: 200 to 299.
    public var statuses: [Int] = []
    /// So many good answers one behind the other make it well again.
    public var healthyAfter = 2
    /// So many failures one behind the other make it ill.
    public var unhealthyAfter = 3
    /// Every ten seconds, two seconds for each answer.
    public init(path: String) { self.path = path }
}

/// What the gateway shows an upstream that asks who it is.
public struct UpstreamIdentity: Sendable, Codable, Hashable {
    /// The gateway's certificate first.
    public var chainPEM: [UInt8]
    public var keyPEM: [UInt8]
    public init(chainPEM: [UInt8], keyPEM: [UInt8]) {
        self.chainPEM = chainPEM
        self.keyPEM = keyPEM
    }
}

/// An endpoint's standing at one reactor has changed.
public struct UpstreamNews: Sendable, Codable, Hashable {
    public enum Standing: String, Sendable, Codable, CaseIterable {
        case healthy
        /// Not asked yet.
        case probing
        /// Its health checks fail.
        case unhealthy
        /// Left out for a while because of what became of requests.
        case ejected
        /// Not configured any more, or not where its name leads.
        case removed
    }
    public var reactor: UInt16
    public var application: String
    /// `address:port`, IPv6 in brackets.
    public var endpoint: String
    public var standing: Standing
    /// Of `ejected`: seconds since 1970.
    public var untilSeconds: Int64?
    /// What it was, in a few words; nil where nothing is wrong.
    public var why: String?
    public init(
        reactor: UInt16, application: String, endpoint: String, standing: Standing,
        untilSeconds: Int64? = nil,
        why: String? = nil
    ) {
        self.reactor = reactor
        self.application = application
        self.endpoint = endpoint
        self.standing = standing
        self.untilSeconds = untilSeconds
        self.why = why
    }
}
