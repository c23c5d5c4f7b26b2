import Border
import Config
import JSON
import Synchronization

/// An application's upstreams as the data plane gets them, from what their names stand for now.
struct UpstreamAddresses {
    /// One application uses no more of them.
    static let addressesMax = 256

    var names: UpstreamNames
    var own: OwnListeners

    /// - Returns: what is used, and which of the answers are not because they are the gateway itself.
    func addresses(of application: ApplicationSettings) -> (used: [UpstreamAddress], own: [String]) {
        var used: [UpstreamAddress] = []
        var refused: [String] = []
        for upstream in application.upstreams {
            for address in names.addresses(of: upstream.host) {
                guard !own.include(address, port: upstream.port) else {
                    refused.append("\(upstream.url) (\(address))")
                    continue
                }
                used.append(self.address(address, upstream, application))
            }
        }
        return (Array(used.prefix(Self.addressesMax)), refused)
    }

    private func address(
        _ address: String, _ upstream: UpstreamSettings, _ application: ApplicationSettings
    ) -> UpstreamAddress {
        let tls = application.upstreamUse.tls
        var made = UpstreamAddress(
            address: address, port: upstream.port,
            serverName: upstream.isTLS ? tls.serverName ?? upstream.host : nil,
            authoritiesPEM: tls.authoritiesPEM ?? application.upstreamAuthoritiesPEM)
        made.weight = upstream.weight
        made.speaksHTTP2 = upstream.speaksHTTP2 ? true : nil
        guard upstream.isTLS else { return made }
        if let chain = tls.chainPEM, let key = tls.key {
            made.client = UpstreamIdentity(chainPEM: chain, keyPEM: key.bytes)
        }
        made.isUnverified = tls.isUnverified
        return made
    }

    static func rules(_ use: UpstreamUseSettings) -> UpstreamRules {
        var rules = UpstreamRules()
        switch use.balance {
        case .roundRobin: rules.balance = .roundRobin
        case .leastConnections: rules.balance = .leastConnections
        case .sessionHash: rules.balance = .sessionHash
        }
        rules.health = use.health.map { settings in
            var health = HealthRules(path: settings.path)
            health.intervalMilliseconds = Int(settings.intervalSeconds) * 1_000
            health.timeoutMilliseconds = Int(settings.timeoutSeconds) * 1_000
            health.statuses = settings.statuses
            health.healthyAfter = settings.healthyAfter
            health.unhealthyAfter = settings.unhealthyAfter
            return health
        }
        rules.ejection = use.ejection.map { settings in
            var ejection = EjectionRules()
            ejection.failuresMax = settings.failures
            ejection.errorPercent = settings.errorPercent
            ejection.milliseconds = Int(settings.seconds) * 1_000
            ejection.millisecondsMax = Int(settings.secondsMax) * 1_000
            return ejection
        }
        rules.retriesMax = use.retries
        rules.connectMilliseconds = use.connectSeconds.map { Int($0) * 1_000 }
        rules.headMilliseconds = use.headSeconds.map { Int($0) * 1_000 }
        rules.idleMilliseconds = use.idleSeconds.map { Int($0) * 1_000 }
        rules.concurrencyMax = use.concurrency
        rules.http2ConnectionsMax = use.connections
        rules.waitingMax = use.queue
        rules.waitingMilliseconds = Int(use.queueSeconds) * 1_000
        return rules
    }
}

extension ControlPlane {
    /// Asks names that are due, and tells the reactors when an answer is another one than before. Once a second.
    func followNames() async {
        await configuring.enter()
        await followNamesInOrder()
        await configuring.leave()
    }

    private func followNamesInOrder() async {
        let config = services.config
        var hosts: [String: Int64] = [:]
        for application in config.applications {
            for upstream in application.upstreams {
                let seconds = application.upstreamUse.resolveSeconds
                hosts[upstream.host] = min(hosts[upstream.host] ?? seconds, seconds)
            }
        }
        upstreamNames.askDue(hosts)
        let resolved = UpstreamAddresses(names: upstreamNames, own: OwnListeners(config.gateway.listeners))
        let answers = config.applications.map { resolved.addresses(of: $0) }
        tellOfNames(config, refused: answers.map(\.own))
        let changed = current.withLock { services -> GatewaySnapshot? in
            var isChanged = false
            for (index, answer) in answers.enumerated()
            where services.snapshot.applications[index].upstreams != answer.used {
                services.snapshot.applications[index].upstreams = answer.used
                isChanged = true
            }
            guard isChanged else { return nil }
            services.snapshot.revision = revisions.wrappingAdd(1, ordering: .relaxed).newValue
            return services.snapshot
        }
        guard let changed else { return }
        do {
            try await configure(changed)
        } catch {
            EventLog.write("upstream-addresses-refused", [("what", .string(error.what))])
        }
    }

    /// One event for each change: a name that has no answer any more or has one again, an answer that leads to
    /// ourselves.
    private func tellOfNames(_ config: ConfigSnapshot, refused: [[String]]) {
        var now: Set<String> = []
        for (application, refused) in zip(config.applications, refused) {
            for upstream in application.upstreams
            where upstreamNames.state(of: upstream.host)?.failingSinceSeconds != nil {
                now.insert("\(application.name): \(upstream.host) has no address")
            }
            for address in refused {
                now.insert("\(application.name): \(address) is this gateway's own listener")
            }
        }
        let before = namesTold.withLock { told in
            defer { told = now }
            return told
        }
        for what in now.subtracting(before).sorted() {
            EventLog.write("upstream-name", [("what", .string(what))])
        }
        for what in before.subtracting(now).sorted() {
            EventLog.write("upstream-name-recovered", [("what", .string(what))])
        }
    }
}
