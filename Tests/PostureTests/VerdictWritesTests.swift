import Access
import Store
import Testing

@testable import Posture

@Suite("What the store could not take or give is not called confirmed after the next start")
struct VerdictWritesTests {
    @Test("what the store could not take is written before a later position counts")
    func unwrittenFirst() async throws {
        let store = MemoryStore()
        let cache = VerdictCache(store: store)
        let first = await cache.replace(
            integration: "edr",
            with: [
                VerdictCacheTests.record("a"), VerdictCacheTests.record("b"), VerdictCacheTests.record("c"),
            ],
            startedAtSeconds: 10, ttlSeconds: VerdictCacheTests.ttl, nowSeconds: 10, position: "p1")
        try await cache.persist(first.writes)
        func changes(_ changed: VerdictRecords, _ removed: [String], _ position: String, at seconds: Int64)
            async throws
        {
            let changes = await cache.apply(
                IncrementalChanges(changed: changed, removed: removed, position: position),
                integration: "edr", startedAtSeconds: seconds, ttlSeconds: VerdictCacheTests.ttl,
                nowSeconds: seconds)
            try await cache.persist(changes.writes)
        }
        await store.failVerdictWrites(true)
        let bad = VerdictCacheTests.record("a", .noncompliant, at: 60)
        await #expect(throws: StoreError.self) { try await changes([bad], ["b"], "p2", at: 60) }
        // Another failure does not forget the one before; "b" leaves memory meanwhile.
        await #expect(throws: StoreError.self) { try await changes([], [], "p3", at: 70) }
        await store.failVerdictWrites(false)
        // Nobody names them again: the provider told it once.
        try await changes([], [], "p4", at: 80)

        let again = VerdictCache(store: store)
        try await again.load(integrations: [("edr", ttlSeconds: VerdictCacheTests.ttl)])
        #expect(await VerdictCacheTests.state(again, "a") == .noncompliant)
        #expect(await VerdictCacheTests.state(again, "b") == nil)
        #expect(await VerdictCacheTests.state(again, "c") == .compliant)
        #expect(await again.position("edr") == "p4")
    }

    @Test("a position does not count before what a slower writer still has in hand")
    func unwrittenInHand() async throws {
        let store = MemoryStore()
        let cache = VerdictCache(store: store)
        let first = await cache.replace(
            integration: "edr", with: [VerdictCacheTests.record("a")], startedAtSeconds: 10,
            ttlSeconds: VerdictCacheTests.ttl,
            nowSeconds: 10, position: "p1")
        try await cache.persist(first.writes)
        await store.failVerdictWrites(true)
        let bad = await cache.apply(
            [VerdictCacheTests.record("a", .noncompliant, at: 60)], of: "edr", nowSeconds: 60)
        await #expect(throws: StoreError.self) { try await cache.persist(bad.writes) }
        await store.failVerdictWrites(false)
        await store.holdNextVerdictWrite()
        let slow = Task { try await cache.persist(VerdictWrites(integration: "edr")) }
        while await store.heldWrite == nil { await Task.yield() }
        let later = await cache.apply(
            IncrementalChanges(changed: [], removed: [], position: "p2"), integration: "edr",
            startedAtSeconds: 70, ttlSeconds: VerdictCacheTests.ttl, nowSeconds: 70)
        try await cache.persist(later.writes)
        await store.letGoOfWrite()
        await #expect(throws: StoreError.self) { try await slow.value }

        let again = VerdictCache(store: store)
        try await again.load(integrations: [("edr", ttlSeconds: VerdictCacheTests.ttl)])
        #expect(await VerdictCacheTests.state(again, "a") == .noncompliant)
    }

    @Test("rows that could not be read at a start are not confirmed at the next one")
    func unreadNotConfirmed() async throws {
        let store = MemoryStore()
        try await store.upsert([VerdictRow(VerdictCacheTests.record("gone").verdict)], of: "edr")
        await store.failVerdictReads(true)
        let cache = VerdictCache(store: store)
        try await cache.load(integrations: [("edr", ttlSeconds: VerdictCacheTests.ttl)])
        await cache.ready()
        await store.failVerdictReads(false)
        // It is not in there, and nothing in memory says that it ever was.
        let all = await cache.replace(
            integration: "edr", with: [VerdictCacheTests.record("a", at: 60)], startedAtSeconds: 60,
            ttlSeconds: VerdictCacheTests.ttl, nowSeconds: 60, position: "p1")
        try await cache.persist(all.writes)
        let later = await cache.apply(
            IncrementalChanges(changed: [], removed: [], position: "p2"), integration: "edr",
            startedAtSeconds: 90, ttlSeconds: VerdictCacheTests.ttl, nowSeconds: 90)
        try await cache.persist(later.writes)

        let again = VerdictCache(store: store)
        try await again.load(integrations: [("edr", ttlSeconds: VerdictCacheTests.ttl)])
        let gone = await again.records(of: "edr", key: VerdictCacheTests.key("SN-gone")).first?.verdict
        #expect(gone?.expiresAtSeconds == 10 + VerdictCacheTests.ttl, "by its own word alone")
        #expect(await again.position("edr") == nil, "everything is read again")
    }
}
