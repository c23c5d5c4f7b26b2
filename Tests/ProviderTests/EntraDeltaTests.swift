import Access
import JSON
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Entra's changes: one complete reading, then deltas every half hour, with a store on disk")
struct EntraDeltaTests {
    let lab: GraphLab
    let connector: any Connector
    let store: SQLiteStore

    init() throws {
        lab = try GraphLab()
        connector = try lab.connector("entra")
        store = try GraphLab.store()
    }

    private func state(_ service: PostureService) async -> Verdict.State? {
        await service.deviceFacts(id: "device-1", statement: nil)?.verdicts.first?.state
    }

    private func verdict(_ service: PostureService) async -> Verdict? {
        await service.deviceFacts(id: "device-1", statement: nil)?.verdicts.first
    }

    private func nextRound(_ service: PostureService) async {
        lab.clock.now += 1_800
        await service.refreshDue()
    }

    @Test("002.11 a change comes by delta, and what did not change is confirmed by it") func change()
        async throws
    {
        let service = try await lab.service(connector, store: store)
        await service.refreshDue()
        #expect(await state(service) == .compliant)
        for _ in 0..<5 { await nextRound(service) }
        // Two hours and a half after it was read, with a life of two hours.
        #expect(await verdict(service)?.expiresAtSeconds == lab.clock.now + 7_200)
        try lab.control("POST", "devices/alice-laptop", ["complianceState": "noncompliant"])
        await nextRound(service)
        #expect(await state(service) == .noncompliant)
        let calls = lab.graph.directory.withLock { $0.baselines }
        #expect(calls == 1, "everything was read once")
    }

    @Test("a removed device is missing, restorable or not", arguments: ["changed", "deleted"])
    func removed(_ reason: String) async throws {
        let service = try await lab.service(connector, store: store)
        await service.refreshDue()
        try lab.control("DELETE", "directory/\(GraphLab.alice)/\(reason)")
        await nextRound(service)
        #expect(await state(service) == .notFound)
        await nextRound(service)
        #expect(await state(service) == .notFound, "and stays so")
        let kept = try await store.verdicts(integration: "entra")
        #expect(!kept.contains { $0.nativeID == GraphLab.aliceObject })
    }

    @Test("replays and empty pages change nothing") func replays() async throws {
        let service = try await lab.service(connector, store: store)
        lab.graph.faults.activate(.replay)
        await service.refreshDue()
        lab.graph.faults.activate(.emptyPage)
        try lab.control("POST", "devices/alice-laptop", ["complianceState": "noncompliant"])
        await nextRound(service)
        #expect(await state(service) == .noncompliant)
        #expect(try await store.verdicts(integration: "entra").count == 5)
    }

    @Test(
        "a link that the directory does not know any more is followed by a complete reading, at once",
        arguments: [GraphFault.syncStateNotFound, .resyncRequired])
    func expired(_ fault: GraphFault) async throws {
        let service = try await lab.service(connector, store: store)
        await service.refreshDue()
        lab.graph.directory.withLock {
            $0.devices.removeAll { $0.members["deviceId"]?.string == GraphLab.alice }
        }
        lab.graph.faults.activate(fault, times: 1)
        await nextRound(service)
        #expect(lab.graph.directory.withLock { $0.baselines } == 2)
        #expect(await state(service) == .notFound, "a complete reading finds what no delta told")
    }

    @Test(
        "a link lives seven days: one that is older is not even tried",
        arguments: [(518_399, 1), (518_400, 2)] as [(Int64, Int)])
    func old(_ age: Int64, _ baselines: Int) async throws {
        let service = try await lab.service(connector, store: store)
        await service.refreshDue()
        lab.clock.now += age
        await service.refreshDue()
        #expect(lab.graph.directory.withLock { $0.baselines } == baselines)
    }

    @Test(
        "an outage neither deletes nor moves the position; after it nothing is lost",
        arguments: [GraphFault.serverError, .down, .throttle, .revokedSecret, .missingScope])
    func outage(_ fault: GraphFault) async throws {
        let service = try await lab.service(connector, store: store)
        await service.refreshDue()
        let position = try await store.syncState(integration: "entra")?.deltaLink
        try lab.control("DELETE", "directory/\(GraphLab.alice)/deleted")
        lab.graph.faults.activate(fault, retryAfterSeconds: 700)
        if fault == .revokedSecret { lab.graph.state.withLock { $0.expireTokens() } }
        await nextRound(service)
        #expect(await state(service) == .compliant, "the last answer stands until its own end")
        #expect(try await store.syncState(integration: "entra")?.deltaLink == position)
        lab.graph.faults.clear()
        await nextRound(service)
        #expect(await state(service) == .notFound)
        #expect(lab.graph.directory.withLock { $0.baselines } == 1)
    }

    @Test("after a start the position goes on, and what it confirmed is known at once") func restart()
        async throws
    {
        let service = try await lab.service(connector, store: store)
        await service.refreshDue()
        for _ in 0..<6 { await nextRound(service) }
        let again = try await lab.service(try lab.connector("entra"), store: store)
        #expect(await verdict(again)?.expiresAtSeconds == lab.clock.now + 7_200)
        try lab.control("POST", "devices/alice-laptop", ["complianceState": "noncompliant"])
        await again.refreshDue()
        #expect(await state(again) == .noncompliant)
        #expect(lab.graph.directory.withLock { $0.baselines } == 1)
    }

    @Test("another tenant, client or cloud begins anew: a link is frozen to what it was made for")
    func otherClient() async throws {
        let service = try await lab.service(connector, store: store)
        await service.refreshDue()
        let position = try #require(try await store.syncState(integration: "entra")?.deltaLink)
        let other = try lab.connector("entra") {
            $0.texts["client-id"] = "6d1f0c3a-0000-4000-8000-000000000000"
        }
        guard case .baselineNeeded = await other.changes(since: position) else {
            Issue.record("a foreign link was followed")
            return
        }
        for text in ["", "x", "a b c", "\(position.split(separator: " ")[0]) x http://127.0.0.1/"] {
            guard case .baselineNeeded = await connector.changes(since: text) else {
                Issue.record("\(text) was followed")
                return
            }
        }
    }

    @Test(
        "a delta in circles, to another host or of nonsense is left, not followed",
        arguments: [
            [GraphFault.loop], [.sameIDs], [.twoCycle], [.emptyPage, .crossHostNext], [.malformed],
            [.htmlAnswer],
        ])
    func badDelta(_ faults: [GraphFault]) async throws {
        let position = try #require(await connector.sync().position)
        try lab.control("POST", "devices/alice-laptop", ["complianceState": "noncompliant"])
        for fault in faults { lab.graph.faults.activate(fault) }
        guard case .baselineNeeded = await connector.changes(since: position) else {
            Issue.record("it was believed")
            return
        }
    }

    @Test("a partner that falls silent has everything read anew") func partner() async throws {
        let id = "aaaaaaaa-0000-4000-8000-000000000001"
        lab.graph.directory.withLock { $0.partners = [EntraTests.partner("enabled", id: id)] }
        _ = lab.graph.directory.withLock { $0.change(GraphLab.alice, ["mdmAppId": .string(id)]) }
        let service = try await lab.service(connector, store: store)
        await service.refreshDue()
        #expect(await state(service) == .compliant)
        lab.graph.directory.withLock { $0.partners = [EntraTests.partner("unresponsive", id: id)] }
        await nextRound(service)
        #expect(await state(service) == .unknown)
    }
}
