import Access
public import Border
public import Config
public import Fetch
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
    let changes: Changes
    let blast: BlastGuard
    /// Tells every reactor that these sessions, which the store has forgotten, are over.
    let ended: @Sendable ([StoredSession]) -> Void
    /// Names decisions and puts them on record.
    let decisions: DecisionRecorder
    let integrationEvents = IntegrationEvents()
    let certificateEnds = CertificateEnds()
    let configuring = ChangeOrder()
    let reloads = Mutex(ReloadCounts())
    /// The number of the newest snapshot: each has its own, whoever makes it.
    let revisions = Atomic<UInt64>(1)
    let upstreamStandings = UpstreamStandings()
    /// Kept over reloads: the last good answers.
    let upstreamNames: UpstreamNames
    let namesTold = Mutex<Set<String>>([])
    let questions = HeldQuestions()
    let deviceChecks = DeviceCheckCounts()
    let forms = KeptForms()
    let rechecks = AskedRechecks()
    let renewals = RenewalQueue()
    let machines = MachineRegistry()
    let certified: CertifiedSessions
    let revokedSerials = RevokedSerials()
    /// Kept over reloads: the newest list of each issuer.
    let clientLists = ClientLists()
    let listEnds = ListEnds()
    let tokenEnds = ServiceTokenEnds()
    let bearers = BearerChecks()
    /// Keys of token issuers; kept over reloads.
    let issuerKeys: ProviderDirectory
    /// Kept over reloads: a refresh under way must stay the only one of its session.
    let refreshes: SignInRefreshes
    let configPath: String
    let fetcher: any Fetcher
    let nowSeconds: @Sendable () -> Int64
    let pause: @Sendable (_ milliseconds: Int) async -> Void
    let current: Mutex<Services>
    let following = Mutex<[Task<Void, Never>]>([])
    let upkeep = Mutex(UpkeepTimes())
    let commands = Mutex<CommandSocket?>(nil)

    /// - Parameters:
    ///   - configPath: read again by `reload`.
    ///   - fetcher: asks identity and posture providers; kept over reloads.
    ///   - lookup: what the names of upstreams stand for.
    ///   - nowSeconds: seconds since 1970; tests hand in a clock of their own.
    ///   - pause: waits as that clock goes.
    /// - Throws: `ControlFailure` when keys or the store are not usable, or an upstream is the gateway itself.
    public init(
        configPath: String, config: ConfigSnapshot, store: any GatewayStore, keysFolder: String,
        reactors: any Reactors, fetcher: any Fetcher = CurlFetcher(),
        lookup: NameLookup? = nil,
        nowSeconds: @escaping @Sendable () -> Int64 = systemSeconds,
        pause: @escaping @Sendable (_ milliseconds: Int) async -> Void = systemPause
    ) throws(ControlFailure) {
        self.configPath = configPath
        self.fetcher = fetcher
        issuerKeys = ProviderDirectory(fetcher: fetcher)
        self.store = store
        self.reactors = reactors
        self.nowSeconds = nowSeconds
        self.pause = pause
        let names = UpstreamNames(lookup: lookup ?? UpstreamNames.system, nowSeconds: nowSeconds)
        upstreamNames = names
        let log = try config.gateway.decisionLog.map { settings throws(ControlFailure) in
            try DecisionLog(
                DecisionFolder(settings),
                webhook: DecisionWebhook(
                    config.gateway.decisionWebhook, fetcher: fetcher, nowSeconds: nowSeconds),
                nowSeconds: nowSeconds)
        }
        decisions = DecisionRecorder(log: log)
        let blast = BlastGuard(config: config, evaluations: decisions.evaluations)
        self.blast = blast
        let certified = CertifiedSessions()
        self.certified = certified
        let revocations = Revocations(reactors: reactors) { session in
            blast.radius { $0.drop(session: session) }
            certified.forget(session: session)
        }
        let changes = Changes()
        self.revocations = revocations
        self.changes = changes
        ended = { removed in
            revocations.send(removed.filter { $0.kind == .application }.map { .endSession($0.id) })
            changes.announce()
        }
        do {
            ring = try KeyRing(folder: keysFolder)
        } catch {
            throw ControlFailure(what: error.what)
        }
        try clientLists.take(config.gateway.listeners)
        // The data plane starts with them or not at all.
        clientLists.note(told: clientLists.files)
        refreshes = SignInRefreshes(store: store, ring: ring, fetcher: fetcher, nowSeconds: nowSeconds)
        decisions.shadow.load(config.gateway.shadowPolicy)
        decisions.begin(config.policy)
        current = Mutex(
            try Services(
                config: config, revision: 1, store: store, ring: ring, fetcher: fetcher, posture: nil,
                decisions: decisions, names: names,
                ended: ended, nowSeconds: nowSeconds, pause: pause))
    }

    /// What this moment's requests are answered with.
    var services: Services { current.withLock { $0 } }

    /// The snapshot that the data plane starts with.
    public var snapshot: GatewaySnapshot {
        completed(services.snapshot)
    }

    /// One message of a reactor. Returns at once; the answer goes back over the reactor's inbox.
    public func handle(_ message: ToControl) {
        switch message {
        case .pullSession(let ticket, let digest, let application):
            Task(priority: .userInitiated) { await pull(ticket, digest, application) }
        case .pullService(let ticket, let digest, let application):
            Task(priority: .userInitiated) { await pullService(ticket, digest, application) }
        case .pullBearer(let ticket, let digest, let token, let application):
            Task(priority: .userInitiated) { await pullBearer(ticket, digest, token, application) }
        case .pullMachine(let ticket, let claim, let application):
            Task(priority: .userInitiated) { await pull(ticket, claim, application) }
        case .pullCertified(let ticket, let digest, let claim, let application):
            Task(priority: .userInitiated) { await pullCertified(ticket, digest, claim, application) }
        case .request(let request):
            // Before the task, which may have to wait for its turn.
            let arrived = request.endsSessions ? monotonicNanoseconds() : nil
            Task(priority: .userInitiated) {
                if request.purpose == .recheck { return await recheck(request) }
                let response = await Arrival.$nanoseconds.withValue(arrived) { await answer(request) }
                await reactors.send(.response(response), to: Int(request.ticket.reactor))
            }
        case .renew(let digest, let application):
            renewSoon(Renewal(digest: digest, application: application))
        case .upstream(let news): take(news)
        case .cut(let sequence, let reactor, let streams, let nanoseconds):
            guard streams > 0 else { return }
            let members: [(String, JSONValue)] = [
                ("sequence", .integer(Int64(clamping: sequence))), ("reactor", .integer(Int64(reactor))),
                ("streams", .integer(Int64(streams))), ("microseconds", .integer(Int64(nanoseconds / 1_000))),
            ]
            EventLog.write("streams-cut", members)
            decisions.note("cut", atSeconds: nowSeconds(), members)
        }
    }
}

/// Seconds since 1970 by the host's clock.
public func systemSeconds() -> Int64 { Int64(Date().timeIntervalSince1970.rounded(.down)) }

/// Returns after that time by the host's clock, earlier when its task is cancelled.
public func systemPause(milliseconds: Int) async {
    try? await Task.sleep(for: .milliseconds(milliseconds))
}

/// Why the control plane cannot start or take a configuration: one or more lines for the administrator.
public struct ControlFailure: Error, CustomStringConvertible {
    /// What happened and what to do.
    public var what: String
    /// Takes the lines as they are.
    public init(what: String) { self.what = what }
    /// `what`.
    public var description: String { what }
}
