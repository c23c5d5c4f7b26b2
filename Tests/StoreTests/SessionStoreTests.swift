import Access
import Store
import Testing

@Suite("Sessions in the SQLite store")
struct SessionStoreTests {
    let folder: TemporaryFolder
    let store: SQLiteStore

    init() throws {
        folder = try TemporaryFolder()
        store = try SQLiteStore(folder: folder.path)
    }

    @Test func `a session comes back as it was stored, also after a restart`() async throws {
        let session = Fixture.global("g1", seed: 1)
        try await store.insert(session)
        #expect(try await store.session(id: "g1") == session)
        await store.close()
        let again = try SQLiteStore(folder: folder.path)
        #expect(try await again.session(tokenDigest: session.tokenDigest, nowSeconds: 1_001) == session)
        #expect(try await again.session(id: "g1")?.facts.person.email == "ada@corp.example")
    }

    struct DigestCase: CustomTestStringConvertible {
        var testDescription: String
        var seed: Int
        var nowSeconds: Int64
        var isFound: Bool
    }

    static let digests = [
        DigestCase(testDescription: "the current digest", seed: 1, nowSeconds: 9_999, isFound: true),
        DigestCase(
            testDescription: "the current digest exactly at expiry", seed: 1, nowSeconds: 10_000,
            isFound: false),
        DigestCase(
            testDescription: "the previous digest one second early", seed: 2, nowSeconds: 1_059, isFound: true
        ),
        DigestCase(
            testDescription: "the previous digest exactly at its time", seed: 2, nowSeconds: 1_060,
            isFound: false),
        DigestCase(
            testDescription: "the previous digest one past its time", seed: 2, nowSeconds: 1_061,
            isFound: false),
        DigestCase(testDescription: "a digest nobody has", seed: 3, nowSeconds: 1_000, isFound: false),
    ]

    @Test(arguments: digests)
    func `a rotated token is accepted until its time and not a second longer`(_ c: DigestCase) async throws {
        var session = Fixture.global("g1", seed: 1)
        session.previousTokenDigest = Fixture.digest(2)
        session.previousUntilSeconds = 1_060
        try await store.insert(session)
        let found = try await store.session(tokenDigest: Fixture.digest(c.seed), nowSeconds: c.nowSeconds)
        #expect((found != nil) == c.isFound)
    }

    @Test func `a previous digest of an expired session finds nothing`() async throws {
        var session = Fixture.global("g1", seed: 1, expires: 1_010)
        session.previousTokenDigest = Fixture.digest(2)
        session.previousUntilSeconds = 1_060
        try await store.insert(session)
        #expect(try await store.session(tokenDigest: Fixture.digest(2), nowSeconds: 1_010) == nil)
    }

    @Test func `two sessions cannot share a token digest`() async throws {
        try await store.insert(Fixture.global("g1", seed: 1))
        let error = await #expect(throws: StoreError.self) {
            try await store.insert(Fixture.global("g2", seed: 1))
        }
        #expect(error?.kind == .conflict)
        #expect(try await store.session(id: "g2") == nil)
    }

    @Test func `an application session is refused once its global session is gone`() async throws {
        try await store.insert(Fixture.global("g1", seed: 1))
        try await store.insert(Fixture.application("a1", of: "g1", seed: 2))
        try await store.remove(sessionIDs: ["g1"])
        let late = Fixture.application("a2", of: "g1", seed: 3)
        let error = await #expect(throws: StoreError.self) { try await store.insert(late) }
        #expect(error?.kind == .globalSessionGone)
    }

    @Test func `an application session is refused when its global session has expired`() async throws {
        try await store.insert(Fixture.global("g1", seed: 1, expires: 1_000))
        let late = Fixture.application("a1", of: "g1", seed: 2)
        let error = await #expect(throws: StoreError.self) { try await store.insert(late) }
        #expect(error?.kind == .globalSessionGone)
    }

    @Test func `an application session that names no global session is refused`() async throws {
        var orphan = Fixture.application("a1", of: "g1", seed: 2)
        orphan.globalID = nil
        let refused = orphan
        let error = await #expect(throws: StoreError.self) { try await store.insert(refused) }
        #expect(error?.kind == .globalSessionGone)
    }

    @Test func `ending a global session ends its application sessions and no others`() async throws {
        try await store.insert(Fixture.global("g1", seed: 1))
        try await store.insert(Fixture.global("g2", seed: 2, subject: "bob"))
        try await store.insert(Fixture.application("a1", of: "g1", seed: 3))
        try await store.insert(Fixture.application("a2", of: "g1", seed: 4))
        try await store.insert(Fixture.application("a3", of: "g2", seed: 5, subject: "bob"))
        let removed = try await store.remove(sessionIDs: ["g1", "unknown"])
        #expect(Set(removed.map(\.id)) == ["g1", "a1", "a2"])
        #expect(Set(try await store.sessions(.all, limit: 10).map(\.id)) == ["g2", "a3"])
        #expect(try await store.remove(sessionIDs: ["g1"]).isEmpty)
        #expect(try await store.remove(sessionIDs: []).isEmpty)
    }

    @Test func `more ids than one statement takes are removed in one call`() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<1_200 {
                group.addTask { try await store.insert(Fixture.global("g\(index)", seed: index)) }
            }
            try await group.waitForAll()
        }
        #expect(try await store.remove(sessionIDs: (0..<1_200).map { "g\($0)" }).count == 1_200)
    }

    @Test func `an update never brings a removed session back`() async throws {
        let old = Fixture.global("g1", seed: 1)
        var session = old
        try await store.insert(session)
        session.tokenDigest = Fixture.digest(9)
        #expect(try await store.replace(old, with: session))
        #expect(try await store.session(tokenDigest: Fixture.digest(1), nowSeconds: 1_000) == nil)
        try await store.remove(sessionIDs: ["g1"])
        #expect(try await store.replace(session, with: old) == false)
        #expect(try await store.session(id: "g1") == nil)
    }

    @Test func `of two changes of what both have read, one is made`() async throws {
        let old = Fixture.global("g1", seed: 1)
        try await store.insert(old)
        let changes = (0..<8).map { number in
            var changed = old
            changed.name = "\(number)"
            return changed
        }
        let store = store
        let made = try await withThrowingTaskGroup(of: Bool.self) { group in
            for changed in changes { group.addTask { try await store.replace(old, with: changed) } }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(made == 1)
    }

    @Test func `sessions are listed by person, address, device and global session`() async throws {
        try await store.insert(Fixture.global("g1", seed: 1))
        try await store.insert(Fixture.application("a1", of: "g1", seed: 2))
        var other = Fixture.global("g2", seed: 3, subject: "bob")
        other.deviceID = nil
        other.createdAtSeconds = 2_000
        try await store.insert(other)
        #expect(try await store.sessions(.global(id: "g1"), limit: 10).map(\.id) == ["a1"])
        #expect(try await store.sessions(.email("bob@corp.example"), limit: 10).map(\.id) == ["g2"])
        #expect(try await store.sessions(.device(id: "device-1"), limit: 10).count == 2)
        #expect(try await store.sessions(.all, limit: 1).map(\.id) == ["g2"])
        let person = SessionQuery.person(issuer: "https://login.corp.example", subject: "ada")
        #expect(try await store.sessions(person, limit: 10).count == 2)
        let elsewhere = SessionQuery.person(issuer: "https://other.example", subject: "ada")
        #expect(try await store.sessions(elsewhere, limit: 10).isEmpty)
    }

    @Test func `sessions are listed by many ids, global sessions and devices in one question`() async throws {
        try await store.insert(Fixture.global("g1", seed: 1))
        try await store.insert(Fixture.application("a1", of: "g1", seed: 2))
        try await store.insert(Fixture.global("g2", seed: 3, subject: "bob", expires: 1))
        var third = Fixture.global("g3", seed: 4)
        third.deviceID = "it's \"quoted\", [3]"
        try await store.insert(third)
        func ids(_ query: SessionQuery, limit: Int = 10) async throws -> Set<String> {
            Set(try await store.sessions(query, limit: limit).map(\.id))
        }
        #expect(try await ids(.ids(["g2", "a1", "nobody"])) == ["g2", "a1"], "expired or not")
        #expect(try await ids(.ids([])).isEmpty)
        #expect(try await ids(.ids(["g1", "g2", "g3"]), limit: 2).count == 2)
        #expect(try await ids(.globals(ids: ["g1", "g2"])) == ["a1"])
        #expect(try await ids(.globals(ids: [])).isEmpty)
        #expect(try await ids(.devices(ids: [third.deviceID ?? ""])) == ["g3"])
        #expect(try await ids(.devices(ids: ["device-1", "it"])) == ["g1", "a1", "g2"])
        let many = (0..<3_000).map { "x\($0)" } + ["g1"]
        #expect(try await ids(.ids(many)) == ["g1"])
    }

    @Test func `a session of many in one answer is the session that was kept`() async throws {
        for seed in 1...3 { try await store.insert(Fixture.global("g\(seed)", seed: seed)) }
        let all = try await store.sessions(.ids(["g1", "g2", "g3"]), limit: 3)
        for session in all { #expect(try await store.session(id: session.id) == session) }
        #expect(Set(all.map(\.tokenDigest)).count == 3)
    }

    @Test func `what expires is forgotten at its second and not before`() async throws {
        try await store.insert(Fixture.global("g1", seed: 1, expires: 2_000))
        try await store.insert(Fixture.application("a1", of: "g1", seed: 2))
        try await store.insert(Fixture.global("g2", seed: 3, expires: 2_001))
        #expect(try await store.removeExpired(nowSeconds: 1_999) == [])
        #expect(Set(try await store.removeExpired(nowSeconds: 2_000)) == ["g1", "a1"])
        #expect(try await store.sessions(.all, limit: 10).map(\.id) == ["g2"])
    }
}
