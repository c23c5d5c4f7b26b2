import Access
import Border
import Config
import Fetch
import Identity
import Posture
import Signatures
import Store

/// Everything that one configuration makes: immutable, swapped as a whole at a reload.
struct Services: Sendable {
    let config: ConfigSnapshot
    /// Changes without a reload only by new ticket keys.
    var snapshot: GatewaySnapshot
    let posture: PostureService
    let flow: SignInFlow
    let records: SessionRecords
    let assertion: Assertion
    /// By their configured names.
    let tokenIssuers: [String: TokenIssuer]
    /// `https://auth-host[:port]`.
    let authOrigin: String

    /// - Parameter posture: kept over a reload, so that verdicts and device checks under way survive it.
    init(
        config: ConfigSnapshot, revision: UInt64, store: any GatewayStore, ring: KeyRing,
        fetcher: any Fetcher, posture: PostureService?, decisions: DecisionRecorder,
        names: UpstreamNames,
        ended: @escaping @Sendable ([StoredSession]) -> Void = { _ in },
        nowSeconds: @escaping @Sendable () -> Int64 = systemSeconds,
        pause: @escaping @Sendable (_ milliseconds: Int) async -> Void
    ) throws(ControlFailure) {
        self.config = config
        authOrigin = Self.origin(config.gateway.authHost, port: config.gateway.publicPort)
        do {
            snapshot = try SnapshotBuilder(ring: ring, names: names).snapshot(of: config, revision: revision)
        } catch {
            throw ControlFailure(what: error.what)
        }
        if let posture {
            self.posture = posture
        } else {
            self.posture = try Self.posture(
                config, authOrigin: authOrigin, store: store, ring: ring, fetcher: fetcher,
                clock: PostureClock(
                    nowSeconds: nowSeconds, monotonicNanoseconds: monotonicNanoseconds,
                    sleep: PostureClock.system.sleep))
        }
        tokenIssuers = try TokenIssuers.make(config)
        assertion = Assertion(ring: ring, issuer: authOrigin)
        records = SessionRecords(
            config: config, applications: ApplicationPlaces(config), assertion: assertion,
            posture: self.posture, store: store, decisions: decisions,
            shortestIdleSeconds: config.shortestIdleSeconds)
        flow = try Self.flow(
            config, store: store, ring: ring, fetcher: fetcher, pause: pause, ended: ended)
    }

    /// The settings of an application by its name.
    func application(_ name: String?) -> ApplicationSettings? {
        name.flatMap { records.applications.settings($0) }
    }

    /// The policies of an application by its name.
    func policy(_ name: String?) -> Application? { name.flatMap { records.applications.policy($0) } }

    /// `https://host`, with the port where it is not 443.
    static func origin(_ host: String, port: UInt16) -> String {
        port == 443 ? "https://\(host)" : "https://\(host):\(port)"
    }

    /// The origin of an application's host.
    func origin(of host: String) -> String { Self.origin(host, port: config.gateway.publicPort) }

    private static func posture(
        _ config: ConfigSnapshot, authOrigin: String, store: any GatewayStore, ring: KeyRing,
        fetcher: any Fetcher, clock: PostureClock
    ) throws(ControlFailure) -> PostureService {
        let agents = try AgentParts.agents(config, authOrigin: authOrigin)
        do {
            return try PostureService(
                agents: agents, providers: providers(config, authOrigin: authOrigin), ring: ring,
                store: store, fetcher: fetcher, clock: clock)
        } catch {
            throw ControlFailure(what: "integrations: \(error.what)")
        }
    }

    /// The providers of a configuration, as `PostureService` takes them.
    static func providers(_ config: ConfigSnapshot, authOrigin: String) -> [ProviderConnection] {
        config.integrations.compactMap { integration in
            switch integration.kind {
            case .provider(let settings):
                var connection = connection(integration.name, settings)
                // Only a Shared Signals transmitter is told of it.
                connection.texts["endpoint-url"] = authOrigin + SignalPath.prefix + integration.name
                return connection
            case .endpointAgent: return nil
            }
        }
    }

    private static func connection(_ name: String, _ settings: ProviderSettings) -> ProviderConnection {
        var connection = ProviderConnection(
            integration: name, provider: settings.provider, texts: settings.texts,
            secrets: settings.secrets.mapValues(\.text), lists: settings.lists, files: settings.files,
            refreshSeconds: settings.refreshSeconds, deviceAgeSecondsMax: settings.deviceAgeSecondsMax,
            ttlSeconds: settings.ttlSeconds, authoritiesPEM: settings.authoritiesPEM,
            allowsPlainHTTP: settings.allowsPlainHTTP)
        connection.timeouts = CallTimeouts(
            connectSeconds: settings.connectSecondsMax, firstByteSeconds: settings.firstByteSecondsMax,
            callSeconds: settings.callSecondsMax)
        return connection
    }

    static func ask(_ settings: SignInSettings) -> ConfiguredAsk {
        ConfiguredAsk(
            contexts: settings.contexts, maxAgeSeconds: settings.maxAgeSeconds, prompt: settings.prompt,
            scopes: settings.scopes, sessionSeconds: settings.sessionSeconds,
            idleSeconds: settings.idleSeconds)
    }

    private static func flow(
        _ config: ConfigSnapshot, store: any GatewayStore, ring: KeyRing, fetcher: any Fetcher,
        pause: @escaping @Sendable (_ milliseconds: Int) async -> Void,
        ended: @escaping @Sendable ([StoredSession]) -> Void
    ) throws(ControlFailure) -> SignInFlow {
        var providers: [IdentityProviderRegistration] = []
        for settings in config.identityProviders { providers.append(try registration(of: settings)) }
        let applications = config.applications.map {
            var application = IdentityApplication(
                name: $0.name, host: $0.host, identityProviders: $0.identityProviders,
                sessionSeconds: $0.sessionSecondsMax)
            application.ask = ask($0.signIn)
            application.usesRememberedProvider = $0.usesRememberedProvider
            return application
        }
        return SignInFlow(
            configuration: IdentityConfiguration(
                authHost: config.gateway.authHost, publicPort: config.gateway.publicPort,
                providers: providers,
                applications: applications),
            store: store, ring: ring, fetcher: fetcher, directory: ProviderDirectory(fetcher: fetcher),
            pause: pause, ended: ended, told: RefreshText.write)
    }
}
