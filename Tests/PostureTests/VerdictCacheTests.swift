import Access
import Store
import Testing

@testable import Posture

/// What the cache told while it took something.
actor Told {
    private(set) var keys: Set<DeviceKey> = []
    func add(_ more: Set<DeviceKey>) { keys.formUnion(more) }
}

extension VerdictCache {
    typealias Outcome = (keys: Set<DeviceKey>, writes: VerdictWrites)

    func apply(_ fresh: VerdictRecords, of integration: String, nowSeconds: Int64) async -> Outcome {
        let told = Told()
        let writes = await apply(fresh, of: integration, nowSeconds: nowSeconds) {
            await told.add($0.changed)
        }
        return (await told.keys, writes)
    }

    func replace(
        integration: String, with fresh: VerdictRecords, startedAtSeconds: Int64, ttlSeconds: Int64,
        nowSeconds: Int64, position: String? = nil
    ) async -> Outcome {
        let told = Told()
        let writes = await replace(
            integration: integration, with: fresh, startedAtSeconds: startedAtSeconds, ttlSeconds: ttlSeconds,
            nowSeconds: nowSeconds, position: position
        ) { await told.add($0.changed) }
        return (await told.keys, writes)
    }

    func apply(
        _ delta: IncrementalChanges, integration: String, startedAtSeconds: Int64, ttlSeconds: Int64,
        nowSeconds: Int64
    ) async -> Outcome {
        let told = Told()
        let writes = await apply(
            delta, integration: integration, startedAtSeconds: startedAtSeconds, ttlSeconds: ttlSeconds,
            nowSeconds: nowSeconds
        ) { await told.add($0.changed) }
        return (await told.keys, writes)
    }
}

@Suite("The verdict cache: what it takes, what it forgets, what it reads after a start")
struct VerdictCacheTests {
    static let ttl: Int64 = 100

    static func record(
        _ id: String, _ state: Verdict.State = .compliant, at seconds: Int64 = 10, observed: Int64? = nil,
        serial: String? = nil
    ) -> VerdictRecord {
        let keys = [DeviceKey(.serial, serial ?? "SN-\(id)")].compactMap { $0 }
        return VerdictRecord(
            verdict: Verdict(
                id: "edr:\(id):\(seconds)", integration: "edr", provider: "test", nativeID: id, state: state,
                labels: [state.label], observedAtSeconds: observed ?? seconds, fetchedAtSeconds: seconds,
                expiresAtSeconds: seconds + ttl, matchKey: DeviceKey.encoded(keys), matchStrength: .weak),
            keys: keys)
    }

    static func key(_ serial: String) -> DeviceKey {
        guard let key = DeviceKey(.serial, serial) else { preconditionFailure("\(serial)") }
        return key
    }

    static func state(_ cache: VerdictCache, _ id: String) async -> Verdict.State? {
        await cache.records(of: "edr", key: key("SN-\(id)")).first?.verdict.state
    }

    @Test("003.3 what was taken is found by every key of its device, and by no other")
    func found() async {
        let cache = VerdictCache(store: MemoryStore())
        _ = await cache.apply([Self.record("a"), Self.record("b", .noncompliant)], of: "edr", nowSeconds: 10)
        #expect(await Self.state(cache, "a") == .compliant)
        #expect(await Self.state(cache, "b") == .noncompliant)
        #expect(await Self.state(cache, "c") == nil)
        #expect(await cache.records(of: "other", key: Self.key("SN-a")).isEmpty)
    }

    @Test("a device whose keys change is no longer found by the old ones")
    func movedKeys() async {
        let cache = VerdictCache(store: MemoryStore())
        _ = await cache.apply([Self.record("a", serial: "OLD")], of: "edr", nowSeconds: 10)
        let changes = await cache.apply(
            [Self.record("a", at: 20, serial: "NEW")], of: "edr", nowSeconds: 20)
        #expect(changes.keys == [Self.key("OLD"), Self.key("NEW")])
        #expect(await cache.records(of: "edr", key: Self.key("OLD")).isEmpty)
        #expect(await cache.records(of: "edr", key: Self.key("NEW")).count == 1)
    }

    @Test("an older answer changes nothing and is not written")
    func older() async {
        let cache = VerdictCache(store: MemoryStore())
        _ = await cache.apply([Self.record("a", .noncompliant, at: 20)], of: "edr", nowSeconds: 20)
        let changes = await cache.apply([Self.record("a", .compliant, at: 19)], of: "edr", nowSeconds: 21)
        #expect(changes.keys.isEmpty && changes.writes.slots.isEmpty)
        #expect(await Self.state(cache, "a") == .noncompliant)
    }

    @Test("what a complete synchronisation does not name is missing, and forgotten by the next one")
    func missing() async throws {
        let store = MemoryStore()
        let cache = VerdictCache(store: store)
        func replace(_ records: VerdictRecords, at seconds: Int64) async throws -> Set<DeviceKey> {
            let changes = await cache.replace(
                integration: "edr", with: records, startedAtSeconds: seconds, ttlSeconds: Self.ttl,
                nowSeconds: seconds)
            try await cache.persist(changes.writes)
            return changes.keys
        }
        _ = try await replace([Self.record("a"), Self.record("b")], at: 10)
        #expect(try await replace([Self.record("a", at: 20)], at: 20) == [Self.key("SN-b")])
        #expect(await Self.state(cache, "b") == .notFound)
        #expect(try await store.verdicts(integration: "edr").map(\.state) == [.compliant, .notFound])
        #expect(try await replace([Self.record("a", at: 30)], at: 30).isEmpty)
        #expect(await Self.state(cache, "b") == nil)
        #expect(try await store.verdicts(integration: "edr").map(\.nativeID) == ["a"])
        #expect(await cache.completedAt("edr") == 30)
        // Its slot goes to the next device, which is seen by itself.
        #expect(
            try await replace([Self.record("a", at: 40), Self.record("c", at: 40)], at: 40)
                == [Self.key("SN-c")])
        #expect(await Self.state(cache, "c") == .compliant)
        #expect(
            await cache.census("edr", nowSeconds: 40)
                == VerdictCache.Census(
                    devices: 2, oldestObservedSeconds: 40, medianObservedSeconds: 40, labels: ["compliant"]))
    }

    @Test("a device that was asked while the synchronisation ran is not missing from it")
    func askedMeanwhile() async {
        let cache = VerdictCache(store: MemoryStore())
        _ = await cache.apply(
            [Self.record("a", at: 15), Self.record("b", at: 14)], of: "edr", nowSeconds: 15)
        _ = await cache.replace(
            integration: "edr", with: [], startedAtSeconds: 15, ttlSeconds: Self.ttl, nowSeconds: 20)
        #expect(await Self.state(cache, "a") == .compliant, "exactly at its beginning")
        #expect(await Self.state(cache, "b") == .notFound, "one second before")
    }

    @Test("003.2 changes confirm what they do not name, and what had run out counts again")
    func confirmation() async {
        let cache = VerdictCache(store: MemoryStore())
        _ = await cache.replace(
            integration: "edr", with: [Self.record("a"), Self.record("b", observed: 3)], startedAtSeconds: 10,
            ttlSeconds: Self.ttl, nowSeconds: 10, position: "p1")
        let changes = await cache.apply(
            IncrementalChanges(changed: [], removed: [], position: "p2"), integration: "edr",
            startedAtSeconds: 110, ttlSeconds: Self.ttl, nowSeconds: 110)
        #expect(changes.keys == [Self.key("SN-a"), Self.key("SN-b")], "both had run out at 110")
        #expect(changes.writes.slots.isEmpty, "the position says it")
        let a = await cache.records(of: "edr", key: Self.key("SN-a")).first?.verdict
        #expect(a?.fetchedAtSeconds == 110 && a?.observedAtSeconds == 110 && a?.expiresAtSeconds == 210)
        let b = await cache.records(of: "edr", key: Self.key("SN-b")).first?.verdict
        #expect(b?.fetchedAtSeconds == 110 && b?.observedAtSeconds == 3, "a report's own time stays")
        #expect(await cache.position("edr") == "p2")
    }

    @Test("003.3 a new process reads what was written, confirmed by its last synchronisation")
    func restart() async throws {
        let store = MemoryStore()
        let cache = VerdictCache(store: store)
        let first = await cache.replace(
            integration: "edr", with: VerdictRecords((0..<2_500).map { Self.record("d\($0)") }),
            startedAtSeconds: 10,
            ttlSeconds: Self.ttl, nowSeconds: 10, position: "p1")
        try await cache.persist(first.writes)
        let second = await cache.apply(
            IncrementalChanges(
                changed: [Self.record("d7", .noncompliant, at: 60)], removed: ["d8"], position: "p2"),
            integration: "edr", startedAtSeconds: 60, ttlSeconds: Self.ttl, nowSeconds: 60)
        try await cache.persist(second.writes)

        let again = VerdictCache(store: store)
        try await again.load(integrations: [("edr", ttlSeconds: Self.ttl)])
        // Asked at once: the answer waits for the reading, and is the one that was known before.
        for id in ["d0", "d7", "d8", "d2499"] {
            let key = Self.key("SN-\(id)")
            #expect(
                await again.records(of: "edr", key: key) == cache.records(of: "edr", key: key), "\(id)")
        }
        #expect(await again.position("edr") == "p2")
        #expect(await again.completedAt("edr") == 60)
        #expect(await again.census("edr", nowSeconds: 60).devices == 2_500)
    }

    @Test("what comes while the old is still being read is newer, and stays")
    func takenDuringLoad() async throws {
        let store = MemoryStore()
        try await store.upsert(
            (0..<3_000).map { VerdictRow(Self.record("d\($0)").verdict) }, of: "edr")
        let cache = VerdictCache(store: store)
        try await cache.load(integrations: [("edr", ttlSeconds: Self.ttl)])
        _ = await cache.apply([Self.record("d2999", .noncompliant, at: 20)], of: "edr", nowSeconds: 20)
        await cache.ready()
        #expect(await Self.state(cache, "d2999") == .noncompliant)
        #expect(await Self.state(cache, "d0") == .compliant)
    }

    @Test("verdicts that cannot be read are unknown, and said to be")
    func unreadable() async throws {
        let store = MemoryStore()
        await store.failVerdictReads(true)
        let cache = VerdictCache(store: store)
        try await cache.load(integrations: [("edr", ttlSeconds: Self.ttl)])
        #expect(await Self.state(cache, "a") == nil)
        #expect(await cache.loadFailure("edr") != nil)
        #expect(await cache.completedAt("edr") == nil)
    }

    @Test("a store that fails takes nothing away from memory, and says so")
    func unwritable() async throws {
        let store = MemoryStore()
        await store.failVerdictWrites(true)
        let cache = VerdictCache(store: store)
        let changes = await cache.apply([Self.record("a")], of: "edr", nowSeconds: 10)
        await #expect(throws: StoreError.self) { try await cache.persist(changes.writes) }
        #expect(await Self.state(cache, "a") == .compliant)
    }
}
