import Fetch
import Signatures
import Store
import Synchronization

@testable import Identity

/// A gateway with the providers `entra` and `entra-managed` (two clients of one issuer) and `other`, and one
/// application for each way of accepting them.
final class World: Sendable {
    let store = MemoryStore()
    let ring = KeyRing.ephemeral()
    let tenant: FakeProvider
    let other: FakeProvider
    let flow: SignInFlow
    let directory: ProviderDirectory
    private let clock = Atomic<Int64>(1_000_000)

    var providers: [FakeProvider] { [tenant, other] }
    var nowSeconds: Int64 { clock.load(ordering: .sequentiallyConsistent) }

    func advance(_ seconds: Int64) {
        clock.add(seconds, ordering: .sequentiallyConsistent)
        let now = nowSeconds
        for provider in providers { provider.change { $0.nowSeconds = now } }
    }

    static let configuration = IdentityConfiguration(
        authHost: "auth.corp.example", publicPort: 8443,
        providers: [
            IdentityProviderRegistration(
                name: "entra", issuer: "https://idp.example/tenant", clientID: "client",
                clientSecret: "s:e c+ret",
                displayName: "Corp"),
            IdentityProviderRegistration(
                name: "entra-managed", issuer: "https://idp.example/tenant", clientID: "client-managed",
                clientSecret: "second", displayName: "Corp (managed devices)"),
            IdentityProviderRegistration(
                name: "other", issuer: "https://other.example", clientID: "third", clientSecret: "third",
                displayName: "Partner"),
        ],
        applications: [
            IdentityApplication(name: "wiki", host: "wiki.corp.example", identityProviders: ["entra"]),
            IdentityApplication(name: "hr", host: "hr.corp.example", identityProviders: ["entra-managed"]),
            IdentityApplication(
                name: "both", host: "both.corp.example", identityProviders: ["entra", "entra-managed"]),
            IdentityApplication(name: "partner", host: "partner.corp.example", identityProviders: ["other"]),
            IdentityApplication(name: "closed", host: "closed.corp.example", identityProviders: []),
        ])

    /// - Parameters:
    ///   - durable: used instead of `store`.
    ///   - issuer: of the tenant that has two clients.
    ///   - refreshSeconds: of every provider.
    ///   - change: makes another configuration out of the usual one.
    init(
        durable: (any GatewayStore)? = nil, issuer: String = "https://idp.example/tenant",
        refreshSeconds: Int64? = nil, change: (inout IdentityConfiguration) -> Void = { _ in }
    ) {
        var configuration = Self.configuration
        for index in configuration.providers.indices {
            configuration.providers[index].refreshSeconds = refreshSeconds
            if configuration.providers[index].issuer == "https://idp.example/tenant" {
                configuration.providers[index].issuer = issuer
            }
        }
        change(&configuration)
        tenant = FakeProvider(
            issuer: issuer, secrets: ["client": "s:e c+ret", "client-managed": "second"])
        other = FakeProvider(issuer: "https://other.example", secrets: ["third": "third"])
        let fetcher = Switchboard(providers: [tenant, other])
        let pauses = PauseLog()
        directory = ProviderDirectory(fetcher: fetcher, pause: { pauses.add($0) })
        self.fetcher = fetcher
        flow = SignInFlow(
            configuration: configuration, store: durable ?? store, ring: ring, fetcher: fetcher,
            directory: directory, pause: { [waits] in await waits.wait($0) },
            told: { [told] in told.add($0) })
        pauseLog = pauses
        waits.whoWaits { [weak self] milliseconds in self?.advance(Int64(milliseconds / 1_000)) }
    }

    let pauseLog: PauseLog
    let waits = Waits()
    let fetcher: Switchboard
    let told = NewsLog()
}

final class NewsLog: Sendable {
    private let entries = Mutex<[RefreshNews]>([])
    func add(_ news: RefreshNews) { entries.withLock { $0.append(news) } }
    var all: [RefreshNews] { entries.withLock { $0 } }
}

/// Waits of sign-ins: time passes, unless a test says otherwise.
final class Waits: Sendable {
    private let entries = Mutex<[Int]>([])
    private let work = Mutex<@Sendable (Int) async -> Void>({ _ in })

    func whoWaits(_ body: @escaping @Sendable (_ milliseconds: Int) async -> Void) {
        work.withLock { $0 = body }
    }
    func wait(_ milliseconds: Int) async {
        entries.withLock { $0.append(milliseconds) }
        let body = work.withLock { $0 }
        await body(milliseconds)
    }
    var all: [Int] { entries.withLock { $0 } }
}

final class PauseLog: Sendable {
    private let entries = Mutex<[Int]>([])
    func add(_ milliseconds: Int) { entries.withLock { $0.append(milliseconds) } }
    var all: [Int] { entries.withLock { $0 } }
}

/// Sends a request to the provider whose issuer begins its URL.
struct Switchboard: Fetcher {
    let providers: [FakeProvider]
    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        guard let provider = providers.first(where: { request.url.hasPrefix($0.issuer + "/") }) else {
            throw FetchError(.unreachable, request.url)
        }
        return try await provider.fetch(request)
    }
}

let wiki = "https://wiki.corp.example:8443"
let auth = "https://auth.corp.example:8443"
