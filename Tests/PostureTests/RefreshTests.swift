import Access
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Posture

/// A provider that answers when the test lets it, and counts how many questions are open.
final class GatedConnector: Connector {
    private struct State {
        var isOpen: Bool
        var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
        var nextID = 0
        var running = 0
        var runningMost = 0
        var syncs = 0
        var fetches = 0
        var cancelled = 0
    }
    let integration: String
    let provider = "test"
    let pace = RefreshPace(deviceSeconds: 100, fullSeconds: 1_000, ttlSeconds: 500)
    private let state: Mutex<State>
    private let clock: TestClock

    init(_ integration: String, _ clock: TestClock, isOpen: Bool = true) {
        self.integration = integration
        self.clock = clock
        state = Mutex(State(isOpen: isOpen))
    }

    var syncs: Int { state.withLock { $0.syncs } }
    var fetches: Int { state.withLock { $0.fetches } }
    var runningMost: Int { state.withLock { $0.runningMost } }
    var cancelled: Int { state.withLock { $0.cancelled } }
    var waiting: Int { state.withLock { $0.waiting.count } }

    /// Answers from now on, or hangs from now on.
    func set(open: Bool) {
        let waiters = state.withLock { state in
            state.isOpen = open
            guard open else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    private func pass() async {
        let id = state.withLock { state in
            state.running += 1
            state.runningMost = max(state.runningMost, state.running)
            state.nextID += 1
            return state.nextID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let isFree = state.withLock { state in
                    if state.isOpen || Task.isCancelled { return true }
                    state.waiting[id] = waiter
                    return false
                }
                if isFree { waiter.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiting.removeValue(forKey: id) }?.resume()
        }
        state.withLock {
            $0.running -= 1
            if Task.isCancelled { $0.cancelled += 1 }
        }
    }

    private var record: VerdictRecord {
        let now = clock.now
        return VerdictRecord(
            verdict: Verdict(
                id: "\(integration):\(now)", integration: integration, provider: provider, nativeID: "n",
                state: .compliant, observedAtSeconds: now, fetchedAtSeconds: now, expiresAtSeconds: now + 500,
                matchKey: "serial", matchStrength: .strong),
            keys: [DeviceKey(.serial, "PF3")].compactMap { $0 })
    }

    func probe() async -> ConnectorFailure? { nil }
    func sync() async -> SyncResult {
        await pass()
        state.withLock { $0.syncs += 1 }
        return SyncResult(records: [record], isComplete: true)
    }
    func fetch(_ keys: [DeviceKey]) async -> DeviceAnswer {
        await pass()
        state.withLock { $0.fetches += 1 }
        return .records([record])
    }
    func status() async -> ConnectorStatus { ConnectorStatus() }
}

/// Lets other tasks go on until something holds, at most so many turns; no clock is involved.
func eventually(_ holds: () async -> Bool) async -> Bool {
    for _ in 0..<200_000 {
        if await holds() { return true }
        await Task.yield()
    }
    return false
}

@Suite("Providers are asked side by side, each with a deadline of its own")
struct RefreshTests {
    let clock = TestClock(Setting.start)
    let slow: GatedConnector
    let quick: GatedConnector
    let service: PostureService
    let device = StoredDevice(
        id: "d1", ownerIssuer: "i", ownerSubject: "s", platform: .linux, keyThumbprint: "t",
        certificateSerial: "1", enrolledAtSeconds: 0, certificateNotAfterSeconds: .max,
        pinnedIDs: ["serial": "PF3"])

    init() async throws {
        slow = GatedConnector("a-slow", clock, isOpen: false)
        quick = GatedConnector("b-quick", clock)
        let store = MemoryStore()
        try await store.upsert(device)
        service = PostureService(
            agents: [], connectors: [slow, quick], ring: .ephemeral(), store: store, clock: clock.standing,
            random: { 0 })
        try await service.load()
    }

    func failure(_ integration: String) async -> ConnectorFailure.Kind? {
        await service.integrationStatus().first { $0.integration == integration }?.lastFailure?.kind
    }

    @Test("003.2 a provider that hangs delays no other, at the start and on every later round")
    func hanging() async throws {
        let run = Task { await service.run() }
        #expect(await eventually { quick.syncs == 1 && slow.waiting == 1 })
        for round in 1...3 {
            // The service looks at its appointments at least once a minute.
            for _ in 0..<2 {
                #expect(await eventually { clock.deadlines >= 3 })
                clock.now += 60
            }
            #expect(await eventually { quick.fetches >= round }, "\(round)")
        }
        #expect(slow.syncs == 0 && slow.fetches == 0 && slow.runningMost == 1)
        run.cancel()
        await run.value
    }

    @Test("a synchronisation is ended exactly at its deadline and called a timeout") func deadline()
        async throws
    {
        quick.set(open: false)
        let round = Task { await service.refreshDue() }
        // The clock moves when both deadlines are set: it would pass one that is set behind it.
        #expect(await eventually { slow.waiting == 1 && quick.waiting == 1 && clock.deadlines == 2 })
        quick.set(open: true)
        #expect(await eventually { quick.syncs == 1 && clock.deadlines == 1 })
        clock.now += Int64(PostureService.syncSecondsMax) - 1
        for _ in 0..<1_000 { await Task.yield() }
        #expect(slow.waiting == 1)
        clock.now += 1
        await round.value
        #expect(slow.cancelled == 1 && slow.waiting == 0)
        #expect(await failure("a-slow") == .timeout)
        #expect(await failure("b-quick") == nil)
        let facts = await service.deviceFacts(id: "d1", statement: nil)
        #expect(facts?.verdicts.map(\.integration) == ["b-quick"], "nothing of what came too late")
    }

    @Test("a question about one device ends at its deadline, and the other's answer was there before")
    func deviceDeadline() async throws {
        slow.set(open: true)
        await service.refreshDue()
        slow.set(open: false)
        quick.set(open: false)
        #expect(await eventually { clock.deadlines == 0 })
        clock.now += 2
        let fetch = Task { await service.priorityFetch(deviceID: "d1") }
        #expect(await eventually { slow.waiting == 1 && quick.waiting == 1 && clock.deadlines == 2 })
        quick.set(open: true)
        #expect(await eventually { quick.fetches == 1 && clock.deadlines == 1 })
        clock.now += Int64(PostureService.fetchSecondsMax)
        await fetch.value
        #expect(slow.cancelled == 1)
        #expect(await failure("a-slow") == .timeout)
    }

    @Test("one synchronisation per integration at a time: who asks meanwhile gets its end") func oneAtATime()
        async throws
    {
        let first = Task { await service.refreshDue() }
        #expect(await eventually { slow.waiting == 1 })
        let again = (0..<5).map { _ in Task { await service.reconnect(integration: "a-slow") } }
        for _ in 0..<1_000 { await Task.yield() }
        slow.set(open: true)
        await first.value
        for task in again { #expect(await task.value?.state == .configured) }
        #expect(slow.runningMost == 1)
    }

    @Test("a reconnect reads anew, also when it comes while another synchronisation ends") func readsAnew()
        async throws
    {
        for round in 0..<500 {
            slow.set(open: false)
            let before = slow.syncs
            let first = Task { await service.reconnect(integration: "a-slow") }
            #expect(await eventually { slow.waiting == 1 })
            let second = Task { await service.reconnect(integration: "a-slow") }
            for _ in 0..<20 { await Task.yield() }
            slow.set(open: true)
            _ = await first.value
            _ = await second.value
            try #require(slow.syncs == before + 2, "round \(round)")
        }
    }

    @Test("a reconnect answers when the probe has, and the synchronisation goes on behind the answer")
    func answersEarly() async throws {
        let begun = try #require(await service.beginReconnect(integration: "a-slow"))
        #expect(begun.status.state == .configured)
        #expect(begun.status.devicesRead == 0)
        let synchronisation = try #require(begun.synchronisation)
        #expect(await eventually { slow.waiting == 1 })
        // Who asks meanwhile is not kept waiting either.
        #expect(await service.beginReconnect(integration: "a-slow")?.synchronisation != nil)
        #expect(await service.integrationStatus().first?.devicesRead == 0)
        slow.set(open: true)
        await synchronisation.value
        #expect(slow.runningMost == 1)
        #expect(await service.integrationStatus().first?.devicesRead == nil)
        #expect(await service.beginReconnect(integration: "none") == nil)
    }

    @Test("stopping the service is no failure of a provider") func stopping() async throws {
        let run = Task { await service.run() }
        #expect(await eventually { slow.waiting == 1 })
        run.cancel()
        await run.value
        #expect(await failure("a-slow") == nil)
        #expect(slow.waiting == 0)
    }
}
