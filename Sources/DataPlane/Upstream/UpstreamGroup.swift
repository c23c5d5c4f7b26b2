import Border

/// An application's endpoints as one reactor sees them, with what is counted over all of them. Lives as long as the
/// application is configured: a reload changes it in place, so what is open stays counted and what was learnt is kept.
final class UpstreamGroup {
    struct State {
        var rules = UpstreamRules()
        var endpoints: [Endpoint] = []
        var isWeighted = false
        /// Where the round robin goes on.
        var next = 0
        /// Requests and tunnels that are open here.
        var open = 0
        /// This reactor's share of `concurrencyMax`.
        var openMax = Int.max
        var waitingMax = 0
        var isLimited = false
        var waiting = WaitingRoom()
        /// Forwarded since the start.
        var forwarded: UInt64 = 0
        var budget = RetryBudget()
        var connectMilliseconds: Int32 = 0
        var headMilliseconds: Int32 = 0
        var idleMilliseconds: Int32 = 0
        /// The request line and host of health checks.
        var probe: [UInt8] = []
    }

    /// The application's.
    let name: String
    // Behind a pointer for the reason that `ReactorState` is.
    let state: UnsafeMutablePointer<State>

    init(name: String) {
        self.name = name
        state = .allocate(capacity: 1)
        state.initialize(to: State())
    }

    deinit {
        state.deinitialize(count: 1)
        state.deallocate()
    }

    /// - Parameter share: which reactor of how many.
    func adopt(_ rules: UpstreamRules, _ limits: Limits, host: String, share: (number: Int, of: Int)) {
        state.pointee.rules = rules
        state.pointee.isLimited = rules.concurrencyMax != nil
        state.pointee.openMax = rules.concurrencyMax.map { Self.part($0, share, atLeast: 1) } ?? .max
        state.pointee.waitingMax = Self.part(
            rules.waitingMax, share, atLeast: rules.waitingMax > 0 ? 1 : 0)
        state.pointee.connectMilliseconds = Int32(
            clamping: rules.connectMilliseconds ?? limits.upstreamConnectMilliseconds)
        state.pointee.headMilliseconds = Int32(
            clamping: rules.headMilliseconds ?? limits.upstreamHeadMilliseconds)
        state.pointee.idleMilliseconds = Int32(
            clamping: rules.idleMilliseconds ?? limits.bodyIdleMilliseconds)
        let lines = [
            "GET \(rules.health?.path ?? "/") HTTP/1.1", "Host: \(host)", "User-Agent: gatepost-health",
            "Connection: close", "", "",
        ]
        state.pointee.probe = Array(lines.joined(separator: "\r\n").utf8)
    }

    /// The part of one reactor: the parts add up to the whole, unless there are more reactors than that.
    static func part(_ whole: Int, _ share: (number: Int, of: Int), atLeast least: Int) -> Int {
        max(least, whole / share.of + (share.number < whole % share.of ? 1 : 0))
    }

    /// The application is configured no more: nobody waits for it.
    func retire() -> [Endpoint] {
        state.pointee.isLimited = false
        state.pointee.openMax = .max
        return adopt([])
    }

    /// - Returns: endpoints that are no longer among them.
    func adopt(_ endpoints: [(Endpoint, weight: Int)]) -> [Endpoint] {
        let gone = state.pointee.endpoints.filter { old in !endpoints.contains { $0.0 === old } }
        for endpoint in gone { endpoint.state.pointee.isGone = true }
        for (endpoint, weight) in endpoints {
            endpoint.state.pointee.weight = max(1, weight)
            endpoint.state.pointee.credit = 0
            endpoint.state.pointee.health.adopt(state.pointee.rules)
        }
        state.pointee.isWeighted = Set(endpoints.map(\.weight)).count > 1
        state.pointee.endpoints = endpoints.map { $0.0 }
        state.pointee.next = 0
        return gone
    }
}

/// The upstreams of a new configuration, made beside those in use: what is broken is found before anything changes.
struct PreparedUpstreams {
    private struct Made {
        var group: UpstreamGroup
        var rules: UpstreamRules
        var host: String
        var endpoints: [(Endpoint, weight: Int)]
    }
    private let known: [String: UpstreamGroup]
    private var made: [String: Made] = [:]

    /// - Parameter known: those in use, by application.
    init(_ known: [String: UpstreamGroup] = [:]) { self.known = known }

    mutating func group(for application: ApplicationRoute) throws -> UpstreamGroup {
        let group = known[application.name] ?? UpstreamGroup(name: application.name)
        let endpoints = try Self.endpoints(application.upstreams, known: group.state.pointee.endpoints)
        made[application.name] = Made(
            group: group, rules: application.upstreamRules, host: application.host, endpoints: endpoints)
        return group
    }

    /// Those that stay, and new ones; contexts of TLS are shared where they say the same. An address that stands there
    /// twice is one endpoint.
    static func endpoints(
        _ addresses: [UpstreamAddress], known: [Endpoint]
    ) throws -> [(Endpoint, weight: Int)] {
        var contexts: [UpstreamAddress: ClientContext] = [:]
        for endpoint in known { contexts[endpoint.address.identity] = endpoint.tls }
        var endpoints: [(Endpoint, weight: Int)] = []
        for address in addresses {
            let connection = address.connection
            guard !endpoints.contains(where: { $0.0.address == connection }) else { continue }
            if let same = known.first(where: { $0.address == connection }) {
                endpoints.append((same, address.weight))
                continue
            }
            let identity = address.identity
            if address.serverName != nil, contexts[identity] == nil {
                contexts[identity] = try ClientContext(address)
            }
            endpoints.append((try Endpoint(address, tls: contexts[identity]), address.weight))
        }
        return endpoints
    }

    /// Puts all of it in use.
    /// - Returns: all groups by application, and the endpoints that are left by nobody.
    func adopt(_ limits: Limits, share: (number: Int, of: Int)) -> (
        groups: [String: UpstreamGroup], gone: [(application: String, Endpoint)]
    ) {
        var gone: [(application: String, Endpoint)] = []
        for made in made.values {
            made.group.adopt(made.rules, limits, host: made.host, share: share)
            gone += made.group.adopt(made.endpoints).map { (made.group.name, $0) }
        }
        for (name, group) in known where made[name] == nil { gone += group.retire().map { (name, $0) } }
        return (made.mapValues(\.group), gone)
    }
}

extension UpstreamAddress {
    /// What a context of TLS is made of.
    fileprivate var identity: UpstreamAddress {
        var identity = UpstreamAddress(
            address: "", port: 0, serverName: serverName, authoritiesPEM: authoritiesPEM)
        identity.client = client
        identity.isUnverified = isUnverified
        identity.speaksHTTP2 = speaksHTTP2
        return identity
    }
}
