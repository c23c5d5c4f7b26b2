import Access

/// What no section can see alone.
enum CrossChecks {
    static func hosts(
        _ gateway: GatewaySettings?, _ applications: [ApplicationsSection.Read], _ context: ReadContext
    ) {
        var seen: [String: String] = [:]
        for application in applications {
            let (name, host) = (application.settings.name, application.settings.host)
            let key = "applications.\(name).host"
            if host == gateway?.authHost {
                context.diagnostics.problem(
                    application.place, key, "\(host) is the auth host",
                    "give the application a host of its own")
            }
            if let other = seen[host] {
                context.diagnostics.problem(
                    application.place, key, "\(host) is the host of \(other) too",
                    "give each application its own")
            }
            seen[host] = seen[host] ?? name
        }
    }

    /// An upstream that leads back to the gateway would be a loop, and a way around its own policies.
    static func loops(
        _ gateway: GatewaySettings?, _ applications: [ApplicationsSection.Read], _ context: ReadContext
    ) {
        guard let gateway else { return }
        let ownHosts = Set(applications.map(\.settings.host) + [gateway.authHost])
        for application in applications {
            for (index, upstream) in application.settings.upstreams.enumerated() {
                let isOwnListener = gateway.listeners.contains { leads(upstream, to: $0) }
                let isOwnHost =
                    ownHosts.contains(upstream.host)
                    && (upstream.port == gateway.publicPort
                        || gateway.listeners.contains { $0.port == upstream.port })
                guard isOwnListener || isOwnHost else { continue }
                context.diagnostics.problem(
                    application.place, "applications.\(application.settings.name).upstreams[\(index)]",
                    "\(upstream.url) is the gateway itself", "name the application's own server")
            }
        }
    }

    private static func leads(_ upstream: UpstreamSettings, to listener: ListenerSettings) -> Bool {
        guard upstream.port == listener.port else { return false }
        if HostSyntax.isEveryAddress(listener.address) {
            return HostSyntax.isLoopback(upstream.host) || HostSyntax.isEveryAddress(upstream.host)
        }
        if HostSyntax.isEveryAddress(upstream.host) { return HostSyntax.isLoopback(listener.address) }
        if let address = HostSyntax.address(upstream.host) {
            return address == HostSyntax.address(listener.address)
        }
        return HostSyntax.isLoopback(upstream.host) && HostSyntax.isLoopback(listener.address)
    }

    /// Listed, but nobody uses it: legal while something is being set up.
    static func unused(
        _ read: [IdentityProviderSettings], _ root: SectionReader, _ apps: [ApplicationsSection.Read]
    ) {
        let used = Set(apps.flatMap(\.settings.identityProviders))
        for provider in read where !used.contains(provider.name) {
            root.context.diagnostics.warn(
                root.place(of: "identity-providers"), "identity-providers.\(provider.name)",
                "no application accepts it", "list it in an application or remove it")
        }
    }

    /// A condition on something that no client is ever asked for would hold for nobody, and a block on it too.
    static func certificates(
        _ gateway: GatewaySettings?, _ applications: [ApplicationsSection.Read], _ root: SectionReader
    ) {
        guard let gateway else { return }
        let asks = gateway.listeners.contains { $0.clientCertificates != nil }
        for application in applications
        where !asks && application.decisions.looksAtCertificates && !application.decisions.servesMachines {
            root.context.diagnostics.problem(
                application.place, "applications.\(application.settings.name).policies",
                "a policy asks for a client certificate, but no listener does",
                "add client-certificates to a listener, or remove the condition or device-proofs")
        }
        for (index, listener) in gateway.listeners.enumerated()
        where listener.clientCertificates != nil
            && !applications.contains(where: \.decisions.looksAtCertificates)
        {
            root.context.diagnostics.warn(
                root.place(of: "gateway"), "gateway.listeners[\(index)].client-certificates",
                "no policy looks at client certificates, so no host asks for one",
                "add a certificate condition, device-proofs: certificate or action: service, or remove it")
        }
    }

    static func devices(_ policies: [DevicePolicy], _ root: SectionReader, _ apps: [ApplicationsSection.Read])
    {
        guard policies.isEmpty, !root.has("device-policies") else { return }
        guard let first = apps.first(where: { $0.decisions.policies.contains(where: \.asksForDevice) }) else {
            return
        }
        root.context.diagnostics.warn(
            first.place, "applications.\(first.settings.name).policies",
            "a policy asks for a device class, but there are no device-policies",
            "write device-policies; until then every device has a class of device-defaults")
    }
}
