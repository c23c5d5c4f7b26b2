import Access
import GRDB
import Testing

@testable import Store

@Suite("Sign-ins that are one browser's")
struct BrowserTests {
    let folder: TemporaryFolder
    let store: SQLiteStore

    init() throws {
        folder = try TemporaryFolder()
        store = try SQLiteStore(folder: folder.path)
    }

    private static func global(_ number: Int, names: [String] = [], linked: [String] = []) -> StoredSession {
        var session = Fixture.global("g\(number)", seed: number + 1)
        session.createdAtSeconds = 1_000 + Int64(number)
        if !names.isEmpty { session.claims[StoredSession.browserClaim] = .list(names) }
        if !linked.isEmpty { session.claims[StoredSession.linkedClaim] = .list(linked) }
        return session
    }

    private func insert(_ sessions: StoredSession...) async throws {
        for session in sessions { try await store.insert(session) }
    }

    private func linked(_ id: String) async throws -> [String]? { try await store.session(id: id)?.linkedIDs }

    @Test func `those that share a name know of each other, and of what was linked to either`() async throws {
        try await insert(
            Self.global(0, names: ["a", "b"]), Self.global(1, linked: ["g2"]),
            Self.global(2, names: ["c"], linked: ["g1"]), Self.global(3, names: ["b", "c"]),
            Self.global(4, names: ["d"]))
        #expect(try await store.linkBrowser(of: "g3", with: []).isEmpty)
        #expect(try await linked("g3") == ["g2", "g0", "g1"], "the newest first, then what they bring along")
        for id in ["g0", "g1", "g2"] {
            let others = Set(["g0", "g1", "g2", "g3"]).subtracting([id])
            #expect(try await linked(id).map { Set($0) } == others)
        }
        #expect(try await linked("g4") == [])
    }

    @Test func `what it came with stands in front of what is found by names`() async throws {
        try await insert(
            Self.global(0), Self.global(1, names: ["n"]), Self.global(2, names: ["n"]))
        #expect(try await store.linkBrowser(of: "g2", with: ["g0", "gone"]).isEmpty)
        #expect(try await linked("g2") == ["g0", "g1"])
        #expect(try await linked("g0") == ["g2", "g1"])
    }

    @Test func `an id is a name, of the session that has it`() async throws {
        try await insert(Self.global(0), Self.global(1, names: ["g0"]))
        #expect(try await store.linkBrowser(of: "g1", with: []).isEmpty)
        #expect(try await linked("g0") == ["g1"])
        try await insert(Self.global(2, names: ["g3"]), Self.global(3))
        #expect(try await store.linkBrowser(of: "g3", with: []).isEmpty)
        #expect(try await linked("g2") == ["g3"], "found from either side")
    }

    @Test func `no name, another one, or one in other letters joins nobody`() async throws {
        try await insert(
            Self.global(0), Self.global(1), Self.global(2, names: ["a"]), Self.global(3, names: ["A"]),
            Self.global(4, names: ["a "]), Fixture.application("w", of: "g2", seed: 90))
        for id in ["g0", "g1", "g2", "g3", "g4", "w", "gone", ""] {
            #expect(try await store.linkBrowser(of: id, with: []).isEmpty)
        }
        #expect(try await store.linkBrowser(of: "w", with: ["g0"]).isEmpty)
        #expect(try await store.linkBrowser(of: "gone", with: ["g0"]).isEmpty)
        for id in ["g0", "g1", "g2", "g3", "g4"] { #expect(try await linked(id) == []) }
    }

    @Test func `names change with their session, go with it, and are there after a restart`() async throws {
        let first = Self.global(0, names: ["a"])
        try await insert(first, Self.global(1, names: ["b"]), Self.global(2, names: ["a"]))
        #expect(try await store.replace(first, with: Self.global(0, names: ["b"])))
        await store.close()
        let again = try SQLiteStore(folder: folder.path)
        #expect(try await again.linkBrowser(of: "g2", with: []).isEmpty)
        #expect(try await again.session(id: "g2")?.linkedIDs == [])
        #expect(try await again.linkBrowser(of: "g1", with: []).isEmpty)
        #expect(try await again.session(id: "g0")?.linkedIDs == ["g1"])
        try await again.remove(sessionIDs: ["g0", "g1", "g2"])
        await again.close()
        let left = try await DatabaseQueue(path: folder.file("sessions.sqlite")).read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM browser_names")
        }
        #expect(left == 0)
    }

    @Test func `beyond eight others the oldest end, with what is below them`() async throws {
        for number in 0..<StoredSession.linkedMax + 3 { try await insert(Self.global(number, names: ["n"])) }
        try await insert(Fixture.application("w", of: "g0", seed: 90))
        let newest = "g\(StoredSession.linkedMax + 2)"
        let ended = try await store.linkBrowser(of: newest, with: [])
        #expect(Set(ended.map(\.id)) == ["g0", "g1", "w"])
        #expect(try await linked(newest)?.count == StoredSession.linkedMax)
        #expect(try await linked("g2")?.count == StoredSession.linkedMax)
    }

    @Test func `made and linked at once, all of them know of all`() async throws {
        let count = StoredSession.linkedMax + 1
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<count {
                group.addTask {
                    try await store.insert(Self.global(number, names: ["n"]))
                    let ended = try await store.linkBrowser(of: "g\(number)", with: [])
                    #expect(ended.isEmpty)
                }
            }
            try await group.waitForAll()
        }
        for number in 0..<count { #expect(try await linked("g\(number)")?.count == count - 1) }
    }

    @Test func `names of an older schema are read from the claims`() async throws {
        try await insert(Self.global(0, names: ["a"]), Self.global(1, names: ["a", "b"]), Self.global(2))
        await store.close()
        let queue = try DatabaseQueue(path: folder.file("sessions.sqlite"))
        try await queue.write { db in
            // Later steps come again as well.
            try db.execute(sql: "DROP TABLE browser_names")
            try db.execute(sql: "ALTER TABLE ending_counts DROP COLUMN forgotten")
            try db.execute(sql: "DROP INDEX session_refreshes_unanswered")
            let place = Schema.sessions.firstIndex { $0.contains("CREATE TABLE browser_names") }
            try db.execute(sql: "PRAGMA user_version = \(try #require(place))")
        }
        try queue.close()
        let again = try SQLiteStore(folder: folder.path)
        #expect(try await again.linkBrowser(of: "g1", with: []).isEmpty)
        #expect(try await again.session(id: "g0")?.linkedIDs == ["g1"])
        #expect(try await again.session(id: "g2")?.linkedIDs == [])
    }

    @Test func `the last sign-out of several names is the one of the highest number`() async throws {
        #expect(try await store.lastSignOut(ofBrowsers: ["a"]) == nil)
        try await store.noteSignOut(ofBrowsers: ["a"], atSeconds: 9_000)
        let first = try await store.endingCount()
        try await store.noteSignOut(ofBrowsers: ["b"], atSeconds: 2_000)
        #expect(try await store.lastSignOut(ofBrowsers: ["a", "c"]) == first)
        #expect(try await store.lastSignOut(ofBrowsers: ["a", "b"]) == first + 1)
        #expect(try await store.lastSignOut(ofBrowsers: ["c", "A"]) == nil)
        #expect(try await store.lastSignOut(ofBrowsers: []) == nil)
    }

    @Test func `signing out ends all of a browser, remembers its names, and gives its tokens`()
        async throws
    {
        try await insert(
            Self.global(0, names: ["a"], linked: ["g1"]), Self.global(1, linked: ["g0"]),
            Self.global(2, names: ["a", "b"]), Self.global(3, names: ["c"]),
            Fixture.application("w", of: "g2", seed: 90))
        for id in ["g2", "g3"] {
            try await store.keep(
                StoredRefresh(
                    sessionID: id, provider: "corp", sealedToken: id, dueAtSeconds: nil, refreshedAtSeconds: 1
                ))
        }
        let out = try await store.signOut(["g0", "gone"], names: ["d"], atSeconds: 2_000)
        #expect(Set(out.sessions.map(\.id)) == ["g0", "g1", "g2", "w"])
        #expect(out.refreshes.map(\.sealedToken) == ["g2"])
        for name in ["a", "b", "d", "g0", "g1", "g2"] {
            #expect(try await store.isSignedOut(browser: name), "\(name)")
        }
        for name in ["c", "g3", "gone", "w"] {
            #expect(try await !store.isSignedOut(browser: name), "\(name)")
        }
        #expect(try await store.sessions(.all, limit: 10).map(\.id) == ["g3"])
        #expect(try await store.refresh(sessionID: "g3") != nil)
    }

    @Test func `signing out of what is gone remembers the names that are given, and ends nobody`()
        async throws
    {
        try await insert(Self.global(0, names: ["a"]))
        let out = try await store.signOut(["gone"], names: ["d"], atSeconds: 2_000)
        #expect(out.sessions.isEmpty && out.refreshes.isEmpty)
        #expect(try await store.isSignedOut(browser: "d"))
        #expect(try await !store.isSignedOut(browser: "a"))
        #expect(try await store.session(id: "g0") != nil)
    }
}
