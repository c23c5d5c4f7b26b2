import Access
import Border
import Config
import Fetch
import Foundation
import Glibc
import Identity
import JSON
import Posture
import Signatures
import Store
import Synchronization
import Testing

@testable import Control

/// A control plane on a folder of its own with a recorder in place of the reactors and a clock that only tests move.
final class Gatehouse: Sendable {
    static let start: Int64 = 1_800_000_000

    private let temporary: TemporaryFolder
    let store: SQLiteStore
    let reactors = RecordingReactors()
    let control: ControlPlane
    private let clock: ManualClock

    init(
        _ config: String = Gatehouse.config,
        files: (_ authorityKeyPEM: [UInt8]) throws -> [String: [UInt8]] = { _ in [:] },
        fetcher: any Fetcher = CurlFetcher(), lookup: NameLookup? = nil,
        pause: @escaping @Sendable (_ milliseconds: Int) async -> Void = systemPause
    ) throws {
        temporary = TemporaryFolder()
        let folder = temporary.url
        try Self.write(config, files, to: folder)
        let clock = ManualClock(Self.start)
        self.clock = clock
        let path = folder.appending(path: "gatepost.yaml").path
        let loaded = try ConfigurationLoader.load(path: path)
        store = try SQLiteStore(folder: loaded.gateway.storeFolder)
        control = try ControlPlane(
            configPath: path, config: loaded, store: store, keysFolder: loaded.gateway.keysFolder,
            reactors: reactors, fetcher: fetcher, lookup: lookup, nowSeconds: { clock.now },
            pause: pause)
    }

    var folder: URL { temporary.url }
    var now: Int64 { clock.now }

    func advance(_ seconds: Int64) { clock.advance(seconds) }

    /// Replaces the configuration's text; `control.reload()` reads it.
    func rewrite(_ change: (String) -> String) throws {
        let file = folder.appending(path: "gatepost.yaml")
        let old = try String(contentsOf: file, encoding: .utf8)
        let new = change(old)
        try #require(new != old)
        try new.write(to: file, atomically: true, encoding: .utf8)
    }

    /// - Parameter further: what the configuration names beside what every one has, by path.
    private static func write(
        _ config: String, _ further: ([UInt8]) throws -> [String: [UInt8]], to folder: URL
    ) throws {
        let manager = FileManager.default
        for name in ["", "certs", "secrets"] {
            try manager.createDirectory(
                at: folder.appending(path: name), withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        }
        let made = try EnrollmentAuthority.generateSelfSigned(
            commonName: "test", nowSeconds: Int64(Date().timeIntervalSince1970))
        let files: [(String, [UInt8])] = [
            ("gatepost.yaml", Array(config.utf8)), ("certs/chain.pem", made.certificatePEM),
            ("certs/key.pem", made.keyPEM), ("secrets/corp", Array("secret".utf8)),
            ("secrets/push", Array("Bearer push-secret-0001".utf8)),
        ]
        for (name, bytes) in files + (try further(made.keyPEM)).map({ ($0.key, $0.value) }) {
            let path = folder.appending(path: name).path
            guard
                manager.createFile(
                    atPath: path, contents: Data(bytes), attributes: [.posixPermissions: 0o600])
            else { throw CocoaError(.fileWriteUnknown) }
        }
    }

    static let config = """
        version: 1
        gateway:
          auth-host: auth.corp.example
          listeners:
            - { address: "127.0.0.1:8443", certificates: [ { chain: certs/chain.pem, key: certs/key.pem } ] }
          store: sqlite:state
        identity-providers:
          corp: { issuer: "https://login.corp.example", client-id: gatepost, client-secret: { file: secrets/corp } }
        integrations:
          agents:
            provider: endpoint-agent
            enrollment-ca: { certificate: certs/chain.pem, key: { file: certs/key.pem } }
        device-policies:
          - { name: any-linux, platform: linux, priority: 10, result: compliant,
              rules: [ { agent: agents, managed: true } ] }
        applications:
          wiki:
            host: wiki.corp.example
            upstreams: [ "http://127.0.0.1:9" ]
            identity-providers: [ corp ]
            fields: { X-Remote-User: email }
            policies:
              - { name: staff, action: allow, include: [ { email-domain: corp.example } ] }
          vault:
            host: vault.corp.example
            upstreams: [ "http://127.0.0.1:9" ]
            identity-providers: [ corp ]
            policies:
              - { name: staff, action: allow, include: [ { email-domain: corp.example } ],
                  require: [ { device: compliant } ] }
        """
}

/// People and devices of the tests.
extension Gatehouse {
    /// Signs somebody in, optionally on an enrolled device, and at one application.
    func signIn(
        _ email: String = "ada@corp.example", at application: String = "wiki", device: String? = nil,
        seconds: Int64 = 3_600, issuer: String = "https://login.corp.example", graceSeconds: Int64? = nil
    ) async throws -> (global: StoredSession, session: StoredSession, cookie: SessionCookie) {
        let sessions = Sessions(store: store, ring: control.ring)
        let person = PersonFacts(
            issuer: issuer, subject: email, email: email, name: "Ada", groups: [],
            claims: [:],
            authenticatedAtSeconds: now)
        var (global, _) = try await sessions.createGlobal(
            person: person, provider: "corp", host: "auth.corp.example", idToken: nil, nowSeconds: now,
            lifetimeSeconds: seconds)
        if let device {
            global.deviceID = device
            global.statement = AgentStatement(
                integration: "agents", verifiedAtSeconds: now, expiresAtSeconds: now + 900,
                openUntilSeconds: graceSeconds.map { now + 900 + $0 }, lastSeenSeconds: now,
                isManaged: true, keyLevel: .software, agentVersion: "1.0.0", osVersion: "12", facts: [:],
                mode: .x5c, transport: .popup)
            let proven = global
            try await sessions.change(global.id) {
                $0.deviceID = proven.deviceID
                $0.statement = proven.statement
            }
        }
        let settings = IdentityApplication(
            name: application, host: "\(application).corp.example", identityProviders: ["corp"],
            sessionSeconds: seconds)
        let (session, cookie) = try await sessions.createApplication(settings, under: global, nowSeconds: now)
        return (global, session, cookie)
    }

    /// A global session alone, with the auth host's cookie.
    func globalSession(
        provider: String = "corp", device: String? = nil
    ) async throws -> (session: StoredSession, cookie: SessionCookie) {
        let sessions = Sessions(store: store, ring: control.ring)
        let person = PersonFacts(
            issuer: "https://login.corp.example", subject: "ada@corp.example", email: "ada@corp.example",
            authenticatedAtSeconds: now)
        return try await sessions.createGlobal(
            person: person, provider: provider, host: "auth.corp.example", idToken: nil, nowSeconds: now,
            lifetimeSeconds: 3_600)
    }

    /// Enrols a device of somebody.
    func enroll(
        _ id: String, owner: String = "ada@corp.example", pinned: [String: String] = [:]
    ) async throws {
        try await store.upsert(
            StoredDevice(
                id: id, ownerIssuer: "https://login.corp.example", ownerSubject: owner, ownerEmail: owner,
                platform: .linux, keyThumbprint: "t-\(id)", certificateSerial: "01", enrolledAtSeconds: now,
                certificateNotAfterSeconds: now + 86_400, pinnedIDs: pinned))
        try await control.services.posture.load()
    }

    /// What a reactor is told when it asks for a token.
    func pull(_ digest: [UInt8], _ application: String = "wiki", reactor: UInt16 = 0) async -> ToReactor? {
        let ticket = Ticket(reactor: reactor, slot: 1, generation: UInt32.random(in: 0...UInt32.max))
        await control.pull(ticket, digest, application)
        return reactors.sent.last?.message
    }

    /// The record in the answer to `pull`; nil for every other answer.
    func pulled(_ digest: [UInt8], _ application: String = "wiki", reactor: UInt16 = 0) async
        -> SessionRecord?
    {
        guard case .session(_, let record)? = await pull(digest, application, reactor: reactor) else {
            return nil
        }
        return record
    }

    func request(
        _ path: String, host: String = "auth.corp.example", method: String = "GET",
        _ fields: [Field] = [], body: String = "", purpose: ControlRequest.Purpose = .reserved,
        isNavigation: Bool = true
    ) -> ControlRequest {
        let parts = path.split(separator: "?", maxSplits: 1)
        var request = ControlRequest(
            ticket: Ticket(reactor: 0, slot: 0, generation: 0), purpose: purpose,
            application: host == "auth.corp.example" ? nil : String(host.prefix { $0 != "." }), host: host,
            method: method, path: String(parts[0]), query: parts.count > 1 ? String(parts[1]) : "",
            fields: fields,
            body: Array(body.utf8), client: NetworkAddress(v4: 0x7f00_0001),
            requestID: String(repeating: "0", count: 32))
        request.isNavigation = isNavigation
        return request
    }
}

/// Remembers everything that reactors would be told.
final class RecordingReactors: Reactors {
    private struct State {
        var sent: [(message: ToReactor, reactor: Int)] = []
        var revocations: [Revocation] = []
        var snapshots: [GatewaySnapshot] = []
        var refusal: String?
        var waiting: [(isMet: @Sendable ([Revocation]) -> Bool, told: CheckedContinuation<Void, Never>)] = []
    }
    private let state = Mutex(State())

    var sent: [(message: ToReactor, reactor: Int)] { state.withLock { $0.sent } }
    var revocations: [Revocation] { state.withLock { $0.revocations } }
    var snapshots: [GatewaySnapshot] { state.withLock { $0.snapshots } }
    func clear() { state.withLock { $0 = State() } }
    func refuseConfigurations(_ what: String?) { state.withLock { $0.refusal = what } }

    func send(_ message: ToReactor, to reactor: Int) async {
        state.withLock { $0.sent.append((message, reactor)) }
    }
    func revoke(_ revocation: Revocation) {
        state.withLock { state in
            state.revocations.append(revocation)
            for waiter in state.waiting where waiter.isMet(state.revocations) { waiter.told.resume() }
            state.waiting.removeAll { $0.isMet(state.revocations) }
        }
    }
    /// Returns as soon as what was told meets the condition; the suite's time limit is the deadline.
    func wait(until isMet: @escaping @Sendable ([Revocation]) -> Bool) async {
        await withCheckedContinuation { continuation in
            state.withLock { state in
                if isMet(state.revocations) { return continuation.resume() }
                state.waiting.append((isMet, continuation))
            }
        }
    }
    func configure(_ snapshot: GatewaySnapshot) async throws(ControlFailure) {
        let refusal = state.withLock { state in
            if state.refusal == nil { state.snapshots.append(snapshot) }
            return state.refusal
        }
        if let refusal { throw ControlFailure(what: refusal) }
    }
    func status() -> JSONValue {
        [
            "reactors": 2, "counters": ["requests": 12, "stalls": 0],
            "stages": ["request": ["count": 12, "p50_us": 90, "p99_us": 400, "p999_us": .null]],
        ]
    }
}

private final class ManualClock: Sendable {
    private let seconds: Mutex<Int64>
    init(_ seconds: Int64) { self.seconds = Mutex(seconds) }
    var now: Int64 { seconds.withLock { $0 } }
    func advance(_ by: Int64) { seconds.withLock { $0 += by } }
}

/// Gone with whoever holds it; also where that one's `init` throws, which runs no `deinit` of its own.
private final class TemporaryFolder: Sendable {
    let url = FileManager.default.temporaryDirectory.appending(
        path: "gatehouse-\(UUID().uuidString)", directoryHint: .isDirectory)

    deinit { try? FileManager.default.removeItem(at: url) }
}
