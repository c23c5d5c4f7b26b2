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

    init(_ connector: any Connector, clock: TestClock, store: any GatewayStore) async throws {
        self.connector = connector
        self.clock = clock
        service = PostureService(
            agents: [], connectors: [connector], ring: .ephemeral(), store: store, clock: clock.posture,
            random: { 0.5 })
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
        try #require(status?.state == .configured && status?.lastFailure == nil)
        try #require(await service.cache.completedAt(connector.integration) == clock.now)
        try #require(await mayEnter(device))
        if let bob {
            try #require(await verdict(bob) != nil)
            try #require(await !mayEnter(bob))
        }
        clock.now += 60
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
            let isRefusal = kind == .authFailed || kind == .forbidden
            #expect(status.state == (isRefusal ? .pending : .configured), "\(name)")
        } else {
            #expect(status.lastFailure == nil, "\(name): \(status.lastFailure?.what ?? "")")
        }
        let after = await service.cache.completedAt(connector.integration)
        #expect((after != before) == outcome.isComplete, "\(name)")
        let verdict = await verdict(alice)
        switch outcome {
        case .complete, .failed, .unproven:
            #expect(verdict?.state == .compliant, "\(name): nothing removed, and nothing made worse")
            #expect(await service.cache.census(connector.integration, nowSeconds: clock.now).devices == known)
        case .worthless: #expect(await mayEnter(alice) == false, "\(name)")
        case .ambiguous: #expect(verdict?.state == .ambiguous, "\(name)")
        case .gone: #expect(verdict?.state == .notFound, "\(name)")
        }
        if let bob { #expect(await mayEnter(bob) == false, "\(name): a fault lets nobody in") }
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
            #expect(failure.kind == .malformedResponse, "\(name): \(failure.what)")
        }
    }
}
