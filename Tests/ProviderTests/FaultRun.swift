import Access
import JSON
import Signatures
import Store
import Testing

@testable import Posture

/// One integration in a real service: a good synchronisation, a fault, and what is known afterwards.
struct Run {
    private let service: PostureService
    private let connector: any Connector
    private let clock: TestClock
    private var alice: DeviceKey?
    private var bob: DeviceKey?
    private var known: Verdict?
    /// Whether a good synchronisation proves absence.
    private let provesAbsence: Bool

    /// - Parameter serial: of the enrolled device, for a provider that is asked about enrolled ones alone.
    init(
        _ connector: any Connector, clock: TestClock, store: any GatewayStore, serial: String? = nil
    ) async throws {
        provesAbsence = serial == nil
        self.connector = connector
        self.clock = clock
        service = PostureService(
            agents: [], connectors: [connector], ring: .ephemeral(), store: store, clock: clock.posture,
            random: { 0.5 })
        guard let serial else { return }
        try await store.upsert(
            StoredDevice(
                id: "device-1", ownerIssuer: "https://issuer.example", ownerSubject: "alice",
                platform: .linux, keyThumbprint: "thumbprint", certificateSerial: "01",
                enrolledAtSeconds: clock.now, certificateNotAfterSeconds: clock.now + 86_400,
                pinnedIDs: ["serial": serial]))
        try await service.load()
    }

    private func verdict(_ key: DeviceKey) async -> Verdict? {
        await service.cache.verdicts(
            of: [VerdictMatching.Question(keys: [key])], by: [VerdictMatching.Source(connector)],
            nowSeconds: clock.now)[0].first
    }

    private func mayEnter(_ key: DeviceKey) async -> Bool {
        guard let verdict = await verdict(key) else { return false }
        return verdict.state == .compliant && verdict.isFresh(atSeconds: clock.now)
    }

    /// The good synchronisation: Alice's device is compliant, Bob's is known and is not.
    mutating func start(alice: DeviceKey?, bob: DeviceKey?) async throws {
        let device = try #require(alice)
        self.alice = device
        self.bob = bob
        let status = await service.reconnect(integration: connector.integration)
        let problem = status?.lastFailure.map { "\($0)" } ?? "\(status?.state.rawValue ?? "unknown")"
        try #require(status?.state == .configured && status?.lastFailure == nil, "\(problem)")
        if provesAbsence {
            try #require(await service.cache.completedAt(connector.integration) == clock.now)
        }
        try #require(await mayEnter(device))
        known = await verdict(device)
        if let bob {
            try #require(await verdict(bob) != nil)
            try #require(await !mayEnter(bob))
        }
        clock.now += 60
    }

    /// Holds that the fault of a cell did happen, or that it cannot.
    static func held(_ outcome: FaultOutcome, happened: Bool, _ name: String) {
        if outcome == .inapplicable {
            #expect(!happened, "\(name): happened, so it is not n/a")
        } else {
            #expect(happened, "\(name): the fault never happened")
        }
    }

    /// The synchronisation with the fault, and everything that must hold after it.
    func finish(_ outcome: FaultOutcome, _ name: String) async throws {
        let alice = try #require(alice)
        let before = await service.cache.completedAt(connector.integration)
        let known = await service.cache.census(connector.integration, nowSeconds: clock.now).devices
        await service.synchronise(connector)
        let status = try #require(await service.integrationStatus().first)
        if case .failed(let kind) = outcome {
            #expect(status.lastFailure?.kind == kind, "\(name): \(status.lastFailure?.what ?? "no failure")")
            let isRefusal = [.authFailed, .forbidden, .configError].contains(kind)
            #expect(status.state == (isRefusal ? .pending : .configured), "\(name)")
        } else {
            #expect(status.lastFailure == nil, "\(name): \(status.lastFailure?.what ?? "")")
        }
        let after = await service.cache.completedAt(connector.integration)
        #expect((after != before) == (outcome.isComplete && provesAbsence), "\(name)")
        let verdict = await verdict(alice)
        switch outcome {
        case .complete, .outdated, .failed, .unproven, .inapplicable:
            #expect(verdict?.state == .compliant, "\(name): nothing removed, and nothing made worse")
            #expect(await service.cache.census(connector.integration, nowSeconds: clock.now).devices == known)
        case .worthless: #expect(await mayEnter(alice) == false, "\(name)")
        case .ambiguous: #expect(verdict?.state == .ambiguous, "\(name)")
        case .gone: #expect(verdict?.state == .notFound, "\(name)")
        }
        if let bob { #expect(await mayEnter(bob) == false, "\(name): a fault lets nobody in") }
        try outlast(outcome, verdict, name)
    }

    /// The fault lasts until what was known before it has ended, and longer: by the residual of each outage setting.
    private func outlast(_ outcome: FaultOutcome, _ verdict: Verdict?, _ name: String) throws {
        let known = try #require(known)
        let end = known.endsAtSeconds
        // Pages that are not all may have brought this device before the reading ended: then it counts anew.
        let isRenewed = (verdict?.endsAtSeconds ?? 0) > end
        let counted = !outcome.isComplete && isRenewed ? .complete : outcome
        let usual: [FaultOutcome] = [.complete, .inapplicable]
        if usual.contains(outcome) { #expect(isRenewed, "\(name): it was read anew") }
        let moments: [(OutageMoment, Int64)] = [
            (.during, min(clock.now, end - 1)), (.ended, end),
            (.over, usual.contains(counted) ? end : end + OutageMatrix.extensionSeconds),
        ]
        for (moment, seconds) in moments {
            #expect(
                OutageMatrix.words(verdict, atSeconds: seconds) == counted.words(moment),
                "\(name), \(moment.rawValue)")
        }
        // The last second of each.
        if counted == .outdated || !counted.isComplete {
            #expect(
                OutageMatrix.words(verdict, atSeconds: end - 1) == [.full, .full, .full], "\(name)")
            #expect(
                OutageMatrix.words(verdict, atSeconds: end + OutageMatrix.extensionSeconds - 1)
                    == [.refused, .partial, .full], "\(name)")
        }
    }

    /// A question about one device during the fault: no answer is better than "no such device".
    func ask(_ outcome: FaultOutcome, _ name: String) async throws {
        let alice = try #require(alice)
        switch (outcome, await connector.fetch([alice])) {
        case (.failed(let kind), .failed(let failure)):
            #expect(failure.kind == kind, "\(name): \(failure.what)")
        case (.failed, .records): Issue.record("\(name): answered")
        case (.gone, .records(let found)): #expect(found.isEmpty, "\(name)")
        case (_, .records(let found)): #expect(!found.isEmpty, "\(name): the device is there")
        case (_, .failed(let failure)):
            Issue.record("\(name): \(failure.kind.rawValue), \(failure.what)")
        }
    }
}

/// So many runs at a time: hundreds at once keep one another from the deadlines of real connections.
actor Turnstile {
    static let shared = Turnstile()

    private var free = 16
    private var waiting: [CheckedContinuation<Void, Never>] = []

    private func enter() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    private func leave() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }

    static func pass(_ body: @Sendable () async throws -> Void) async throws {
        await shared.enter()
        do {
            try await body()
        } catch {
            await shared.leave()
            throw error
        }
        await shared.leave()
    }
}

/// Applied to a suite's tests, each of whose cases then takes its turn.
struct InTurnTrait: TestTrait, SuiteTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void
    ) async throws {
        guard testCase != nil else { return try await body() }
        try await Turnstile.pass(body)
    }
}

extension Trait where Self == InTurnTrait {
    static var inTurn: Self { Self() }
}
