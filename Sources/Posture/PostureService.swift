public import Access
public import Fetch
import JSON
public import Signatures
public import Store

/// One `endpoint-agent` integration with its authority.
public struct AgentIntegration: Sendable {
    /// What challenges say and what answers must be.
    public var handshake: HandshakeSettings
    /// How device certificates are made.
    public var enrollment: EnrollmentSettings
    /// Device certificates come from it and from nobody else; nil: none are accepted, and nobody enrols here.
    public var authority: EnrollmentAuthority?
    /// Lists of device certificates that count no more; nil: there are none.
    public var revocation: RevocationSettings?
    /// Whose statements about devices count; nil: nobody's.
    public var statements: StatementTrust?

    /// Makes an integration.
    public init(
        handshake: HandshakeSettings, enrollment: EnrollmentSettings = EnrollmentSettings(),
        authority: EnrollmentAuthority?, revocation: RevocationSettings? = nil,
        statements: StatementTrust? = nil
    ) {
        self.handshake = handshake
        self.enrollment = enrollment
        self.authority = authority
        self.revocation = revocation
        self.statements = statements
    }
}

/// A device's facts changed: whoever decided with them decides again.
public struct DeviceChange: Sendable, Hashable {
    /// The id of its certificate.
    public var deviceID: String
    /// When the change was known here, monotonic: event-to-cut is measured from it.
    public var eventNanoseconds: UInt64
    /// How many changes of the same cause come after this one: what one answer of a provider changed is one thing.
    public var followedBy: Int
}

/// A device as one session proved it.
public struct DeviceQuestion: Sendable, Hashable {
    /// The id of its certificate.
    public var id: String
    /// What the agent signed for this session; nil: nothing.
    public var statement: AgentStatement?
    /// The Entra id of the device that the person signed in from, as a validated token says; nil: none does.
    public var claimedEntraID: String?

    /// Takes the members as they are.
    public init(id: String, statement: AgentStatement?, claimedEntraID: String? = nil) {
        self.id = id
        self.statement = statement
        self.claimedEntraID = claimedEntraID
    }
}

/// What a successful handshake proves.
public struct DeviceProof: Sendable, Hashable {
    /// The id of its certificate.
    public var deviceID: String
    /// RFC 7638 thumbprint of the device key. A session that is bound to another one ends.
    public var thumbprint: String
    /// What the agent signed, to be kept with the global session.
    public var statement: AgentStatement
    /// The configured application that the check was for.
    public var application: String
    /// Where the browser goes on, as it was given to `start`.
    public var returnPath: String
}

/// All that the rest of the control plane needs of posture: the handshake with the local agent, enrolment,
/// provider verdicts and the news about them.
public actor PostureService {
    var agents: [AgentIntegration]
    let connectors: [any Connector]
    let evaluationCallers: [EvaluationCaller]
    /// What connectors are made with; nil: they were handed in.
    let parts: ConnectorParts?
    /// What the connectors in use were made of.
    var connections: [ExactKey: ProviderConnection] = [:]
    let ring: KeyRing
    let store: any GatewayStore
    let clock: PostureClock
    let random: @Sendable () -> Double
    let cache: VerdictCache
    /// Keys the agents' hint about the person: new with every start, so it links nothing across them.
    let hintKey = Random.bytes(32)

    var directory = DeviceDirectory()
    var machines = MachineDirectory()
    var withdrawn = WithdrawnCertificates()
    var statementTimes = StatementTimes()
    var transactions = Transactions()
    var nonces = NonceTable()
    var attestations = AttestationAttempts()
    var schedule = RefreshSchedule()
    var statuses: [ExactKey: IntegrationStatus] = [:]
    var priorityFetches: [ExactKey: Task<Void, Never>] = [:]
    var synchronisations: [ExactKey: Task<Void, Never>] = [:]
    var signals = SignalState()
    var openPeople: Set<SignedInPerson> = []
    /// Contradictions between tokens and devices that were told.
    var toldContradictions: Set<ClaimContradiction> = []
    /// Integrations that an administrator wants probed again.
    var probesWanted: Set<ExactKey> = []
    /// What is to be written, by integration.
    var publications: [ExactKey: PublishQueue] = [:]
    /// Synchronisations that have got beyond their probe.
    var progress: [ExactKey: SyncProgress] = [:]
    /// Who waits for a probe's end.
    var probeWaiters: [ExactKey: [CheckedContinuation<Void, Never>]] = [:]

    /// Devices whose facts changed, in order; for one consumer. Never drops: a lost change would leave a
    /// stream open that should be cut, and the number waiting is bounded by what one synchronisation can
    /// change.
    public nonisolated let changes: AsyncStream<DeviceChange>
    let announce: AsyncStream<DeviceChange>.Continuation
    /// The same where one answer changed more than `devicesAtOnceMax`, for a consumer of its own: a revocation or a
    /// signal about one device does not wait behind a hundred thousand others.
    public nonisolated let bulkChanges: AsyncStream<DeviceChange>
    private let announceBulk: AsyncStream<DeviceChange>.Continuation
    static let devicesAtOnceMax = 50

    /// Makes the service; nothing is read or sent before `load` and `run`.
    ///
    /// - Parameters:
    ///   - agents: the first is used for applications that name none, and the first that can issue enrols
    ///     devices.
    ///   - providers: integrations with credentials.
    ///   - random: 0..<1, for jitter and back-off.
    /// - Throws: `config_error` for a provider without a connector.
    public init(
        agents: [AgentIntegration], providers: [ProviderConnection], ring: KeyRing, store: any GatewayStore,
        fetcher: any Fetcher, clock: PostureClock = .system,
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) throws(ConnectorFailure) {
        let parts = ConnectorParts(
            fetcher: fetcher, clock: clock, random: random, vault: .sealed(in: store, ring: ring))
        var connectors: [any Connector] = []
        let streams = providers.filter { $0.provider == SignalStreamSettings.provider }
        for provider in providers where provider.provider != SignalStreamSettings.provider {
            connectors.append(RotatingConnector(try Vendor.connector(provider, parts)))
        }
        var callers: [EvaluationCaller] = []
        for provider in providers {
            if let caller = try EvaluationCaller(provider) { callers.append(caller) }
        }
        self.init(
            agents: agents, connectors: connectors, evaluationCallers: callers, ring: ring, store: store,
            clock: clock, random: random,
            signals: try SignalState(streams, parts: parts, store: store), parts: parts, providers: providers)
    }

    init(
        agents: [AgentIntegration], connectors: [any Connector], evaluationCallers: [EvaluationCaller] = [],
        ring: KeyRing, store: any GatewayStore, clock: PostureClock, random: @escaping @Sendable () -> Double,
        signals: SignalState = SignalState(), parts: ConnectorParts? = nil,
        providers: [ProviderConnection] = []
    ) {
        self.signals = signals
        self.parts = parts
        connections = Dictionary(
            providers.map { (ExactKey($0.integration), $0) }, uniquingKeysWith: { first, _ in first })
        self.agents = agents
        self.connectors = connectors
        self.evaluationCallers = evaluationCallers
        self.ring = ring
        self.store = store
        self.clock = clock
        self.random = random
        cache = VerdictCache(store: store)
        (changes, announce) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
        (bulkChanges, announceBulk) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
        for connector in connectors {
            statuses[ExactKey(connector.integration)] = IntegrationStatus(
                integration: connector.integration, provider: connector.provider, state: .pending)
        }
    }

    /// Reads devices and signals from the store, and begins to read verdicts: a question about one waits until its
    /// integration is in memory.
    public func load() async throws(StoreError) {
        directory = DeviceDirectory(
            try await store.devices(), revokedPins: try await store.revokedPins(),
            indexesOwners: connectors.contains { $0.matchesOwners })
        withdrawn.serials = Set(try await store.revokedSerials())
        statementTimes = StatementTimes(try await store.statementTimes())
        try await loadRevocationLists()
        refreshRevocationLists()
        await keepRevocationLists()
        try await cache.load(
            integrations: connectors.map { ($0.integration, ttlSeconds: $0.pace.ttlSeconds) })
        try await loadSignals()
        let now = clock.nowSeconds()
        for connector in connectors {
            schedule.add(integration: connector.integration, nowSeconds: now)
            for device in directory.all where !device.isRevoked {
                schedule.add(
                    device: device.id, integration: connector.integration, pace: connector.pace,
                    nowSeconds: now,
                    random: random(), isOneOfAll: true)
            }
        }
    }

    /// What is known of a device, for a decision; nil when no such device is enrolled or it was revoked.
    public func deviceFacts(id: String, statement: AgentStatement?) async -> DeviceFacts? {
        await deviceFacts(of: [DeviceQuestion(id: id, statement: statement)])[0]
    }

    /// The same for many sessions, in their order: a device's verdicts are matched once for all sessions on it.
    ///
    /// - Parameter questions: nil: a session without a device, about which nothing is known.
    public func deviceFacts(of questions: [DeviceQuestion?]) async -> [DeviceFacts?] {
        var places: [MatchedDevice: Int] = [:]
        var asked: [MatchedDevice] = []
        typealias Known = (question: DeviceQuestion, device: StoredDevice, place: Int)
        let known = questions.map { question -> Known? in
            guard let question, let device = directory[question.id], !isRevoked(device) else { return nil }
            var conflicts = directory.conflicts(of: question.id)
            if case .list(let kinds)? = question.statement?.facts[StatementFacts.conflictFact] {
                conflicts.formUnion(kinds)
            }
            let addresses = StatementFacts.addresses(question.statement, nowSeconds: clock.nowSeconds())
            if question.statement != nil { directory.note(addresses: addresses, of: question.id) }
            let claimed = claimedKey(question, &conflicts)
            let name = MatchedDevice(
                id: ExactKey(question.id), conflicts: conflicts, addresses: addresses, claimed: claimed)
            let place = places[name] ?? asked.count
            if place == asked.count {
                places[name] = place
                asked.append(name)
            }
            return (question, device, place)
        }
        let verdicts = await verdicts(of: asked)
        return known.map { known in
            known.map {
                DeviceFacts(
                    id: $0.question.id, platform: $0.device.platform, ownerIssuer: $0.device.ownerIssuer,
                    ownerSubject: $0.device.ownerSubject, statement: $0.question.statement,
                    verdicts: verdicts[$0.place])
            }
        }
    }

    /// Verdicts depend on the device and on what a session's statement contradicts.
    struct MatchedDevice: Hashable {
        var id: ExactKey
        var conflicts: Set<String>
        var addresses: [DeviceKey]
        /// By a token alone.
        var claimed: DeviceKey?
    }

    private func verdicts(of devices: [MatchedDevice]) async -> [[Verdict]] {
        if devices.isEmpty { return [] }
        let questions = devices.map {
            VerdictMatching.Question(keys: directory.keys(of: $0.id.text), conflicts: $0.conflicts)
        }
        var found = await cache.verdicts(
            of: questions, by: connectors.map { VerdictMatching.Source($0) }, nowSeconds: clock.nowSeconds())
        for index in devices.indices where devices[index].claimed != nil {
            found[index] = await byClaim(of: devices[index], beside: found[index])
        }
        for index in devices.indices where !devices[index].addresses.isEmpty {
            found[index] = await byAddresses(of: devices[index], beside: found[index])
        }
        if connectors.contains(where: { $0.matchesOwners }) {
            for index in devices.indices {
                found[index] = await byOwner(of: devices[index], beside: found[index])
            }
        }
        return devices.indices.map {
            underSignals(found[$0], deviceID: devices[$0].id.text, keys: questions[$0].keys)
        }
    }

    /// Every enrolled device, by id.
    public func devices() -> [StoredDevice] { directory.all }

    /// Ends a device for good: its certificate counts no more, its provider ids are free for another
    /// enrolment, and its sessions are decided again.
    ///
    /// - Parameter eventNanoseconds: when that was asked for, monotonic; nil: now.
    /// - Returns: false when no such device is enrolled.
    public func revoke(
        deviceID: String, eventNanoseconds: UInt64? = nil
    ) async throws(StoreError) -> Bool {
        guard let named = directory[deviceID] else { return false }
        // What took its place by an accepted key is the same device, also when it has not been seen yet.
        let id = directory.latest(deviceID)
        if directory[id] == nil {
            directory.keep(
                StoredDevice(
                    id: id, ownerIssuer: named.ownerIssuer, ownerSubject: named.ownerSubject,
                    keyThumbprint: "none:\(id)", certificateSerial: "",
                    enrolledAtSeconds: clock.nowSeconds(), certificateNotAfterSeconds: 0))
        }
        let known = machines.owners(of: directory.keys(of: id))
        guard let device = directory.revoke(id) else { return false }
        schedule.remove(device: id)
        // Announced before it is stored: a device that somebody revokes is cut even while the disk is slow.
        announceChange(
            known.union([ExactKey(deviceID), ExactKey(id)]), eventNanoseconds: eventNanoseconds)
        try await store.upsert(device)
        await audit("device-revoked", ["device": .string(id)])
        return true
    }

    /// - Parameters:
    ///   - bad: those of them that somebody calls bad now: whoever follows hears of them first.
    ///   - eventNanoseconds: when what changed was known here, monotonic; nil: now.
    func announceChange(
        _ devices: Set<ExactKey>, bad: Set<ExactKey> = [], eventNanoseconds: UInt64? = nil
    ) {
        let known = eventNanoseconds ?? clock.monotonicNanoseconds()
        let lane = devices.count > Self.devicesAtOnceMax ? announceBulk : announce
        let first = devices.intersection(bad).map(\.text).sorted()
        let ordered = first + devices.subtracting(bad).map(\.text).sorted()
        for (index, device) in ordered.enumerated() {
            lane.yield(
                DeviceChange(
                    deviceID: device, eventNanoseconds: known, followedBy: devices.count - 1 - index))
        }
    }

    /// The audit trail must not stop the thing that it is about; a store that fails shows itself elsewhere
    /// too.
    func audit(_ kind: String, _ members: JSONValue) async {
        try? await store.appendAudit(
            kind: kind, atSeconds: clock.nowSeconds(), json: members.serializedText())
    }
}
