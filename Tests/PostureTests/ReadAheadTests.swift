import Access
import JSON
import Store
import Testing

@testable import Posture

@Suite("After a start on 50,000 records, while their list is being read")
struct ReadAheadTests {
    private static let count = 50_000

    private static func record(_ number: Int, state: Verdict.State = .compliant) -> VerdictRecord {
        let keys = [DeviceKey(.intune, GraphFake.id(number)), DeviceKey(.serial, "SN\(number)")]
            .compactMap { $0 }
        let now = Setting.start
        return VerdictRecord(
            verdict: Verdict(
                id: "intune:\(number)", integration: "intune", provider: "intune",
                nativeID: GraphFake.id(number), state: state, observedAtSeconds: now - 600,
                fetchedAtSeconds: now - 60, expiresAtSeconds: now + 3_600,
                matchKey: DeviceKey.encoded(keys), matchStrength: .weak),
            keys: keys)
    }

    /// The list is read no further than to its beginning until `letGoOfLists`.
    private static func started(_ setting: Setting) async throws -> PostureService {
        let rows = (0..<count).map {
            VerdictRow(nativeID: GraphFake.id($0), record: VerdictRecords.packed(record($0)))
        }
        await setting.store.keep(rows, of: "intune")
        await setting.store.holdLists()
        let service = PostureService(
            agents: [AgentIntegration(handshake: setting.settings, authority: setting.authority)],
            intune: [GraphFake.connection()], ring: setting.ring, store: setting.store, fetcher: NoFetcher(),
            clock: setting.clock.clock, random: { 0.5 })
        try await service.load()
        await setting.store.untilListIsHeld()
        return service
    }

    private static func question(_ keys: (DeviceKey.Kind, String)...) -> VerdictMatching.Question {
        VerdictMatching.Question(keys: keys.compactMap { DeviceKey($0.0, $0.1) })
    }

    @Test("a device whose id at the provider is pinned is answered by one record, in front of all others")
    func first() async throws {
        let setting = try Setting(intune: [GraphFake.connection()])
        let ids = JSONObject([("intune_device_id", .string(GraphFake.id(41_999)))])
        let agent = try await setting.enroll(ids)
        let service = try await Self.started(setting)
        let facts = await service.deviceFacts(id: agent.deviceID, statement: nil)
        #expect(facts?.verdicts.map(\.state) == [.compliant])
        #expect(facts?.verdicts.first?.nativeID == GraphFake.id(41_999))
        #expect(await setting.store.singleReads == 1)
        #expect(await service.cache.census("intune", nowSeconds: Setting.start).devices == 1)
        // The second question finds it in memory.
        #expect(await service.deviceFacts(id: agent.deviceID, statement: nil) == facts)
        #expect(await setting.store.singleReads == 1)
        await setting.store.letGoOfLists()
        await service.cache.ready()
        #expect(await service.deviceFacts(id: agent.deviceID, statement: nil) == facts)
        #expect(await service.cache.census("intune", nowSeconds: Setting.start).devices == Self.count)
    }

    @Test("what the rest of the list may decide waits for the list, and is what the list says")
    func rest() async throws {
        let setting = try Setting(intune: [GraphFake.connection()])
        let known = try await setting.enroll(JSONObject([("serial", "SN7")]))
        let unknown = try await setting.enroll(
            JSONObject([("intune_device_id", .string(GraphFake.id(99_999))), ("serial", "SN8")]))
        let service = try await Self.started(setting)
        let source = VerdictMatching.Source(await service.connectors[0])
        let cache = await service.cache
        // Named by nothing but a serial number; pinned to an id that has no record; one device too many.
        let one = Self.question((.intune, GraphFake.id(3)), (.serial, "SN3"))
        #expect(await !cache.readAhead([Self.question((.serial, "SN7"))], source))
        #expect(
            await !cache.readAhead(
                [Self.question((.intune, GraphFake.id(99_999)), (.serial, "SN8"))], source))
        #expect(await !cache.readAhead([one, Self.question((.serial, "SN7"))], source))
        let many = (0...VerdictCache.readAheadMax).map { Self.question((.intune, GraphFake.id($0))) }
        #expect(await !cache.readAhead(many, source))
        #expect(await cache.readAhead(Array(many.dropLast()), source))
        var other = source
        other.nativeKey = nil
        #expect(await !cache.readAhead([one], other), "a provider whose own ids nobody pins")
        await setting.store.failVerdictReads(true)
        #expect(await !cache.readAhead([Self.question((.intune, GraphFake.id(40)))], source))
        await setting.store.failVerdictReads(false)
        async let first = service.deviceFacts(id: known.deviceID, statement: nil)
        async let second = service.deviceFacts(id: unknown.deviceID, statement: nil)
        await setting.store.letGoOfLists()
        #expect(await first?.verdicts.first?.nativeID == GraphFake.id(7))
        #expect(await second?.verdicts.first?.nativeID == GraphFake.id(8))
    }

    @Test("a row that is named by an id it does not carry is no answer")
    func foreign() async throws {
        let setting = try Setting(intune: [GraphFake.connection()])
        let service = try await Self.started(setting)
        var foreign = Self.record(60_000)
        foreign.keys = [DeviceKey(.intune, GraphFake.id(60_001))].compactMap { $0 }
        await setting.store.keep(
            [VerdictRow(nativeID: GraphFake.id(60_000), record: VerdictRecords.packed(foreign))],
            of: "intune")
        let source = VerdictMatching.Source(await service.connectors[0])
        #expect(
            await !service.cache.readAhead([Self.question((.intune, GraphFake.id(60_000)))], source))
        await setting.store.letGoOfLists()
    }

    @Test("a record that a synchronisation took back while it was read is not brought back")
    func overtaken() async throws {
        let setting = try Setting(intune: [GraphFake.connection()])
        let service = try await Self.started(setting)
        let cache = await service.cache
        let source = VerdictMatching.Source(await service.connectors[0])
        await setting.store.holdNextSingleRead()
        async let isKnown = cache.readAhead([Self.question((.intune, GraphFake.id(5)))], source)
        await setting.store.untilSingleReadIsHeld()
        await setting.store.letGoOfLists()
        await cache.ready()
        // Missing, and then forgotten.
        for seconds: Int64 in [10, 20] {
            _ = await cache.replace(
                integration: "intune", with: [Self.record(4)], startedAtSeconds: Setting.start + seconds,
                ttlSeconds: 3_600, nowSeconds: Setting.start + seconds)
        }
        await setting.store.letGoOfSingleRead()
        #expect(await !isKnown)
        let key = Self.question((.intune, GraphFake.id(5))).keys[0]
        #expect(await cache.records(of: "intune", key: key).isEmpty)
    }
}
