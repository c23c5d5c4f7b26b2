import Access
import Border
import Config
import Foundation
import Glibc
import Signatures

/// Configuration → what the data plane needs of it.
struct SnapshotBuilder {
    /// An upstream name that cannot be resolved, or one that leads back to us.
    struct Failure: Error {
        var what: String
    }

    var ring: KeyRing

    func snapshot(of config: ConfigSnapshot, revision: UInt64) throws(Failure) -> GatewaySnapshot {
        var routes: [ApplicationRoute] = []
        for (application, policy) in zip(config.applications, config.policy.applications) {
            routes.append(try route(application, policy, config))
        }
        var snapshot = GatewaySnapshot(
            revision: revision, authHost: config.gateway.authHost, publicPort: config.gateway.publicPort,
            certificates: certificates(config.gateway.listeners), applications: routes,
            limits: limits(config.gateway.limits),
            cookieKeys: ring.secrets(.cookie).map { MACKey(id: $0.id, secret: $0.secret) },
            ticketKeys: ring.secrets(.ticket).map(\.secret), accessLog: config.gateway.accessLog)
        snapshot.clientCertificates = config.gateway.listeners.map { listener in
            listener.clientCertificates.map {
                ClientCertificates(
                    authoritiesPEM: $0.authoritiesPEM, revocationsPEM: $0.revocationsPEM,
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
        _ application: ApplicationSettings, _ policy: Application, _ config: ConfigSnapshot
    ) throws(Failure) -> ApplicationRoute {
        var anonymous = config.policy.residual(of: nil, nil, for: policy, atSeconds: 0)
        // It depends on nothing that ages: it holds until the next snapshot replaces it.
        anonymous.validUntilSeconds = .max
        var upstreams: [UpstreamAddress] = []
        for upstream in application.upstreams {
            upstreams += try addresses(of: upstream, of: application, listeners: config.gateway.listeners)
        }
        var route = ApplicationRoute(
            name: application.name, host: application.host, upstreams: upstreams, anonymous: anonymous,
            origins: application.origins, allowsEncodedSlash: application.allowsEncodedSlash,
            identityFieldNames: application.fields.map(\.field) + upstreamFields(of: policy))
        route.asksForCertificate = policy.looksAtCertificates
        route.servesMachines = policy.servesMachines
        route.crossOrigin = application.crossOrigin.map(rules)
        route.keepsForms = application.keepsForms
        route.readsBearerTokens = policy.servesMachines && !policy.tokenIssuers.isEmpty
        route.forwardsBearerTokens = application.forwardsBearerTokens
        route.pathRoutes = application.pathRoutes
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

    /// Names are resolved once per snapshot: the request path never waits for a name server.
    private func addresses(
        of upstream: UpstreamSettings, of application: ApplicationSettings, listeners: [ListenerSettings]
    ) throws(Failure) -> [UpstreamAddress] {
        let found = Self.resolve(upstream.host)
        guard !found.isEmpty else {
            throw Failure(
                what: "applications.\(application.name).upstreams: \(upstream.host) has no address; "
                    + "check the name or write a numeric address")
        }
        let own = listeners.contains {
            $0.port == upstream.port && (found.contains($0.address) || Self.isAny($0.address))
        }
        if own
            && found.contains(where: {
                $0.hasPrefix("127.") || $0 == "::1" || listeners.map(\.address).contains($0)
            })
        {
            throw Failure(
                what:
                    "applications.\(application.name).upstreams: \(upstream.url) is this gateway's own listener; "
                    + "name the application's server")
        }
        return found.map {
            UpstreamAddress(
                address: $0, port: upstream.port, serverName: upstream.isTLS ? upstream.host : nil,
                authoritiesPEM: application.upstreamAuthoritiesPEM)
        }
    }

    private static func isAny(_ address: String) -> Bool { address == "0.0.0.0" || address == "::" }

    private static func resolve(_ host: String) -> [String] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var found: [String] = []
        var next = list
        while let entry = next {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let failed = getnameinfo(
                entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0,
                NI_NUMERICHOST)
            let address = String(
                decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if failed == 0, !found.contains(address) { found.append(address) }
            next = entry.pointee.ai_next
        }
        return found
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
        return limits
    }
}
