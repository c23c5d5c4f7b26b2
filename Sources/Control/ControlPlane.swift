import Access
public import Border
public import Config
import Foundation
import Identity
import JSON
import Posture
import Signatures
public import Store
import Synchronization

/// The control plane: answers what reactors ask, and tells them what changed.
///
/// Everything that can be reloaded is in one immutable `Services`; a request works with the one it began with.
public final class ControlPlane: Sendable {
    let store: any GatewayStore
    let ring: KeyRing
    let reactors: any Reactors
    let revocations: Revocations
    let changes = Changes()
    let configPath: String
    let nowSeconds: @Sendable () -> Int64
    private let current: Mutex<Services>
    private let following = Mutex<[Task<Void, Never>]>([])
    let commands = Mutex<CommandSocket?>(nil)

    /// - Parameters:
    ///   - configPath: read again by `reload`.
    ///   - nowSeconds: seconds since 1970; tests hand in a clock of their own.
    /// - Throws: `ControlFailure` when keys, store or an upstream's name are not usable.
    public init(
        configPath: String, config: ConfigSnapshot, store: any GatewayStore, keysFolder: String,
        reactors: any Reactors,
        nowSeconds: @escaping @Sendable () -> Int64 = systemSeconds
    ) throws(ControlFailure) {
        self.configPath = configPath
        self.store = store
        self.reactors = reactors
        self.nowSeconds = nowSeconds
        revocations = Revocations(reactors: reactors)
        do {
            ring = try KeyRing(folder: keysFolder)
        } catch {
            throw ControlFailure(what: error.what)
        }
        current = Mutex(try Services(config: config, revision: 1, store: store, ring: ring, posture: nil))
    }

    /// What this moment's requests are answered with.
    var services: Services { current.withLock { $0 } }

    /// The snapshot that the data plane starts with.
    public var snapshot: GatewaySnapshot { services.snapshot }

    /// Loads what the store has and begins to follow providers and changes.
    public func start() async throws(ControlFailure) {
        let posture = services.posture
        do {
            try await posture.load()
        } catch {
            throw ControlFailure(what: "\(error)")
        }
        let providers = Task(priority: .utility) { await posture.run() }
        let news = Task { [self] in
            for await change in posture.changes {
                await deviceChanged(change.deviceID, change.eventNanoseconds)
            }
        }
        let expiry = Task { [self] in
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(60))
                _ = try? await store.removeExpired(nowSeconds: nowSeconds())
            }
        }
        following.withLock { $0 = [providers, news, expiry] }
    }

    /// Ends what follows providers and changes, and frees the administration socket.
    public func stop() {
        for task in following.withLock({ $0 }) { task.cancel() }
        commands.withLock { $0 }?.stop()
    }

    /// One message of a reactor. Returns at once; the answer goes back over the reactor's inbox.
    public func handle(_ message: ToControl) {
        switch message {
        case .pullSession(let ticket, let digest, let application):
            Task(priority: .userInitiated) { await pull(ticket, digest, application) }
        case .request(let request):
            Task(priority: .userInitiated) {
                let response = await answer(request)
                reactors.send(.response(response), to: Int(request.ticket.reactor))
            }
        case .renew(let digest, let application):
            Task(priority: .utility) { await renew(digest, application) }
        case .cut(let sequence, let reactor, let streams, let nanoseconds):
            guard streams > 0 else { return }
            EventLog.write(
                "streams-cut",
                [
                    ("sequence", .integer(Int64(clamping: sequence))), ("reactor", .integer(Int64(reactor))),
                    ("streams", .integer(Int64(streams))),
                    ("microseconds", .integer(Int64(nanoseconds / 1_000))),
                ])
        }
    }

    private func pull(_ ticket: Ticket, _ digest: [UInt8], _ application: String) async {
        // The sequence before the load: whatever is revoked while we read is then known to be newer.
        let sequence = revocations.sequence
        let record = await record(digest, application, sequence: sequence)
        reactors.send(.session(ticket, record), to: Int(ticket.reactor))
    }

    private func renew(_ digest: [UInt8], _ application: String) async {
        guard let record = await record(digest, application, sequence: revocations.sequence) else { return }
        revocations.send([.replace(record)])
    }

    private func record(_ digest: [UInt8], _ application: String, sequence: UInt64) async -> SessionRecord? {
        let now = nowSeconds()
        guard let session = try? await store.session(tokenDigest: digest, nowSeconds: now),
            session.kind == .application, session.application == application
        else { return nil }
        var record = await services.records.record(for: session, sequence: sequence, nowSeconds: now)
        // The browser may still hold the token before the last rotation: the reactor knows the record by the token.
        record?.tokenDigest = digest
        return record
    }

    /// A device's facts changed: every session on it is decided anew, and open streams follow.
    func deviceChanged(_ device: String, _ eventNanoseconds: UInt64) async {
        guard let globals = try? await store.sessions(.device(id: device), limit: 1_000) else { return }
        for global in globals where global.kind == .global {
            await globalChanged(global.id, eventNanoseconds: eventNanoseconds)
        }
        changes.announce()
    }

    /// Decides every application session of a global session anew.
    func globalChanged(_ id: String, eventNanoseconds: UInt64 = monotonicNanoseconds()) async {
        guard let sessions = try? await store.sessions(.global(id: id), limit: 1_000) else { return }
        await redecide(sessions, eventNanoseconds: eventNanoseconds)
    }

    /// Decides application sessions anew and tells every reactor.
    func redecide(_ sessions: [StoredSession], eventNanoseconds: UInt64 = monotonicNanoseconds()) async {
        let now = nowSeconds()
        let records = services.records
        var effects: [Revocation.Effect] = []
        for session in sessions where session.kind == .application && session.expiresAtSeconds > now {
            let sequence = revocations.sequence
            guard let record = await records.record(for: session, sequence: sequence, nowSeconds: now) else {
                continue
            }
            effects.append(.replace(record))
            // A parallel tab may still hold the token before the last rotation: its cached record changes too.
            if let previous = session.previousTokenDigest, let until = session.previousUntilSeconds,
                now < until
            {
                var twin = record
                twin.tokenDigest = previous
                effects.append(.replace(twin))
            }
        }
        revocations.send(effects, eventNanoseconds: eventNanoseconds)
    }

    /// Ends sessions in the store first, then on the reactors: nothing that is acknowledged can come back.
    @discardableResult
    func end(_ ids: [String]) async throws(StoreError) -> [StoredSession] {
        let removed = try await store.remove(sessionIDs: ids)
        revoke(removed)
        return removed
    }

    /// Tells every reactor that these sessions, which the store has forgotten, are over.
    func revoke(_ removed: [StoredSession]) {
        revocations.send(removed.filter { $0.kind == .application }.map { .endSession($0.id) })
        changes.announce()
    }

    /// Reads the configuration again. A bad one changes nothing.
    public func reload() async throws(ControlFailure) {
        let config: ConfigSnapshot
        do {
            config = try ConfigurationLoader.load(path: configPath)
        } catch {
            throw ControlFailure(what: error.problems.map { "\($0)" }.joined(separator: "\n"))
        }
        let old = services
        let ports = { (config: ConfigSnapshot) in config.gateway.listeners.map { "\($0.address) \($0.port)" }
        }
        guard config.integrations == old.config.integrations, ports(config) == ports(old.config) else {
            throw ControlFailure(
                what:
                    "integrations or listeners changed; the running configuration stays; restart to apply these"
            )
        }
        let new = try Services(
            config: config, revision: old.snapshot.revision + 1, store: store, ring: ring,
            posture: old.posture)
        current.withLock { $0 = new }
        reactors.configure(new.snapshot)
        if let sessions = try? await store.sessions(.all, limit: 100_000) { await redecide(sessions) }
        changes.announce()
    }
}

/// Seconds since 1970 by the host's clock.
public func systemSeconds() -> Int64 { Int64(Date().timeIntervalSince1970.rounded(.down)) }

/// Why the control plane cannot start or take a configuration: one or more lines for the administrator.
public struct ControlFailure: Error, CustomStringConvertible {
    /// What happened and what to do.
    public var what: String
    /// `what`.
    public var description: String { what }
}
