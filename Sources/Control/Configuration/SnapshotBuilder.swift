import Access
import Border
import Config
import Foundation
import Signatures

/// Configuration → what the data plane needs of it.
struct SnapshotBuilder {
    /// An upstream that leads back to us.
    struct Failure: Error {
        var what: String
    }

    var ring: KeyRing
    var names: UpstreamNames

    func snapshot(of config: ConfigSnapshot, revision: UInt64) throws(Failure) -> GatewaySnapshot {
        names.learn(config.applications.flatMap { $0.upstreams.map(\.host) })
        let addresses = UpstreamAddresses(names: names, own: OwnListeners(config.gateway.listeners))
        var routes: [ApplicationRoute] = []
        for (application, policy) in zip(config.applications, config.policy.applications) {
            routes.append(try route(application, policy, config, addresses))
        }
        var snapshot = GatewaySnapshot(
            revision: revision, authHost: config.gateway.authHost, publicPort: config.gateway.publicPort,
            certificates: certificates(config.gateway.listeners), applications: routes,
            limits: limits(config.gateway.limits),
            cookieKeys: ring.secrets(.cookie).map { MACKey(id: $0.id, secret: $0.secret) },
            ticketKeys: ring.secrets(.ticket).map(\.secret), accessLog: config.gateway.accessLog)
        let listeners = config.gateway.listeners
        snapshot.listenersWithoutHTTP2 = Set(listeners.indices.filter { !listeners[$0].offersHTTP2 })
        snapshot.clientCertificates = config.gateway.listeners.map { listener in
            listener.clientCertificates.map {
                ClientCertificates(
                    // The lists themselves come from `ClientLists`: without them no configuration is taken.
                    authoritiesPEM: $0.authoritiesPEM, revocationsPEM: $0.revocations.map { _ in [] },
                    isRequired: $0.isRequired)
            }
        }
        snapshot.clientAddresses = config.gateway.listeners.map { listener in
            let settings = listener.clientAddresses
            guard !settings.isEmpty else { return nil }
            return ClientAddressTrust(
                proxyProtocolFrom: settings.proxyProtocolFrom, forwardedFrom: settings.forwardedFrom,
                field: settings.readsForwardedField ? .forwarded : .xForwardedFor)
        }
        return snapshot
    }

    private func route(
        _ application: ApplicationSettings, _ policy: Application, _ config: ConfigSnapshot,
        _ addresses: UpstreamAddresses
    ) throws(Failure) -> ApplicationRoute {
        var anonymous = config.policy.residual(of: nil, nil, for: policy, atSeconds: 0)
        // It depends on nothing that ages: it holds until the next snapshot replaces it.
        anonymous.validUntilSeconds = .max
        let (upstreams, own) = addresses.addresses(of: application)
        if let own = own.first {
            throw Failure(
                what: "applications.\(application.name).upstreams: \(own) is this gateway's own listener; "
                    + "name the application's server")
        }
        var route = ApplicationRoute(
            name: application.name, host: application.host, upstreams: upstreams, anonymous: anonymous,
            origins: application.origins, allowsEncodedSlash: application.allowsEncodedSlash,
            identityFieldNames: application.fields.map(\.field) + upstreamFields(of: policy))
        route.upstreamRules = UpstreamAddresses.rules(application.upstreamUse)
        route.asksForCertificate = policy.looksAtCertificates
        route.servesMachines = policy.servesMachines
        route.readsDeviceCertificates = policy.accepts(.certificate)
        route.crossOrigin = application.crossOrigin.map(rules)
        route.keepsForms = application.keepsForms
        route.readsBearerTokens = policy.servesMachines && !policy.tokenIssuers.isEmpty
        route.forwardsBearerTokens = application.forwardsBearerTokens
        route.pathRoutes = application.pathRoutes
        route.writesForwarded = application.writesForwarded
        route.requestFields = changes(application.requestFields)
        route.responseFields = changes(application.responseFields)
        return route
    }

    private func changes(_ settings: FieldChangeSettings) -> FieldChanges {
        FieldChanges(written: settings.set.map { Field($0.name, $0.value) }, removed: settings.removed)
    }

    private func rules(_ settings: CrossOriginSettings) -> CrossOriginRules {
        var rules = CrossOriginRules(
            origins: settings.origins, preflight: settings.isForwarded ? .forward : .answer)
        rules.methods = settings.methods
        rules.requestFields = settings.requestFields
        rules.responseFields = settings.responseFields
        rules.allowsCredentials = settings.allowsCredentials
        rules.maxAgeSeconds = settings.maxAgeSeconds
        return rules
    }

    /// What any policy of the application may tell it, clients may tell it under none.
    private func upstreamFields(of policy: Application) -> [String] {
        policy.policies.flatMap { ($0.restriction?.upstreamFields ?? []).map(\.name) }
    }

    private func certificates(_ listeners: [ListenerSettings]) -> [ListenerCertificate] {
        listeners.flatMap(\.certificates).map { settings in
            let names = (try? Certificate(pem: settings.chainPEM))?.dnsNames.map { $0.lowercased() } ?? []
            return ListenerCertificate(
                names: names, chainPEM: settings.chainPEM, keyPEM: settings.keyPEM.bytes)
        }
    }

    private func limits(_ settings: LimitSettings) -> Limits {
        var limits = Limits()
        limits.connectionsMax = settings.connectionsMax
        limits.headBytesMax = settings.headBytesMax
        limits.fieldsMax = settings.fieldsMax
        limits.targetBytesMax = settings.targetBytesMax
        limits.handshakeMilliseconds = settings.handshakeMilliseconds
        limits.headMilliseconds = settings.headMilliseconds
        limits.idleMilliseconds = settings.idleMilliseconds
        limits.bodyIdleMilliseconds = settings.bodyIdleMilliseconds
        limits.upstreamConnectMilliseconds = settings.upstreamConnectMilliseconds
        limits.upstreamHeadMilliseconds = settings.upstreamHeadMilliseconds
        limits.upstreamIdlePerReactorMax = settings.upstreamIdlePerReactorMax
        limits.parkedMax = settings.parkedMax
        limits.parkedMilliseconds = settings.parkedMilliseconds
        limits.sessionsCachedMax = settings.sessionsCachedMax
        limits.connectionsPerAddressMax = settings.connectionsPerAddressMax
        limits.handshakesPerAddressPerSecondMax = settings.handshakesPerAddressPerSecondMax
        limits.handshakesPerSecondMax = settings.handshakesPerSecondMax
        limits.bodyRateMin = settings.bodyRateMin
        limits.bodyPatienceMilliseconds = settings.bodyPatienceMilliseconds
        limits.firstRequestMilliseconds = settings.firstRequestMilliseconds
        limits.connectionMemoryBytesMax = settings.connectionMemoryBytesMax
        limits.memoryPerAddressBytesMax = settings.memoryPerAddressBytesMax
        limits.memoryBytesMax = settings.memoryBytesMax
        limits.http2.streamsMax = settings.http2StreamsMax
        limits.http2.resetsPerSecondMax = settings.http2ResetsPerSecondMax
        limits.http2.framesPerSecondMax = settings.http2FramesPerSecondMax
        limits.http2.continuationsMax = settings.http2ContinuationsMax
        return limits
    }
}
