import Access

/// Other secrets for the integrations of a running service: made, and only then put in place, because a
/// configuration is taken as a whole or not at all.
public struct SecretRotation: Sendable {
    /// What changes, with what takes its place.
    fileprivate let made: [(rotating: RotatingConnector, connector: any Connector)]
    fileprivate let streams: [(stream: SignalStream, settings: SignalStreamSettings)]
    fileprivate let settings: [ExactKey: ProviderConnection]

    /// The integrations whose secrets are other ones.
    public var integrations: [String] {
        made.map(\.rotating.integration) + streams.map(\.settings.name)
    }
}

extension PostureService {
    /// Makes what other secrets need.
    ///
    /// - Parameter providers: the settings of every integration. What is new besides secrets and the files of client
    ///   certificates is passed over: that takes a restart.
    /// - Throws: `config_error` for what no connector and no stream can be made of.
    public func rotation(to providers: [ProviderConnection]) throws(ConnectorFailure) -> SecretRotation {
        var made: [(RotatingConnector, any Connector)] = []
        var streams: [(SignalStream, SignalStreamSettings)] = []
        var settings: [ExactKey: ProviderConnection] = [:]
        for provider in providers {
            let key = ExactKey(provider.integration)
            guard let parts, let before = connections[key], before != provider else { continue }
            var next = before
            next.secrets = provider.secrets
            next.files = provider.files
            guard next != before else { continue }
            if let stream = signals.stream(provider.integration) {
                streams.append((stream, try SignalStreamSettings(next)))
            } else if let rotating = connectors.first(where: {
                ExactText.isEqual($0.integration, provider.integration)
            }) as? RotatingConnector {
                made.append((rotating, try Vendor.connector(next, parts)))
            } else {
                continue
            }
            settings[key] = next
        }
        return SecretRotation(made: made, streams: streams, settings: settings)
    }

    /// Puts other secrets in place. Each integration is probed and read at once, and each stream is written and
    /// verified, behind the caller's back: whether a secret works is known before what it protects has ended.
    public func take(_ rotation: SecretRotation) async {
        for (rotating, connector) in rotation.made {
            rotating.replace(with: connector)
            let key = ExactKey(rotating.integration)
            connections[key] = rotation.settings[key]
            Task { _ = await reconnect(integration: rotating.integration) }
        }
        for (stream, settings) in rotation.streams {
            let key = ExactKey(settings.name)
            connections[key] = rotation.settings[key]
            await stream.take(settings)
            Task { await stream.keepUp() }
        }
    }
}
