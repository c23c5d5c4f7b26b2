import Access
import Testing

@testable import Store

@Suite("What a browser still has when the session of its cookie has ended")
struct LeftBehindTests {
    let folder: TemporaryFolder
    let store: SQLiteStore
    static let auth = "auth.corp.example"
    static let wiki = "wiki.corp.example"

    init() throws {
        folder = try TemporaryFolder()
        store = try SQLiteStore(folder: folder.path)
    }

    /// Global sessions `g0`…`g<count-1>` of one browser, each with an application session `a<n>` of seed 100 + n.
    private func browser(_ count: Int) async throws {
        let ids = (0..<count).map { "g\($0)" }
        for (number, id) in ids.enumerated() {
            var global = Fixture.global(id, seed: number + 1)
            global.claims[StoredSession.linkedClaim] = .list(ids.filter { $0 != id })
            try await store.insert(global)
            try await store.insert(Fixture.application("a\(number)", of: id, seed: 101 + number))
        }
    }

    private func left(_ seed: Int, _ host: String = auth, in other: SQLiteStore? = nil) async throws
        -> [String]
    {
        try await (other ?? store).leftBehind(tokenDigest: Fixture.digest(seed), host: host).sorted()
    }

    @Test func `the cookies of an ended sign-in lead to what was linked to it, also after a restart`()
        async throws
    {
        try await browser(3)
        #expect(try await store.remove(sessionIDs: ["g0"]).count == 2)
        #expect(try await left(1) == ["g1", "g2"])
        #expect(try await left(101, Self.wiki) == ["g1", "g2"])
        await store.close()
        let again = try SQLiteStore(folder: folder.path)
        #expect(try await left(1, in: again) == ["g1", "g2"])
        try await again.remove(sessionIDs: ["g1"])
        #expect(try await left(1, in: again) == ["g2"])
        try await again.remove(sessionIDs: ["g2"])
        #expect(try await left(1, in: again).isEmpty, "the last one took them with it")
        #expect(try await left(2, in: again).isEmpty)
        #expect(try await left(102, Self.wiki, in: again).isEmpty)
    }

    @Test func `a cookie of another host, or one that nobody had, leads nowhere`() async throws {
        try await browser(2)
        try await store.remove(sessionIDs: ["g0"])
        #expect(try await left(1, Self.wiki).isEmpty)
        #expect(try await left(101, Self.auth).isEmpty)
        #expect(try await left(77).isEmpty)
    }

    @Test func `an application's session that ended alone leads to its sign-in, and only while that lives`()
        async throws
    {
        try await browser(1)
        try await store.remove(sessionIDs: ["a0"])
        #expect(try await left(101, Self.wiki) == ["g0"])
        try await store.remove(sessionIDs: ["g0"])
        #expect(try await left(101, Self.wiki).isEmpty)
    }

    @Test func `when the sign-in of such a session ends, its cookie leads to what was linked later`()
        async throws
    {
        try await browser(2)
        try await store.remove(sessionIDs: ["a0"])
        #expect(try await left(101, Self.wiki) == ["g0"])
        try await store.remove(sessionIDs: ["g0"])
        #expect(try await left(101, Self.wiki) == ["g1"])
        #expect(try await left(1) == ["g1"])
        try await store.remove(sessionIDs: ["g1"])
        #expect(try await left(101, Self.wiki).isEmpty)
    }

    @Test func `it goes over once for each that is left, and to none that ends with it`() async throws {
        try await browser(4)
        try await store.remove(sessionIDs: ["a0", "a1"])
        try await store.remove(sessionIDs: ["g0", "g1"])
        for seed in [101, 102] { #expect(try await left(seed, Self.wiki) == ["g2", "g3"]) }
        try await store.remove(sessionIDs: ["g2", "g3"])
        for seed in [101, 102] { #expect(try await left(seed, Self.wiki).isEmpty) }
    }

    @Test func `what goes over is bounded as everything else is`() async throws {
        try await browser(2)
        for number in 0..<40 {
            for (id, seed) in [("g0", 300), ("g1", 400)] {
                let session = Fixture.application("s\(id)\(number)", of: id, seed: seed + number)
                try await store.insert(session)
                try await store.remove(sessionIDs: [session.id])
            }
        }
        try await store.remove(sessionIDs: ["g0"])
        #expect(try await left(339, Self.wiki) == ["g1"])
        let known = Array(300..<340) + Array(400..<440)
        var count = 0
        for seed in known where try await left(seed, Self.wiki) == ["g1"] { count += 1 }
        // Two more are those of the sign-in that ended and of its application session.
        #expect(count == LeftBehindRows.perSessionMax - 2)
    }

    @Test func `what has expired leads on before and after it is forgotten`() async throws {
        try await browser(2)
        let long = try #require(try await store.session(id: "g1"))
        var longer = long
        longer.expiresAtSeconds = 90_000
        #expect(try await store.replace(long, with: longer))
        #expect(try await store.session(tokenDigest: Fixture.digest(1), nowSeconds: 10_000) == nil)
        #expect(try await left(1) == ["g0", "g1"], "nobody has removed it yet")
        #expect(Set(try await store.removeExpired(nowSeconds: 10_000)) == ["g0", "a0", "a1"])
        #expect(try await left(1) == ["g1"])
        #expect(try await left(102, Self.wiki) == ["g1"])
        try await store.removeExpired(nowSeconds: 90_000)
        #expect(try await left(1).isEmpty)
    }

    @Test func `either of the two cookies that a browser may have at the moment leads on`() async throws {
        try await browser(2)
        let before = try #require(try await store.session(id: "g0"))
        var rotated = before
        rotated.tokenDigest = Fixture.digest(50)
        rotated.previousTokenDigest = before.tokenDigest
        rotated.previousUntilSeconds = 1_030
        #expect(try await store.replace(before, with: rotated))
        try await store.remove(sessionIDs: ["g0"])
        #expect(try await left(1) == ["g1"])
        #expect(try await left(50) == ["g1"])
    }

    @Test func `everybody who ends at once leaves nothing behind`() async throws {
        try await browser(3)
        try await store.remove(sessionIDs: ["g0", "g1", "g2"])
        for seed in [1, 2, 3] { #expect(try await left(seed).isEmpty) }
        for seed in [101, 102, 103] { #expect(try await left(seed, Self.wiki).isEmpty) }
    }

    @Test func `of one session the last 64 cookies are known, and no more`() async throws {
        try await store.insert(Fixture.global("g", seed: 1))
        for number in 0..<66 {
            try await store.insert(Fixture.application("a\(number)", of: "g", seed: 200 + number))
            try await store.remove(sessionIDs: ["a\(number)"])
        }
        #expect(try await left(201, Self.wiki).isEmpty)
        #expect(try await left(202, Self.wiki) == ["g"])
        #expect(try await left(265, Self.wiki) == ["g"])
    }
}
