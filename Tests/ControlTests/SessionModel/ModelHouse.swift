import Access
import Border
import Config
import Foundation
import JSON
import Signatures
import Store
import Synchronization

@testable import Control
@testable import Identity

/// Which providers there are and who accepts them: what a reload changes.
struct ModelConfig: Equatable {
    static let clients = ["corp": "gatepost", "managed": "gatepost-managed", "partner": "gp"]
    static let applications = ["wiki", "vault"]

    /// In the order of the file. `corp` and `managed` are two registrations of one tenant.
    var providers = ["corp", "managed", "partner"]
    var accepted = ["wiki": ["corp", "partner"], "vault": ["managed", "corp"]]

    static func issuer(_ provider: String) -> String {
        HeldProvider.issuers[provider == "partner" ? 1 : 0]
    }
    static func sessionSeconds(_ provider: String) -> Int64 { provider == "partner" ? 1_800 : 3_000 }
    static func sessionSeconds(at application: String) -> Int64 { application == "wiki" ? 1_500 : 2_400 }
    static let graceSeconds: Int64 = 120
    static func idleSeconds(_ provider: String, at application: String) -> Int64? {
        let all: [Int64?] = [provider == "partner" ? 600 : nil, application == "vault" ? 300 : nil]
        return all.compactMap { $0 }.min()
    }

    func accepts(_ provider: String, at application: String) -> Bool {
        providers.contains(provider) && accepted[application]?.contains(provider) == true
    }

    var text: String {
        let registrations = providers.map { name in
            "  \(name): { issuer: \"\(Self.issuer(name))\", client-id: \(Self.clients[name] ?? ""), "
                + "client-secret: { file: secrets/corp }, session: \(Self.sessionSeconds(name))s, refresh: 3m, "
                + "refresh-grace: \(Self.graceSeconds)s"
                + (name == "partner" ? ", idle: 600s }" : " }")
        }
        let applications = Self.applications.map { name in
            let list = (accepted[name] ?? []).filter { providers.contains($0) }.joined(separator: ", ")
            return """
                  \(name):
                    host: \(name).corp.example
                    upstreams: [ "http://127.0.0.1:9" ]
                    identity-providers: [ \(list) ]
                    session: \(Self.sessionSeconds(at: name))s
                \(name == "vault" ? "    idle: 300s\n" : "")\
                    policies:
                      - { name: staff, action: allow, include: [ { email-domain: corp.example } ] }
                      - { name: robots, action: service, include: [ { service: [ \(SessionStory.service) ] } ] }
                """
        }
        return """
            version: 1
            gateway:
              auth-host: auth.corp.example
              listeners:
                - { address: "127.0.0.1:8443", certificates: [ { chain: certs/chain.pem, key: certs/key.pem } ] }
              store: sqlite:state
              blast-radius: off
              limits: { parked: 60s }
            identity-providers:
            \(registrations.joined(separator: "\n"))
            applications:
            \(applications.joined(separator: "\n"))
            """
    }
}

/// A clock that only the story moves.
final class StoryClock: Sendable {
    private let seconds = Mutex(Gatehouse.start)
    var now: Int64 { seconds.withLock { $0 } }
    func advance(_ by: Int64) { seconds.withLock { $0 += by } }
}

extension SignInRefreshes {
    /// What a provider is being asked, and whether sign-ins are being given up.
    var underWay: (flights: Int, isGivingUp: Bool) { (flights.count, !givingUp.isEmpty) }
}

/// How much is under way in one process.
final class UnderWay: Sendable {
    private let state = Mutex(0)
    var count: Int { state.withLock { $0 } }
    func run(_ work: @escaping @Sendable () async -> Void) {
        state.withLock { $0 += 1 }
        Task {
            await work()
            state.withLock { $0 -= 1 }
        }
    }
}

/// The real control plane over a real store, between stand-ins for providers and reactors; it can be started anew.
final class ModelHouse {
    let folder: URL
    let clock = StoryClock()
    let provider: HeldProvider
    let store: SQLiteStore
    private(set) var reactors: StandInReactors
    private(set) var control: ControlPlane
    private(set) var underWay = UnderWay()
    private var gone: [(ControlPlane, UnderWay)] = []
    var enrolled: Set<String> = []
    private let fault: PlantedFault?
    private static let certificate = Result {
        try EnrollmentAuthority.generateSelfSigned(
            commonName: "model", nowSeconds: Int64(Date().timeIntervalSince1970))
    }

    init(_ config: ModelConfig, fault: PlantedFault? = nil) throws {
        self.fault = fault
        // Every step is a write: where there is a folder in memory nobody waits for a disk.
        let memory = URL(filePath: "/dev/shm", directoryHint: .isDirectory)
        let manager = FileManager.default
        let base = manager.isWritableFile(atPath: memory.path) ? memory : manager.temporaryDirectory
        folder = base.appending(path: "session-model-\(UUID().uuidString)", directoryHint: .isDirectory)
        for name in ["", "certs", "secrets"] {
            try manager.createDirectory(
                at: folder.appending(path: name), withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        }
        let made = try Self.certificate.get()
        for (name, bytes) in [
            ("certs/chain.pem", made.certificatePEM), ("certs/key.pem", made.keyPEM),
            ("secrets/corp", Array("secret".utf8)), ("gatepost.yaml", Array(config.text.utf8)),
        ] {
            let path = folder.appending(path: name).path
            guard
                manager.createFile(
                    atPath: path, contents: Data(bytes), attributes: [.posixPermissions: 0o600])
            else { throw CocoaError(.fileWriteUnknown) }
        }
        let clock = clock
        provider = HeldProvider { clock.now }
        let loaded = try ConfigurationLoader.load(path: folder.appending(path: "gatepost.yaml").path)
        store = try SQLiteStore(folder: loaded.gateway.storeFolder)
        reactors = StandInReactors(fault: fault)
        control = try Self.plane(folder, store, reactors, provider, clock)
        control.machines.take([])
        if case .browserForgotten? = fault { try forgetBrowsers() }
    }

    private static func plane(
        _ folder: URL, _ store: SQLiteStore, _ reactors: StandInReactors, _ provider: HeldProvider,
        _ clock: StoryClock
    ) throws -> ControlPlane {
        let path = folder.appending(path: "gatepost.yaml").path
        let config = try ConfigurationLoader.load(path: path)
        return try ControlPlane(
            configPath: path, config: config, store: store, keysFolder: config.gateway.keysFolder,
            reactors: reactors, fetcher: provider, nowSeconds: { clock.now }, pause: { _ in })
    }

    func write(_ config: ModelConfig) throws {
        try config.text.write(
            to: folder.appending(path: "gatepost.yaml"), atomically: true, encoding: .utf8)
    }

    /// The process is killed and a new one starts over the same store. What waited for a provider is never answered,
    /// and what was open is gone.
    func startAnew() async throws {
        provider.bury()
        gone.append((control, underWay))
        underWay = UnderWay()
        reactors = StandInReactors(fault: fault)
        control = try Self.plane(folder, store, reactors, provider, clock)
        try await load()
        // What `start` does before it begins to follow anything.
        try await control.endSessionsOfForgottenProviders(isRunning: false)
    }

    /// Until whoever can move has moved; the others stand in line at a provider.
    func settle() async {
        while true {
            while await !isResting() { await Task.yield() }
            let asks = reactors.turn(nowSeconds: clock.now)
            if asks.isEmpty { return }
            let control = control
            for ask in asks {
                underWay.run {
                    switch ask {
                    case .pullSession(let ticket, let digest, let application):
                        await control.pull(ticket, digest, application)
                    case .pullService(let ticket, let digest, let application):
                        await control.pullService(ticket, digest, application)
                    case .renew(let digest, let application): await control.renew(digest, application)
                    case .pullBearer, .pullMachine, .pullCertified, .request, .cut, .upstream:
                        break
                    }
                }
            }
        }
    }

    private func isResting() async -> Bool {
        let (flights, isGivingUp) = await control.refreshes.underWay
        return underWay.count + flights <= provider.held && !isGivingUp
    }

    /// Ends the story: nothing of it may outlive its folder.
    func finish() async {
        provider.letAllGo()
        gone.append((control, underWay))
        for (control, underWay) in gone {
            while underWay.count > 0 { await Task.yield() }
            await control.refreshes.settled()
            await control.services.flow.settled()
        }
        try? FileManager.default.removeItem(at: folder)
    }

    func request(
        _ path: String, query: String = "", host: String, method: String = "GET", fields: [Field] = [],
        body: String = "", purpose: ControlRequest.Purpose = .reserved
    ) -> ControlRequest {
        var request = ControlRequest(
            ticket: Ticket(reactor: 0, slot: 0, generation: 0), purpose: purpose,
            application: host == "auth.corp.example" ? nil : String(host.prefix { $0 != "." }), host: host,
            method: method, path: path, query: query, fields: fields, body: Array(body.utf8),
            client: NetworkAddress(v4: 0x7f00_0001), requestID: String(repeating: "0", count: 32))
        request.isNavigation = true
        return request
    }

    func logoutToken(_ provider: String, sid: String?, subject: String?, id: Int) -> String {
        var claims: JSONObject = [
            "iss": .string(ModelConfig.issuer(provider)),
            "aud": .string(ModelConfig.clients[provider] ?? ""), "iat": .integer(clock.now),
            "jti": .string("logout-\(id)"),
            "events": ["http://schemas.openid.net/event/backchannel-logout": .object([:])],
        ]
        claims["sid"] = sid.map { .string($0) }
        claims["sub"] = subject.map { .string($0) }
        return JWS.sign(
            header: ["typ": "logout+jwt", "kid": "k1"], payload: claims, with: HeldProvider.key)
    }
}
