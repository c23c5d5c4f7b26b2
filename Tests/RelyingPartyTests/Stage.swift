import Access
import Fetch
import Foundation
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Identity
@testable import gatepost_lab

/// Two of the lab's providers on loopback HTTP, and a relying party with the real store that signs people in at
/// three registrations: `staff` and `hr-staff` at the first provider, `partner` at the second.
final class Stage: Sendable {
    /// 2026-02-02T02:40:00Z.
    static let start: Int64 = 1_770_000_000
    static let authHost = "auth.corp.example"

    let provider: OpenIDProvider
    let partner: OpenIDProvider
    let port: UInt16
    let partnerPort: UInt16
    let store: SQLiteStore
    let ring = KeyRing.ephemeral()
    let flow: SignInFlow
    let fetcher: WatchedFetcher
    /// What the first provider's other server shows, which asks for certificates.
    let certificateTLS: ServerTLS
    private let servers: [SiteServer]
    private let folder: URL
    private let time: SharedTime

    /// - Parameters:
    ///   - refreshSeconds: how often sign-ins at `staff` are refreshed; nil: never.
    ///   - pushes: requests to `staff` go there ahead of the browser.
    init(refreshSeconds: Int64? = nil, pushes: Bool = false) throws {
        let time = SharedTime(Self.start)
        self.time = time
        let clock = LabClock(base: { time.now })
        let first = try SiteServer(port: 0)
        let second = try SiteServer(port: 0)
        let third = try SiteServer(port: 0)
        servers = [first, second, third]
        (port, partnerPort) = (first.port, second.port)
        let origin = "https://\(Self.authHost)"
        let partnerClient = gatepost_lab.Client(
            id: "gatepost", secret: "partner-secret-0001", displayName: "Partner",
            redirectURIs: ["\(origin)/.gatepost/callback/partner"], postLogoutURIs: [])
        provider = OpenIDProvider(
            port: first.port, clients: Client.demo(origins: [origin]), clock: clock,
            certificatePort: third.port)
        partner = OpenIDProvider(port: second.port, clients: [partnerClient], clock: clock)
        first.start(provider, clock: clock, log: LabLog(isSilent: true))
        second.start(partner, clock: clock, log: LabLog(isSilent: true))
        certificateTLS = ServerTLS(asksClients: true) { nil }
        third.start(provider, clock: clock, log: LabLog(isSilent: true), tls: certificateTLS)
        folder = FileManager.default.temporaryDirectory.appending(
            path: "gatepost-relying-party-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        store = try SQLiteStore(folder: folder.path)
        fetcher = WatchedFetcher()
        // The retry after a second is not waited for: no clock here runs by itself.
        let directory = ProviderDirectory(fetcher: fetcher, pause: { _ in })
        var configuration = Self.configuration(provider.issuer, partner.issuer)
        if refreshSeconds != nil {
            configuration.providers[0].refreshSeconds = refreshSeconds
            configuration.providers[0].scopes.append("offline_access")
        }
        if pushes { configuration.providers[0].pushedAuthorization = .required }
        flow = SignInFlow(
            configuration: configuration, store: store, ring: ring, fetcher: fetcher, directory: directory,
            pause: { [time] in time.advance(Int64(($0 + 999) / 1_000)) })
    }

    deinit {
        servers.forEach { $0.stop() }
        try? FileManager.default.removeItem(at: folder)
    }

    var now: Int64 { time.now }
    func advance(_ seconds: Int64) { time.advance(seconds) }

    /// From now on we prove ourselves so at `staff`, whose servers' certificates are of these authorities.
    func prove(_ proof: ClientProof, authorities: [UInt8]?) async {
        var configuration = Self.configuration(provider.issuer, partner.issuer)
        configuration.providers[0].proof = proof
        configuration.providers[0].authoritiesPEM = authorities
        await flow.replace(configuration: configuration)
    }

    private static func configuration(_ issuer: String, _ partner: String) -> IdentityConfiguration {
        func registration(
            _ name: String, _ issuer: String, _ client: String, _ secret: String
        ) -> IdentityProviderRegistration {
            var registration = IdentityProviderRegistration(
                name: name, issuer: issuer, clientID: client, clientSecret: secret, displayName: name,
                scopes: ["openid", "email", "profile", "groups"], allowsPlainHTTP: true)
            // What goes through the browser can be tampered with there; a pushed request could not be.
            registration.pushedAuthorization = .off
            return registration
        }
        func application(_ name: String, _ provider: String) -> IdentityApplication {
            IdentityApplication(
                name: name, host: "\(name).corp.example", identityProviders: [provider])
        }
        return IdentityConfiguration(
            authHost: authHost,
            providers: [
                registration("staff", issuer, "gatepost", "gatepost-demo-secret"),
                registration("hr-staff", issuer, "gatepost-hr", "gatepost-hr-demo-secret"),
                registration("partner", partner, "gatepost", "partner-secret-0001"),
            ],
            applications: [
                application("wiki", "staff"), application("hr", "hr-staff"), application("shop", "partner"),
            ])
    }

    /// Switches a fault of the first provider on, as an administrator of the lab does; "none": all off.
    func fault(_ name: String, count: Int64? = nil) throws {
        var body: JSONObject = ["name": .string(name)]
        body["count"] = count.map { .integer($0) }
        let answer = try LabClient(port: port).send(
            "POST", "/lab/faults", body: JSONValue.object(body).serialized())
        try #require(answer.status == 200, "\(name)")
    }

    /// From now on the first provider's tokens are signed so.
    func sign(with algorithm: SignatureAlgorithm) throws {
        let body = JSONValue.object(["alg": .string(algorithm.rawValue)]).serialized()
        let answer = try LabClient(port: port).send("POST", "/lab/algorithm", body: body)
        try #require(answer.status == 200, "\(algorithm)")
    }

    var sessions: [StoredSession] {
        get async throws { try await store.sessions(.all, limit: 100) }
    }
}

/// One time for the relying party and both providers; it moves when a test moves it.
final class SharedTime: Sendable {
    private let seconds: Mutex<Int64>
    init(_ seconds: Int64) { self.seconds = Mutex(seconds) }
    var now: Int64 { seconds.withLock { $0 } }
    func advance(_ by: Int64) { seconds.withLock { $0 += by } }
}

/// Real HTTP, watched. It gives up sooner than the product does where a test says so.
final class WatchedFetcher: Fetcher {
    private struct State {
        var asked: [FetchRequest] = []
        var failures: [FetchError] = []
        var timeoutMilliseconds: Int?
    }
    private static let curl = CurlFetcher(connectionsMax: 128)
    private let state = Mutex(State())

    var asked: [FetchRequest] { state.withLock { $0.asked } }
    var failures: [FetchError] { state.withLock { $0.failures } }
    func limit(milliseconds: Int?) { state.withLock { $0.timeoutMilliseconds = milliseconds } }

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        var patient = request
        state.withLock { state in
            state.asked.append(request)
            patient.timeoutMilliseconds = state.timeoutMilliseconds ?? request.timeoutMilliseconds
        }
        do throws(FetchError) {
            return try await Self.curl.fetch(patient)
        } catch {
            state.withLock { $0.failures.append(error) }
            throw error
        }
    }
}
